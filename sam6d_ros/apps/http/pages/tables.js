// Tables and bars of the pages.

import { colorOf, el, seconds } from "./dom.js";

const NUMBERS = /^[-–\d.\s]+$/; // such cells are not broken over lines

/** Return a table of cells (texts or elements); the text `none` if it has no row. */
export function table(heads, rows, none) {
  if (!rows.length) return el("p", { class: "small" }, none);
  const head = el("thead", {}, el("tr", {}, ...heads.map((name) => el("th", { scope: "col" }, name))));
  const body = rows.map((cells) => el("tr", {}, ...cells.map((cell, index) =>
    el("td", { "data-label": heads[index], class: NUMBERS.test(cell) ? "number" : null }, cell))));
  return el("table", {}, head, el("tbody", {}, ...body));
}

/** Return a name with the colour of its number. */
export function named(name, index) {
  const chip = el("span", { class: "chip", "aria-hidden": "true" });
  chip.style.background = colorOf(index);
  return el("span", { class: "named" }, chip, name);
}

/** Return one bar for each entry of {stage: seconds}; `titles` has names for people. */
export function bars(timings, titles = {}) {
  const most = Math.max(...Object.values(timings), 1e-9);
  return Object.entries(timings).map(([stage, value]) => {
    const fill = el("span", { class: "fill" });
    fill.style.width = `${(100 * value) / most}%`;
    return el("div", { class: "row" }, el("span", { title: stage }, titles[stage] || stage),
      el("span", { class: "track", "aria-hidden": "true" }, fill), el("span", { class: "value" }, seconds(value)));
  });
}
