// Page of the ISM and PEM services: one request, its progress and its answer.

import { ApiError, get, newRequestId, send } from "./api.js";
import { byId, bytesOf, copyButton, counted, download, showProblem } from "./dom.js";
import { chosenFrame, connectFrame, showPreview } from "./frame.js";
import { chosenObjects, connectObjects, followFrame, showObjects } from "./objects.js";
import { STAGES, showAnswer, showMasks, showOverlay } from "./results.js";
import { curlLines, pythonLines } from "./snippets.js";

const CLOCK_MS = 100;
const FIRST_POLL_MS = 250; // each pause is longer than the one before
const POLL_GROWTH = 1.5;
const LAST_POLL_MS = 2000;
const HEALTH_MS = 2000; // until the server is ready
const MM_PER_M = 1000;
const NARROW = 760; // pixels; the results stand below the form there (style.css)
const AROUND = {
  prepare: "The server reads the images and prepares the object …",
  queue: "Waiting for the requests before …",
  answer: "The server writes the answer …",
};
const PEM = { route: "api/v1/full_pipeline", poses: true };
const ISM = { route: "api/v1/inference", poses: false };

let service = PEM;
let running = null; // AbortController of the request in progress
let answer = null; // JSON of the last answer
let last = null; // its request
let viewer = null;

async function start() {
  connectFrame(followFrame);
  connectObjects();
  byId("request").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  byId("cancel").addEventListener("click", () => running?.abort());
  byId("save").addEventListener("click", () => download("answer.json", jsonOf(answer)));
  byId("view-home").addEventListener("click", () => viewer?.home());
  ["cloud", "models", "axes"].forEach((part) => byId(`show-${part}`).addEventListener(
    "change", (event) => viewer?.show(part, event.target.checked)));
  document.querySelectorAll("[name=picture]").forEach((radio) => radio.addEventListener("change", showPicture));
  document.querySelectorAll("[name=language]").forEach((radio) => radio.addEventListener("change", showLines));
  byId("lines-buttons").append(copyButton("Copy", () => byId("lines").textContent, "Copy the lines"));
  try {
    await showService();
    await Promise.all([showStatus(), showObjects(), showPreview()]);
  } catch (error) {
    showProblem(byId("problem"), error);
  }
  document.body.dataset.ready = "yes";
}

async function showService() {
  const { message } = await get(".", { headers: { Accept: "application/json" } });
  service = message.startsWith("ISM") ? ISM : PEM;
  const title = service.poses ? "6D poses" : "Instance segmentation";
  byId("title").textContent = title;
  document.title = `${title} – sam6d_ros`;
  for (const id of ["space", "poses-card", "grasps-choice"]) byId(id).hidden = !service.poses;
}

async function showStatus() {
  const line = byId("server");
  const response = await fetch("health", { cache: "no-store" });
  const health = await response.json();
  line.className = `server ${response.ok ? "good" : "bad"}`;
  line.textContent = health.message;
  if (!response.ok) {
    setTimeout(() => showStatus().catch(() => {}), HEALTH_MS);
    return;
  }
  const status = await get("api/v1/status");
  line.textContent = `ready: ${status.backend} backend on ${status.device}, version ${status.version}`;
}

async function run() {
  if (running) return;
  showProblem(byId("problem"), null);
  running = new AbortController();
  setBusy(true);
  const old = byId("answer").classList;
  old.add("stale");
  try {
    await request(running.signal);
    old.remove("stale");
  } catch (error) {
    const cancelled = error.name === "AbortError";
    old.toggle("stale", !cancelled);
    byId("stage").textContent = cancelled ? "Cancelled." : "Failed.";
    showProblem(byId("problem"), cancelled ? null : error);
  }
  running = null;
  setBusy(false);
}

function setBusy(busy) {
  byId("run").disabled = busy;
  byId("cancel").disabled = !busy;
  byId("progress").hidden = !busy;
  byId("clock").textContent = "";
}

async function request(signal) {
  byId("stage").textContent = "Reading the images …";
  const frame = await chosenFrame();
  const fields = { cam_params: frame.cam_params, ...chosenObjects(frame), ...options() };
  const id = newRequestId();
  const form = new FormData();
  form.append("rgb_image", frame.rgb.blob, frame.rgb.name);
  form.append("depth_image", frame.depth.blob, frame.depth.name);
  form.append("request", JSON.stringify(service.poses ? { ...fields, cloud: true } : fields));
  const ended = new AbortController();
  follow(id, ended.signal);
  try {
    const response = await send(`${service.route}/upload?visualize=true`, {
      method: "POST", body: form, signal, headers: { "X-Request-ID": id },
    });
    answer = await response.json();
  } finally {
    ended.abort();
  }
  last = { route: service.route, fields, frame };
  await show(answer, frame);
}

