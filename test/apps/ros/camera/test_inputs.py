"""Camera inputs of the nodes: accepted and refused messages, and the reports about them."""

import re

from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from support.ros.eyes import Eyes
from support.ros.nodes import start
from support.ros.probe import RESULTS, scene

from sam6d_ros.apps.ros import conversions

POSES, MASKS = "/pose_node/detections", "/segmentation_node/masks"
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def test_a_closed_input_hears_nothing_and_can_be_opened_anew(ros):
    """As often as a node is deactivated and activated."""
    eyes = Eyes(ros)
    timers = len(list(eyes.node.timers))
    for _ in range(2):
        opened = eyes.open()
        ros.wait_for(lambda: eyes.hearers() == [1, 1, 1], "the subscriptions")
        opened.close()
        ros.wait_for(lambda: eyes.hearers() == [0, 0, 0], "no subscription")
        assert len(list(eyes.node.timers)) == timers


def test_a_clock_that_does_not_run_makes_no_frame_old(ros):
    """use_sim_time without /clock: no age is known; the node reports it and takes the frames."""
    eyes = Eyes(ros, "-p", "use_sim_time:=true", "-p", "max_age_s:=2.0")
    eyes.open()
    ros.wait_for(
        lambda: (
            eyes.send(42_000_000_000).frames and "/clock" in eyes.status.snapshot().input_problem
        ),
        "frames and the warning",
    )
    assert (
        "use_sim_time is true but /clock has no publisher" in eyes.status.snapshot().input_problem
    )
    assert eyes.status.stats.snapshot().skipped == 0


def test_compressed_topics_beside_a_plain_input_are_pointed_at(ros):
    eyes = Eyes(ros, "-p", "pair_timeout_s:=0.1", "-r", "~/rgb:=/packed/rgb")
    packed = ros.node("driver").create_publisher(CompressedImage, "/packed/rgb/compressed", 5)
    eyes.open()
    wanted = "/packed/rgb/compressed is published: set rgb.image_transport to compressed"
    ros.wait_for(lambda: wanted in eyes.status.snapshot().input_problem, "the hint")
    assert packed.get_subscription_count() == 0


def test_the_usual_qos_overrides_count_at_every_opening(ros):
    eyes = Eyes(ros, "-p", "qos_overrides./eyes/rgb.subscription.reliability:=reliable")
    for _ in range(2):
        opened = eyes.open()
        ros.wait_for(lambda: eyes.hearers() == [1, 1, 1], "the subscriptions")
        for name, wanted in (("rgb", "RELIABLE"), ("depth", "BEST_EFFORT")):
            (info,) = eyes.node.get_subscriptions_info_by_topic(f"/eyes/{name}")
            assert info.qos_profile.reliability.name == wanted
        opened.close()
        ros.wait_for(lambda: eyes.hearers() == [0, 0, 0], "the end of them")


# --- over DDS


def problem_of(probe, node="/segmentation_node"):
    return probe.diagnostics(node).get("input_problem", "")


def test_old_frames_are_skipped_until_the_stamps_are_right(probe):
    probe.listen(MASKS, "/diagnostics")
    (node,) = probe.start_double("segmentation_node", parameters={"max_age_s": 2.0})

    def send(age_s):
        probe.send(probe.messages(*scene(), stamp_ns=probe.now_ns() - int(age_s * 1e9)))

    probe.wait_for(lambda: "older" in problem_of(probe), "the warning", every=lambda: send(3600.0))
    assert re.search(r"images are \d\d\.\d min older than this node's clock", problem_of(probe))
    probe.wait_for(
        lambda: "years older" in problem_of(probe), "another", every=lambda: send(10 * 31_557_600)
    )
    assert "set use_sim_time to true" in problem_of(probe)
    assert "set use_sim_time to true" in node.output()
    assert not probe.received[MASKS]
    probe.wait_for(
        lambda: probe.received[MASKS] and not problem_of(probe), "masks", every=lambda: send(0.0)
    )


