// Page of one stream, live: MJPEG picture; rate, age and detections from server-sent events.

import { get } from "./api.js";
import { byId, el, seconds } from "./dom.js";
import { attempt, boxTable, ready, showHealth } from "./model_server.js";

const WINDOW_MS = 3000; // over which the rate is counted
const RETRY_MS = 2000;

let events = null; // EventSource of the watched stream
let arrivals = []; // times of the last pictures, milliseconds

async function fillStreams() {
  const { streams } = await get("streams");
  byId("stream").replaceChildren(...streams.map(({ id, name, state }) =>
    el("option", { value: id }, `${name} (${state})`)));
  byId("none").hidden = streams.length > 0;
  byId("watch").disabled = !streams.length;
  const wanted = new URLSearchParams(location.search).get("stream");
  if (streams.some(({ id }) => id === wanted)) {
    byId("stream").value = wanted;
    watch();
  }
}

function watch() {
  stop();
  const base = `streams/${encodeURIComponent(byId("stream").value)}`;
  arrivals = [];
  byId("live").hidden = false;
  byId("stop").disabled = false;
  byId("stage").textContent = "Waiting for the first picture …";
  const picture = byId("picture");
  picture.onerror = () => setTimeout(() => {
    if (events) picture.src = `${base}/mjpeg?again=${Date.now()}`;
  }, RETRY_MS);
  picture.src = `${base}/mjpeg`;
  events = new EventSource(`${base}/detections`);
  events.addEventListener("detections", (event) => showFigures(JSON.parse(event.data)));
  events.addEventListener("state", (event) => showState(JSON.parse(event.data)));
  events.onerror = () => {
    byId("stage").textContent = "The connection is interrupted; trying again …";
  };
}

function stop() {
  events?.close();
  events = null;
  const picture = byId("picture");
  picture.onerror = null;
  picture.removeAttribute("src");
  byId("live").hidden = true;
  byId("stop").disabled = true;
  byId("stage").textContent = "";
}

function showFigures(values) {
  const now = performance.now();
  arrivals = [...arrivals.filter((time) => now - time < WINDOW_MS), now];
  const span = (now - arrivals[0]) / 1000;
  if (arrivals.length > 1) byId("rate").textContent = ((arrivals.length - 1) / span).toFixed(1);
  byId("age").textContent = seconds(values.age_s);
  byId("size").textContent = `${values.width} × ${values.height}`;
  byId("boxes").replaceChildren(boxTable(values.detections));
  byId("stage").textContent = values.error ? `The analysis failed: ${values.error}` : "Live.";
}

function showState({ state, reason }) {
  byId("rate").textContent = "–";
  byId("stage").textContent = reason ? `${state}: ${reason}` : state;
}

byId("watch").addEventListener("click", watch);
byId("stop").addEventListener("click", stop);
byId("stream").addEventListener("change", () => {
  if (events) watch();
});
attempt(async () => {
  await Promise.all([showHealth(), fillStreams()]);
}).then(ready);
