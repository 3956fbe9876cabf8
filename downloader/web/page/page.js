// The page of the service. Everything the archive wrote reaches the page as text, never as markup.

import { showThroughput } from "./chart.js";
import { ask, order, notice, guarded } from "./requests.js";
import { breakable, byId, confirm_, count, duration, element, fill, icon, moment, relative, share, size, favicon } from "./parts.js";

const REFRESH_MILLISECONDS = 15000;
const SETTLE_MILLISECONDS = 1000;
const HISTORY_ROWS = 10;
const SERIES_ROWS = 20;

const known = { status: null, summary: null, manifests: [], groups: [], failed: null, forecast: { manifests: [], libraries: [] }, throughput: null, progress: {} };
const open = new Set();

const LOOKS = {
  attention: ["bad", "Needs attention"], outage: ["warn", "Archive out"], draining: ["warn", "Stopping"], paused: ["warn", "Paused"],
  mirroring: ["accent", "Mirroring"], waiting: ["quiet", "Waiting"], idle: ["quiet", "Idle"], complete: ["good", "Complete"],
  empty: ["quiet", "Empty"], unknown: ["quiet", "Unknown"],
};

function stateMark(state) {
  const [look, word] = LOOKS[state] ?? LOOKS.unknown;
  return element("span", { className: `state ${look}` }, icon(state), element("span", { text: word }));
}

function figures(list, pairs) {
  fill(list, pairs.filter(([, value]) => value !== "").map(([term, value, className = ""]) =>
    element("div", { className }, element("dt", { text: term }), element("dd", { text: value }))));
}

const figureList = (pairs) => { const list = element("dl", { className: "figures" }); figures(list, pairs); return list; };
const selected = (tally) => tally.pending + tally.claimed + tally.complete + tally.failed;
const ofAll = (part, whole) => whole > 0 ? `${count(part)} of ${count(whole)}` : count(part);
const bytesOf = (part, whole) => whole > 0 ? `${size(part)} of ${size(Math.max(part, whole))}` : size(part);

function showState() {
  const { status, summary } = known;
  const [look, word] = LOOKS[summary.state] ?? LOOKS.unknown;
  byId("state").className = `card ${look}`;
  fill(byId("state-icon"), [icon(summary.state, word)]);
  byId("headline").textContent = summary.sentence;
  fill(byId("problems"), summary.problems.map((problem) => element("li", { text: problem })));
  byId("problems").hidden = summary.problems.length === 0;
  const someArePaused = status.libraries.some((library) => library.paused);
  byId("paused").textContent = status.paused ? "Paused" : "Partly paused";
  byId("paused").hidden = !status.paused && !someArePaused;
  const pause = byId("pause");
  pause.textContent = status.paused ? "Resume" : "Pause";
  pause.disabled = status.draining;
  document.title = `${status.paused && summary.state !== "paused" ? "Paused, " : ""}${word} · tciad`;
  byId("favicon").href = favicon(summary.state, look);
  byId("version").textContent = `tciad ${status.version}`;
  byId("updated").textContent = `as of ${moment(status.told_at)}`;
}

function showComplete() {
  const sum = (of) => known.manifests.reduce((total, manifest) => total + of(manifest.tally), 0);
  const complete = sum((tally) => tally.complete);
  const wanted = sum(selected);
  byId("share").textContent = wanted ? share(complete, wanted) : "No series selected yet";
  byId("share-bar").max = wanted || 1;
  byId("share-bar").value = complete;
  figures(byId("totals"), [
    ["Series", ofAll(complete, wanted)],
    ["Images", ofAll(sum((tally) => tally.images), sum((tally) => tally.expected_images))],
    ["Bytes", bytesOf(sum((tally) => tally.stored_bytes), sum((tally) => tally.expected_bytes))],
    ["In the queue", count(sum((tally) => tally.pending + tally.claimed))],
    ["Failed", count(sum((tally) => tally.failed))],
    ["Withdrawn", count(sum((tally) => tally.withdrawn))],
    ["When done", latestForecast(), "wide"],
  ]);
}

