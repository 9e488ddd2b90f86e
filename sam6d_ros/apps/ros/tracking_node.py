"""``tracking_node``: what the pose node finds now and then, followed in every frame."""

from __future__ import annotations

from collections.abc import Sequence

from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros import camera_input, conversions, engines, pose_outputs, spin, vision_node
from sam6d_ros.apps.ros.camera_input import CameraInput, CameraMessages
from sam6d_ros.apps.ros.camera_watch import unpublished
from sam6d_ros.apps.ros.detections import known_poses
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.apps.ros.object_topics import DatabaseInfo
from sam6d_ros.apps.ros.parameters import Parameter, group, values_of
from sam6d_ros.apps.ros.pose_outputs import PoseOutputs
from sam6d_ros.apps.ros.vision_node import VisionNode
from sam6d_ros.config import PipelineConfig, TrackingConfig
from sam6d_ros.errors import InvalidInput
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.tracking import TrackedObjects
from sam6d_ros.types import PoseEstimates

TRACKING = {
    "min_score": ("a frame confirms an instance whose pose there scores at least this", (0, 1)),
    "hold_s": ("how long an instance is held that no frame confirms (hidden), seconds", (0, 3600)),
    "remember_s": (
        "how long after its loss an instance gets its id back when found again, seconds",
        (0, 3600),
    ),
    "remember_radius": (
        "how near to its last place it must then be, in diameters of the object",
        (0, 100),
    ),
    "max_missed": (
        "estimates in a row without an instance in plain view until it is lost; 0 keeps it",
        (0, 1000),
    ),
    "buffer_s": ("how old an estimate may be to be followed to the newest frame, seconds", (0, 60)),
    "buffer_hz": ("frames per second that are kept for that", (0.1, 60)),
}
TRACKING_PARAMETERS = group("tracking", TrackingConfig, TRACKING)
PARAMETERS = (
    *vision_node.WITHOUT_STAGES,
    *camera_input.PARAMETERS,
    *pose_outputs.PARAMETERS,
    *TRACKING_PARAMETERS,
    Parameter(
        "view_rate_hz", 5.0, "most markers and overlays per second, for viewers", limits=(0.1, 1000)
    ),
)


class TrackingNode(VisionNode[CameraMessages]):
    """Follows every instance from frame to frame, under an id that stays."""

    follows_objects = True

    def __init__(
        self,
        build_engine: engines.EngineBuilder = engines.build,
        cli_args: Sequence[str] | None = None,
    ) -> None:
        super().__init__("tracking_node", "tracking", PARAMETERS, build_engine, cli_args)
        self._outputs = PoseOutputs(self, self.get_parameter("view_rate_hz").value)
        self._database = DatabaseInfo(self)
        self._tracked: TrackedObjects | None = None
        self._frame_id = ""

    def pipeline_config(self) -> PipelineConfig:
        """Tracking is the same with every backend."""
        return PipelineConfig(backend="geometric")

    def open_inputs(self) -> None:
        """Listen to the camera and to the estimates."""
        self._input = CameraInput(self, self.status, self.submit, self._unfed)
        self._estimates = self.create_subscription(
            Detection3DArray, topics.ESTIMATES, self._on_estimates, RESULTS
        )

    def close_inputs(self) -> None:
        """Listen no more, and forget what was followed: it may be elsewhere later."""
        self._input.close()
        self.destroy_subscription(self._estimates)
        if self._tracked is not None:
            self._tracked.reset()
        self.status.tracked_objects = 0

    def _unfed(self) -> str:
        remedy = "start a pose node, or remap ~/estimates to its detections"
        return unpublished(self, "estimates", remedy)

    def objects_changed(self) -> None:
        """Follow instances of the new set of objects; those of unchanged ones go on."""
        self._outputs.update(self.objects)
        self._database.update(self.objects, self.engine.backend, self.objects_file)
        if self._tracked is None:
            config = TrackingConfig(**values_of(self, "tracking"))
            # It outlives the engine, so that no name is given twice.
            self._tracked = TrackedObjects(
                lambda frame, poses: self.engine.track(frame, poses), lambda: self.objects, config
            )

    def released(self) -> None:
        """Forget all of it."""
        if self._tracked is not None:
            self._tracked.reset()
        self._outputs.update({})

    def process(self, item: CameraMessages, ctx: RunContext) -> str:
        """Follow all instances into one frame and publish them with the colour image's header."""
        tracked, header = self._tracked, item.rgb.header
        assert tracked is not None  # the mailbox is open only while configured
        with ctx.timings.measure("convert"):
            frame = conversions.frame_from_messages(*item)
        with ctx.timings.measure("track"):
            poses = tracked.step(frame)
        with ctx.timings.measure("publish"):
            self._outputs.publish(frame, poses, header)
        self.published(header)
        self._frame_id = frame.frame_id
        self.status.tracked_objects = tracked.counts.tracked
        return poses.reason

    def _on_estimates(self, message: Detection3DArray) -> None:
        """Have them taken in before the next frame."""
        self._worker.call(lambda: self._correct(message))

    def _correct(self, message: Detection3DArray) -> None:
        if self._tracked is None or not self.active:
            return
        try:
            self._tracked.correct(self._poses_of(message))
        except Exception as error:  # the boundary: see status.ERROR_TABLE
            self.status.failed(error)

    def _poses_of(self, message: Detection3DArray) -> PoseEstimates:
        """The estimates of known objects.

        Raises:
            InvalidInput: they are in the frame of another camera, or are no poses.
        """
        frame_id = message.header.frame_id
        if self._frame_id and frame_id != self._frame_id:
            raise InvalidInput(
                f"estimates are in frame {frame_id!r} but the images in {self._frame_id!r}: remap "
                "~/estimates to a pose node of the same camera"
            )
        items, _ = known_poses(message, self.objects, self.status)
        return PoseEstimates(tuple(items), conversions.stamp_ns_of(message.header), frame_id)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable."""
    return spin.run([TrackingNode], args)


if __name__ == "__main__":
    raise SystemExit(main())
