"""Time budget of a frame over the graph: results come, and the log names what was not searched."""

import pytest

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.apps.ros.conversions import masks_from_detections
from sam6d_ros.apps.ros.demo import run as demo
from sam6d_ros.apps.ros.demo import scene as demo_scene
from sam6d_ros.evaluation.synthetic import make_scene, write_bop
from sam6d_ros.types import Detections

MASKS = "/segmentation_node/masks"
TARGETS = ["tea_box", "bottle"]
LOADING_S = 240.0  # with an empty cache


@pytest.mark.slow
@pytest.mark.graph
def test_objects_beyond_the_budget_are_not_searched_and_named(probe, tmp_path):
    made = make_scene(3, targets=TARGETS, cache_dir=default_cache_dir())
    task = demo_scene.read_task(write_bop(made, tmp_path / "set"), 0)
    objects = demo.write_objects_file([*task.models.values()], tmp_path / "objects.yaml")
    probe.listen(MASKS)
    remappings = [p for old, new in demo.REMAPPINGS.items() for p in ("-r", f"{old}:={new}")]
    parameters = {"objects_file": objects, "backend": "geometric", "budget_s": 1e-6}
    node = probe.children.start("segmentation_node", parameters, remappings)
    camera = {"path": task.scene_dir, "depth_encoding": "32FC1"}
    probe.children.start("replay_node", camera, ["-r", f"__ns:={demo.CAMERA_NS}"])
    probe.wait_ready("segmentation_node", timeout_s=LOADING_S)
    probe.wait_for(lambda: probe.received[MASKS], "masks", timeout_s=120)
    (searched,) = {one.class_id for one in probe.received[MASKS][0].instances}
    (other,) = {*TARGETS} - {searched}
    probe.wait_for(
        lambda: f"{other} not searched: budget_s was used up" in node.output(), "the log line"
    )


def test_an_empty_result_names_what_was_not_searched():
    found = Detections((), "no region resembles any of the objects", ("can", "mug"))
    reason = masks_from_detections(found, None, (480, 640)).reason
    assert reason == (
        "no region resembles any of the objects; can, mug not searched: budget_s was used up"
    )
