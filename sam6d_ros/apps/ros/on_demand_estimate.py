"""Finding objects when asked: the pose node's ``~/trigger`` and ``~/estimate_poses``."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from builtin_interfaces.msg import Time
from rclpy.task import Future
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros.camera_input import CameraMessages
from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.on_demand import (
    NEVER,
    Unavailable,
    Waiting,
    duration_message,
    inactive,
    names_from,
)
from sam6d_ros.apps.ros.on_demand_request import Request
from sam6d_ros.msg import InstanceMaskArray
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.fusion import fuse
from sam6d_ros.srv import SegmentFrame
from sam6d_ros.types import Frame, PoseEstimates

if TYPE_CHECKING:
    from sam6d_ros.apps.ros.pose_node import PoseNode

Value = TypeVar("Value")

MIN_PRESENCE = 0.5  # of the frames: fused instances that fewer agree on are left out
LOOK_EVERY_S = 0.2  # for a service that comes or goes, of which nobody tells

Estimated = tuple[Frame, PoseEstimates]


class OnDemandEstimation:
    """Goes through one request after the other, in coroutines: no thread is ever blocked."""

    def __init__(self, node: PoseNode) -> None:
        self._node = node
        self._queue: deque[Request] = deque()
        self._waiting = Waiting(node, node.service_group)

    def notify(self, _: object = None) -> None:
        """Call it when a frame has come, a request was canceled, or the node was deactivated."""
        self._waiting.notify()

    async def run(self, request: Request) -> tuple[Detection3DArray, str]:
        """Segment, estimate and fuse, in turn with other requests; publish.

        Returns:
            What was published, and what to tell about it.

        Raises:
            Canceled, TimedOut: as the request says.
            Sam6dError: any other reason, with the remedy.
        """
        request.validate()
        self._queue.append(request)
        try:
            await self._until(request, lambda: self._queue[0] is request)
            names_from(request.goal.class_ids, self._node)
            self._node.status.on_demand = True
            found: list[Estimated] = []
            newer_than = Time()
            for number in range(1, request.frames + 1):
                masks, frame = await self._segmented(request, number, newer_than)
                newer_than = masks.header.stamp
                found.append(await self._estimated(request, frame, masks))
                request.frames_used = number
            request.begin("fuse", request.frames)
            request.commit()
            return await self._node.in_worker(lambda: self._published(request, found, masks))
        finally:
            self._queue.remove(request)
            self.notify()

    async def _until(
        self,
        request: Request,
        condition: Callable[[], Value],
        at_most_s: float = NEVER,
        every_s: float = NEVER,
    ) -> Value:
        """The condition's value once it is true, or after ``at_most_s``.

        Raises:
            Canceled, TimedOut: the request is over.
            Unavailable: the node is not active.
        """
        deadline = min(request.deadline, time.monotonic() + at_most_s)
        await self._waiting.until(
            lambda: not self._node.active or request.over or condition(), deadline, every_s
        )
        request.check()
        if not self._node.active:
            raise Unavailable(inactive(self._node))
        return condition()

    async def _segmented(
        self, request: Request, number: int, newer_than: Time
    ) -> tuple[InstanceMaskArray, CameraMessages]:
        """The masks of the next frame, from the segmentation node, and the frame."""
        request.begin("segment", number)
        client = self._node.segmentation
        await self._until(request, client.is_there, topics.SERVICE_WAIT_S, LOOK_EVERY_S)
        if not client.is_there():
            raise Unavailable(
                f"nobody serves {client.service}: start the segmentation node, or remap "
                f"{topics.SEGMENTATION_SERVICE} to its ~/segment"
            )
        asked = client.call(self._call(request, newer_than))
        try:
            response = await self._answer(request, asked)
            stamp_ns = stamp_ns_of(response.masks.header)
            frame = await self._until(
                request, lambda: self._node.frame_of(stamp_ns), topics.IMAGE_WAIT_S
            )
        finally:
            client.done_with(asked)
        if frame is None:
            raise Unavailable(
                f"the image that was segmented (stamp {1e-9 * stamp_ns:.3f} s) did not come here: "
                "give this node the same camera topics as the segmentation node, and raise "
                "frame_store_mb or the inputs' reliability"
            )
        return response.masks, frame

    def _call(self, request: Request, newer_than: Time) -> SegmentFrame.Request:
        left_s = request.deadline - time.monotonic()
        return SegmentFrame.Request(
            class_ids=request.goal.class_ids,
            roi=request.goal.roi,
            newer_than=newer_than,
            timeout=duration_message(min(left_s, topics.FRAME_TIMEOUT_S)),
        )

    async def _answer(self, request: Request, asked: Future) -> SegmentFrame.Response:
        client = self._node.segmentation
        asked.add_done_callback(self.notify)
        await self._until(
            request, lambda: asked.done() or not client.is_there(), every_s=LOOK_EVERY_S
        )
        if not asked.done():
            raise Unavailable(f"the segmentation node went away ({client.service} is not served)")
        response: SegmentFrame.Response = asked.result()
        if not response.success:
            raise Unavailable(f"segmentation of frame {request.frame}: {response.message}")
        return response

    async def _estimated(
        self, request: Request, camera: CameraMessages, masks: InstanceMaskArray
    ) -> Estimated:
        request.begin("estimate", request.frame)

        def work(ctx: RunContext) -> Estimated:
            return self._node.estimate((camera, masks), ctx)

        done = self._node.in_worker(
            lambda: self._node.measured(work, lambda found: found[1].reason)
        )
        # An error that comes after nobody waits any more is known from the node's status.
        done.add_done_callback(lambda future: self.notify(future.exception()))
        await self._until(request, done.done)
        estimated: Estimated = done.result()
        return estimated

    def _published(
        self, request: Request, found: list[Estimated], masks: InstanceMaskArray
    ) -> tuple[Detection3DArray, str]:
        """In the worker: fuse and publish with the header of the last frame."""
        fused = fuse([poses for _, poses in found], self._node.objects)
        sure = tuple(p for p in fused.items if p.presence >= MIN_PRESENCE)
        poses = replace(fused, items=sure)
        message = self._node.publish(found[-1][0], poses, masks.header, request.complete)
        return message, summary(message, poses.reason, len(fused) - len(sure), len(found))


def summary(message: Detection3DArray, reason: str, left_out: int, frames: int) -> str:
    """What was found, in a sentence: "2 objects: mug_0 0.71, can_0 0.64"."""
    listed = ", ".join(
        f"{entry.id} {entry.results[0].hypothesis.score:.2f}" for entry in message.detections
    )
    count = len(message.detections)
    text = f"{count} object{'s' * (count != 1)}: {listed}"
    if not count:
        text = f"nothing found: {reason}" if reason else "nothing found"
    if left_out:
        text += f"; {left_out} seen in fewer than half of the {frames} frames left out"
    return text
