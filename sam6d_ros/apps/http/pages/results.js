// Answer of a request → summary, picture, masks, tables, times.

import { byId, colorOf, copyButton, el, fixed, seconds } from "./dom.js";
import { bars, named, table } from "./tables.js";
import { decodeMask } from "./rle.js";

export const STAGES = {
  propose: "Proposals", score: "Matching", describe: "Descriptors", estimate: "Hypotheses", refine: "Refinement",
};

/** Show the parts of an answer that are text: {segmentation, poses (or null), totalTime}. */
export function showAnswer({ segmentation, poses, totalTime }) {
  const count = poses ? poses.poses.length : segmentation.num_detections;
  const facts = [[poses ? "Poses" : "Instances", count], ["Masks", segmentation.num_detections], ["Time", seconds(totalTime)]];
  byId("summary").replaceChildren(...facts.map(([name, value]) => el("div", { class: "fact" }, name, el("b", {}, String(value)))));
  showNotes(segmentation, poses, count);
  if (poses) showPoses(poses);
  showInstances(segmentation, poses);
  showTimes({ ...segmentation.timings_s, ...(poses ? poses.timings_s : {}) });
}

function showNotes(segmentation, poses, count) {
  const reason = (poses && poses.reason) || segmentation.reason;
  const notes = new Set([...segmentation.notes, ...(poses ? poses.notes : [])]);
  const lines = count ? [...notes] : [`Nothing was found: ${reason || "the server gave no reason"}.`, ...notes];
  byId("notes").replaceChildren(...lines.map((line) => el("p", { class: "note" }, line)));
}

function showPoses({ poses, units }) {
  const rows = poses.map((pose) => [
    named(pose.name, pose.object_id), // the colour of its mask
    fixed(pose.confidence, 3),
    pose.translation.map((value) => fixed(value, units === "mm" ? 1 : 4)).join("  "),
    pose.quat_xyzw.map((value) => fixed(value, 4)).join("  "),
    pose.grasps ? String(pose.grasps.length) : "–",
    el("div", { class: "buttons" },
      copyButton("Position", JSON.stringify(pose.translation), `Copy the position of ${pose.instance_id}`),
      copyButton("Quaternion", JSON.stringify(pose.quat_xyzw), `Copy the quaternion of ${pose.instance_id}`),
      copyButton("Matrix", () => JSON.stringify(matrixOf(pose)), `Copy the 4×4 matrix of ${pose.instance_id}`)),
  ]);
  const heads = ["Object", "Score", `Position x y z (${units})`, "Quaternion x y z w", "Grasps", "Copy"];
  byId("poses").replaceChildren(table(heads, rows, "No pose."));
}

const matrixOf = ({ rotation, translation }) => [
  ...rotation.map((row, index) => [...row, translation[index]]), [0, 0, 0, 1],
];

function showInstances({ detections }, poses) {
  const reasons = new Map((poses ? poses.failures : []).map((item) => [item.object_id, item.reason]));
  const posed = new Set((poses ? poses.poses : []).map((pose) => pose.object_id));
  const rows = detections.names.map((name, index) => [
    named(name, index),
    fixed(detections.scores[index], 3),
    detections.boxes[index].join("  "),
    poses ? (posed.has(index) ? "pose found" : reasons.get(index) || "no pose") : "–",
  ]);
  const heads = ["Object", "Score", "Box x y width height (px)", "Result"];
  byId("instances").replaceChildren(table(heads, rows, "No mask."));
}

function showTimes(timings) {
  byId("times").replaceChildren(...bars(timings, STAGES));
}

/** Show the overlay of an answer: PNG in base64. */
export function showOverlay(png) {
  byId("overlay").src = `data:image/png;base64,${png}`;
}

/** Draw the masks over the colour image; a browser that cannot decode it draws them alone. */
export async function showMasks(masks, rgb) {
  const canvas = byId("masks");
  const decoded = masks.map(decodeMask);
  const image = await createImageBitmap(rgb, { imageOrientation: "none" }).catch(() => null);
  const size = decoded[0] || image;
  if (!size) return;
  [canvas.width, canvas.height] = [size.width, size.height];
  const context = canvas.getContext("2d");
  if (image) context.drawImage(image, 0, 0);
  const picture = context.getImageData(0, 0, canvas.width, canvas.height);
  decoded.forEach(({ pixels }, index) => tint(picture.data, pixels, colorOf(index)));
  context.putImageData(picture, 0, 0);
}

function tint(data, pixels, color) {
  const rgb = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  for (let i = 0; i < pixels.length; i += 1) {
    if (!pixels[i]) continue;
    for (let c = 0; c < 3; c += 1) data[4 * i + c] = 0.4 * data[4 * i + c] + 0.6 * rgb[c];
    data[4 * i + 3] = 255;
  }
}
