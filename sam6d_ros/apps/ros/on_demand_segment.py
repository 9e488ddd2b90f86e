"""When the segmentation node works: on the newest frame, at a limited rate, or when asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rclpy.time import Time

from sam6d_ros.apps.ros.camera_input import CameraMessages
from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.on_demand import (
    Unavailable,
    Waiting,
    inactive,
    names_from,
    region_from,
    seconds_from,
)
from sam6d_ros.apps.ros.parameters import Parameter
from sam6d_ros.apps.ros.vision_node import VisionNode
from sam6d_ros.errors import Sam6dError
from sam6d_ros.geometry.region import Region
from sam6d_ros.msg import InstanceMaskArray
from sam6d_ros.pipeline import RunContext
from sam6d_ros.srv import SegmentFrame

CONTINUOUS, ON_DEMAND = "continuous", "on_demand"

PARAMETERS = (
    Parameter(
        "mode",
        CONTINUOUS,
        "continuous: work on the newest frame; on_demand: only when asked",
        read_only=False,
        choices=(CONTINUOUS, ON_DEMAND),
    ),
    Parameter(
        "max_rate_hz",
        0.0,
        "most frames per second that continuous mode takes; 0: no limit",
        read_only=False,
        limits=(0.0, 1000.0),
    ),
)

# (camera messages, context, names of objects or all, region or everywhere) → masks, published too
Segment = Callable[
    [CameraMessages, RunContext, Sequence[str] | None, Region | None], InstanceMaskArray
]


class RateLimit:
    """Lets through at most so many per second."""

    def __init__(self) -> None:
        self._taken = -float("inf")

    def take(self, rate_hz: float, now: float) -> bool:
        """Whether one that comes now (seconds) may pass; a rate of 0 is no limit."""
        if rate_hz <= 0:
            return True
        period = 1 / rate_hz
        if now - self._taken < period:
            return False
        # On the beat although frames come a little late, so that the rate is reached on average;
        # but never two within half a period.
        self._taken = max(self._taken + period, now - period / 2)
        return True


class OnDemandSegmentation:
    """Takes the camera's frames; serves ``~/segment``.

    Args:
        node: its service and parameters.
        segment: done in the worker.
    """

    def __init__(self, node: VisionNode[CameraMessages], segment: Segment) -> None:
        self._node, self._segment = node, segment
        self._limit = RateLimit()
        self._newest: tuple[CameraMessages, float] | None = None
        self._waiting = Waiting(node, node.service_group)
        node.create_service(
            SegmentFrame, topics.SEGMENT, self._answer, callback_group=node.service_group
        )

    def on_frame(self, frame: CameraMessages) -> None:
        """Remember the frame; in continuous mode, leave it to the worker, if the rate allows."""
        now = time.monotonic()
        self._newest = (frame, now)
        self._waiting.notify()
        asked_only = self._node.get_parameter("mode").value == ON_DEMAND
        self._node.status.on_demand = asked_only
        if asked_only:
            return
        if self._limit.take(self._node.get_parameter("max_rate_hz").value, now):
            self._node.submit(frame)
        else:
            self._node.status.stats.skip()

    def forget(self) -> None:
        """Forget the frame; who waits for one is told that the node is inactive."""
        self._newest = None
        self._waiting.notify()

    async def _answer(
        self, request: SegmentFrame.Request, response: SegmentFrame.Response
    ) -> SegmentFrame.Response:
        try:
            response.masks = await self._segmented(request)
            response.success = True
        except Exception as error:  # the boundary: the caller gets the reason, the node goes on
            response.message = str(error) if isinstance(error, Sam6dError) else repr(error)
        return response

    async def _segmented(self, request: SegmentFrame.Request) -> InstanceMaskArray:
        region = region_from(request.roi)
        names = names_from(request.class_ids, self._node)
        frame = await self._frame(request)
        if region is not None:
            region.check_inside((frame.camera_info.height, frame.camera_info.width))

        def work(ctx: RunContext) -> InstanceMaskArray:
            return self._segment(frame, ctx, names, region)

        def job() -> InstanceMaskArray:
            return self._node.measured(work, lambda masks: masks.reason)

        masks: InstanceMaskArray = await self._node.in_worker(job)
        return masks

    async def _frame(self, request: SegmentFrame.Request) -> CameraMessages:
        """The newest frame that is new enough, or the next one that is."""
        timeout_s = seconds_from(request.timeout, when_zero=topics.FRAME_TIMEOUT_S)
        newer_ns = Time.from_msg(request.newer_than).nanoseconds
        asked = time.monotonic()

        def fitting() -> CameraMessages | None:
            if self._newest is None:
                return None
            frame, arrived = self._newest
            if newer_ns:
                return frame if stamp_ns_of(frame.rgb.header) > newer_ns else None
            return frame if asked - arrived < topics.FRESH_S else None

        found = await self._waiting.until(
            lambda: fitting() or not self._node.active, asked + timeout_s
        )
        if found is True:
            raise Unavailable(inactive(self._node))
        if not found:
            raise Unavailable(self._why_none(newer_ns, timeout_s))
        return found

    def _why_none(self, newer_ns: int, timeout_s: float) -> str:
        late = f" with a stamp after {1e-9 * newer_ns:.3f} s" if newer_ns else ""
        newest = (
            f"the newest is of {1e-9 * stamp_ns_of(self._newest[0].rgb.header):.3f} s"
            if self._newest
            else "there was none since the node was activated"
        )
        problem = self._node.status.input_problem or "is the camera running?"
        return f"no frame{late} came within {timeout_s:g} s; {newest}. {problem}"
