// Page of one image: drop it, see boxes and table.

import { needsToken, send } from "./api.js";
import { byId, copyButton, fixed } from "./dom.js";
import { attempt, boxTable, fillModels, ready, showHealth } from "./model_server.js";
import { bars, table } from "./tables.js";

const PHASES = { queue: "Waiting", preprocess: "Pre-processing", inference: "Inference", postprocess: "Post-processing" };

function connect() {
  const drop = byId("drop");
  const marked = (on) => (event) => {
    event.preventDefault();
    drop.classList.toggle("over", on);
  };
  drop.addEventListener("dragover", marked(true));
  drop.addEventListener("dragleave", marked(false));
  drop.addEventListener("drop", (event) => {
    marked(false)(event);
    if (!event.dataTransfer.files.length) return;
    byId("image").files = event.dataTransfer.files;
    attempt(detect);
  });
  byId("image").addEventListener("change", () => attempt(detect));
  byId("request").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(detect);
  });
  byId("lines-buttons").append(copyButton("Copy", () => byId("lines").textContent, "Copy the line"));
}

async function detect() {
  const file = byId("image").files[0];
  if (!file) throw new Error("Choose an image first.");
  byId("stage").textContent = "Detecting …";
  const query = new URLSearchParams({ model: byId("model").value });
  if (byId("threshold").value !== "") query.set("threshold", byId("threshold").value);
  const form = new FormData();
  form.append("image", file);
  const response = await send(`predict?${query}&visualize=true`, { method: "POST", body: form });
  show(await response.json(), file, query);
}

function show({ result, request_id: id }, file, query) {
  byId("nothing").hidden = true;
  byId("answer").hidden = false;
  byId("overlay").src = `data:image/png;base64,${result.visualization}`;
  byId("boxes").replaceChildren(boxTable(result.detections));
  byId("poses-card").hidden = !result.poses;
  if (result.poses) byId("poses").replaceChildren(poseTable(result.poses));
  const seconds = Object.entries(result.timings_ms).map(([phase, ms]) => [phase, ms / 1000]);
  byId("times").replaceChildren(...bars(Object.fromEntries(seconds), PHASES));
  byId("lines").textContent = line(file.name, query);
  byId("stage").textContent = `${result.num_detections} found in ${result.width} × ${result.height} pixels.`;
  byId("answer").dataset.request = id;
}

function poseTable(poses) {
  const rows = poses.map((pose) => [
    pose.name, fixed(pose.score, 3), pose.cam_from_obj.slice(0, 3).map((row) => fixed(1000 * row[3], 1)).join("  "),
  ]);
  return table(["Object", "Score", "Position x y z (mm)"], rows, "No pose.");
}

function line(name, query) {
  const token = needsToken() ? ' -H "Authorization: Bearer $SAM6D_TOKEN"' : "";
  const file = `image=@${name}`.replaceAll("'", `'\\''`);
  return `curl -s${token} -F '${file}' '${new URL("predict", location.href).href}?${query}'`;
}

connect();
attempt(async () => {
  await Promise.all([showHealth(), fillModels(byId("model"), null)]);
}).then(ready);
