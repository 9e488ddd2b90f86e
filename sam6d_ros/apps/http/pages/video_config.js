// Page of the streams: add, test, edit, remove.

import { get, send, sendJson } from "./api.js";
import { byId, el } from "./dom.js";
import { attempt, badge, fillModels, numberIn, ready, repeat, showHealth } from "./model_server.js";
import { table } from "./tables.js";

const REFRESH_MS = 2000;

let edited = null; // id of the stream in the form; null for a new one

function body() {
  return {
    name: byId("name").value.trim(),
    url: byId("url").value.trim(),
    model: byId("model").value,
    threshold: numberIn("threshold"),
    max_rate_hz: numberIn("max-rate"),
    transport: byId("transport").value,
    hardware: byId("hardware").value,
    loop: byId("loop").checked,
    rate_hz: numberIn("frames-rate") ?? 5,
  };
}

async function save() {
  byId("stage").textContent = "Saving …";
  const path = edited === null ? "streams" : `streams/${encodeURIComponent(edited)}`;
  const { stream } = await sendJson(edited === null ? "POST" : "PUT", path, body());
  clear();
  byId("stage").textContent = `${stream.name} is saved.`;
  await refresh();
}

async function test() {
  byId("trial").hidden = true;
  byId("stage").textContent = "Waiting for a picture, at most 3 s …";
  const query = edited === null ? "" : `?id=${encodeURIComponent(edited)}`;
  const trial = await sendJson("POST", `streams/test${query}`, { ...body(), name: byId("name").value.trim() || "test" });
  byId("stage").textContent = trial.live ? "The address gives pictures." : `No picture: ${trial.reason}`;
  byId("trial").hidden = !trial.live;
  if (!trial.live) return;
  byId("trial-image").src = `data:image/jpeg;base64,${trial.picture}`;
  byId("trial-text").textContent = `${trial.width} × ${trial.height} pixels`;
}

function edit(stream) {
  edited = stream.id;
  const values = {
    name: stream.name, url: stream.url, model: stream.model, threshold: stream.threshold ?? "",
    "max-rate": stream.max_rate_hz ?? "", transport: stream.transport, hardware: stream.hardware, "frames-rate": stream.rate_hz,
  };
  for (const [id, value] of Object.entries(values)) byId(id).value = value;
  byId("loop").checked = stream.loop;
  byId("form-title").textContent = `Edit ${stream.name}`;
  byId("save").textContent = "Save";
  byId("discard").hidden = false;
  byId("trial").hidden = true;
  byId("stage").textContent = "";
  byId("name").focus();
}

function clear() {
  edited = null;
  byId("form").reset();
  byId("form-title").textContent = "Add a stream";
  byId("save").textContent = "Add";
  byId("discard").hidden = true;
  byId("trial").hidden = true;
  byId("stage").textContent = "";
}

async function remove(stream) {
  await send(`streams/${encodeURIComponent(stream.id)}`, { method: "DELETE" });
  if (edited === stream.id) clear();
  byId("stage").textContent = `${stream.name} is removed.`;
  await refresh();
}

async function refresh() {
  const { streams } = await get("streams");
  if (byId("streams").contains(document.activeElement)) return; // the focus of the keyboard stays
  byId("streams").replaceChildren(table(
    ["Name", "Address", "State", "Pictures", "Model", ""], streams.map(row), "There is no stream yet."));
}

function row(stream) {
  const rate = stream.state === "live" ? `${stream.input_rate_hz.toFixed(1)} per s` : "–";
  const reason = stream.reason ? el("p", { class: "small" }, stream.reason) : null;
  return [
    stream.name,
    el("span", { class: "address" }, stream.url),
    el("div", {}, badge(stream.state), reason),
    rate,
    stream.model || "–",
    el("div", { class: "buttons" },
      el("a", { href: `video?stream=${encodeURIComponent(stream.id)}`, "aria-label": `Watch ${stream.name}` }, "Watch"),
      button("Edit", stream, () => edit(stream)),
      button("Remove", stream, () => attempt(() => remove(stream)))),
  ];
}

function button(label, stream, action) {
  return el("button", {
    type: "button", "aria-label": `${label} ${stream.name}`,
    onclick: (event) => {
      event.target.blur();
      action();
    },
  }, label);
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(save);
});
byId("test").addEventListener("click", () => attempt(test));
byId("discard").addEventListener("click", clear);
attempt(async () => {
  await Promise.all([showHealth(), fillModels(byId("model"), "none"), refresh()]);
  repeat(async () => {
    await Promise.all([refresh(), showHealth()]);
  }, REFRESH_MS);
}).then(ready);
