"""The nodes as processes over real DDS, around a simple engine: what they publish and when."""

import numpy as np
import pytest
import trimesh
from rclpy.parameter import Parameter
from support.ros.engine_double import BOX_SIZE, NOT_IN_VIEW, OBJ_FROM_BOX, TURNS
from support.ros.probe import FRAME_ID, scene
from visualization_msgs.msg import Marker

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.conversions.rigid import transform_from_pose
from sam6d_ros.geometry import se3

POSES, MASKS, TF = "/pose_node/detections", "/segmentation_node/masks", "/tf"
BOTH = ("segmentation_node", "pose_node")


def true_position(number):
    """Centre of the number-th square of ``scene``: columns 10 + 30 n …, rows 20 …, 1 m away."""
    return [(15 + 30 * number - 39.5) / 100, (25 - 29.5) / 100, 1.0]


@pytest.mark.parametrize("nodes", [BOTH, ("pipeline",)], ids=["two processes", "one process"])
def test_two_objects_go_through_the_graph(probe, nodes):
    topics = ("/segmentation_node/detections", "/segmentation_node/label_image")
    views = ("/pose_node/markers", "/pose_node/overlay")
    probe.listen(POSES, MASKS, TF, *topics, *views)
    probe.start_double(*nodes, parameters={"tf_prefix": "cell/"} if "pipeline" in nodes else {})
    sent = probe.messages(*scene([(255, 0, 0), (0, 255, 0)]))
    probe.wait_for(
        lambda: all(probe.received[t] for t in (POSES, MASKS, TF, *topics, *views)),
        "all results",
        every=lambda: probe.send(sent),
    )
    header = sent[0].header
    for topic in (POSES, MASKS, *topics):
        assert probe.received[topic][0].header == header, topic
    check_detections(probe.received[POSES][0])
    transforms = probe.received[TF][0].transforms
    prefix = "cell/" if "pipeline" in nodes else ""
    assert [t.child_frame_id for t in transforms] == [f"{prefix}red_box_0", f"{prefix}green_box_0"]
    assert all(t.header == header for t in transforms)
    markers = probe.received["/pose_node/markers"][0].markers
    assert [m.action for m in markers] == [Marker.DELETEALL, Marker.ADD, Marker.ADD]
    overlay = probe.received["/pose_node/overlay"][0]
    assert (overlay.encoding, overlay.height, overlay.width) == ("rgb8", 60, 80)
    assert bytes(overlay.data) != bytes(sent[0].data)


def test_logs_and_diagnostics_tell_of_results(probe):
    """The first result, what is found later and no more; and what the newest result holds."""
    probe.listen("/diagnostics")
    *_, pose = probe.start_double(*BOTH)

    def until(text, where, *colours):
        probe.wait_for(
            lambda: text in where(),
            f"{text!r}",
            every=lambda: probe.send(probe.messages(*scene(colours))),
        )

    def found():
        return probe.diagnostics("/pose_node").get("found", "")

    red, green = (255, 0, 0), (0, 255, 0)
    until("s after its image: red_box_0 0.75", pose.output, red)
    until("red_box_0 0.75", found, red)
    assert float(probe.diagnostics("/pose_node")["found_s_ago"]) < 5
    until("found: green_box_0 0.75; no longer found: red_box_0", pose.output, green)
    until("green_box_0 0.75", found, green)
    assert pose.output().count("first result") == 1


def check_detections(message):
    assert [d.id for d in message.detections] == ["red_box_0", "green_box_0"]
    for number, detection in enumerate(message.detections):
        result = detection.results[0]
        name = result.hypothesis.class_id
        assert detection.id == f"{name}_0"
        assert detection.header.frame_id == FRAME_ID
        assert result.hypothesis.score == 0.75
        cam_from_obj = se3.exp([*true_position(number), *TURNS[name]])
        np.testing.assert_allclose(transform_from_pose(result.pose.pose), cam_from_obj, atol=1e-6)
        cam_from_box = transform_from_pose(detection.bbox.center)
        np.testing.assert_allclose(cam_from_box, cam_from_obj @ OBJ_FROM_BOX, atol=1e-6)
        size = detection.bbox.size
        assert (size.x, size.y, size.z) == BOX_SIZE
        assert result.pose.covariance[0] == -1


