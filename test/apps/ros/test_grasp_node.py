"""The grasp node as a process: detections in, grasps out."""

import re

import numpy as np
import pytest
from support.ros.grasp_graph import (
    BASE,
    BASE_FROM_CAM,
    BASE_GRASPS,
    CAMERA,
    GRASPS,
    POSES,
    TOPICS,
    matrices,
)
from visualization_msgs.msg import Marker

from sam6d_ros.apps.ros.conversions.rigid import transform_from_pose
from sam6d_ros.apps.ros.node.qos import LATCHED
from sam6d_ros.geometry import se3
from sam6d_ros.msg import ObjectEntry, ObjectList


def test_grasps_come_in_the_frames_of_camera_object_and_base(graph):
    graph.start(base_frame=BASE, tf_prefix="cell/", max_grasps=7, max_approach_angle=3.1416)
    graph.listen(*TOPICS)
    graph.broadcast_camera()
    graph.send_until(lambda: all(graph.received[t] for t in TOPICS), "all results", "red_box")
    newest = {topic: graph.received[topic][-1] for topic in TOPICS}
    in_camera, in_base = newest[GRASPS], newest[BASE_GRASPS]
    sent = graph.message("red_box").header
    assert in_camera.header == sent
    assert newest["/grasp_node/grasp_poses"].header == sent
    assert (in_base.header.stamp, in_base.header.frame_id) == (sent.stamp, BASE)
    own = newest["/grasp_node/grasps/red_box"]
    assert (own.header.stamp, own.header.frame_id) == (sent.stamp, "cell/red_box_0")
    assert len(in_camera.grasps) == 7
    assert {(g.object_id, g.class_id) for g in in_camera.grasps} == {("red_box_0", "red_box")}
    scores = [g.score for g in in_camera.grasps]
    assert scores == sorted(scores, reverse=True)
    assert {round(g.width, 3) for g in in_camera.grasps} <= {0.05, 0.06}
    obj_from_grip = matrices(own)
    cam_from_grip = POSES["red_box"] @ obj_from_grip
    np.testing.assert_allclose(matrices(in_camera), cam_from_grip, atol=1e-6)
    np.testing.assert_allclose(
        matrices(newest["/grasp_node/grasp_poses"]), cam_from_grip, atol=1e-6
    )
    for topic in (BASE_GRASPS, "/grasp_node/base/grasp_poses"):
        np.testing.assert_allclose(
            matrices(newest[topic]), BASE_FROM_CAM @ cam_from_grip, atol=1e-6
        )
    cleared, lines = newest["/grasp_node/markers"].markers
    assert (cleared.action, lines.type) == (Marker.DELETEALL, Marker.LINE_LIST)
    assert len(lines.points) == len(lines.colors) == 8 * 7


def test_without_a_transform_the_camera_frame_is_served_and_the_missing_one_named(graph):
    node = graph.start(base_frame=BASE, tf_timeout_s=0.05, max_approach_angle=3.1416)
    graph.listen(GRASPS, BASE_GRASPS)
    graph.send_until(
        lambda: graph.received[GRASPS] and "base_link" in graph.problem(), "a warning", "red_box"
    )
    expected = f"no transform from the camera's frame {CAMERA!r} to base_frame {BASE!r}"
    assert expected in graph.problem()
    assert expected in node.output()
    assert "does not exist" in graph.problem()
    assert graph.received[GRASPS][-1].grasps
    assert not graph.received[BASE_GRASPS]
    graph.broadcast_camera()
    graph.send_until(lambda: graph.received[BASE_GRASPS], "the base frame", "red_box")
    graph.send_until(lambda: not graph.problem(), "the warning to go", "red_box")


def test_what_has_no_grasps_is_named_with_the_reason_and_the_others_get_theirs(graph):
    node = graph.start()
    graph.listen(GRASPS)
    graph.send_until(lambda: graph.received[GRASPS], "grasps", "teapot", "block", "red_box")
    assert {g.class_id for g in graph.received[GRASPS][-1].grasps} == {"red_box"}
    graph.probe.wait_for(lambda: "teapot" in node.output(), "the warning")
    assert "detections of ['teapot'], which are no objects here" in node.output()
    graph.send_until(lambda: "teapot" in graph.reason(), "the reason", "teapot")
    graph.send_until(lambda: "block" in graph.reason(), "the reason", "block")
    assert "block: the object is at least 0.200 m wide" in graph.reason()
    assert not graph.received[GRASPS][-1].grasps
    assert graph.received[GRASPS][-1].header == graph.message().header
    graph.send_until(lambda: graph.reason() == "no object was detected", "the other reason")


