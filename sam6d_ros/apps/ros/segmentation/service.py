"""Segmentation on demand: the service ``~/segment`` on the newest frame of the camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.time import Time

from sam6d_ros.apps.ros.camera.input import CameraMessages
from sam6d_ros.apps.ros.conversions import stamp_ns_of, stamp_problem
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.on_demand import (
    Waiting,
    client_request,
    region_from,
    seconds_from,
)
from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.apps.ros.node.qos import SERVICES
from sam6d_ros.apps.ros.node.remote_errors import remote_text
from sam6d_ros.apps.ros.vision import VisionNode
from sam6d_ros.errors import InvalidInput, NotReady
from sam6d_ros.geometry.region import Region
from sam6d_ros.msg import InstanceMaskArray
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.srv import SegmentFrame

PARAMETERS = (
    Parameter(
        "request_timeout_s",
        60.0,
        "longest time until a call of ~/segment without a timeout is answered, seconds",
        read_only=False,
        limits=(0.1, 3600.0),
    ),
)

# (camera messages, names of objects or all, region or everywhere, engine, context) → masks; in the
# compute thread
Segment = Callable[
    [CameraMessages, Sequence[str] | None, Region | None, Engine, RunContext], InstanceMaskArray
]


class OnDemandSegmentation:
    """Service ``~/segment``.

    Args:
        node: that has the service and ``PARAMETERS``.
        segment: segments one frame.
    """

    def __init__(self, node: VisionNode, segment: Segment) -> None:
        self._node, self._segment = node, segment
        self._newest: tuple[CameraMessages, float] | None = None
        self._waiting = Waiting(node, node.service_group)
        node.create_service(
            SegmentFrame,
            topics.SEGMENT,
            self._answer,
            qos_profile=SERVICES,
            callback_group=node.service_group,
        )

    def add_frame(self, frame: CameraMessages) -> None:
        """Store the newest frame of the camera."""
        self._newest = (frame, time.monotonic())
        self._waiting.notify()

    def forget(self) -> None:
        """Drop the frame; requests that wait for one end: the node is inactive."""
        self._newest = None
        self._waiting.notify()

    async def _answer(
        self, request: SegmentFrame.Request, response: SegmentFrame.Response
    ) -> SegmentFrame.Response:
        """Segment the frame that fits the request; the response has the result or the error."""
        try:
            own_s = self._node.get_parameter("request_timeout_s").value
            timeout_s = seconds_from(request.timeout, when_zero=own_s)
            call = client_request(time.monotonic() + timeout_s)
            region = region_from(request.roi)
            names = self._node.names_of(request.class_ids)
            frame = await self._frame(request, min(timeout_s, topics.FRAME_TIMEOUT_S))
            if region is not None:
                region.check_inside((frame.camera_info.height, frame.camera_info.width))
            work = partial(self._segment, frame, names, region)
            segmentation = call.part(work, reason_of=lambda masks: str(masks.reason))
            response.masks = await self._node.awaitable(self._node.host.submit(segmentation))
            response.success = True
        except Exception as error:  # the boundary: the caller gets the reason, the node goes on
            self._node.status.log_error(error, f"{topics.SEGMENT} failed")
            response.message = remote_text(error)
        return response

    async def _frame(self, request: SegmentFrame.Request, timeout_s: float) -> CameraMessages:
        """The newest frame that is new enough, or the next one that is."""
        if problem := stamp_problem(request.newer_than):
            raise InvalidInput(f"newer_than: {problem}")
        newer_ns = Time.from_msg(request.newer_than).nanoseconds
        asked = time.monotonic()

        def fitting() -> CameraMessages | None:
            if self._newest is None:
                return None
            frame, arrived = self._newest
            if newer_ns:
                return frame if stamp_ns_of(frame.rgb.header) > newer_ns else None
            return frame if asked - arrived < topics.FRESH_S else None

        found: Any = await self._waiting.until(
            lambda: fitting() or not self._node.active, asked + timeout_s
        )
        if found is True:
            raise NotReady(self._node.inactive)
        if not found:
            raise NotReady(self._why_none(newer_ns, timeout_s))
        frame: CameraMessages = found
        return frame

    def _why_none(self, newer_ns: int, timeout_s: float) -> str:
        late = f" with a stamp after {1e-9 * newer_ns:.3f} s" if newer_ns else ""
        newest = (
            f"the newest is of {1e-9 * stamp_ns_of(self._newest[0].rgb.header):.3f} s"
            if self._newest
            else "there was none since the node was activated"
        )
        problem = self._node.status.snapshot().input_problem or "is the camera running?"
        return f"no frame{late} came within {timeout_s:g} s; {newest}. {problem}"
