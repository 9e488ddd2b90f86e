"""Measurements of the nodes of their own work, and their publication."""

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from support.ros.probe import scene

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.node.reports import diagnostic_status, node_stats
from sam6d_ros.errors import InvalidFrame
from sam6d_ros.runtime.states import State
from sam6d_ros.runtime.status import HostStatus

# --- as messages


@pytest.fixture
def status(clock):
    status = HostStatus("/node", clock=clock)
    status.loaded("geometric", "cpu")
    status.activated()
    status.tracking(2)
    status.stats.receive()
    status.stats.skip()
    status.stats.record_result(0.25)
    status.processed({"score": 0.1, "total": 0.2}, "")
    return status


def test_the_message_carries_what_was_measured(status):
    header = conversions.header_from(42, "")
    message = node_stats(status, header, dropped=4)
    assert (message.header, message.node, message.state) == (header, "/node", "running")
    assert (message.backend, message.device, message.tracked_objects) == ("geometric", "cpu", 2)
    counts = (message.received, message.processed, message.dropped, message.skipped, message.failed)
    assert counts == (1, 1, 4, 1, 0)
    assert (message.age_median_ms, message.age_p95_ms) == (250, 250)
    assert [(s.stage, s.median_ms, s.count) for s in message.stages] == [
        ("score", 100, 1),
        ("total", 200, 1),
    ]
    assert message.memory_bytes > 10_000_000
    assert message.last_error == ""


def test_the_diagnostics_carry_the_same(status):
    row = diagnostic_status(status, dropped=4, lifecycle="active")
    values = {v.key: v.value for v in row.values}
    wanted = {
        "lifecycle": "active",
        "device": "cpu",
        "age_ms": "250.0",
        "age_p95_ms": "250.0",
        "score_ms": "100.0",
        "total_p95_ms": "200.0",
        "frames_dropped": "4",
        "frames_skipped": "1",
        "tracked_objects": "2",
    }
    assert {key: values[key] for key in wanted} == wanted
    assert float(values["memory_mb"]) > 10
    assert row.level == DiagnosticStatus.OK


def test_a_failed_frame_is_counted_and_a_failed_load_is_none(status):
    status.failed(InvalidFrame("odd"))
    assert status.snapshot().figures.failed == 1
    status.load_failed(InvalidFrame("odd"))
    assert status.snapshot().figures.failed == 1


def test_a_node_is_idle_only_when_no_frame_is_in_work(status, clock):
    clock.now += 60
    assert status.snapshot().state is State.WAITING
    with status.working():
        assert status.snapshot().state is State.RUNNING


# --- over DDS


def test_both_nodes_publish_their_figures(probe):
    topics = ("/segmentation_node/stats", "/pose_node/stats")
    probe.listen(*topics, "/diagnostics")
    probe.start_double("segmentation_node", "pose_node")

    def newest(topic):
        return probe.received[topic][-1]

    def measured():
        return all(
            probe.received[t] and newest(t).processed > 3 and newest(t).input_rate_hz > 0
            for t in topics
        )

    probe.wait_for(measured, "figures", every=lambda: probe.send(probe.messages(*scene())))
    segmentation, pose = (newest(topic) for topic in topics)
    assert (segmentation.node, pose.node) == ("/segmentation_node", "/pose_node")
    assert (segmentation.state, segmentation.backend) == ("running", "geometric")
    assert {"propose", "score", "total"} <= {stage.stage for stage in segmentation.stages}
    assert {"estimate", "refine", "total"} <= {stage.stage for stage in pose.stages}
    # the poses of an image come after its masks, and both after the image
    assert 0 < segmentation.age_median_ms < pose.age_median_ms < 20_000
    assert segmentation.age_median_ms <= segmentation.age_p95_ms
    assert segmentation.received >= segmentation.processed
    assert segmentation.memory_bytes > 30_000_000
    # the diagnostics follow on a topic of their own
    probe.wait_for(
        lambda: float(probe.diagnostics("/pose_node").get("age_ms", "nan")) > 0,
        "the age",
        every=lambda: probe.send(probe.messages(*scene())),
    )
