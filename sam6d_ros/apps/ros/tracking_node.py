"""``tracking_node``: what the pose node finds now and then, followed in every frame."""

from __future__ import annotations

from sam6d_ros.apps.interrupts import end_process
from sam6d_ros.apps.ros.node.missing_ros import exit_without_ros

if __name__ == "__main__":
    exit_without_ros("tracking_node")  # before the imports that need ROS 2

import logging
from collections.abc import Sequence
from concurrent.futures import Future

from rclpy.parameter import Parameter as RosParameter
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros import conversions, vision
from sam6d_ros.apps.ros.camera import input as camera_input
from sam6d_ros.apps.ros.camera.input import CameraInput, CameraMessages
from sam6d_ros.apps.ros.camera.watch import unpublished
from sam6d_ros.apps.ros.node import spin, topics
from sam6d_ros.apps.ros.node.base_frame import Transforms
from sam6d_ros.apps.ros.node.parameters import Parameter, group, values_of
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.apps.ros.node.spec import EngineBuilder
from sam6d_ros.apps.ros.objects.known_poses import known_poses
from sam6d_ros.apps.ros.outputs import buffer as buffer_outputs
from sam6d_ros.apps.ros.outputs import poses as pose_outputs
from sam6d_ros.apps.ros.outputs.buffer import BufferOutputs
from sam6d_ros.apps.ros.outputs.classes import DatabaseInfo
from sam6d_ros.apps.ros.outputs.poses import PoseOutputs
from sam6d_ros.apps.ros.vision import VisionNode
from sam6d_ros.config import PipelineConfig, TrackingConfig
from sam6d_ros.errors import InvalidInput, InvariantError, Overloaded
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.build import build_engine
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.request import Request
from sam6d_ros.runtime.results import Wording
from sam6d_ros.runtime.tracking.tracks import TrackedObjects, TrackFunction
from sam6d_ros.types import PoseEstimates