def test_depth_of_another_frame_is_refused_until_it_is_allowed(probe):
    probe.listen(MASKS, "/diagnostics")
    probe.start_double("segmentation_node")

    def send():
        messages = probe.messages(*scene())
        stamp_ns = conversions.stamp_ns_of(messages[0].header)
        messages[1].header = conversions.header_from(stamp_ns, "depth_optical_frame")
        probe.send(messages)

    def error():
        return probe.diagnostics("/segmentation_node").get("last_error", "")

    probe.wait_for(lambda: error(), "the refusal", every=send)
    assert "depth is in frame 'depth_optical_frame' but rgb in 'test_optical_frame'" in error()
    assert "use the depth image registered to colour" in error()
    assert not probe.received[MASKS]
    set_parameter(probe, "/segmentation_node", "require_same_frame", False)
    probe.wait_for(lambda: probe.received[MASKS] and not error(), "masks", every=send)


def set_parameter(probe, node, name, value):
    client = probe.node.create_client(SetParameters, f"{node}/set_parameters")
    probe.wait_for(client.service_is_ready, "the parameter service")
    parameters = [Parameter(name, value=value).to_parameter_msg()]
    future = client.call_async(SetParameters.Request(parameters=parameters))
    probe.wait_for(future.done, "the answer")
    assert future.result().results[0].successful


def test_a_publisher_that_cannot_be_heard_is_named_with_the_policies(probe):
    """A reliable reader gets nothing from a best-effort publisher; a reliable one replaces it."""
    probe.listen(MASKS, "/diagnostics")
    swapped = probe.node.create_publisher(Image, "/swapped/depth", BEST_EFFORT)
    node = start(
        probe,
        "segmentation_node",
        {"depth.reliability": "reliable"},
        ["-r", "~/depth:=/swapped/depth"],
    )
    probe.wait_ready("segmentation_node")

    def send():
        messages = probe.messages(*scene())
        swapped.publish(messages[1])
        probe.send(messages)

    probe.wait_for(lambda: "incompatible QoS" in problem_of(probe), "the report", every=send)
    problem = problem_of(probe)
    assert "~/depth (/swapped/depth): node probe offers reliability best_effort" in problem
    assert "this node requests reliable. Set depth.reliability to best_effort" in problem
    assert "incompatible QoS" in node.output()
    assert not probe.received[MASKS]
    probe.node.destroy_publisher(swapped)
    swapped = probe.node.create_publisher(Image, "/swapped/depth", 5)
    probe.wait_for(lambda: probe.received[MASKS] and not problem_of(probe), "masks", every=send)


def test_a_topic_that_falls_silent_is_named_and_recovers(probe):
    probe.listen(MASKS, "/diagnostics")
    probe.start_double("segmentation_node")
    probe.wait_for(
        lambda: probe.received[MASKS],
        "masks",
        every=lambda: probe.send(probe.messages(*scene())),
    )

    def send_without_depth():
        rgb, _, info = probe.messages(*scene())
        probe.publishers[0].publish(rgb)
        probe.publishers[2].publish(info)

    wanted = "no message on ~/depth (/camera/depth, 1 publishers)"
    probe.wait_for(lambda: wanted in problem_of(probe), "the warning", every=send_without_depth)
    probe.received[MASKS].clear()
    probe.wait_for(
        lambda: probe.received[MASKS] and not problem_of(probe),
        "masks again",
        every=lambda: probe.send(probe.messages(*scene())),
    )


def test_a_missing_segmentation_node_is_named_until_it_is_there(probe):
    probe.listen("/diagnostics")
    probe.start_double("pose_node")

    def send():
        probe.send(probe.messages(*scene()))

    def problem():
        return problem_of(probe, "/pose_node")

    wanted = f"no publisher on ~/masks ({MASKS}): start the segmentation node"
    probe.wait_for(lambda: wanted in problem(), "the warning", every=send)
    probe.node.create_publisher(RESULTS[MASKS], MASKS, 5)
    probe.wait_for(lambda: not problem(), "its end", every=send)