function latestForecast() {
  const told = known.forecast.manifests.filter((forecast) => forecast.seconds !== null);
  return told.sort((one, other) => other.seconds - one.seconds)[0]?.sentence ?? "";
}

function showRates() {
  const runs = Object.values(known.progress);
  const sum = (figure) => runs.reduce((total, run) => total + run[figure], 0);
  const limits = known.manifests.filter((manifest) => manifest.name in known.progress).map((manifest) => manifest.bandwidth_bytes_per_second);
  const limit = limits.length && limits.every((each) => each !== null) ? limits.reduce((total, each) => total + each, 0) : null;
  const active = runs.reduce((total, run) => total + run.active.length, 0);
  figures(byId("rates"), [
    ["Now", `${size(sum("bytes_per_second"))}/s`],
    ["Bandwidth limit", runs.length === 0 ? "" : limit === null ? "none" : `${size(limit)}/s`],
    ["In flight", runs.length === 0 ? "" : `${count(active)}, at most ${count(sum("concurrency") || sum("concurrency_ceiling"))} now`],
    ["Concurrency", runs.length === 0 ? "" : `up to ${count(sum("concurrency_ceiling"))}`],
  ]);
  return limit;
}

function showRunning() {
  const runs = Object.entries(known.progress);
  byId("idle").hidden = runs.length > 0;
  fill(byId("running"), runs.map(([name, run]) => showRun(name, run)));
  showRates();
}

function phaseOf(run) {
  if (run.waiting_since_at !== null) {
    return `waiting for ${run.archives_out.join(", ") || "the archive"}, which has not answered since ${moment(run.waiting_since_at)}`;
  }
  return run.phase === "resolving" ? "reading the catalogue" : `fetching since ${relative(run.started_at)}`;
}

function showRun(name, run) {
  const counts = `${count(run.completed)} series complete, ${count(run.images)} images, ${size(run.received_bytes)} received, ${count(run.set_back)} attempts set back, ${count(run.failed)} failed`;
  return element("div", { className: "run" },
    element("h3", { text: `${name}: ${phaseOf(run)}` }),
    element("p", { text: counts, className: "quiet" }),
    element("ul", { className: "series" }, ...run.active.map(showActive)));
}

function showActive(series) {
  const bar = element("progress", { "aria-label": `Progress of ${series.series_instance_uid}`, className: "wide" });
  if (series.image_count) {
    bar.max = series.image_count;
    bar.value = Math.min(series.images, series.image_count);
  }
  const images = series.image_count === null ? `${count(series.images)} images` : `${count(series.images)} of ${count(series.image_count)} images`;
  const attempt = series.attempt > 1 ? `, attempt ${series.attempt}` : "";
  return element("li", {},
    element("span", { text: [series.collection, series.patient_id, series.modality].filter(Boolean).join(" · "), className: "text" }),
    element("span", { text: `${images}${attempt}`, className: "n" }),
    element("span", { text: series.series_instance_uid, className: "uid wide" }), bar);
}

function showManifests() {
  const sentences = Object.fromEntries(known.summary.manifests.map((manifest) => [manifest.name, manifest]));
  const forecasts = Object.fromEntries(known.forecast.manifests.map((forecast) => [forecast.name, forecast.sentence]));
  const urgency = (manifest) => Object.keys(LOOKS).indexOf(sentences[manifest.name]?.state ?? "unknown");
  const sorted = [...known.manifests].sort((one, other) => urgency(one) - urgency(other));
  fill(byId("manifests"), sorted.map((manifest) => showManifest(manifest, sentences[manifest.name], forecasts[manifest.name] ?? "")));
  if (known.manifests.length === 0) byId("manifests").append(element("p", { text: `Put a manifest into ${known.status.folder}; its first cycle starts at once.`, className: "quiet text" }));
}

