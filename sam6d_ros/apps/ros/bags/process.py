"""A recorded camera through the engine, without a graph, into a bag of results."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.bags.definitions import type_name_of
from sam6d_ros.apps.ros.bags.frames import CameraSet, FrameSource
from sam6d_ros.apps.ros.bags.reader import BagReader, Topic
from sam6d_ros.apps.ros.bags.writer import BagWriter
from sam6d_ros.apps.ros.camera.input import CameraMessages
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.errors import InvalidBag, InvalidInput
from sam6d_ros.frames.bags.topics import CameraTopics
from sam6d_ros.msg import InstanceMaskArray
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.types import Frame, PoseEstimates, Scene

log = logging.getLogger(__name__)

# The names and the QoS that the nodes have, so that the bag looks like a recording of them.
MASKS = topics.of_node("segmentation_node", topics.MASKS)
POSES = topics.of_node("pose_node", topics.DETECTIONS)
TF = "/tf"
RESULT_TOPICS = {
    MASKS: (InstanceMaskArray, RESULTS),
    POSES: (Detection3DArray, RESULTS),
    TF: (TFMessage, QoSProfile(depth=100)),
}


@dataclass(frozen=True)
class Result:
    """One frame and its poses."""

    frame: Frame
    poses: PoseEstimates


class OfflineRun:
    """Runs the engine on every n-th frame of a bag and writes what the nodes would publish.

    A frame that cannot be used is counted by its reason in ``bad``, one that the engine breaks on
    in ``failed``; both give no message, and the run goes on.

    Args:
        every: 1 uses all frames, 2 every other one, …
        slop_s: largest difference of paired stamps; 0 pairs equal stamps only.
        keep_input: copy all topics of the bag into the result.
        tf_prefix: put before every TF child frame's name.
    """

    def __init__(
        self,
        bag: BagReader,
        camera: CameraTopics,
        engine: Engine,
        writer: BagWriter,
        *,
        every: int = 1,
        slop_s: float = 0.02,
        keep_input: bool = False,
        tf_prefix: str = "",
    ) -> None:
        self._bag, self._engine, self._writer = bag, engine, writer
        self._every, self._tf_prefix = every, tf_prefix
        self.source = FrameSource(camera, slop_s)
        self.source.look_ahead(bag)
        self._copied = begin_topics(bag, writer) if keep_input else frozenset()
        for name, (kind, offer) in RESULT_TOPICS.items():
            if not writer.has_topic(name):
                writer.add_topic(name, type_name_of(kind), [offer])
        self._read = {*camera.all(), *self._copied}
        self.messages = sum(topic.count for topic in self._read)
        self.sets = self.used = 0
        self._told: set[str] = set()
        self.bad: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def results(self, stopped: Callable[[], bool], advance: Callable[[], None]) -> Iterator[Result]:
        """Write the results into the bag, and yield them; call ``advance`` for each message read.

        Yields:
            Result of each frame.

        Raises:
            InvalidBag: the bag is damaged from here on.
        """
        for recorded in self._bag.messages(self._read):
            if stopped():
                return
            if recorded.topic in self._copied:
                self._writer.write_raw(recorded.topic.name, recorded.time_ns, recorded.data)
            yield from self._used(self.source.feed(recorded))
            advance()
        yield from self._used(self.source.rest())

    def _used(self, cameras: Iterable[CameraSet]) -> Iterator[Result]:
        """The results of every n-th set."""
        for camera in cameras:
            self.sets += 1
            if (self.sets - 1) % self._every == 0 and (result := self._try(camera)):
                yield result

    def _try(self, camera: CameraSet) -> Result | None:
        self.used += 1
        try:
            return self._run(camera)
        except InvalidInput as error:
            self.bad[str(error)] += 1
        except Exception as error:  # hours of results are worth more than an early stop
            log.exception("pose estimation failed for the frame with stamp %d ns", camera.time_ns)
            self.failed[f"{type(error).__name__}: {error}"] += 1
        return None

    def _run(self, camera: CameraSet) -> Result:
        """The same steps as in the two nodes."""
        header = camera.messages.rgb.header
        for warning in plausibility_warnings(camera.messages):
            if warning not in self._told:
                log.warning("%s", warning)
                self._told.add(warning)
        frame = conversions.frame_from_messages(*camera.messages)
        ctx = RunContext()
        with ctx.timings.measure("total"):
            scene = Scene(frame)
            detections = self._engine.segment(scene, ctx=ctx)
            poses = self._engine.estimate(scene, detections, ctx=ctx)
        poses = poses.with_timings(ctx.timings.seconds)
        masks = conversions.masks_from_detections(detections, header, frame.depth.shape)
        boxes = conversions.detection_3d_array(poses, header, self._engine.objects)
        transforms = conversions.transforms_from_poses(poses, header, self._tf_prefix)
        self._writer.write(MASKS, camera.time_ns, masks)
        self._writer.write(POSES, camera.time_ns, boxes)
        if transforms:
            self._writer.write(TF, camera.time_ns, TFMessage(transforms=transforms))
        return Result(frame, poses)


def plausibility_warnings(camera: CameraMessages) -> Iterator[str]:
    """Yield warnings about a frame that is used all the same."""
    if warning := conversions.distortion_warning(camera.camera_info):
        yield warning
    here, there = camera.rgb.header.frame_id, camera.depth.header.frame_id
    if here != there:
        yield (
            f"depth is in frame {there!r} but rgb in {here!r}: unless it is registered to colour "
            "and only named otherwise, the poses are wrong; choose another --depth-topic"
        )


def begin_topics(bag: BagReader, writer: BagWriter) -> frozenset[Topic]:
    """Create the topics of a bag in its copy; log and leave out those that cannot be copied.

    Results of an earlier run are replaced; transforms are added to.

    Returns:
        The copied topics.
    """
    copied = set()
    for topic in bag.topics:
        try:
            _copy_topic(writer, topic)
        except InvalidBag as error:
            log.warning("topic %s is not copied: %s", topic.name, error)
        else:
            copied.add(topic)
    return frozenset(copied)


def _copy_topic(writer: BagWriter, topic: Topic) -> None:
    if topic.name in RESULT_TOPICS and topic.name != TF:
        raise InvalidBag("its new results replace it")
    writer.copy_topic(topic)
