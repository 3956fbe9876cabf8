// The rate of the last hour: axes with units, and the value below the pointer or the arrow keys.

import { byId, drawn, moment, size } from "./parts.js";

const SECONDS = 3600;
const MARGIN = { left: 64, right: 12, top: 12, bottom: 24 };
const TICK_MINUTES = 15;
let pointed = null;
let shown = null;

// A scale that ends at 1, 2 or 5 times a power of ten.
function top(highest) {
  const power = 10 ** Math.floor(Math.log10(highest));
  return [1, 2, 5, 10].map((step) => step * power).find((value) => value >= highest);
}

export function showThroughput(samples, secondsBetween, limit) {
  const plot = byId("throughput");
  const width = plot.clientWidth || 600;
  const height = plot.clientHeight || 208;
  const now = Date.now();
  const highest = Math.max(...samples.map((sample) => sample.bytes_per_second), 0);
  shown = null;
  plot.replaceChildren();
  plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
  plot.toggleAttribute("hidden", highest === 0);
  byId("throughput-text").textContent = highest === 0 ? "No data received during the last hour." : describe(samples, secondsBetween);
  if (highest === 0) return;
  const newest = new Date(samples.at(-1).at).getTime();
  const end = Math.abs(now - newest) < SECONDS * 1000 ? Math.max(now, newest) : newest;
  const scale = top(highest);
  const x = (at) => MARGIN.left + (width - MARGIN.left - MARGIN.right) * (1 - (end - new Date(at).getTime()) / (SECONDS * 1000));
  const y = (rate) => height - MARGIN.bottom - (height - MARGIN.top - MARGIN.bottom) * rate / scale;
  drawAxes(plot, { width, height, end, scale, x, y });
  if (limit && limit <= scale) plot.append(drawn("line", { class: "limit", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(limit), y2: y(limit) }));
  const visible = samples.filter((sample) => x(sample.at) >= MARGIN.left);
  const line = visible.map((sample) => `${x(sample.at).toFixed(1)},${y(sample.bytes_per_second).toFixed(1)}`).join(" L");
  const ends = [x(visible[0].at).toFixed(1), x(visible.at(-1).at).toFixed(1)];
  plot.append(drawn("path", { class: "area", d: `M${ends[0]},${y(0)} L${line} L${ends[1]},${y(0)} Z` }), drawn("path", { class: "rate", d: `M${line}` }));
  shown = { plot, visible, x, y, height, text: byId("throughput-text").textContent };
  if (pointed !== null) point(Math.min(pointed, visible.length - 1));
}

function describe(samples, secondsBetween) {
  const mean = samples.reduce((total, sample) => total + sample.bytes_per_second, 0) / samples.length;
  const highest = Math.max(...samples.map((sample) => sample.bytes_per_second));
  const minutes = Math.max(1, Math.round(samples.length * secondsBetween / 60));
  return `Last ${minutes === 60 ? "hour" : `${minutes} min`}: ${size(mean)}/s on average, ${size(highest)}/s at most.`;
}

function drawAxes(plot, { width, height, end, scale, x, y }) {
  for (const part of [0, .5, 1]) {
    plot.append(drawn("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(part * scale), y2: y(part * scale) }),
      drawn("text", { x: MARGIN.left - 6, y: y(part * scale) + 4, "text-anchor": "end" }, part === 0 ? "0" : `${size(part * scale).replace(/\.0+ /, " ")}/s`));
  }
  const step = TICK_MINUTES * 60000;
  for (let at = Math.ceil((end - SECONDS * 1000) / step) * step; at <= end; at += step) {
    plot.append(drawn("line", { class: "grid", x1: x(at), x2: x(at), y1: y(0), y2: y(0) + 5 }));
    if (x(at) > MARGIN.left - 1 && x(at) < width - 18) plot.append(drawn("text", { x: x(at), y: height - 4, "text-anchor": "middle" },
      moment(at)));
  }
}

function point(place) {
  if (!shown) return;
  pointed = place;
  const sample = shown.visible[place];
  shown.plot.querySelectorAll(".cursor, .dot").forEach((old) => old.remove());
  const at = shown.x(sample.at);
  shown.plot.append(drawn("line", { class: "cursor", x1: at, x2: at, y1: MARGIN.top, y2: shown.height - MARGIN.bottom }),
    drawn("circle", { class: "dot", cx: at, cy: shown.y(sample.bytes_per_second), r: 4 }));
  byId("throughput-text").textContent = `${moment(sample.at)}: ${size(sample.bytes_per_second)}/s`;
}

function leave() {
  pointed = null;
  if (!shown) return;
  shown.plot.querySelectorAll(".cursor, .dot").forEach((old) => old.remove());
  byId("throughput-text").textContent = shown.text;
}

byId("throughput").addEventListener("pointermove", (event) => {
  if (!shown) return;
  const at = event.clientX - shown.plot.getBoundingClientRect().left;
  const distances = shown.visible.map((sample) => Math.abs(shown.x(sample.at) - at));
  point(distances.indexOf(Math.min(...distances)));
});
byId("throughput").addEventListener("pointerleave", leave);
byId("throughput").addEventListener("blur", leave);
byId("throughput").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || !shown) return;
  event.preventDefault();
  point(Math.max(0, Math.min(shown.visible.length - 1, (pointed ?? shown.visible.length) + step)));
});