function showManifest(manifest, told, forecast) {
  const tally = manifest.tally;
  const wanted = selected(tally);
  const button = order(element("button", { text: "Run now", type: "button", "aria-label": `Run ${manifest.name} now` }),
    `/manifests/${encodeURIComponent(manifest.name)}/start`, () => `A cycle of ${manifest.name} starts as soon as its library is free.`, refresh);
  button.disabled = !manifest.in_force || manifest.state === "running";
  const last = manifest.last_cycle;
  const retrying = manifest.failed_cycles ? ` (retry ${count(manifest.failed_cycles)})` : "";
  return element("article", { "data-manifest": manifest.name, "data-state": told?.state ?? "unknown", role: "listitem" },
    element("div", { className: "row" }, element("h3", { text: manifest.name }), stateMark(told?.state)),
    element("p", { text: told?.sentence ?? manifest.state, className: "text" }),
    ...[manifest.problem, manifest.needs_attention].filter(Boolean).map((text) => element("p", { text, className: "bad text" })),
    element("progress", { "aria-label": `Complete of ${manifest.name}`, max: String(wanted || 1), value: String(tally.complete) }),
    figureList([
      ["Series", `${ofAll(tally.complete, wanted)}${wanted ? `, ${share(tally.complete, wanted)}` : ""}`],
      ["Images", ofAll(tally.images, tally.expected_images)],
      ["Bytes", bytesOf(tally.stored_bytes, tally.expected_bytes)],
      ["In the queue", count(tally.pending + tally.claimed)],
      ["Failed", count(tally.failed)],
      ["When done", forecast, "wide"],
      ["Next run", manifest.next_run_at ? `${relative(manifest.next_run_at)}${retrying}` : ""],
      ["Last run", last ? `${last.outcome}, ${relative(last.ended_at)}` : "never"],
      ["Last success", manifest.last_success_at ? relative(manifest.last_success_at) : "never"],
      ["Schedule", manifest.schedule],
    ]),
    ...(last?.error ? [element("p", { text: last.error, className: "quiet text" })] : []),
    element("p", { className: "orders" }, button));
}

// A part that opens: what belongs to it is loaded when it does, and it stays open over refreshes.
function unfold(key, summary, load) {
  const body = element("div", {});
  const details = element("details", { "data-key": key }, element("summary", {}, summary), body);
  details.open = open.has(key);
  details.addEventListener("toggle", () => {
    if (details.open) { open.add(key); } else { open.delete(key); }
    if (details.open && !body.hasChildNodes()) guarded(() => load(body));
  });
  return details;
}

const groupQuery = (group) => new URLSearchParams({ error: group.error, ...(group.collection ? { collection: group.collection } : {}) });

function nextTry(group) {
  if (!group.first_retry_at) return "next retry: the next cycle";
  return `next retry: the first cycle after ${moment(group.first_retry_at)} (${relative(group.first_retry_at)})`;
}

function showFailures() {
  const key = JSON.stringify(known.groups);
  if (byId("failures").dataset.shown !== key) {
    byId("failures").dataset.shown = key;
    fill(byId("failures"), known.groups.map(showGroup));
  }
  byId("no-failures").hidden = known.groups.length > 0;
  byId("retry-all").hidden = known.groups.length === 0;
}

function showGroup(group) {
  const name = `${group.error} in ${group.collection || "no collection"}`;
  const retried = (reply) => `${count(reply.retried)} series of ${name} are retried now.`;
  const button = order(element("button", { text: `Retry ${count(group.series)}`, type: "button", "aria-label": `Retry ${count(group.series)} series: ${name}` }),
    `/retry?${groupQuery(group)}`, retried, refresh);
  const summary = element("span", { className: "row" },
    element("strong", { text: `${count(group.series)} series: ${group.error}` }), element("span", { text: group.collection || "no collection", className: "text" }));
  const details = unfold(`${group.library} ${name}`, summary, (body) => loadSeries(body, `/failures?${groupQuery(group)}`, showFailed));
  return element("div", { "data-error": group.error, className: "group" }, details,
    element("p", { text: group.message, className: "text" }), element("p", { text: nextTry(group), className: "quiet" }), element("p", { className: "orders" }, button));
}