TRACKING = {
    "confirm_score": ("a frame confirms an instance whose pose there scores at least this", (0, 1)),
    "coast_s": ("how long an instance coasts that no frame confirms (hidden), seconds", (0, 3600)),
    "reidentify_s": (
        "how long after its loss an instance can be re-identified, with its id, seconds",
        (0, 3600),
    ),
    "reidentify_radius": (
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
# Memory is planned with these.
AT_START = ("buffer_s", "buffer_hz")
TRACKING_PARAMETERS = group("tracking", TrackingConfig, TRACKING, AT_START)
PARAMETERS = (
    *vision.WITHOUT_STAGES,
    *camera_input.PARAMETERS,
    *pose_outputs.PARAMETERS,
    *TRACKING_PARAMETERS,
    *buffer_outputs.PARAMETERS,
    Parameter(
        "view_rate_hz",
        5.0,
        "most markers and overlays per second, for viewers",
        read_only=False,
        limits=(0.1, 1000),
    ),
)


class TrackingNode(VisionNode):
    """Follows every instance from frame to frame, under an id that stays."""

    follows_objects = True

    def __init__(
        self,
        build_engine: EngineBuilder = build_engine,
        cli_args: Sequence[str] | None = None,
    ) -> None:
        super().__init__("tracking_node", "tracking", PARAMETERS, build_engine, cli_args)
        self.status.results.wording = Wording("followed", "lost")
        transforms = Transforms(self)
        self._outputs = PoseOutputs(
            self, lambda: self.get_parameter("view_rate_hz").value, transforms
        )
        self._buffer = BufferOutputs(self, transforms)
        self._database = DatabaseInfo(self)
        self._tracked: TrackedObjects | None = None
        self._follow: TrackFunction = _no_engine
        self._frame_id = ""

    def pipeline_config(self) -> PipelineConfig:
        """Tracking is the same with every backend."""
        return PipelineConfig(backend="geometric")

    def follow_changes(self, changes: Sequence[RosParameter]) -> None:
        """Put other thresholds in force too."""
        super().follow_changes(changes)
        if self._tracked is not None:
            self._tracked.configure(TrackingConfig(**values_of(self, "tracking")))

    def open_inputs(self) -> None:
        """Subscribe to the camera and to the estimates."""
        camera = CameraInput(self, self.status, self._on_frame, self._unfed)
        self.inputs.callback(camera.close)
        self._outputs.open()
        self.inputs.callback(self._outputs.close)
        self._buffer.open()
        self.inputs.callback(self._buffer.close)
        self.subscribe(Detection3DArray, topics.ESTIMATES, self._on_estimates, RESULTS)

    def inputs_closed(self) -> None:
        """Drop the tracks: their objects may be elsewhere later."""
        if self._tracked is not None:
            self._tracked.reset()
        self.status.tracking(0)

    def _unfed(self) -> str:
        remedy = "start a pose node, or remap ~/estimates to its detections"
        return unpublished(self, "estimates", remedy) or self._outputs.problem

    def objects_changed(self) -> None:
        """Follow instances of the new set of objects; those of unchanged ones go on."""
        self._outputs.update(self.objects)
        self._database.update(self.objects, self.backend, self.objects_file.in_force)
        if self._tracked is None:
            config = TrackingConfig(**values_of(self, "tracking"))
            # It outlives the engine, so that no name is given twice.
            self._tracked = TrackedObjects(
                lambda frame, poses: self._follow(frame, poses), lambda: self.objects, config
            )

    def released(self) -> None:
        """Drop all of it."""
        self._follow = _no_engine
        if self._tracked is not None:
            self._tracked.reset()
        self._outputs.update({})

    def _on_frame(self, camera: CameraMessages) -> None:
        """Follow all instances into the newest frame; publish them with its colour header."""

        def work(engine: Engine, ctx: RunContext) -> str:
            tracked, self._follow = self._all_tracked(), engine.track
            with ctx.timings.measure("convert"):
                frame = conversions.frame_from_messages(*camera)
            with self.publishing(ctx):  # the tracks too: those of a later activation begin anew
                with ctx.timings.measure("track"):
                    poses = tracked.step(frame)
                with ctx.timings.measure("publish"):
                    self._outputs.publish(frame, poses, camera.rgb.header)
                    self._buffer.publish(frame, poses, camera.rgb.header, self.objects)
                self.published(camera.rgb.header, poses.scores)
                self._frame_id = frame.frame_id
                self.status.tracking(tracked.counts.tracked)
            return poses.reason

        self.host.offer(work)

    def _on_estimates(self, message: Detection3DArray) -> None:
        """Take them in before the next frame."""

        def work(engine: Engine, ctx: RunContext) -> None:
            self._follow = engine.track
            with self.publishing(ctx):
                self._all_tracked().correct(self._poses_of(message))

        taken = self.host.submit(Request(work, is_frame=False))
        taken.add_done_callback(self._report_refusal)

    def _report_refusal(self, taken: Future[None]) -> None:
        """Log estimates that the host did not admit; it has reported every other error."""
        if isinstance(error := taken.exception(), Overloaded):
            self.status.log(logging.WARNING, f"estimates are lost: {error}", key="estimates")

    def _all_tracked(self) -> TrackedObjects:
        assert self._tracked is not None  # made with the first engine
        return self._tracked

    def _poses_of(self, message: Detection3DArray) -> PoseEstimates:
        """Return the estimates of registered objects.

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


def _no_engine(*_: object) -> PoseEstimates:
    """Stand for ``Engine.track`` between two engines."""
    raise InvariantError("a frame was followed without an engine")


def main(args: Sequence[str] | None = None, build_engine: EngineBuilder = build_engine) -> int:
    """Entry point of the executable."""
    return spin.run([lambda: TrackingNode(build_engine)], args)


if __name__ == "__main__":
    end_process(main())
