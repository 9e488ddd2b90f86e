"""The whole graph as processes over DDS on synthetic scenes with known poses, without doubles."""

import numpy as np
import pytest
from support.ros.probe import Probe

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.conversions.rigid import transform_from_pose
from sam6d_ros.apps.ros.demo import report as demo_report
from sam6d_ros.apps.ros.demo import run as demo
from sam6d_ros.apps.ros.demo import scene as demo_scene
from sam6d_ros.evaluation.synthetic import make_scene, write_bop

POSES, MASKS, TF = "/pose_node/detections", "/segmentation_node/masks", "/tf"
FRAME_ID = "wrist_camera_optical_frame"
TARGETS = ["tea_box", "bottle"]
SEED = 0
LOADING_S = 240.0  # with an empty cache


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """A scene on disk, as the demo sees it."""
    folder = tmp_path_factory.mktemp("scene")
    made = make_scene(SEED, targets=TARGETS, cache_dir=default_cache_dir())
    return demo_scene.read_task(write_bop(made, folder), 0)


def start(probe: Probe, task, tmp_path) -> None:
    """The three nodes, as the launch files start them."""
    objects_file = demo.write_objects_file(list(task.models.values()), tmp_path / "objects.yaml")
    remappings = [p for old, new in demo.REMAPPINGS.items() for p in ("-r", f"{old}:={new}")]
    for node in ("segmentation_node", "pose_node"):
        parameters = {"objects_file": objects_file, "tf_prefix": "seen/"}
        probe.children.start(node, parameters, remappings)
    camera = {
        "path": task.scene_dir,
        "frame_id": FRAME_ID,
        "rate_hz": 2.0,
        "depth_encoding": "32FC1",
        "wait_for": list(demo.READY),
    }
    probe.children.start("replay_node", camera, ["-r", f"__ns:={demo.CAMERA_NS}"])
    probe.wait_ready("segmentation_node", "pose_node", timeout_s=LOADING_S)


def test_known_poses_come_out_of_the_graph(probe, task, tmp_path):
    probe.listen(POSES, MASKS, TF, "/diagnostics")
    begin_ns = probe.now_ns()
    start(probe, task, tmp_path)
    probe.wait_for(
        lambda: probe.received[POSES] and probe.received[TF] and probe.diagnostics("/pose_node"),
        "poses",
        timeout_s=120,
    )
    message = probe.received[POSES][0]
    stamp = conversions.stamp_ns_of(message.header)
    assert begin_ns < stamp < probe.now_ns()
    assert message.header.frame_id == FRAME_ID
    masks = [m for m in probe.received[MASKS] if m.header == message.header]
    assert len(masks) == 1
    assert {d.id for d in message.detections} <= {m.id for m in masks[0].instances}
    assert all(len(m.pose_hints) for m in masks[0].instances)

    poses = conversions.poses_from_detection_3d_array(message)
    matches = demo_report.match(task.truth, poses, task.models)
    assert sorted(m.name for m in matches) == sorted(TARGETS)
    assert all(m.right for m in matches), matches
    check_boxes(message, task)
    check_transforms(probe, message)


def check_boxes(message, task):
    by_name = {model.name: model for model in task.models.values()}
    for detection in message.detections:
        result = detection.results[0]
        model = by_name[result.hypothesis.class_id]
        cam_from_obj = transform_from_pose(result.pose.pose)
        cam_from_box = transform_from_pose(detection.bbox.center)
        np.testing.assert_allclose(cam_from_box, cam_from_obj @ model.obj_from_box, atol=1e-6)
        size = detection.bbox.size
        np.testing.assert_allclose([size.x, size.y, size.z], model.box_size, rtol=1e-6)
        assert 0 < result.hypothesis.score <= 1


def check_transforms(probe, message):
    sent = [t for m in probe.received[TF] for t in m.transforms]
    same_image = [t for t in sent if t.header == message.header]
    assert {t.child_frame_id for t in same_image} == {f"seen/{d.id}" for d in message.detections}
    by_frame = {t.child_frame_id: t.transform for t in same_image}
    for detection in message.detections:
        moved = by_frame[f"seen/{detection.id}"]
        pose = detection.results[0].pose.pose
        assert moved.rotation == pose.orientation
        here = [moved.translation.x, moved.translation.y, moved.translation.z]
        assert here == [pose.position.x, pose.position.y, pose.position.z]
