// 3D view of a coloured point cloud and of models at their poses. Metres, camera frame of OpenCV
// (x right, y down, z forward); the scene group turns it to y up, as three.js has it.

import * as THREE from "three";
import { OrbitControls } from "./vendor/three/OrbitControls.js";
import { PLYLoader } from "./vendor/three/PLYLoader.js";
import { colorOf } from "./dom.js";

const STEP = Math.PI / 36; // rotation of one key press, radians
const ZOOM = 1.12; // of one key press
const AXIS = 0.6; // length of the axes of a pose, in diameters of its model

// sRGB byte → linear light, as vertex colours are taken
const LINEAR = Float32Array.from({ length: 256 }, (_, byte) => {
  const value = byte / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
});

export class Viewer {
  /** Draw into a canvas that takes keys. Throws if the browser has no WebGL. */
  constructor(canvas) {
    this.canvas = canvas;
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true, alpha: true });
    this.scene = new THREE.Scene();
    this.content = new THREE.Group();
    this.content.rotation.x = Math.PI;
    this.parts = { cloud: new THREE.Group(), models: new THREE.Group(), axes: new THREE.Group() };
    this.content.add(...Object.values(this.parts));
    this.camera = new THREE.PerspectiveCamera(45, 1, 0.01, 100);
    const sun = new THREE.DirectionalLight(0xffffff, 2.2);
    sun.position.set(-0.4, 0.8, 0.6);
    this.camera.add(sun);
    this.scene.add(this.content, new THREE.AmbientLight(0xffffff, 1.4), this.camera);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.addEventListener("change", () => this.draw());
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  /** Show or hide "cloud", "models" or "axes". */
  show(part, visible) {
    this.parts[part].visible = visible;
    this.draw();
  }

  /**
   * Replace the content.
   * cloud: {xyz: Float32Array, rgb: Uint8Array}.
   * poses: [{name, object_id, rotation 3×3, translation metres}]; meshes: Map of name → PLY bytes.
   */
  setContent(cloud, poses, meshes) {
    Object.values(this.parts).forEach(empty);
    this.parts.cloud.add(pointsOf(cloud));
    const geometries = new Map();
    for (const [name, bytes] of meshes) geometries.set(name, geometryOf(bytes));
    poses.forEach((pose) => this.addPose(pose, geometries.get(pose.name)));
    this.focus = focusOf(cloud, poses);
    this.home();
  }

  addPose(pose, geometry) {
    const { rotation: r, translation: t } = pose;
    const matrix = new THREE.Matrix4().set(
      ...r[0], t[0], ...r[1], t[1], ...r[2], t[2], 0, 0, 0, 1);
    let size = 0.1;
    if (geometry) {
      size = 2 * geometry.boundingSphere.radius;
      const color = geometry.hasAttribute("color") ? 0xffffff : colorOf(pose.object_id);
      const material = new THREE.MeshStandardMaterial({
        color, vertexColors: geometry.hasAttribute("color"), roughness: 0.8, side: THREE.DoubleSide,
      });
      this.parts.models.add(placed(new THREE.Mesh(geometry, material), matrix));
    }
    this.parts.axes.add(placed(new THREE.AxesHelper(AXIS * size), matrix));
  }

  /** Look from a little beside the camera. */
  home() {
    const { center, radius } = this.focus || { center: new THREE.Vector3(0, 0, -1), radius: 0.5 };
    this.controls.target.copy(center);
    const direction = new THREE.Vector3(0.35, 0.3, 1).normalize();
    this.camera.position.copy(center).addScaledVector(direction, 2.7 * radius);
    this.camera.near = radius / 50;
    this.camera.far = 100 * radius;
    this.camera.updateProjectionMatrix();
    this.controls.update();
    this.draw();
  }

  onKey(event) {
    const turns = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in turns) this.turn(...turns[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(1 / ZOOM);
    else if (event.key === "-") this.zoom(ZOOM);
    else if (event.key === "Home" || event.key === "0") this.home();
    else return;
    event.preventDefault();
  }

  turn(right, down) {
    const offset = this.camera.position.clone().sub(this.controls.target);
    const place = new THREE.Spherical().setFromVector3(offset);
    place.theta += right * STEP;
    place.phi += down * STEP;
    place.makeSafe();
    this.camera.position.setFromSpherical(place).add(this.controls.target);
    this.controls.update();
  }

  zoom(factor) {
    this.camera.position.sub(this.controls.target).multiplyScalar(factor).add(this.controls.target);
    this.controls.update();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    this.draw();
  }

  draw() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.renderer.render(this.scene, this.camera);
    });
  }
}

function pointsOf({ xyz, rgb }) {
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.BufferAttribute(xyz, 3));
  const color = Float32Array.from(rgb, (byte) => LINEAR[byte]);
  geometry.setAttribute("color", new THREE.BufferAttribute(color, 3));
  const material = new THREE.PointsMaterial({ size: 2.5, sizeAttenuation: false, vertexColors: true });
  return new THREE.Points(geometry, material);
}

function geometryOf(bytes) {
  const geometry = new PLYLoader().parse(bytes);
  if (!geometry.hasAttribute("normal")) geometry.computeVertexNormals();
  geometry.computeBoundingSphere();
  return geometry;
}

function placed(object, matrix) {
  object.matrixAutoUpdate = false;
  object.matrix.copy(matrix);
  return object;
}

function empty(group) {
  group.traverse((child) => {
    child.geometry?.dispose();
    child.material?.dispose?.();
  });
  group.clear();
}

/** Return centre and radius of what the view looks at: the poses, else the middle of the cloud. */
function focusOf({ xyz }, poses) {
  if (poses.length) {
    const centers = poses.map(({ translation: [x, y, z] }) => new THREE.Vector3(x, -y, -z));
    const box = new THREE.Box3().setFromPoints(centers);
    const sphere = box.getBoundingSphere(new THREE.Sphere());
    return { center: sphere.center, radius: Math.max(sphere.radius + 0.15, 0.15 * -sphere.center.z) };
  }
  const middle = [0, 1, 2].map((axis) => {
    const values = xyz.filter((_, index) => index % 3 === axis).sort();
    return values.length ? values[values.length >> 1] : 0;
  });
  const depth = middle[2] || 1;
  return { center: new THREE.Vector3(middle[0], -middle[1], -depth), radius: 0.4 * depth };
}
