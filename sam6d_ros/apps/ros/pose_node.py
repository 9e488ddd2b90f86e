"""``pose_node``: instance masks and the frame they belong to → poses, TF, markers, overlay."""

from __future__ import annotations

from sam6d_ros.apps.interrupts import end_process
from sam6d_ros.apps.ros.node.missing_ros import exit_without_ros

if __name__ == "__main__":
    exit_without_ros("pose_node")  # before the imports that need ROS 2

import logging
from collections.abc import Sequence
from dataclasses import replace

from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros import conversions, vision
from sam6d_ros.apps.ros.camera import input as camera_input
from sam6d_ros.apps.ros.camera.input import CameraInput, CameraMessages
from sam6d_ros.apps.ros.camera.watch import unpublished
from sam6d_ros.apps.ros.node import spin, topics
from sam6d_ros.apps.ros.node.base_frame import Transforms
from sam6d_ros.apps.ros.node.engine_turn import EngineTurn
from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.apps.ros.node.spec import EngineBuilder
from sam6d_ros.apps.ros.outputs import poses as pose_outputs
from sam6d_ros.apps.ros.outputs.classes import DatabaseInfo
from sam6d_ros.apps.ros.outputs.poses import PoseOutputs
from sam6d_ros.apps.ros.pose import motion
from sam6d_ros.apps.ros.pose.action import OnDemandServers
from sam6d_ros.apps.ros.pose.client import SegmentationClient
from sam6d_ros.apps.ros.pose.estimation import OnDemandEstimation, PoseSteps
from sam6d_ros.apps.ros.pose.motion import CameraMotion
from sam6d_ros.apps.ros.vision import VisionNode
from sam6d_ros.geometry.units import BYTES_PER_MB
from sam6d_ros.msg import InstanceMaskArray
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.build import build_engine
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.frame_store import FrameStore
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.types import Detections, Frame, PoseEstimates

Match = tuple[CameraMessages, InstanceMaskArray]

MAX_LISTED = 8  # names in one message
MAX_TOLD = 200  # unknown names that are kept: a peer may send new ones for ever

PARAMETERS = (
    *vision.PARAMETERS,
    *camera_input.PARAMETERS,
    Parameter(
        "min_score",
        -1.0,
        "poses that score lower are rejected; negative: the backend's default",
        read_only=False,
        limits=(-1.0, 1.0),
    ),
    Parameter(
        "frame_store_mb",
        256,
        "memory for frames whose segmentation has not begun, megabytes",
        limits=(8, 65536),
    ),
    Parameter(
        "max_masks",
        100,
        "most masks of one image whose poses are estimated, best scores first",
        limits=(1, 10000),
    ),
    *pose_outputs.PARAMETERS,
    *motion.PARAMETERS,
)


