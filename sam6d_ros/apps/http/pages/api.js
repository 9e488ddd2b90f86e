// Requests to the server: errors with their request id, and the token prompt.

import { el } from "./dom.js";

/** Error of a request: text of the server, status and request id. */
export class ApiError extends Error {
  constructor(text, status, requestId) {
    super(text);
    this.status = status;
    this.requestId = requestId;
  }
}

const TOKEN_FLAG = "sam6d-needs-token";

/** Whether this server asked for a token; for the command lines that the page shows. */
export function needsToken() {
  return localStorage.getItem(TOKEN_FLAG) === "yes";
}

/** Return a random request id. */
export function newRequestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Fetch an address of the server; ask for the token where it is needed.
 * Throws ApiError, or AbortError of the signal.
 */
export async function send(path, options = {}) {
  for (;;) {
    const response = await reach(path, options);
    if (response.ok) return response;
    const error = await errorOf(response);
    if (response.status !== 401 || path === "login") throw error;
    await askToken();
  }
}

/** Fetch JSON. */
export async function get(path, options = {}) {
  return (await send(path, options)).json();
}

/** Send JSON and return the JSON of the answer. */
export async function sendJson(method, path, body, options = {}) {
  const headers = { "Content-Type": "application/json", ...options.headers };
  return get(path, { ...options, method, headers, body: JSON.stringify(body) });
}

async function reach(path, options) {
  try {
    return await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is it running, and is the network up?", 0, "");
  }
}

async function errorOf(response) {
  let text = "";
  try {
    text = (await response.json()).error_message;
  } catch {
    text = "";
  }
  const id = response.headers.get("X-Request-ID") || "";
  return new ApiError(text || `The server answered with status ${response.status}.`, response.status, id);
}

let asking = null; // one prompt for all requests that wait for the token

function askToken() {
  localStorage.setItem(TOKEN_FLAG, "yes");
  asking ??= prompt().finally(() => {
    asking = null;
  });
  return asking;
}

function prompt() {
  const input = el("input", {
    type: "password", id: "token", name: "token", required: true, autocomplete: "current-password",
  });
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const form = el("form", { class: "token-form" },
    el("h2", {}, "Access token"),
    el("p", {}, "This server needs a token (the content of its --token-file)."),
    el("label", { for: "token" }, "Token"), input, problem,
    el("div", { class: "buttons" }, el("button", { class: "primary" }, "Sign in")));
  const dialog = el("dialog", { "aria-label": "Access token" }, form);
  document.body.append(dialog);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.showModal();
  return new Promise((resolve) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await send("login", { method: "POST", body: new URLSearchParams({ token: input.value }) });
        dialog.close();
        dialog.remove();
        resolve();
      } catch (error) {
        problem.textContent = error.message;
        problem.hidden = false;
        input.select();
      }
    });
  });
}