async function loadSeries(body, path, show, after = null) {
  const list = body.querySelector("ul") ?? body.appendChild(element("ul", { className: "series" }));
  const page = await ask(`${path}&limit=${SERIES_ROWS}${after ? `&after=${encodeURIComponent(after)}` : ""}`);
  list.append(...page.series.map(show));
  body.querySelector("button.more")?.remove();
  if (page.next_after === null) return;
  const more = element("button", { text: "More series", type: "button", className: "more" });
  more.addEventListener("click", () => guarded(() => loadSeries(body, path, show, page.next_after)));
  body.append(more);
}

function showFailed(row) {
  const series = row.series;
  const button = order(element("button", { text: "Retry", type: "button", "aria-label": `Retry ${series.series_instance_uid}` }),
    `/retry?series_instance_uid=${encodeURIComponent(series.series_instance_uid)}`, () => `Series ${series.series_instance_uid} is retried now.`, refresh);
  return element("li", { "data-series": series.series_instance_uid },
    element("span", { text: [series.patient_id, series.modality, `${count(series.attempts)} attempts`].filter(Boolean).join(" · "), className: "text" }), button,
    element("span", { text: series.series_instance_uid, className: "uid wide" }),
    element("span", { text: `${series.error}: ${series.message}`, className: "text wide" }));
}

function showLibraries() {
  const forecasts = Object.fromEntries(known.forecast.libraries.map((forecast) => [forecast.directory, forecast]));
  fill(byId("libraries"), known.status.libraries.map((library) => showLibrary(library, forecasts[library.directory])));
}

function showLibrary(library, forecast) {
  const problem = library.problem || (library.short_of_room ? library.room_problem || "no space left" : "");
  const parts = [element("div", { className: "row" }, element("h3", {}, ...breakable(library.directory)),
    problem ? stateMark("attention") : library.paused ? stateMark("paused") : element("span", { className: "state good" }, icon("complete"), element("span", { text: "usable" })))];
  if (problem) parts.push(element("p", { text: problem, className: "bad text" }));
  if (library.capacity_bytes) {
    const used = library.capacity_bytes - (library.free_bytes ?? 0);
    const look = forecast?.sentence.startsWith("too little") ? "bad" : "";
    parts.push(element("progress", { className: look, "aria-label": `Used of the disk of ${library.directory}`, max: String(library.capacity_bytes), value: String(used) }));
  }
  parts.push(figureList([
    ["Stored here", size(library.tally.stored_bytes)],
    ["Disk used", library.capacity_bytes ? `${size(library.capacity_bytes - (library.free_bytes ?? 0))} of ${size(library.capacity_bytes)}` : ""],
    ["Free", library.free_bytes === null ? "unknown" : size(library.free_bytes)],
    ["Kept free", size(library.min_free_bytes)],
    ["Still to come", forecast?.wanted_bytes ? size(forecast.wanted_bytes) : ""],
  ]));
  if (forecast?.sentence) parts.push(element("p", { text: `Space: ${forecast.sentence}.`, className: forecast.sentence.startsWith("too little") ? "bad text" : "quiet text" }));
  return element("article", { role: "listitem", "data-library": library.directory }, ...parts);
}

