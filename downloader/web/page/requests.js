// Requests of the page to the service, and the messages about their responses.

import { byId, confirm_ } from "./parts.js";

const API = "/api/v1";

export async function ask(path, method = "GET") {
  const reply = await fetch(`${API}${path}`, { method, headers: { Accept: "application/json" } });
  if (reply.status === 401) location.reload();
  const answer = await reply.json();
  if (!reply.ok) throw new Error(`${answer.message}${answer.next_step ? `; ${answer.next_step}` : ""}`);
  return answer;
}

export function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

export async function guarded(work) {
  try {
    await work();
    notice("");
  } catch (error) {
    notice(error instanceof TypeError ? "The service does not respond. The figures may be outdated." : error.message);
  }
}

// Make the button give an order, say what it did, and show the new state.
export function order(button, path, told, refresh) {
  button.addEventListener("click", () => guarded(async () => {
    button.disabled = true;
    try {
      confirm_(told(await ask(path, "POST")));
      await refresh();
    } finally {
      button.disabled = false;
    }
  }));
  return button;
}