def test_no_object_in_view_gives_empty_messages_with_the_images_header(probe):
    probe.listen(POSES, MASKS, "/diagnostics")
    probe.start_double(*BOTH)
    sent = probe.messages(*scene([]))
    probe.wait_for(
        lambda: (
            probe.received[POSES]
            and probe.received[MASKS]
            and probe.diagnostics("/pose_node").get("empty_result_reason")
        ),
        "an empty result",
        every=lambda: probe.send(sent),
    )
    for topic in (POSES, MASKS):
        assert probe.received[topic][0].header == sent[0].header
    assert not probe.received[POSES][0].detections
    assert probe.received[MASKS][0].reason == NOT_IN_VIEW
    assert probe.diagnostics("/pose_node")["empty_result_reason"] == NOT_IN_VIEW


def test_depth_without_a_valid_pixel_gives_an_empty_result(probe):
    probe.listen(POSES, MASKS)
    probe.start_double(*BOTH)
    rgb, depth = scene()
    sent = probe.messages(rgb, 0 * depth)
    probe.wait_for(
        lambda: probe.received[POSES] and probe.received[MASKS],
        "results",
        every=lambda: probe.send(sent),
    )
    assert not probe.received[POSES][0].detections
    assert probe.received[MASKS][0].reason == "the depth image has no valid pixel"


def test_wrong_depth_encoding_is_reported_and_the_nodes_recover(probe):
    probe.listen(POSES, "/diagnostics")
    segmentation, _ = probe.start_double(*BOTH)

    def send_bad():
        bad = probe.messages(*scene())
        bad[1].encoding = "8UC1"
        probe.send(bad)

    def report():
        return probe.diagnostics("/segmentation_node").get("last_error", "")

    probe.wait_for(lambda: "8UC1" in report(), "a diagnostic", every=send_bad)
    assert probe.diagnostics("/segmentation_node")["level"] == 2
    assert "InvalidFrame: depth encoding is '8UC1'" in segmentation.output()
    assert segmentation.output().count("8UC1") <= 2  # throttled
    assert not probe.received[POSES]
    probe.wait_for(
        lambda: probe.received[POSES] and report() == "",
        "results after the fault",
        every=lambda: probe.send(probe.messages(*scene())),
    )
    assert len(probe.received[POSES][-1].detections) == 1


def test_topics_that_never_pair_are_reported_with_offset_and_remedy(probe):
    probe.listen(MASKS, "/diagnostics")
    (node,) = probe.start_double("segmentation_node", parameters={"slop_s": 0.01})

    def send_apart(offset_ns):
        rgb, depth = scene()
        messages = probe.messages(rgb, depth, round(probe.now_ns(), -9))
        late = probe.messages(rgb, depth, round(probe.now_ns(), -9) + offset_ns)
        probe.send([messages[0], late[1], messages[2]])

    probe.wait_for(
        lambda: "apart" in probe.diagnostics("/segmentation_node").get("input_problem", ""),
        "the warning",
        every=lambda: send_apart(150_000_000),
    )
    problem = probe.diagnostics("/segmentation_node")["input_problem"]
    assert "closest stamps are 0.150 s apart (depth is later) and slop_s is 0.010" in problem
    assert "slop_s to at least 0.165" in problem
    assert "0.150 s apart" in node.output()
    assert not probe.received[MASKS]
    probe.wait_for(lambda: probe.received[MASKS], "pairs", every=lambda: send_apart(5_000_000))


def test_a_topic_that_nobody_publishes_is_named(probe):
    probe.listen("/diagnostics")
    probe.start_double("segmentation_node")
    rgb, _, info = probe.messages(*scene())

    def wait_for(wanted):
        probe.wait_for(
            lambda: wanted in probe.diagnostics("/segmentation_node").get("input_problem", ""),
            "the warning about depth alone",
            every=lambda: (probe.publishers[0].publish(rgb), probe.publishers[2].publish(info)),
        )

    wait_for("no message on ~/depth (/camera/depth, 1 publishers). Is the camera running?")
    probe.node.destroy_publisher(probe.publishers[1])
    wait_for("no message on ~/depth (/camera/depth, 0 publishers). Remap")


def test_an_object_too_large_for_the_scene_is_reported(probe):
    """A scene of 3 to 6 cm depth cannot hold boxes of 23 cm: some unit is wrong."""
    probe.listen(MASKS)
    (node,) = probe.start_double("segmentation_node")
    rgb, depth = scene()
    probe.wait_for(
        lambda: probe.received[MASKS] and "or the depth scale wrong" in node.output(),
        "the warning",
        every=lambda: probe.send(probe.messages(rgb, 0.03 * depth)),
    )
    assert "red_box is 0.229 m across but the scene reaches from 0.03" in node.output()


