"""Estimation on demand: segment, estimate and fuse the frames of one goal after the other."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from builtin_interfaces.msg import Time
from rclpy.task import Future
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros.camera.input import CameraMessages
from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.on_demand import (
    NEVER,
    Waiting,
    duration_message,
)
from sam6d_ros.apps.ros.node.remote_errors import remote_error
from sam6d_ros.apps.ros.pose.client import SegmentationClient
from sam6d_ros.apps.ros.pose.goal import Goal
from sam6d_ros.apps.ros.pose.motion import CameraMotion, Seen, fused
from sam6d_ros.apps.ros.vision import VisionNode
from sam6d_ros.errors import NotReady, Sam6dError
from sam6d_ros.msg import InstanceMaskArray
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.admission import Admission
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.request import NO_DEADLINE, Request
from sam6d_ros.srv import SegmentFrame
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.types import Frame, PoseEstimates

Value = TypeVar("Value")

LOOK_EVERY_S = 0.2  # at services, of whose start and end the graph sends no event
FRAMES_TO_TRY = 5  # of which this node may have lost some in the transport


@dataclass(frozen=True)
class PoseSteps:
    """Steps of a pose node that a goal is made of.

    Attributes:
        segmentation: client of the segmentation node.
        frame_of: the frame of a stamp, nanoseconds; None if it is not here.
        estimate: the frame, and the poses of the masks in it; in the compute thread.
        motion: pose of the camera at each frame, if it moves.
        acceptance: limits of the node's results.
        publish: publishes poses with a header, and whether they are of all objects everywhere.
    """

    segmentation: SegmentationClient
    frame_of: Callable[[int], CameraMessages | None]
    estimate: Callable[
        [CameraMessages, InstanceMaskArray, Engine, RunContext], tuple[Frame, PoseEstimates]
    ]
    motion: CameraMotion
    acceptance: Callable[[Engine], Acceptance]
    publish: Callable[[Frame, PoseEstimates, Header, bool], Detection3DArray]


class OnDemandEstimation:
    """Goals, one after the other, in coroutines: no thread is ever blocked."""

    def __init__(self, node: VisionNode, steps: PoseSteps) -> None:
        self._node, self._steps = node, steps
        self._admission = Admission(node.status.name)
        self._queue: deque[Goal] = deque()
        self._waiting = Waiting(node, node.service_group)

    def notify(self, _: object = None) -> None:
        """Call it when a frame has come, a goal was cancelled, or the node was deactivated."""
        self._waiting.notify()

    async def run(self, goal: Goal) -> tuple[Detection3DArray, str]:
        """Segment, estimate and fuse, in turn with other goals; publish.

        Returns:
            What was published, and a sentence about it.

        Raises:
            Overloaded: too many goals wait.
            Cancelled, DeadlineExceeded: the goal's request was cancelled, or is over.
            Sam6dError: any other reason, with the remedy.
        """
        goal.validate()
        place = self._admission.enter()
        self._queue.append(goal)
        try:
            await self._until(goal.request, lambda: self._queue[0] is goal)
            place.begin()
            self._node.names_of(goal.wanted.class_ids)
            self._node.status.serves_on_demand(True)
            found: list[Seen] = []
            newer_than = Time()
            for number in range(1, goal.frames + 1):
                goal.begin("segment", number)
                masks, frame = await self._segmented(goal, newer_than)
                newer_than = masks.header.stamp
                goal.begin("estimate", number)
                found.append(await self._estimated(goal, frame, masks))
                goal.frames_used = number
            goal.begin("fuse", goal.frames)
            goal.request.commit()
            work = partial(self._published, goal, found, masks.header)
            publishing = goal.request.part(work, is_frame=False)
            return await self._node.awaitable(self._node.host.submit(publishing))
        finally:
            place.give_up()
            place.finish()
            self._queue.remove(goal)
            self.notify()

    async def _until(
        self,
        request: Request[None],
        condition: Callable[[], Value],
        at_most_s: float = NEVER,
        every_s: float = NEVER,
    ) -> Value:
        """Return the value of a condition once it is true, or after ``at_most_s``.

        Raises:
            Cancelled, DeadlineExceeded: the request is over.
            NotReady: the node is not active.
        """
        deadline = min(request.deadline, time.monotonic() + at_most_s)
        await self._waiting.until(
            lambda: not self._node.active or _over(request) or condition(), deadline, every_s
        )
        request.check()
        if not self._node.active:
            raise NotReady(self._node.inactive)
        return condition()

    async def _segmented(
        self, goal: Goal, newer_than: Time
    ) -> tuple[InstanceMaskArray, CameraMessages]:
        """Return the masks of the next frame, from the segmentation node, and the frame.

        A frame that did not come here is given up for the next one.

        Returns:
            Masks and frame.

        Raises:
            NotReady: no frame was segmented, or none of those came here.
        """
        for _ in range(FRAMES_TO_TRY):
            masks, frame = await self._masks_and_frame(goal, newer_than)
            if frame is not None:
                return masks, frame
            newer_than = masks.header.stamp
        raise NotReady(
            f"{FRAMES_TO_TRY} images were segmented (the last with stamp "
            f"{1e-9 * stamp_ns_of(masks.header):.3f} s) that did not come here: give this node the "
            "same camera topics as the segmentation node, and raise frame_store_mb or the "
            "inputs' reliability"
        )

    async def _masks_and_frame(
        self, goal: Goal, newer_than: Time
    ) -> tuple[InstanceMaskArray, CameraMessages | None]:
        client = self._steps.segmentation
        await self._until(goal.request, client.is_there, topics.SERVICE_WAIT_S, LOOK_EVERY_S)
        if not client.is_there():
            raise NotReady(
                f"no server for {client.service}: start the segmentation node, or remap "
                f"{topics.SEGMENTATION_SERVICE} to its ~/segment"
            )
        asked = client.call(_call(goal, newer_than))
        try:
            masks = (await self._answer(goal, asked)).masks
            stamp_ns = stamp_ns_of(masks.header)
            frame = await self._until(
                goal.request, lambda: self._steps.frame_of(stamp_ns), topics.IMAGE_WAIT_S
            )
        finally:
            client.done_with(asked)
        return masks, frame

    async def _answer(self, goal: Goal, asked: Future) -> SegmentFrame.Response:
        client = self._steps.segmentation
        asked.add_done_callback(self.notify)
        await self._until(
            goal.request, lambda: asked.done() or not client.is_there(), every_s=LOOK_EVERY_S
        )
        if not asked.done():
            raise NotReady(f"the segmentation node went away ({client.service} is not served)")
        response: SegmentFrame.Response = asked.result()
        if not response.success:
            raise remote_error(response.message, f"segmentation of frame {goal.frame}")
        return response

    async def _estimated(
        self, goal: Goal, camera: CameraMessages, masks: InstanceMaskArray
    ) -> Seen:
        """The poses of one frame; ends at once when the request is over."""

        def work(engine: Engine, ctx: RunContext) -> Seen:
            place = self._steps.motion.place(camera.rgb.header) if goal.frames > 1 else None
            return Seen(*self._steps.estimate(camera, masks, engine, ctx), place)

        estimation = goal.request.part(work, reason_of=lambda seen: seen.poses.reason)
        estimated: Seen = await self._node.awaitable(self._node.host.submit(estimation))
        return estimated

    def _published(
        self, goal: Goal, found: list[Seen], header: Header, engine: Engine, ctx: RunContext
    ) -> tuple[Detection3DArray, str]:
        """In the compute thread: fuse, and publish with the header of the last frame."""
        limits = self._steps.acceptance(engine)
        poses, left_out = fused(found, self._node.objects, limits)
        with self._node.publishing(ctx):
            message = self._steps.publish(found[-1].frame, poses, header, goal.complete)
        return message, summary(message, poses.reason, left_out, len(found))


def _over(request: Request[None]) -> bool:
    """Whether ``check`` raises."""
    try:
        request.check()
    except Sam6dError:
        return True
    return False


def _call(goal: Goal, newer_than: Time) -> SegmentFrame.Request:
    request = SegmentFrame.Request(
        class_ids=goal.wanted.class_ids, roi=goal.wanted.roi, newer_than=newer_than
    )
    if goal.request.deadline < NO_DEADLINE:
        request.timeout = duration_message(goal.request.deadline - time.monotonic())
    return request


def summary(message: Detection3DArray, reason: str, left_out: int, frames: int) -> str:
    """Describe a result in a sentence: "2 objects: mug_0 0.71, can_0 0.64"."""
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
