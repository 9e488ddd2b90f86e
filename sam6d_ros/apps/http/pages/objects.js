// Objects of a request: that of the sample, registered ones, or a CAD file on the server; uploads.

import { get, send } from "./api.js";
import { byId, el, showProblem } from "./dom.js";
import { usesSample } from "./frame.js";

const kind = () => document.querySelector("[name=object]:checked").value;

/** Return the fields of a request that name its objects. Throws an Error that names the missing part. */
export function chosenObjects(frame) {
  if (kind() === "sample") {
    if (!frame.sample) throw new Error("Choose a registered object, a CAD file, or upload a mesh.");
    return { cad_path: frame.sample.cad_path };
  }
  if (kind() === "path") {
    const path = byId("cad-path").value.trim();
    if (!path) throw new Error("Type the path of the CAD file on the server.");
    return { cad_path: path, cad_unit: byId("cad-unit").value };
  }
  const names = [...document.querySelectorAll("[name=registered]:checked")].map((box) => box.value);
  if (!names.length) throw new Error("Tick at least one registered object, or upload a mesh.");
  return { object: names.length === 1 ? names[0] : names };
}

/** Connect the fields of the objects. */
export function connectObjects() {
  document.querySelectorAll("[name=object]").forEach((radio) => radio.addEventListener("change", showKind));
  byId("mesh").addEventListener("change", () => {
    const file = byId("mesh").files[0];
    if (file) byId("mesh-name").value = file.name.replace(/\.\w+$/, "").replace(/[^\w.-]+/g, "_");
  });
  byId("mesh-send").addEventListener("click", upload);
  byId("mesh-name").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it would start the request
    upload();
  });
}

/** Offer the object of the sample only with the frame of the sample. */
export function followFrame() {
  const offered = usesSample();
  byId("choice-sample").hidden = !offered;
  if (!offered && kind() === "sample") choose("registered");
  if (offered && kind() === "registered" && !document.querySelector("[name=registered]:checked")) {
    choose("sample");
  }
}

function choose(value) {
  document.querySelector(`[name=object][value=${value}]`).checked = true;
  showKind();
}

function showKind() {
  byId("registered").hidden = kind() !== "registered";
  byId("path").hidden = kind() !== "path";
}

/** List the registered objects; those of `chosen` are ticked. */
export async function showObjects(chosen = []) {
  const { objects } = await get("api/v1/objects");
  const rows = objects.map((object) => row(object, chosen.includes(object.name) || objects.length === 1));
  byId("object-list").replaceChildren(...rows);
  if (!rows.length) byId("object-list").append(el("p", { class: "small" }, "None yet. Upload a mesh below."));
}

function row(object, ticked) {
  const box = el("input", { type: "checkbox", name: "registered", value: object.name });
  box.checked = ticked;
  const size = object.box_size_m.map((side) => Math.round(1000 * side)).join(" × ");
  const label = el("label", {}, box, el("span", {}, object.name, " ", el("span", { class: "small" }, `${size} mm`)));
  if (!object.uploaded) return el("div", { class: "row" }, label);
  const remove = el("button", { type: "button", "aria-label": `Delete ${object.name}` }, "Delete");
  remove.addEventListener("click", () => changing(async () => {
    await send(`api/v1/objects/${encodeURIComponent(object.name)}`, { method: "DELETE" });
    await showObjects();
    byId("mesh-note").textContent = `${object.name} is deleted.`;
  }));
  return el("div", { class: "row" }, label, remove);
}

async function upload() {
  const files = [...byId("mesh").files];
  await changing(async () => {
    if (!files.length) throw new Error("Choose the file of the mesh first.");
    byId("mesh-note").textContent = "The server prepares the object …";
    const form = new FormData();
    form.append("name", byId("mesh-name").value);
    form.append("unit", byId("mesh-unit").value);
    files.forEach((file) => form.append("mesh", file));
    const response = await send("api/v1/objects", { method: "POST", body: form });
    const { object } = await response.json();
    await showObjects([object.name]);
    choose("registered");
    const diameter = Math.round(1000 * object.diameter_m);
    byId("mesh-note").textContent = `${object.name} is registered: diameter ${diameter} mm, ${object.faces} faces.`;
  });
}

async function changing(action) {
  const button = byId("mesh-send");
  button.disabled = true;
  showProblem(byId("mesh-problem"), null);
  byId("mesh-note").textContent = "";
  try {
    await action();
  } catch (error) {
    byId("mesh-note").textContent = "";
    showProblem(byId("mesh-problem"), error);
  }
  button.disabled = false;
}