def test_the_objects_of_the_node_that_is_followed_get_grasps_at_run_time(graph):
    graph.start()
    graph.listen(GRASPS)
    graph.send_until(lambda: graph.received[GRASPS], "grasps", "red_box")
    box = str(graph.files / "box.ply")
    followed = [ObjectEntry(name="bar", mesh=box, unit="m", options="{symmetries: none}")]
    lists = graph.probe.node.create_publisher(ObjectList, "/grasp_node/follow_objects", LATCHED)
    lists.publish(ObjectList(objects=followed))
    graph.send_until(
        lambda: {g.class_id for g in graph.received[GRASPS][-1].grasps} == {"bar"},
        "grasps of the new object alone",
        "bar",
        "red_box",
    )


def test_stated_grasps_take_the_place_of_sampled_ones(graph):
    graph.start(grasp_file=graph.files / "grasps.yaml")
    graph.listen(GRASPS)
    graph.send_until(lambda: graph.received[GRASPS], "grasps", "red_box", "block")
    found = graph.received[GRASPS][-1].grasps
    assert [g.name for g in found if g.class_id == "block"] == ["top"]
    assert all(g.name.startswith("sampled_") for g in found if g.class_id == "red_box")
    (top,) = [g for g in found if g.name == "top"]
    expected = POSES["block"] @ se3.from_quat_xyzw_translation([0, 1, 0, 0], [0, 0, 0.1])
    np.testing.assert_allclose(transform_from_pose(top.pose), expected, atol=1e-3)


def test_with_a_base_frame_grippers_come_from_above(graph):
    graph.start(base_frame=BASE, tf_timeout_s=0.05, max_grasps=40)
    graph.listen(GRASPS, BASE_GRASPS)
    wanted = "red_box: max_approach_angle is set, but base_frame is not known"
    graph.send_until(lambda: graph.reason() == wanted, "nothing unjudged", "red_box")
    assert not any(message.grasps for message in graph.received[GRASPS])
    graph.broadcast_camera()
    graph.send_until(
        lambda: graph.received[BASE_GRASPS] and graph.received[BASE_GRASPS][-1].grasps,
        "grasps",
        "red_box",
    )
    approaches = matrices(graph.received[BASE_GRASPS][-1])[:, :3, 2]
    assert (approaches @ [0, 0, -1] >= np.cos(1.2) - 1e-6).all()


def test_without_a_base_frame_grasps_from_all_sides_come_and_the_log_says_so(graph):
    node = graph.start(max_grasps=40)
    graph.listen(GRASPS)
    graph.send_until(lambda: graph.received[GRASPS], "grasps", "red_box")
    assert "base_frame is not set: grasps from all sides" in node.output()
    assert re.search(r"loaded: objects: red_box, block$", node.output(), re.MULTILINE)
    approaches = (BASE_FROM_CAM @ matrices(graph.received[GRASPS][-1]))[:, :3, 2]
    assert (approaches @ [0, 0, -1] < 0).any()


def test_detections_that_cannot_be_right_are_refused_and_the_node_recovers(graph):
    graph.start()
    graph.listen(GRASPS)

    def send_bad():
        bad = graph.message("red_box")
        bad.detections[0].results = []
        graph.detections.publish(bad)

    def error():
        return graph.probe.diagnostics("/grasp_node").get("last_error", "")

    graph.probe.wait_for(lambda: "has no results" in error(), "a diagnostic", every=send_bad)
    assert not graph.received[GRASPS]
    graph.send_until(lambda: graph.received[GRASPS] and not error(), "grasps", "red_box")


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"grasp_file": "/nowhere/grasps.yaml"}, "the grasp file /nowhere/grasps.yaml cannot be"),
        ({"max_approach_angle": 0.5}, "max_approach_angle is set, but base_frame is not"),
    ],
    ids=["grasp file", "filter"],
)
def test_settings_that_cannot_be_leave_the_node_unconfigured_with_the_reason(
    graph, parameters, reason
):
    graph.start(wait=False, **parameters)
    graph.probe.wait_for(
        lambda: reason in graph.probe.diagnostics("/grasp_node").get("message", ""), "the reason"
    )
    values = graph.probe.diagnostics("/grasp_node")
    assert (values["state"], values["lifecycle"]) == ("loading failed", "unconfigured")
