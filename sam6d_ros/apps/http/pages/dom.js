// Small helpers for elements. Text from the server goes into text nodes only, never into markup.

/** Return the element with an id. */
export const byId = (id) => document.getElementById(id);

/** Return a new element with attributes and children; null children are left out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Show an error in a box; null hides the box. */
export function showProblem(box, error) {
  box.hidden = !error;
  box.replaceChildren();
  if (!error) return;
  const place = [];
  if (error.status) place.push(`status ${error.status}`);
  if (error.requestId) place.push(`request ${error.requestId}`);
  box.append(el("p", {}, error.message));
  if (place.length) box.append(el("p", { class: "small" }, place.join(", ")));
  box.scrollIntoView({ block: "nearest" });
}

/** Return a button that copies a text. */
export function copyButton(label, text, name = label) {
  const button = el("button", { type: "button", class: "copy", "aria-label": name }, label);
  button.addEventListener("click", async () => {
    const done = await copied(typeof text === "function" ? text() : text);
    button.textContent = done ? "Copied" : "Not allowed";
    setTimeout(() => {
      button.textContent = label;
    }, 1500);
  });
  return button;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedBySelection(text); // a page without HTTPS has no clipboard
  }
}

function copiedBySelection(text) {
  const area = el("textarea", { class: "visually-hidden", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** Save a Blob as a file of the user. */
export function download(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/** Return the bytes of base64 text. */
export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Return a number with a fixed number of decimals; "–" for none. */
export function fixed(value, decimals) {
  return Number.isFinite(value) ? value.toFixed(decimals) : "–";
}

/** Return a count with its noun. */
export const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** Return seconds as text. */
export function seconds(value) {
  if (value < 0.01) return `${(1000 * value).toFixed(1)} ms`;
  return value < 1 ? `${Math.round(1000 * value)} ms` : `${value.toFixed(2)} s`;
}

const COLORS = ["#2f7fd6", "#e07b1f", "#2f9e57", "#c0408f", "#8a6fdc", "#b8961a", "#1f9fae", "#d0504a"];

/** Return the colour of an instance or label by its number. */
export const colorOf = (index) => COLORS[index % COLORS.length];
