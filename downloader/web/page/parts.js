// Small parts of the page: elements, numbers, times and icons.

const SVG = "http://www.w3.org/2000/svg";
const CONFIRMATION_MILLISECONDS = 8000;
const ICONS = {
  attention: "M12 3 L22 20 H2 Z M12 10 V14 M12 17 V17.1",
  outage: "M3 3 L21 21 M9 5 A9 9 0 0 1 21 12 M4 9 A9 9 0 0 0 15 20",
  draining: "M6 6 H18 V18 H6 Z",
  paused: "M8 5 V19 M16 5 V19",
  mirroring: "M12 3 V15 M6 10 L12 16 L18 10 M5 21 H19",
  waiting: "M12 3 A9 9 0 1 0 12.1 3 M12 7 V12 L15 14",
  idle: "M12 4 A8 8 0 1 0 12.1 4",
  complete: "M4 13 L9 18 L20 6",
  empty: "M5 12 H19",
  unknown: "M9 9 A3 3 0 1 1 12 12 V14 M12 18 V18.1",
};
const FAVICON_COLOURS = { bad: "#b42318", warn: "#b25e00", good: "#146c43", accent: "#1d5fae", quiet: "#4b5563" };

export const byId = (id) => document.getElementById(id);
export const count = (number) => number.toLocaleString("en");

export function element(name, { text = "", className = "", ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  if (text !== "") made.textContent = text;
  if (className) made.className = className;
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

// An address or a path, which breaks after a slash or a dot before it breaks in a word.
export function breakable(text) {
  return text.split(/(?<=[/.])/).flatMap((part) => [part, document.createElement("wbr")]);
}

// Replace the children, and keep the focus on the button of the same name.
export function fill(parent, children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  parent.replaceChildren(...children);
  if (focused) parent.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
}

export function drawn(name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, String(value));
  if (text) made.textContent = text;
  return made;
}

export function icon(state, label = "") {
  const made = drawn("svg", { viewBox: "0 0 24 24", class: "icon", ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }) });
  made.append(drawn("path", { d: ICONS[state] ?? ICONS.unknown }));
  return made;
}

export function favicon(state, look) {
  const path = `<path d="${ICONS[state] ?? ICONS.unknown}" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" transform="translate(4 4) scale(.667)"/>`;
  const drawing = `<svg xmlns="${SVG}" viewBox="0 0 24 24"><rect width="24" height="24" rx="5" fill="${FAVICON_COLOURS[look]}"/>${path}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(drawing)}`;
}

let fading = null;

export function confirm_(text) {
  byId("confirmation").textContent = text;
  byId("confirmation").hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => { byId("confirmation").hidden = true; }, CONFIRMATION_MILLISECONDS);
}

export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let step = 0;
  let value = bytes;
  while (value >= 999.5 && step < units.length - 1) { value /= 1000; step += 1; }
  return `${step === 0 ? Math.round(value) : value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)}\u00a0${units[step]}`;
}

export function moment(text) {
  if (!text) return "";
  const at = new Date(text);
  const isToday = at.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { day: "numeric", month: "short", year: "numeric" };
  return at.toLocaleString("en-GB", { ...day, hour: "2-digit", minute: "2-digit" });
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

// "5 min ago", "in 3 h"; a moment that has come is "now".
export function relative(text) {
  const seconds = (new Date(text) - new Date()) / 1000;
  if (Math.abs(seconds) < 5) return "now";
  return seconds < 0 ? `${duration(-seconds)} ago` : `in ${duration(seconds)}`;
}

export function share(part, whole) {
  if (!whole) return "";
  const percent = 100 * part / whole;
  return `${part < whole ? Math.min(percent, 99.9).toFixed(1) : "100"}\u00a0%`;
}
