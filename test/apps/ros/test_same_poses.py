"""One frame gives the same poses on the command line, over HTTP and from the ROS nodes."""

import base64
import json

import numpy as np
import pytest

from sam6d_ros.apps.cli.main import main
from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.demo import run as demo
from sam6d_ros.apps.ros.demo import scene as demo_scene
from sam6d_ros.evaluation.synthetic import CAMERA, make_scene, write_bop

pytest.importorskip("fastapi", reason="missing: pip install -e '.[http]'")

from support.http_server import serving, settings_for

POSES = "/pose_node/detections"
TARGETS = ["tea_box", "bottle"]
LOADING_S = 240.0  # with an empty cache
IMAGE = "000001.png"


@pytest.fixture
def scene(tmp_path):
    """A scene on disk, and its objects file."""
    made = make_scene(
        3, camera=CAMERA.scaled(0.5), targets=TARGETS, clutter=1, cache_dir=default_cache_dir()
    )
    task = demo_scene.read_task(write_bop(made, tmp_path / "set"), 0)
    models = list(task.models.values())
    return task.scene_dir, demo.write_objects_file(models, tmp_path / "objects.yaml")


def on_the_command_line(scene_dir, objects_file, out):
    words = ["--rgb", scene_dir / "rgb" / IMAGE, "--depth", scene_dir / "depth" / IMAGE]
    words += ["--camera", scene_dir / "scene_camera.json", "--objects", objects_file, "--out", out]
    assert main(["estimate", "--backend", "geometric", *map(str, words)]) == 0
    poses = json.loads((out / "poses.json").read_text())["poses"]
    return {pose["name"]: np.column_stack([pose["R"], pose["t"]]) for pose in poses}


def over_http(scene_dir, objects_file):
    camera = json.loads((scene_dir / "scene_camera.json").read_text())["1"]
    images = {
        f"{name}_image": base64.b64encode((scene_dir / name / IMAGE).read_bytes()).decode()
        for name in ("rgb", "depth")
    }
    body = {**images, "cam_params": camera, "units": "m"}
    with serving(settings_for(default_cache_dir(), objects_file=objects_file)) as served:
        answer = served.pem.post("/api/v1/full_pipeline", json=body).raise_for_status().json()
    poses = answer["pem_result"]["poses"]
    return {p["name"]: np.column_stack([p["rotation"], p["translation"]]) for p in poses}


def from_the_nodes(probe, scene_dir, objects_file):
    probe.listen(POSES)
    remappings = [p for old, new in demo.REMAPPINGS.items() for p in ("-r", f"{old}:={new}")]
    for node in ("segmentation_node", "pose_node"):
        parameters = {"objects_file": objects_file, "backend": "geometric"}
        probe.children.start(node, parameters, remappings)
    camera = {"path": scene_dir, "depth_encoding": "32FC1", "wait_for": list(demo.READY)}
    probe.children.start("replay_node", camera, ["-r", f"__ns:={demo.CAMERA_NS}"])
    probe.wait_ready("segmentation_node", "pose_node", timeout_s=LOADING_S)
    probe.wait_for(lambda: probe.received[POSES], "poses", timeout_s=120)
    poses = conversions.poses_from_detection_3d_array(probe.received[POSES][0])
    return {pose.class_id: pose.cam_from_obj[:3] for pose in poses.items}


def test_all_ways_give_the_same_poses(probe, scene, tmp_path):
    by_command = on_the_command_line(*scene, tmp_path / "out")
    by_http = over_http(*scene)
    by_nodes = from_the_nodes(probe, *scene)
    assert set(by_command) == set(by_http) == set(by_nodes) == set(TARGETS)
    for name, expected in by_command.items():
        np.testing.assert_array_equal(by_http[name], expected)
        # messages carry quaternions: their rounding is all that may differ
        np.testing.assert_allclose(by_nodes[name], expected, atol=1e-6)
