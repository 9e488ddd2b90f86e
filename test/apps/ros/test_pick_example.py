"""examples/05_pick.py beside a grasp node: picks a fresh, certain object, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from support.ros.grasp_graph import BASE, BASE_FROM_CAM, BASE_GRASPS, GRASPS, POSES

EXAMPLE = Path(__file__).resolve().parents[3] / "examples/05_pick.py"
REMAPPED = ("-r", "~/detections:=/grasp_node/detections", "-r", f"~/base/grasps:={BASE_GRASPS}")


@pytest.fixture
def picker(graph):
    """Start the example beside a grasp node that has the camera's transform."""

    def start(**parameters):
        graph.start(base_frame=BASE)
        graph.broadcast_camera()
        values = {"class_id": "red_box", "max_age_s": 60.0, **parameters}
        child = graph.probe.children.start("picker", values, REMAPPED, (str(EXAMPLE),))
        graph.probe.wait_for(
            lambda: graph.detections.get_subscription_count() == 2, "the picker to listen"
        )
        return child

    return start


def test_pose_and_grasp_are_printed_in_the_base_frame(graph, picker):
    child = picker()
    graph.listen(BASE_GRASPS)
    text = "fingers at"
    graph.probe.wait_for(
        lambda: text in child.output(),
        "a pick",
        every=lambda: text in child.output() or send(graph),
    )
    assert child.wait() == 0
    graph.probe.children.running.remove(child)
    place = re.search(r"red_box_0 at \[(.*)\] m in base_link", child.output())[1]
    expected = (BASE_FROM_CAM @ POSES["red_box"])[:3, 3]
    np.testing.assert_allclose(np.array(place.split(", "), float), expected, atol=1e-3)
    assert re.search(r"grasp sampled_\d+: fingers at .* 0\.0[56]\d? ?", child.output())


def test_topics_without_a_message_are_named(graph):
    child = graph.probe.children.start("picker", {"report_s": 0.2}, REMAPPED, (str(EXAMPLE),))
    for topic in ("/grasp_node/detections", BASE_GRASPS):
        text = f"no message on {topic} yet"
        graph.probe.wait_for(lambda text=text: text in child.output(), text)


def send(graph):
    graph.send("red_box", "block")


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"max_age_s": 0.0}, "not yet: the image is"),
        ({"min_score": 0.95}, "not yet: no 'red_box' with a score of 0.95 or more"),
        ({"class_id": "block"}, "not yet: block_0 has no grasp"),
    ],
)
def test_what_is_not_worth_a_motion_is_named(graph, picker, parameters, reason):
    child = picker(**parameters)
    graph.listen(GRASPS)
    graph.probe.wait_for(lambda: reason in child.output(), reason, every=lambda: send(graph))
    assert "fingers at" not in child.output()
