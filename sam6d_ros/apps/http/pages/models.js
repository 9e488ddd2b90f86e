// Page of the models: states, statistics as small plots, load and unload.

import { get, send, sendJson } from "./api.js";
import { byId, colorOf, el, fixed } from "./dom.js";
import { attempt, badge, numberIn, ready, repeat, showHealth } from "./model_server.js";

const REFRESH_MS = 2000;
const KEPT = 150; // points of a plot: 5 minutes
const MIB = 2 ** 20;
const cards = new Map(); // by name of the model

async function load() {
  byId("stage").textContent = "Loading …";
  byId("load").disabled = true;
  try {
    const { model } = await sendJson("POST", "models", {
      name: byId("name").value.trim(),
      source: byId("source").value.trim(),
      threshold: numberIn("threshold") ?? 0.5,
      device: byId("device").value.trim(),
      max_batch: numberIn("max-batch") ?? null,
      warm_up_runs: numberIn("warm-up") ?? 1,
      isolated: byId("isolated").checked,
      replace: byId("replace").checked,
    });
    byId("stage").textContent = `${model.name} is loaded.`;
  } finally {
    byId("load").disabled = false;
    await refresh();
  }
}

async function refresh() {
  const { models, default_model: standard } = await get("models");
  for (const [name, card] of cards) {
    if (models.some((model) => model.name === name)) continue;
    card.close();
    cards.delete(name);
  }
  for (const model of models) {
    if (!cards.has(model.name)) cards.set(model.name, new Card(model.name));
    cards.get(model.name).show(model, model.name === standard);
  }
  byId("none").hidden = models.length > 0;
  await showHealth();
}

/** One model: state, figures, plots, buttons. */
class Card {
  constructor(name) {
    this.name = name;
    this.state = el("span");
    this.reason = el("p", { class: "small" });
    this.facts = el("dl", { class: "facts" });
    this.throughput = new Plot("Images per second, last minute", ["images/s"]);
    this.times = new Plot("Inference, ms", ["p50", "p95"]);
    const buttons = el("div", { class: "buttons" },
      this.button("Warm up", (path) => send(`${path}/warmup`, { method: "POST" })),
      this.button("Unload", (path) => send(path, { method: "DELETE" })));
    this.node = el("section", { class: "card", "aria-label": `Model ${name}` },
      el("div", { class: "head" }, el("h2", {}, name), this.state), this.reason, this.facts,
      el("div", { class: "plots" }, this.throughput.node, this.times.node), buttons);
    byId("models").append(this.node);
  }

  button(label, action) {
    return el("button", {
      type: "button", "aria-label": `${label} ${this.name}`,
      onclick: () => attempt(async () => {
        byId("stage").textContent = `${label}: ${this.name} …`;
        await action(`models/${encodeURIComponent(this.name)}`);
        byId("stage").textContent = `${label}: ${this.name}, done.`;
        await refresh();
      }),
    }, label);
  }

  show(model, isDefault) {
    this.state.replaceChildren(badge(model.state));
    this.reason.textContent = model.reason;
    const facts = {
      Source: model.source, Backend: model.backend || "–", Device: model.device,
      Images: model.images, Errors: model.errors, "Images per second": fixed(model.images_per_s, 2),
      Waiting: `${model.waiting} of ${model.capacity}`, Rejected: model.rejected,
      Memory: `${Math.round(model.memory_bytes / MIB)} MiB`, "Minimum score": model.threshold,
      "Answers by default": isDefault ? "yes" : "no",
    };
    this.facts.replaceChildren(...Object.entries(facts).map(([name, value]) =>
      el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))));
    this.showStats().catch(() => {});
  }

  async showStats() {
    const stats = await get(`models/${encodeURIComponent(this.name)}/stats`);
    const times = stats.phases_ms.inference;
    this.throughput.add([stats.images_per_s]);
    this.times.add(times && times.count ? [times.p50, times.p95] : [null, null]);
  }

  close() {
    this.throughput.close();
    this.times.close();
    this.node.remove();
  }
}

const TICKS_S = [1, 5, 10, 30, 60, 120, 300, 600]; // whole seconds: labels that differ
const ago = (time) => `−${Math.round(Date.now() / 1000 - time)} s`;

/** Small plot of the last values over time. */
class Plot {
  constructor(title, names) {
    this.data = [[], ...names.map(() => [])];
    this.box = el("div");
    this.node = el("div", {}, el("h3", {}, title), this.box);
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
    const strokes = [color("--accent"), colorOf(1)];
    this.options = {
      width: 260, height: 130, cursor: { show: false }, legend: { show: names.length > 1, live: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(high, 1e-3) * 1.1] } },
      axes: [{ ...axis, space: 60, incrs: TICKS_S, values: (_, times) => times.map(ago) }, { ...axis, size: 50 }],
      series: [{}, ...names.map((label, index) => ({ label, stroke: strokes[index], width: 2, points: { show: false } }))],
    };
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.node);
  }

  add(values) {
    this.data[0].push(Date.now() / 1000);
    values.forEach((value, index) => this.data[index + 1].push(value));
    if (this.data[0].length > KEPT) this.data.forEach((column) => column.shift());
    this.plot ??= new window.uPlot(this.options, this.data, this.box);
    this.plot.setData(this.data);
  }

  resize() {
    this.options.width = Math.max(160, this.node.clientWidth);
    this.plot?.setSize({ width: this.options.width, height: this.options.height });
  }

  close() {
    this.observer.disconnect();
    this.plot?.destroy();
  }
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(load);
});
attempt(async () => {
  await refresh();
  repeat(refresh, REFRESH_MS);
}).then(ready);
