// Frame of a request: the sample of the server, or files with the numbers of the camera.

import { get } from "./api.js";
import { byId, bytesOf } from "./dom.js";

const NUMBERS = ["fx", "fy", "cx", "cy"];
let sample = null; // body of GET /test/sample, once it was needed
let previewUrl = "";

/** Return the sample request of the server. */
export async function sampleBody() {
  sample ??= await get("test/sample");
  return sample;
}

/** Whether the sample is chosen. */
export const usesSample = () => document.querySelector("[name=source]:checked").value === "sample";

/**
 * Return the frame of the form: {rgb, depth (Blobs with names), cam_params, body of the sample}.
 * Throws an Error that names the missing part.
 */
export async function chosenFrame() {
  if (usesSample()) {
    const body = await sampleBody();
    return {
      rgb: { name: "rgb.png", blob: pngOf(body.rgb_image) },
      depth: { name: "depth.png", blob: pngOf(body.depth_image) },
      cam_params: body.cam_params,
      sample: body,
    };
  }
  const [rgb, depth] = [byId("rgb").files[0], byId("depth").files[0]];
  if (!rgb) throw new Error("Choose a colour image, or take the sample.");
  if (!depth) throw new Error("Choose a depth image: poses need the depth of each pixel.");
  return {
    rgb: { name: rgb.name, blob: rgb },
    depth: { name: depth.name, blob: depth },
    cam_params: typedCamera(),
    sample: null,
  };
}

function pngOf(base64) {
  return new Blob([bytesOf(base64)], { type: "image/png" });
}

function typedCamera() {
  const [fx, fy, cx, cy] = NUMBERS.map((name) => numberIn(name, name));
  return { cam_K: [fx, 0, cx, 0, fy, cy, 0, 0, 1], depth_scale: numberIn("depth-scale", "depth scale") };
}

function numberIn(id, name) {
  const { value, validity } = byId(id);
  if (value === "" || validity.badInput) {
    throw new Error(`The camera needs a number for ${name}; choose a camera file or type it.`);
  }
  return Number(value);
}

/** Connect the fields of the frame; onChange is called after each change. */
export function connectFrame(onChange) {
  document.querySelectorAll("[name=source]").forEach((radio) => radio.addEventListener("change", () => {
    byId("files").hidden = usesSample();
    onChange();
    showPreview();
  }));
  byId("rgb").addEventListener("change", showPreview);
  byId("camera").addEventListener("change", readCamera);
}

/** Show the colour image of the form. */
export async function showPreview() {
  const file = byId("rgb").files[0];
  const image = byId("preview-image");
  let blob = file;
  let text = file ? file.name : "";
  if (usesSample()) {
    blob = pngOf((await sampleBody()).rgb_image);
    text = "Synthetic frame of a tea box among other things, with its CAD file";
  }
  URL.revokeObjectURL(previewUrl);
  byId("preview").hidden = !blob;
  if (!blob) return;
  previewUrl = URL.createObjectURL(blob);
  image.hidden = false;
  image.onerror = () => { // TIFF: browsers do not show it
    image.hidden = true;
  };
  image.src = previewUrl;
  byId("preview-text").textContent = text;
}

async function readCamera() {
  const file = byId("camera").files[0];
  const note = byId("camera-note");
  note.textContent = "";
  if (!file) return;
  try {
    const { camera, text } = cameraIn(JSON.parse(await file.text()), byId("rgb").files[0]?.name);
    const [fx, , cx, , fy, cy] = camera.cam_K;
    [fx, fy, cx, cy].forEach((value, index) => {
      byId(NUMBERS[index]).value = value;
    });
    if (camera.depth_scale !== undefined) byId("depth-scale").value = camera.depth_scale;
    note.textContent = text;
  } catch (error) {
    note.textContent = `${file.name} is no camera file: ${error.message}`;
  }
}

/**
 * Return the camera in a file of the BOP format: scene_camera.json (by image id), camera.json with
 * fx, fy, cx, cy, or one object with cam_K.
 */
export function cameraIn(values, imageName = "") {
  if (Array.isArray(values?.cam_K)) return { camera: checked(values), text: "Camera read from the file." };
  if (Number.isFinite(values?.fx)) {
    const { fx, fy, cx, cy, depth_scale } = values;
    return { camera: checked({ cam_K: [fx, 0, cx, 0, fy, cy, 0, 0, 1], depth_scale }), text: "Camera read from the file." };
  }
  const ids = Object.keys(values ?? {}).filter((id) => Array.isArray(values[id]?.cam_K));
  if (!ids.length) throw new Error("expected cam_K with nine numbers, or fx, fy, cx, cy");
  const wanted = imageName.match(/(\d+)\.\w+$/)?.[1];
  const id = ids.find((key) => wanted && Number(key) === Number(wanted)) ?? ids[0];
  const text = `Camera of image ${id} read from the file${ids.length > 1 ? ` (it has ${ids.length} images)` : ""}.`;
  return { camera: checked(values[id]), text };
}

function checked(camera) {
  const matrix = camera.cam_K.flat();
  if (matrix.length !== 9 || !matrix.every(Number.isFinite)) {
    throw new Error(`cam_K has ${matrix.length} entries; expected nine numbers`);
  }
  return { ...camera, cam_K: matrix };
}
