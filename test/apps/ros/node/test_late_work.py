"""Work that a deactivation interrupts: it publishes nothing, also after another activation."""

import importlib
from dataclasses import dataclass
from typing import Any

import pytest
from geometry_msgs.msg import PoseArray
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import QoSProfile
from std_msgs.msg import Header
from support.ros import engine_double
from support.ros.probe import scene
from support.ros.spun import PATIENCE_S, Barrier, arguments, await_that, camera_messages, spun
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.apps.ros.grasp_node import GraspNode
from sam6d_ros.apps.ros.objects.known_poses import known_poses
from sam6d_ros.apps.ros.pose_node import PoseNode
from sam6d_ros.apps.ros.segmentation_node import SegmentationNode
from sam6d_ros.apps.ros.tracking_node import TrackingNode
from sam6d_ros.msg import GraspArray, InstanceMaskArray
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.objects import ObjectChange, apply_change
from sam6d_ros.types import Detection, Detections, PoseEstimates

EARLY, LATE = 10**9, 2 * 10**9
CONVERSION = "sam6d_ros.apps.ros.conversions.frame_from_messages"


class Tracker:
    def prepare(self, model):
        """Nothing to prepare."""

    def track(self, scene, poses, objects):
        return PoseEstimates((), scene.frame.stamp_ns, scene.frame.frame_id)


def build_tracker(spec):
    engine = Engine(spec.config, spec.cache_dir, spec.role, backend="geometric", tracker=Tracker())
    apply_change(engine, ObjectChange.only(engine_double.models()))
    return engine


def show(node, stamp_ns):
    """Have a camera frame come."""
    node._on_frame(camera_messages(stamp_ns))


def show_with_masks(node, stamp_ns):
    """Have a camera frame and the mask of its red square come."""
    camera, (rgb, depth) = camera_messages(stamp_ns), scene()
    found = Detections((Detection("red_box", 0.5, (rgb == (255, 0, 0)).all(-1)),))
    header = camera.rgb.header
    node._offer((camera, conversions.masks_from_detections(found, header, depth.shape)))


def detect(node, stamp_ns):
    """Have detections of a frame come."""
    node._on_detections(Detection3DArray(header=conversions.header_from(stamp_ns, "camera")))


@dataclass
class Case:
    """A node, its input, the function in which its work is held, and topics with its results."""

    node: type
    build: Any
    feed: Any
    held: str
    topics: dict


CASES = [
    Case(
        SegmentationNode,
        engine_double.build,
        show,
        CONVERSION,
        {
            "~/masks": InstanceMaskArray,
            "~/masks/in_work": Header,
            "~/detections": Detection2DArray,
        },
    ),
    Case(
        PoseNode,
        engine_double.build,
        show_with_masks,
        CONVERSION,
        {"~/detections": Detection3DArray, "~/poses/red_box": PoseArray, "/tf": TFMessage},
    ),
    Case(
        TrackingNode,
        build_tracker,
        show,
        CONVERSION,
        {"~/detections": Detection3DArray, "~/poses/red_box": PoseArray},
    ),
    Case(
        GraspNode,
        engine_double.build,
        detect,
        "sam6d_ros.apps.ros.grasp_node.known_poses",
        {"~/grasps": GraspArray},
    ),
]


@pytest.fixture(params=CASES, ids=lambda case: case.node.__name__)
def held(request, monkeypatch):
    """(case, active node, barrier, stamps by topic); one frame is in progress and held."""
    case, barrier = request.param, Barrier()
    with spun(lambda: case.node(case.build, cli_args=arguments())) as node:
        stamps = {topic: [] for topic in case.topics}
        for topic, kind in case.topics.items():
            node.create_subscription(kind, topic, listener(stamps[topic]), QoSProfile(depth=100))
        assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS
        activate(node)
        await_that(lambda: all(map(node.count_publishers, case.topics)), "the publishers")
        module, _, name = case.held.rpartition(".")
        function = getattr(importlib.import_module(module), name)
        monkeypatch.setattr(case.held, barrier.before(function))
        case.feed(node, EARLY)
        barrier.await_reached()
        yield case, node, barrier, stamps
        barrier.go_on.set()


def listener(stamps):
    def listen(message):
        headers = [t.header for t in getattr(message, "transforms", [])]
        headers = headers or [message if isinstance(message, Header) else message.header]
        stamps.extend(map(stamp_ns_of, headers))

    return listen


def activate(node):
    assert node.trigger_activate() is TransitionCallbackReturn.SUCCESS


def deactivate(node):
    assert node.trigger_deactivate() is TransitionCallbackReturn.SUCCESS


def check_only_late(case, node, stamps):
    """A later frame is published, and the early one was not."""
    case.feed(node, LATE)
    await_that(lambda: all(stamps.values()), "the late frame")
    assert all(set(found) == {LATE} for found in stamps.values())
    assert not node.status.snapshot().last_error


def test_work_of_before_a_deactivation_is_not_published_after_the_next_activation(held):
    case, node, barrier, stamps = held
    deactivate(node)
    activate(node)
    barrier.go_on.set()
    check_only_late(case, node, stamps)


def test_work_that_ends_while_the_node_is_inactive_is_not_published(held):
    case, node, barrier, stamps = held
    deactivate(node)
    barrier.go_on.set()
    node.host.change(ObjectChange()).result(PATIENCE_S)  # in the compute thread, after the frame
    activate(node)
    check_only_late(case, node, stamps)


def test_work_of_before_a_cleanup_is_not_published(held):
    case, node, barrier, stamps = held
    deactivate(node)
    barrier.go_on.set()
    assert node.trigger_cleanup() is TransitionCallbackReturn.SUCCESS
    assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS
    activate(node)
    check_only_late(case, node, stamps)


def test_a_deactivation_waits_for_the_publication_in_progress(held, monkeypatch):
    """So that nothing is published once the transition is answered."""
    _, node, barrier, stamps = held
    publishing, published = Barrier(), node.published
    monkeypatch.setattr(node, "published", publishing.before(published))
    barrier.go_on.set()
    publishing.await_reached()
    transition = node.slow_calls.start(node.trigger_deactivate)
    await_that(lambda: not node.active, "the begin of the deactivation")
    assert not transition.done()
    publishing.go_on.set()
    assert transition.result(PATIENCE_S) is TransitionCallbackReturn.SUCCESS
    await_that(lambda: all(stamps.values()), "the frame")


def test_work_of_before_a_deactivation_reports_no_missing_transform(monkeypatch):
    barrier = Barrier()
    monkeypatch.setattr("sam6d_ros.apps.ros.grasp_node.known_poses", barrier.before(known_poses))
    given = arguments(base_frame="base", tf_timeout_s="0.0")
    with spun(lambda: GraspNode(engine_double.build, cli_args=given)) as node:
        assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS
        activate(node)
        detect(node, EARLY)
        barrier.await_reached()
        deactivate(node)
        barrier.go_on.set()
        node.host.change(ObjectChange()).result(PATIENCE_S)  # in the compute thread, after the work
        assert node.status.snapshot().input_problem == ""