class PoseNode(VisionNode):
    """The second half of the pipeline, on topics."""

    follows_objects = True

    def __init__(
        self,
        build_engine: EngineBuilder = build_engine,
        cli_args: Sequence[str] | None = None,
        turn: EngineTurn | None = None,
    ) -> None:
        super().__init__("pose_node", "pose", PARAMETERS, build_engine, cli_args, turn)
        transforms = Transforms(self)
        self._outputs, self._database = PoseOutputs(self, transforms=transforms), DatabaseInfo(self)
        self._motion = CameraMotion(self, transforms)
        self._forget_frames()
        self._segmentation = SegmentationClient(self, self.service_group, self._on_masks)
        steps = PoseSteps(
            self._segmentation,
            self._frame_of,
            self.estimate,
            self._motion,
            self.acceptance,
            self.publish,
        )
        self._estimation = OnDemandEstimation(self, steps)
        self._servers = OnDemandServers(self, self.service_group, self.status, self._estimation)

    def open_inputs(self) -> None:
        """Subscribe to the camera and to the masks."""
        camera = CameraInput(self, self.status, self._on_frame, self._unfed)
        self.inputs.callback(camera.close)
        self._outputs.open()
        self.inputs.callback(self._outputs.close)
        self._motion.open()
        self.inputs.callback(self._motion.close)
        self.subscribe(InstanceMaskArray, topics.MASKS, self._segmentation.on_masks, RESULTS)
        in_work = topics.in_work(self.resolve_topic_name(topics.MASKS))
        self.subscribe(Header, in_work, self._on_in_work, RESULTS)

    def inputs_closed(self) -> None:
        """Drop the frames; goals that wait for one end."""
        self._forget_frames()
        self._estimation.notify()

    def objects_changed(self) -> None:
        """Make what is made once per object."""
        self._told_unknown: set[str] = set()
        self._outputs.update(self.objects)
        self._database.update(self.objects, self.backend, self.objects_file.in_force)

    def released(self) -> None:
        """Drop it."""
        self._outputs.update({})

    def _unfed(self) -> str:
        remedy = "start the segmentation node, or remap ~/masks to its topic of this name"
        return unpublished(self, "masks", remedy) or self._outputs.problem

    def _forget_frames(self) -> None:
        most_bytes = self.get_parameter("frame_store_mb").value * BYTES_PER_MB
        self._store: FrameStore[CameraMessages, InstanceMaskArray] = FrameStore(most_bytes)

    def _on_frame(self, frame: CameraMessages) -> None:
        stamp_ns, size = conversions.stamp_ns_of(frame.rgb.header), frame.size_bytes
        if match := self._store.add_frame(stamp_ns, frame, size):
            self._offer(match)
        self._estimation.notify()

    def _on_in_work(self, header: Header) -> None:
        self._store.announce(conversions.stamp_ns_of(header))

    def _on_masks(self, masks: InstanceMaskArray) -> None:
        self.status.serves_on_demand(False)
        if match := self._store.add_masks(conversions.stamp_ns_of(masks.header), masks):
            self._offer(match)
        elif self._store.unmatched:
            self.status.log(
                logging.WARNING,
                f"{self._store.unmatched} masks came without the frame they belong to: raise "
                "frame_store_mb, or the inputs' reliability, and give this node the same rgb "
                "topic as the segmentation node",
                key="unmatched",
            )

    def _frame_of(self, stamp_ns: int) -> CameraMessages | None:
        """The frame of a stamp, if it is here."""
        return self._store.find(stamp_ns)

    def _offer(self, match: Match) -> None:
        """Estimate the poses of the newest match; publish them with the colour image's header."""
        camera, masks = match

        def work(engine: Engine, ctx: RunContext) -> str:
            frame, poses = self.estimate(camera, masks, engine, ctx)
            with self.publishing(ctx):
                self.publish(frame, poses, camera.rgb.header)
            return poses.reason

        self.host.offer(work)

    def estimate(
        self, camera: CameraMessages, masks: InstanceMaskArray, engine: Engine, ctx: RunContext
    ) -> tuple[Frame, PoseEstimates]:
        """The frame, and the poses of what the masks show in it."""
        frame = conversions.frame_from_messages(*camera)
        detections = self._known(engine, self._detections(frame, masks))
        return frame, engine.estimate(frame, detections, self.acceptance(engine), ctx)

    def _detections(self, frame: Frame, masks: InstanceMaskArray) -> Detections:
        """The masks of a frame, at most ``max_masks``: each costs time."""
        most, count = self.get_parameter("max_masks").value, len(masks.instances)
        if count > most:
            text = f"{count} masks came of one image; the {most} of the best scores are used"
            self.status.log(logging.WARNING, f"{text} (max_masks)", key="max_masks")
        return conversions.detections_from_masks(masks, frame.depth.shape, most)

    def acceptance(self, engine: Engine) -> Acceptance:
        """The engine's limits with this node's threshold, if it has one."""
        min_score = self.get_parameter("min_score").value
        acceptance = super().acceptance(engine)
        return acceptance if min_score < 0 else replace(acceptance, min_score=min_score)

    def _known(self, engine: Engine, detections: Detections) -> Detections:
        """Return the masks of registered objects; log the others once."""
        loaded = self.objects.keys() & engine.objects.keys()
        unknown = {found.class_id for found in detections.items} - loaded
        if not unknown:
            return detections
        listed = ", ".join(f"{name:.80}" for name in sorted(unknown)[:MAX_LISTED])
        more = f" and {len(unknown) - MAX_LISTED} more" if len(unknown) > MAX_LISTED else ""
        text = f"masks come of objects that are not loaded here: {listed}{more}"
        if unknown - self._told_unknown and len(self._told_unknown) < MAX_TOLD:
            self.get_logger().warning(
                f"{text}. Remap ~/follow_objects to the segmentation node's ~/objects, or give "
                "both nodes the same objects_file"
            )
            self._told_unknown |= unknown
        kept = tuple(found for found in detections.items if found.class_id in loaded)
        return Detections(kept, "" if kept else text)

    def publish(
        self, frame: Frame, poses: PoseEstimates, header: Header, complete: bool = True
    ) -> Detection3DArray:
        """Publish poses with their colour image's header; return the detections."""
        message = self._outputs.publish(frame, poses, header, complete)
        self.published(header, poses.scores if complete else None)
        return message

    def destroy_node(self) -> None:
        """The action server too, which is no part of a node to rclpy."""
        self.stop()
        self._servers.destroy()
        super().destroy_node()


def main(args: Sequence[str] | None = None, build_engine: EngineBuilder = build_engine) -> int:
    """Entry point of the executable."""
    return spin.run([lambda: PoseNode(build_engine)], args)


if __name__ == "__main__":
    end_process(main())