function showArchives() {
  fill(byId("archives"), known.status.archives.map((archive) => {
    const mark = archive.failure ? stateMark("outage") : archive.reached_at
      ? element("span", { className: "state good" }, icon("complete"), element("span", { text: "responding" }))
      : element("span", { className: "state quiet" }, icon("idle"), element("span", { text: "no request yet" }));
    const runs = known.manifests.filter((manifest) => manifest.progress && manifest.archive.split(", ").includes(archive.name)).map((manifest) => manifest.progress);
    const breaker = runs.find((run) => run.archives_out.includes(archive.name) || run.archives_out.length === 0)?.breaker ?? "";
    return element("article", { role: "listitem", "data-archive": archive.name },
      element("div", { className: "row" }, element("h3", { text: archive.name }), mark),
      element("p", { className: "quiet text" }, ...breakable(archive.base_url)),
      ...(archive.failure ? [element("p", { text: archive.problem, className: "warn text" })] : []),
      figureList([
        ["Last response", archive.reached_at ? relative(archive.reached_at) : ""],
        ["Failing since", archive.failing_since_at ? `${moment(archive.failing_since_at)} (${relative(archive.failing_since_at)})` : ""],
        ["Circuit breaker", breaker],
        ["In flight", runs.length ? `${count(runs.reduce((total, run) => total + run.active.length, 0))}, at most ${count(runs.reduce((total, run) => total + run.concurrency, 0))} now` : ""],
      ]));
  }));
}

async function loadHistory(before = null) {
  const page = await ask(`/cycles?limit=${HISTORY_ROWS}${before ? `&before=${encodeURIComponent(before)}` : ""}`);
  const rows = page.cycles.map(showCycle);
  if (before) { byId("history").append(...rows); } else { fill(byId("history"), rows); }
  byId("no-history").hidden = byId("history").childElementCount > 0;
  byId("more-history").hidden = page.next_before === null;
  byId("more-history").dataset.before = page.next_before ?? "";
}

function showCycle(cycle) {
  const looks = { complete: "complete", incomplete: "attention", failed: "attention", interrupted: "idle" };
  const look = LOOKS[looks[cycle.outcome] ?? "unknown"][0];
  const counts = Object.entries(cycle.counts).filter(([, number]) => number).map(([name, number]) => `${count(number)} ${name}`).join(", ") || "no changes";
  const span = cycle.began_at && cycle.ended_at ? `, took ${duration((new Date(cycle.ended_at) - new Date(cycle.began_at)) / 1000)}` : "";
  const mark = element("span", { className: `state ${look}` }, icon(looks[cycle.outcome] ?? "unknown"), element("span", { text: cycle.outcome }));
  const summary = element("span", { className: "row cycle" }, element("strong", { text: cycle.manifest, className: "text" }), mark,
    element("span", { text: cycle.ended_at ? `${relative(cycle.ended_at)}${span}` : "", className: "quiet" }), element("span", { text: counts }));
  const details = unfold(`${cycle.library} ${cycle.name}`, summary, (body) => loadChanges(body, cycle));
  return element("div", { role: "listitem" }, details, ...(cycle.error ? [element("p", { text: cycle.error, className: "bad text" })] : []));
}

async function loadChanges(body, cycle) {
  const query = new URLSearchParams({ manifest: cycle.manifest, before: `${cycle.name}~`, limit: "1" });
  const report = (await ask(`/changes?${query}`)).records[0] ?? {};
  const lists = Object.entries(report).filter(([, rows]) => Array.isArray(rows) && rows.length);
  for (const [name, rows] of lists) {
    body.append(element("h4", { text: name }), element("ul", { className: "series" }, ...rows.slice(0, SERIES_ROWS).map((row) => element("li", {},
      element("span", { text: row.series_instance_uid ?? String(row), className: "uid wide" }),
      element("span", { text: [row.collection, row.patient_id, row.error, row.message].filter(Boolean).join(" · "), className: "text wide" })))));
    if (rows.length > SERIES_ROWS) body.append(element("p", { text: `and ${count((cycle.counts[name] ?? rows.length) - SERIES_ROWS)} more, in the change report`, className: "quiet" }));
  }
  if (lists.length === 0) body.append(element("p", { text: "Nothing changed in this cycle.", className: "quiet" }));
}

