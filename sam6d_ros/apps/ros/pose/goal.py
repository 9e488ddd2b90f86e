"""Goal of the action ``~/estimate_poses``: wishes, request, feedback."""

from __future__ import annotations

import time
from collections.abc import Callable

from sam6d_ros.action import EstimatePoses
from sam6d_ros.apps.ros.node.on_demand import client_request, region_from, seconds_from
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.runtime.request import NO_DEADLINE

MAX_FRAMES = 100

Feedback = Callable[[EstimatePoses.Feedback], None]


class Goal:
    """Estimation that a client asked for.

    Args:
        wanted: objects, region, frames and timeout.
        feedback: called with each stage that begins.

    Attributes:
        request: deadline, cancellation and commit of the whole goal.
        frames: number of frames to fuse.
        frame: number of the frame in progress, from 1; 0 before the first.
        frames_used: number of frames that are done.
    """

    def __init__(self, wanted: EstimatePoses.Goal, feedback: Feedback) -> None:
        self.wanted, self._feedback = wanted, feedback
        self.frames = max(1, wanted.frames)
        self.frame = self.frames_used = 0
        timeout_s = wanted.timeout.sec + 1e-9 * wanted.timeout.nanosec
        deadline = time.monotonic() + timeout_s if timeout_s > 0 else NO_DEADLINE
        self.request = client_request(deadline)

    def validate(self) -> None:
        """Check the wishes.

        Raises:
            InvalidInput: too many frames, a region without height, a negative timeout.
            InvalidConfig: the number of frames or the timeout is out of its range.
        """
        if self.wanted.frames > MAX_FRAMES:
            raise InvalidConfig(f"frames is {self.wanted.frames}; expected at most {MAX_FRAMES}")
        region_from(self.wanted.roi)
        seconds_from(self.wanted.timeout, when_zero=NO_DEADLINE)

    @property
    def complete(self) -> bool:
        """Whether all objects are searched for, everywhere."""
        return not self.wanted.class_ids and region_from(self.wanted.roi) is None

    @property
    def place(self) -> str:
        """Frame in progress, for messages."""
        return f"frame {self.frame} of {self.frames}"

    def begin(self, stage: str, frame: int) -> None:
        """Enter a stage and send it as feedback."""
        self.frame = frame
        self.request.enter(stage)
        elapsed_s = self.request.elapsed_s
        self._feedback(
            EstimatePoses.Feedback(
                stage=stage, frame=frame, frames=self.frames, elapsed_s=elapsed_s
            )
        )
