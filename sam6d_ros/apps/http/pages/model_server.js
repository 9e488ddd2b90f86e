// Parts that the pages of the model server share: state of the server, list of models.

import { get } from "./api.js";
import { byId, el, showProblem } from "./dom.js";
import { table } from "./tables.js";

/** Show the health of the server in the bar, and return it. */
export async function showHealth() {
  const health = await (await fetch("health", { cache: "no-store" })).json();
  const line = byId("server");
  line.className = `server ${health.status === "healthy" ? "good" : "bad"}`;
  line.textContent = line.title = health.message;
  return health;
}

/** Fill a select with the models; `first` is an option before them, or null. */
export async function fillModels(select, first) {
  const { models, default_model: standard } = await get("models");
  const options = models.map(({ name, state }) =>
    el("option", { value: name }, state === "ready" ? name : `${name} (${state})`));
  if (first !== null) options.unshift(el("option", { value: "" }, first));
  select.replaceChildren(...options);
  if (first === null && standard) select.value = standard;
  return models;
}

/** Return the table of detections [{label, score, box_xyxy}]. */
export function boxTable(detections) {
  const rows = detections.map(({ label, score, box_xyxy: box }) => [
    label, score.toFixed(3), box.map((edge) => edge.toFixed(0)).join("  "),
  ]);
  return table(["Label", "Score", "Box left top right bottom"], rows, "Nothing was found.");
}

/** Run an action of the form; its error is shown in the box "problem". */
export async function attempt(action) {
  showProblem(byId("problem"), null);
  try {
    await action();
  } catch (error) {
    if (byId("stage")) byId("stage").textContent = "";
    showProblem(byId("problem"), error);
  }
}

/** Run an action at intervals; the bar shows when the server does not answer. */
export function repeat(action, intervalMs) {
  setInterval(() => action().catch(() => {
    byId("server").className = "server bad";
    byId("server").textContent = "The server does not answer.";
  }), intervalMs);
}

/** Mark the page as ready; for what waits for its script. */
export function ready() {
  document.body.dataset.ready = "yes";
}

/** Return the number in a field; null if it is empty. */
export function numberIn(id) {
  const { value } = byId(id);
  return value === "" ? null : Number(value);
}

/** Return a state as a badge. */
export function badge(state) {
  const good = ["ready", "live"].includes(state);
  const bad = state.includes("failed") || state === "stalled";
  return el("span", { class: `state ${good ? "good" : bad ? "bad" : ""}` }, state);
}