function options() {
  const fields = {};
  const score = byId("min-score").value;
  const count = byId("max-instances").value;
  if (score !== "") fields.min_score = Number(score);
  if (count !== "") fields.max_instances = Number(count);
  if (service.poses && byId("grasps").checked) fields.grasps = true;
  return fields;
}

/** Show a state in the line that screen readers read out; the same state once only. */
function showProgress(text) {
  if (byId("stage").textContent !== text) byId("stage").textContent = text;
}

/** Show the stage of a request until it ended. */
async function follow(id, ended) {
  const began = performance.now();
  const clock = setInterval(() => {
    byId("clock").textContent = `${((performance.now() - began) / 1000).toFixed(1)} s`;
  }, CLOCK_MS);
  ended.addEventListener("abort", () => clearInterval(clock));
  showProgress(AROUND.prepare);
  for (let pause = FIRST_POLL_MS; !ended.aborted; pause = Math.min(POLL_GROWTH * pause, LAST_POLL_MS)) {
    await new Promise((resolve) => { setTimeout(resolve, pause); });
    if (ended.aborted) return;
    const seen = await fetch(`api/v1/requests/${id}`, { cache: "no-store", signal: ended })
      .then((response) => (response.ok ? response.json() : null)).catch(() => null);
    if (ended.aborted) return;
    if (!seen) continue;
    showProgress(AROUND[seen.stage] || `Stage: ${STAGES[seen.stage] || seen.stage} …`);
  }
}

async function show(values, frame) {
  const poses = service.poses ? values.pem_result : null;
  const segmentation = service.poses ? values.ism_result : values;
  const totalTime = service.poses ? values.total_time : values.inference_time;
  byId("nothing").hidden = true;
  byId("answer").hidden = false;
  showAnswer({ segmentation, poses, totalTime });
  showOverlay((poses || segmentation).visualization);
  showLines();
  byId("stage").textContent = poses
    ? `Done: ${counted(poses.poses.length, "pose")} from ${counted(segmentation.num_detections, "mask")}.`
    : `Done: ${counted(segmentation.num_detections, "mask")}.`;
  await showMasks(segmentation.detections.masks, frame.rgb.blob);
  if (poses) await showSpace(poses);
  byId("answer").dataset.request = values.request_id;
  if (innerWidth <= NARROW) byId("results").scrollIntoView();
}

async function showSpace({ poses, cloud, units }) {
  try {
    const { Viewer } = await import("./viewer.js");
    viewer ??= new Viewer(byId("view"));
  } catch (error) {
    byId("view").hidden = true;
    byId("view-problem").hidden = false;
    byId("view-problem").textContent = `This browser cannot draw in 3D (WebGL): ${error.message}`;
    return;
  }
  const scale = units === "mm" ? MM_PER_M : 1;
  const inMetres = poses.map((pose) => ({ ...pose, translation: pose.translation.map((x) => x / scale) }));
  const content = { xyz: new Float32Array(bytesOf(cloud.xyz).buffer), rgb: bytesOf(cloud.rgb) };
  viewer.setContent(content, inMetres, await meshesOf(poses));
}

/** Return the meshes of poses, as PLY; an object that was deleted meanwhile has none. */
async function meshesOf(poses) {
  const meshes = new Map();
  for (const name of new Set(poses.map((pose) => pose.name))) {
    try {
      const response = await send(`api/v1/objects/${encodeURIComponent(name)}/mesh`);
      meshes.set(name, await response.arrayBuffer());
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
  }
  return meshes;
}

function showPicture() {
  const masks = document.querySelector("[name=picture]:checked").value === "masks";
  byId("overlay").hidden = masks;
  byId("masks").hidden = !masks;
}

function showLines() {
  const python = document.querySelector("[name=language]:checked").value === "python";
  byId("lines").textContent = python ? pythonLines(last) : curlLines(last);
}

/** Return an answer as a file; without the point cloud, which is for the view only. */
function jsonOf(values) {
  const kept = (name, value) => (name === "cloud" ? undefined : value);
  return new Blob([JSON.stringify(values, kept, 2)], { type: "application/json" });
}

start();
