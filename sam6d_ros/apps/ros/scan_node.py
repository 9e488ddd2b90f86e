"""``scan_node``: frames of a camera around an object → its mesh and objects file."""

from __future__ import annotations

from sam6d_ros.apps.interrupts import end_process
from sam6d_ros.apps.ros.node.missing_ros import exit_without_ros

if __name__ == "__main__":
    exit_without_ros("scan_node")  # before the imports that need ROS 2

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from std_msgs.msg import String
from std_srvs.srv import Trigger

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.camera import input as camera_input
from sam6d_ros.apps.ros.camera.input import CameraInput, CameraMessages
from sam6d_ros.apps.ros.node import lifecycle, spin, topics
from sam6d_ros.apps.ros.node.base_frame import TF_TIMEOUT, BaseFrame
from sam6d_ros.apps.ros.node.lifecycle import ManagedNode
from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.apps.ros.node.qos import LATCHED, SERVICES
from sam6d_ros.apps.ros.node.status_outputs import StatusOutputs
from sam6d_ros.apps.ros.segmentation.schedule import RateLimit
from sam6d_ros.errors import NotReady, Sam6dError
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.error_table import message_of
from sam6d_ros.runtime.request import Request
from sam6d_ros.runtime.resource_host import ResourceHost
from sam6d_ros.scan.live import LiveScan, Pass, ScanRequest
from sam6d_ros.scan.open3d_module import open3d
from sam6d_ros.scan.region import DEFAULT_RADIUS_M

FIXED_FRAME = "fixed_frame"
PARAMETERS = (
    *lifecycle.PARAMETERS,
    *camera_input.PARAMETERS,
    Parameter("object_name", "object", "name of the scanned object", read_only=False),
    Parameter(
        "output_folder",
        "scan",
        "folder of the results; each ~/start takes a new one below it",
        read_only=False,
    ),
    Parameter(
        "scan_rate_hz",
        5.0,
        "most frames that are recorded per second",
        read_only=False,
        limits=(0.1, 60.0),
    ),
    Parameter("max_frames", 400, "frames after which recording ends", limits=(8, 5000)),
    Parameter(
        FIXED_FRAME,
        "",
        "TF frame in which the object is at rest, for the motion of the camera; empty: from the "
        "board or the scene",
    ),
    TF_TIMEOUT,
    Parameter(
        "board", "", "printed board such as 9x6:30 (COLSxROWS:MM); empty: none", read_only=False
    ),
    Parameter(
        "radius_m",
        DEFAULT_RADIUS_M,
        "radius of the circle in which the object stands, metres",
        read_only=False,
        limits=(0.01, 2.0),
    ),
)


@dataclass(frozen=True)
class Library:
    """Open3D, with what diagnostics show of it."""

    backend: str = "open3d"
    device: str = "cpu"


class ScanNode(ManagedNode):
    """Recorder of an object, between ``~/start`` and ``~/stop``."""

    host: ResourceHost[Library, object]

    def __init__(self, cli_args: Sequence[str] | None = None) -> None:
        super().__init__("scan_node", PARAMETERS, cli_args)
        self.host = ResourceHost(_library, None, self.status, name=self.status.name)
        self._progress = self.create_publisher(String, topics.PROGRESS, LATCHED)
        self._outputs, self._limit = StatusOutputs(self), RateLimit()
        self._fixed = BaseFrame(self, self.status, lambda _: None, parameter=FIXED_FRAME)
        self._scan: LiveScan | None = None
        services = {
            topics.START: self._on_start,
            topics.TURN: self._on_turn,
            topics.STOP: self._on_stop,
        }
        for name, callback in services.items():
            self.create_service(
                Trigger, name, callback, qos_profile=SERVICES, callback_group=self.service_group
            )

    def load(self) -> None:
        """Import Open3D."""
        self.host.load().result()

    def open_inputs(self) -> None:
        """Listen to the camera and to TF."""
        camera = CameraInput(self, self.status, self._on_frame)
        self.inputs.callback(camera.close)
        self._fixed.open()
        self.inputs.callback(self._fixed.close)

    def inputs_closed(self) -> None:
        """Give up a recording; its frames stay on disk."""
        self._scan = None

    def _on_frame(self, camera: CameraMessages) -> None:
        self.status.stats.receive()
        scan, rate_hz = self._scan, self.get_parameter("scan_rate_hz").value
        if scan is None or scan.is_full or not self._limit.take(rate_hz, time.monotonic()):
            return self.status.stats.skip()
        try:
            one = scan.current
            self.host.submit(Request(lambda _, ctx: self._record(one, camera, ctx)))
        except Sam6dError as error:  # the disk is slower than the camera, or a scan is being made
            self.status.log(logging.WARNING, f"a frame is left out: {error}", key="frames")

    def _on_start(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            if not self.active:
                remedy = "wait for ~/ready, or activate it first"
                raise NotReady(f"{self.status.name} is {self.lifecycle}: {remedy}")
            self._scan = LiveScan(self._wanted())
            response.success, response.message = True, f"recording into {self._scan.folder}"
            self._report("recording: 0 frames")
        except Exception as error:  # the boundary: the caller gets the reason, the node goes on
            self.status.log_error(error, f"{topics.START} failed")
            response.message = message_of(error)
        return response

    def _on_turn(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            if self._scan is None:
                raise NotReady(f"nothing is recorded; call {topics.START} first")
            self._scan.turn()
            response.success = True
            response.message = f"recording the turned object into {self._scan.current.folder}"
            self._report("recording: 0 frames")
        except Exception as error:  # the boundary, as above
            self.status.log_error(error, f"{topics.TURN} failed")
            response.message = message_of(error)
        return response

    async def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        scan, self._scan = self._scan, None
        try:
            if scan is None:
                raise NotReady(f"nothing is recorded; call {topics.START} first")
            making: Request[str] = Request(lambda _, ctx: self._make(scan, ctx), is_frame=False)
            response.message = await self.awaitable(self.host.submit(making))
            response.success = True
        except Exception as error:  # the boundary, as above
            self.status.log_error(error, f"{topics.STOP} failed")
            response.message = message_of(error)
        self._report(f"done: {response.message}" if response.success else response.message)
        return response

    def _wanted(self) -> ScanRequest:
        value = {row.name: self.get_parameter(row.name).value for row in PARAMETERS}
        return ScanRequest(
            value["object_name"],
            Path(value["output_folder"]).expanduser(),
            value["max_frames"],
            value["board"],
            value["radius_m"],
            bool(value[FIXED_FRAME]),
        )

    def _report(self, text: str) -> None:
        self._progress.publish(String(data=text))

    # --- in the compute thread

    def _record(self, one: Pass, camera: CameraMessages, ctx: RunContext) -> None:
        """Write one frame, with the pose of its camera from TF if that is wanted."""
        header = camera.rgb.header
        place = self._fixed.located(header) if self._fixed.name else None
        one.add(conversions.frame_from_messages(*camera), place)
        with self.publishing(ctx):
            self._report(f"recording: {len(one)} frames")
            self._outputs.published(header)

    def _make(self, scan: LiveScan, ctx: RunContext) -> str:
        """Make the model; return a sentence about it."""

        def progress(stage: str, done: int, count: int) -> None:
            ctx.checkpoint()
            self._report(f"{stage}: {done} of {count} frames")

        return scan.make(progress)


def _library() -> Library:
    open3d()
    return Library()


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable."""
    return spin.run([ScanNode], args)


if __name__ == "__main__":
    end_process(main())