function showFound(row) {
  const series = row.series;
  return element("li", {},
    element("span", { text: [series.collection, series.patient_id, series.modality, series.series_description].filter(Boolean).join(" · "), className: "text" }),
    element("span", { text: series.state, className: "n" }),
    element("span", { text: series.series_instance_uid, className: "uid wide" }),
    ...(series.error ? [element("span", { text: `${series.error}: ${series.message}`, className: "text wide" })] : []));
}

async function find(after = null) {
  const form = new FormData(byId("search"));
  const query = new URLSearchParams({ limit: String(SERIES_ROWS) });
  if (form.get("text")) query.set("text", form.get("text"));
  if (form.get("state")) query.set("state", form.get("state"));
  if (after) query.set("after", after);
  const page = await ask(`/series?${query}`);
  if (after) { byId("found").append(...page.series.map(showFound)); } else { fill(byId("found"), page.series.map(showFound)); }
  byId("found-nothing").hidden = byId("found").childElementCount > 0;
  byId("more-found").hidden = page.next_after === null;
  byId("more-found").dataset.after = page.next_after ?? "";
}

// Counting failures reads a row of the store for each: not after every series that became complete.
async function refresh({ countFailures = true } = {}) {
  const [status, manifests, throughput, forecast] = await Promise.all([ask("/status"), ask("/manifests"), ask("/throughput"), ask("/forecast")]);
  const failed = manifests.manifests.reduce((total, manifest) => total + manifest.tally.failed, 0);
  const groups = countFailures || failed !== known.failed ? (await ask("/failures/groups")).groups : known.groups;
  Object.assign(known, { status: status.status, summary: status.summary, manifests: manifests.manifests, groups, failed, forecast, throughput });
  showState();
  showComplete();
  showManifests();
  showFailures();
  showLibraries();
  showArchives();
  showThroughput(throughput.samples, throughput.seconds_between, showRates());
}

let settling = null;

function refreshSoon(event) {
  if (JSON.parse(event.data).kind === "cycle ended") setTimeout(() => guarded(loadHistory), SETTLE_MILLISECONDS);
  settling ??= setTimeout(() => {
    settling = null;
    guarded(() => refresh({ countFailures: false }));
  }, SETTLE_MILLISECONDS);
}

function listen() {
  const events = new EventSource("/api/v1/events");
  events.addEventListener("progress", (event) => {
    known.progress = JSON.parse(event.data);
    showRunning();
  });
  events.addEventListener("happening", refreshSoon);
  events.addEventListener("error", () => {
    notice("The service does not respond; retrying. The figures may be outdated.");
    document.title = "No response · tciad";
  });
  events.addEventListener("open", () => guarded(() => refresh()));
  addEventListener("pagehide", () => events.close());
}

byId("pause").addEventListener("click", () => guarded(async () => {
  const isPaused = known.status.paused;
  const reply = await ask(isPaused ? "/resume" : "/pause", "POST");
  await refresh();
  confirm_(isPaused ? "Resumed: series are claimed again." : "Paused: no more series are claimed; series in flight finish.");
  const waiting = reply.libraries.filter((library) => library.problem);
  if (waiting.length) throw new Error(`Not yet in effect for ${waiting[0].directory}: ${waiting[0].problem}`);
}));
order(byId("retry-all"), "/retry", (reply) => `${count(reply.retried)} series are retried now.`, refresh);
byId("more-history").addEventListener("click", (event) => guarded(() => loadHistory(event.target.dataset.before)));
byId("more-found").addEventListener("click", (event) => guarded(() => find(event.target.dataset.after)));
byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  guarded(find);
});
addEventListener("resize", () => known.throughput && showThroughput(known.throughput.samples, known.throughput.seconds_between, showRates()));
setInterval(() => guarded(() => refresh()), REFRESH_MILLISECONDS);
guarded(refresh);
guarded(loadHistory);
listen();