def test_the_cores_own_words_reach_the_ros_log(probe, tmp_path):
    """The layers below log the decision on a unit and the reason for refusing a mesh."""
    meshes = tmp_path / "objects.yaml"
    trimesh.creation.box((120, 80, 60)).export(tmp_path / "box.ply")
    meshes.write_text("objects:\n- {name: box, mesh: box.ply}\n- {name: ghost, mesh: no.ply}\n")
    (tmp_path / "no.ply").write_text("no mesh\n")
    probe.listen("/diagnostics")
    node = probe.children.start("pose_node", {"objects_file": meshes})
    probe.wait_for(  # the loops are compiled before, which may take minutes at the first start
        lambda: "no.ply" in probe.diagnostics("/pose_node").get("last_error", ""), "the reason", 200
    )
    assert probe.diagnostics("/pose_node")["state"] == "loading failed"
    assert "[INFO]" in node.output()
    assert "box: " in node.output()
    assert "backend geometric" in node.output()


def test_exact_sync_does_not_pair_what_differs_by_a_nanosecond(probe):
    probe.listen(MASKS)
    probe.start_double("segmentation_node", parameters={"sync": "exact"})
    rgb, depth = scene()
    stamp = probe.now_ns()
    apart = [probe.messages(rgb, depth, stamp + i)[i] for i in range(3)]
    equal = probe.messages(rgb, depth, stamp + 10**9)
    probe.send(apart)
    probe.wait_for(lambda: probe.received[MASKS], "a result", every=lambda: probe.send(equal))
    stamps = {conversions.stamp_ns_of(m.header) for m in probe.received[MASKS]}
    assert stamps == {stamp + 10**9}


def test_simulated_time_drives_nothing_but_the_stamps(probe):
    """With use_sim_time and no /clock, results and diagnostics still flow."""
    probe.listen(POSES, "/diagnostics")
    probe.start_double(*BOTH, parameters={"use_sim_time": True})
    sent = probe.messages(*scene(), stamp_ns=42_000_000_001)
    probe.wait_for(
        lambda: probe.received[POSES] and probe.diagnostics("/pose_node").get("state") == "running",
        "results",
        every=lambda: probe.send(sent),
    )
    assert conversions.stamp_ns_of(probe.received[POSES][0].header) == 42_000_000_001


def test_transforms_can_be_switched_off(probe):
    probe.listen(POSES, TF)
    probe.start_double("segmentation_node", "pose_node", parameters={"publish_tf": False})
    probe.wait_for(
        lambda: len(probe.received[POSES]) > 2,
        "results",
        every=lambda: probe.send(probe.messages(*scene())),
    )
    assert not probe.received[TF]


def test_bad_parameters_stop_a_node_with_the_reason(probe):
    child = probe.children.start("pose_node", {"backend": "magic"})
    probe.children.running.clear()
    assert child.wait() == 1
    assert "backend is 'magic'; expected one of auto, geometric, sam6d" in child.output()


def test_a_load_that_fails_keeps_the_node_and_names_the_reason(probe, tmp_path):
    probe.listen("/diagnostics")
    probe.children.start("segmentation_node", {"objects_file": tmp_path / "missing.yaml"})
    probe.wait_for(
        lambda: probe.diagnostics("/segmentation_node").get("state") == "loading failed",
        "the diagnostic",
    )
    assert "missing.yaml" in probe.diagnostics("/segmentation_node")["last_error"]
    assert probe.diagnostics("/segmentation_node")["level"] == 2


def test_parameters_that_may_change_do_and_others_say_why_not(probe):
    from rcl_interfaces.srv import SetParameters

    probe.start_double("pose_node")
    client = probe.node.create_client(SetParameters, "/pose_node/set_parameters")
    probe.wait_for(client.service_is_ready, "the parameter service")
    wanted = [
        Parameter("tf_prefix", value="cell/"),
        Parameter("backend", value="sam6d"),
        Parameter("publish_tf", value=3),
    ]
    request = SetParameters.Request(parameters=[p.to_parameter_msg() for p in wanted])
    future = client.call_async(request)
    probe.wait_for(future.done, "the answer")
    answers = future.result().results
    assert [a.successful for a in answers] == [True, False, False]
    assert "read-only" in answers[1].reason
    assert "Wrong parameter type" in answers[2].reason
