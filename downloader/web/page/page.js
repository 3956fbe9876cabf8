// The page of the service. Everything the archive wrote reaches the page as text, never as markup.

const API = "/api/v1";
const REFRESH_MILLISECONDS = 15000;
const SETTLE_MILLISECONDS = 300;
const MOST_SAMPLES = 360;
const MOST_FAILURES = 50;

const byId = (id) => document.getElementById(id);
const known = { status: null, manifests: [], failures: [], samples: [], progress: {} };

function element(name, { text = "", className = "", ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  if (text !== "") made.textContent = text;
  if (className) made.className = className;
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

const cell = (text, className = "") => element("td", { text: String(text), className });
const count = (number) => number.toLocaleString("en");

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let step = 0;
  let value = bytes;
  while (value >= 1000 && step < units.length - 1) { value /= 1000; step += 1; }
  return `${step === 0 ? value : value.toPrecision(3)} ${units[step]}`;
}

function moment(text) {
  return text ? new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "";
}

function share(part, whole) {
  if (!whole) return "";
  const percent = 100 * part / whole;
  return `${part < whole ? Math.min(percent, 99.9).toFixed(1) : "100"} %`;
}

async function ask(path, method = "GET") {
  const reply = await fetch(`${API}${path}`, { method, headers: { Accept: "application/json" } });
  const document_ = await reply.json();
  if (reply.status === 401) { location.reload(); }
  if (!reply.ok) throw new Error(`${document_.message}${document_.next_step ? `; ${document_.next_step}` : ""}`);
  return document_;
}

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

async function guarded(work) {
  try {
    await work();
    notice("");
  } catch (error) {
    notice(error instanceof TypeError ? "The service does not respond." : error.message);
  }
}

function order(button, path) {
  button.addEventListener("click", () => guarded(async () => {
    button.disabled = true;
    try { await ask(path, "POST"); await refresh(); } finally { button.disabled = false; }
  }));
  return button;
}

function showHeadline() {
  const { status, ready } = known.status;
  const headline = byId("headline");
  const problems = [
    ...status.libraries.filter((library) => library.problem).map((library) => `${library.directory}: ${library.problem}`),
    ...status.archives.filter((archive) => archive.failed_at && !archive.reachable).map((archive) => `${archive.name}: ${archive.problem}`),
    ...(status.folder_problem ? [status.folder_problem] : []),
  ];
  headline.className = ready && !problems.length ? (status.paused ? "warn" : "good") : "bad";
  if (status.draining) headline.textContent = "Draining.";
  else if (problems.length) headline.textContent = problems.join(" · ");
  else headline.textContent = status.paused ? "Paused: no more series are claimed." : "No problems.";
  const pause = byId("pause");
  pause.textContent = status.paused ? "Resume" : "Pause";
  pause.disabled = false;
  byId("version").textContent = `tciad ${status.version}`;
}

function showRunning() {
  const runs = Object.entries(known.progress);
  const sum = (figure) => runs.reduce((total, [, run]) => total + run[figure], 0);
  const figures = {
    "Rate": `${size(sum("bytes_per_second"))}/s`,
    "Completed": count(sum("completed")),
    "Images": count(sum("images")),
    "Received": size(sum("received_bytes")),
    "In flight": `${count(runs.reduce((total, [, run]) => total + run.active.length, 0))} of ${count(sum("concurrency_ceiling"))}`,
    "Failed": count(sum("failed")),
  };
  byId("totals").replaceChildren(...Object.entries(figures).map(([term, figure]) =>
    element("div", {}, element("dt", { text: term }), element("dd", { text: figure }))));
  byId("totals").hidden = runs.length === 0;
  byId("idle").hidden = runs.length > 0;
  byId("running").replaceChildren(...runs.map(([name, run]) => showRun(name, run)));
}

function showRun(name, run) {
  const out = run.archives_out.join(", ") || "the archive";
  const waiting = run.waiting_since_at === null ? "" : ` · waiting for ${out}, which has not responded since ${moment(run.waiting_since_at)}`;
  const phase = run.phase === "resolving" ? "reading the catalogue" : `${count(run.completed)} complete in this cycle`;
  return element("div", { className: "run" },
    element("h3", { text: `${name}: ${phase}${waiting}` }),
    element("ul", {}, ...run.active.map(showActive)));
}

function showActive(series) {
  const label = `${series.collection} · ${series.patient_id} · ${series.modality} · ${series.series_instance_uid}`;
  const bar = element("progress", { "aria-label": `Progress of ${series.series_instance_uid}` });
  if (series.image_count) {
    bar.max = series.image_count;
    bar.value = Math.min(series.images, series.image_count);
  }
  const images = series.image_count === null ? count(series.images) : `${count(series.images)} of ${count(series.image_count)}`;
  return element("li", {}, element("span", { text: label, title: label }), bar, element("span", { text: images, className: "n" }));
}

function showThroughput() {
  const samples = known.samples;
  const highest = Math.max(...samples.map((sample) => sample.bytes_per_second), 0);
  const plot = byId("throughput");
  const text = byId("throughput-text");
  if (highest === 0) {
    plot.replaceChildren();
    text.textContent = "No data received during the last hour.";
    return;
  }
  const points = samples.map((sample, place) => {
    const x = samples.length === 1 ? 600 : 600 * place / (samples.length - 1);
    return `${x.toFixed(1)},${(118 - 114 * sample.bytes_per_second / highest).toFixed(1)}`;
  });
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", points.length === 1 ? `M0,118 L${points[0]}` : `M${points.join(" L")}`);
  plot.replaceChildren(path);
  text.textContent = `Up to ${size(highest)}/s since ${moment(samples[0].at)}; ${size(samples.at(-1).bytes_per_second)}/s now.`;
}

function showManifests() {
  byId("manifests").replaceChildren(...known.manifests.map((manifest) => {
    const tally = manifest.tally;
    const wanted = tally.pending + tally.claimed + tally.complete + tally.failed;
    const bar = element("progress", { "aria-label": `Complete of ${manifest.name}`, max: String(wanted || 1), value: String(tally.complete) });
    const last = manifest.last_cycle;
    const button = order(element("button", { text: "Run now", type: "button", "aria-label": `Run ${manifest.name} now` }),
      `/manifests/${encodeURIComponent(manifest.name)}/start`);
    button.disabled = !manifest.in_force || manifest.state === "running";
    const state = element("td", {}, manifest.state);
    if (manifest.needs_attention) state.append(element("div", { text: manifest.needs_attention, className: "bad reason" }));
    if (manifest.problem) state.append(element("div", { text: manifest.problem, className: "bad reason" }));
    const complete = element("td", {}, bar, element("div", { text: `${count(tally.complete)} of ${count(wanted)} ${share(tally.complete, wanted)}` }));
    const outcome = last ? `${last.outcome}, ${moment(last.ended_at)}${last.error ? `: ${last.error}` : ""}` : "never";
    return element("tr", { "data-manifest": manifest.name },
      element("th", { text: manifest.name, scope: "row" }), state, complete,
      cell(count(tally.pending + tally.claimed), "n"), cell(count(tally.failed), tally.failed ? "n bad" : "n"),
      cell(`${moment(manifest.next_run_at)}${manifest.failed_cycles && manifest.next_run_at ? ` (retry ${count(manifest.failed_cycles)})` : ""}`), cell(outcome, "reason"), element("td", {}, button));
  }));
}

function showFailures() {
  const rows = known.failures.series;
  byId("failures").replaceChildren(...rows.map((row) => {
    const series = row.series;
    const button = order(element("button", { text: "Retry", type: "button", "aria-label": `Retry ${series.series_instance_uid}` }),
      `/retry?series_instance_uid=${encodeURIComponent(series.series_instance_uid)}`);
    return element("tr", { "data-series": series.series_instance_uid },
      element("th", { text: series.series_instance_uid, scope: "row", className: "uid" }), cell(series.patient_id),
      cell(`${series.error}: ${series.message}`, "reason"), cell(count(series.attempts), "n"), element("td", {}, button));
  }));
  byId("no-failures").hidden = rows.length > 0;
  byId("retry-all").hidden = rows.length < 2;
  byId("more-failures").hidden = known.failures.next_after === null;
}

function showLibraries() {
  byId("libraries").replaceChildren(...known.status.status.libraries.map((library) => {
    const free = library.free_bytes === null ? "" : size(library.free_bytes);
    return element("tr", {}, element("th", { text: library.directory, scope: "row" }), cell(count(library.tally.complete), "n"),
      cell(count(library.tally.images), "n"), cell(size(library.tally.stored_bytes), "n"),
      cell(free, library.short_of_room ? "n bad" : "n"), cell(library.problem || (library.short_of_room ? `waiting for free space: ${library.room_problem}` : ""), "reason bad"));
  }));
}

async function refresh() {
  const [status, manifests, failures, throughput] = await Promise.all([
    ask("/status"), ask("/manifests"), ask(`/failures?limit=${MOST_FAILURES}`), ask("/throughput")]);
  known.status = status;
  known.manifests = manifests.manifests;
  known.failures = failures;
  known.samples = throughput.samples.slice(-MOST_SAMPLES);
  showHeadline();
  showManifests();
  showFailures();
  showLibraries();
  showThroughput();
}

let settling = null;

function refreshSoon() {
  settling ??= setTimeout(() => {
    settling = null;
    guarded(refresh);
  }, SETTLE_MILLISECONDS);
}

function listen() {
  const events = new EventSource(`${API}/events`);
  events.addEventListener("progress", (event) => {
    known.progress = JSON.parse(event.data);
    showRunning();
  });
  events.addEventListener("happening", refreshSoon);
  events.addEventListener("error", () => notice("The service does not respond; retrying."));
  events.addEventListener("open", () => guarded(refresh));
  addEventListener("pagehide", () => events.close());
}

byId("pause").addEventListener("click", () => guarded(async () => {
  const order = await ask(known.status.status.paused ? "/resume" : "/pause", "POST");
  await refresh();
  const waiting = order.libraries.filter((library) => library.problem);
  if (waiting.length) notice(`${order.done}; not yet in effect for ${waiting[0].directory}: ${waiting[0].problem}`);
}));
order(byId("retry-all"), "/retry");
setInterval(() => guarded(refresh), REFRESH_MILLISECONDS);
guarded(refresh);
listen();
