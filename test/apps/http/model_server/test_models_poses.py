"""Poses drawn live: a stream with depth, the pose pipeline as its model."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import trimesh
from support.http_server import running
from support.model_server import PATIENCE_S, until
from support.stream_server import decoded, events, parts

from sam6d_ros.apps.http.factory import create_app
from sam6d_ros.apps.http.model_server.services import ModelServices
from sam6d_ros.apps.http.model_server.settings import ModelServerSettings
from sam6d_ros.apps.http.sample import NAME, SEED
from sam6d_ros.apps.http.serve import openers_of
from sam6d_ros.apps.http.settings import MODELS
from sam6d_ros.config import PipelineConfig
from sam6d_ros.evaluation.synthetic import make_scene
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.build import EngineSpec

pytestmark = pytest.mark.slow  # two frames by the geometric backend


@pytest.fixture(scope="module")
def scene(http_cache):
    return make_scene(SEED, targets=[NAME], cache_dir=http_cache)


@pytest.fixture(scope="module")
def folder(scene, tmp_path_factory) -> Path:
    """One frame in BOP's format, and an objects file beside it."""
    root = tmp_path_factory.mktemp("frames")
    images = root / "test" / "000000"
    for name in ("rgb", "depth"):
        (images / name).mkdir(parents=True)
    cv2.imwrite(str(images / "rgb" / "000000.png"), scene.frame.rgb[..., ::-1])
    depth = np.rint(10_000 * scene.frame.depth).astype(np.uint16)
    cv2.imwrite(str(images / "depth" / "000000.png"), depth)
    camera = {"cam_K": scene.frame.camera.matrix.ravel().tolist(), "depth_scale": 0.1}
    (images / "scene_camera.json").write_text(json.dumps({"0": camera}))
    solid = scene.meshes[0]
    mesh = trimesh.Trimesh(solid.vertices, solid.faces, vertex_colors=solid.colors, process=False)
    mesh.export(root / f"{NAME}.ply")
    objects = f"objects:\n  - name: {NAME}\n    mesh: {NAME}.ply\n    unit: m\n"
    (root / "objects.yaml").write_text(objects)
    return root


@pytest.fixture(scope="module")
def client(folder, http_cache):
    engine = EngineSpec(
        PipelineConfig(backend="geometric"), http_cache, objects_file=folder / "objects.yaml"
    )
    settings = ModelServerSettings(poses=engine, roots=(folder,))
    services = ModelServices(settings, openers_of(settings))
    with ExitStack() as stack:
        url = stack.enter_context(running(create_app(services, MODELS)))
        one = stack.enter_context(httpx.Client(base_url=url, timeout=PATIENCE_S))
        until(lambda: "loading" not in one.get("/health").json()["models"].values())
        yield one


def test_poses_of_a_stream_with_depth_are_sent_and_drawn(client, folder, scene):
    (model,) = client.get("/models").json()["models"]
    assert (model["name"], model["state"], model["labels"]) == ("poses", "ready", [NAME])
    body = {"name": "desk", "url": f"frames:{folder}", "model": "poses", "rate_hz": 5}
    key = client.post("/streams", json=body).raise_for_status().json()["stream"]["id"]
    with client.stream("GET", f"/streams/{key}/detections") as answer:
        found = next(values for name, values in events(answer) if values.get("poses"))
    (pose,) = found["poses"]
    truth = scene.ground_truth[0].cam_from_obj
    difference = se3.inverse(truth) @ np.array(pose["cam_from_obj"])
    assert pose["name"] == NAME
    assert np.linalg.norm(difference[:3, 3]) < 0.005
    (box,) = found["detections"]
    left, top, right, bottom = box["box_xyxy"]
    rows, columns = np.nonzero(scene.ground_truth[0].mask)
    assert left <= columns.min() + 3
    assert right >= columns.max() - 3
    assert top <= rows.min() + 3
    assert bottom >= rows.max() - 3
    with client.stream("GET", f"/streams/{key}/mjpeg") as answer:
        shown = decoded(next(parts(answer)))
    area = np.s_[int(top) : int(bottom), int(left) : int(right)]
    change = np.abs(shown.astype(int) - scene.frame.rgb).max(axis=2)
    assert (change[area] > 60).sum() > 200  # contour, box and axes; JPEG alone changes less


def test_an_image_without_depth_is_refused_with_the_remedy(client, scene):
    data = cv2.imencode(".png", scene.frame.rgb)[1].tobytes()
    answer = client.post("/predict", files={"image": data})
    assert answer.status_code == 422
    assert "no depth" in answer.json()["error_message"]
