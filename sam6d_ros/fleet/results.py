"""Results of single frames as they travel and are stored: plain values, some hundred bytes.

Poses keep all their digits, so that a results file made of records equals that of a plain run.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sam6d_ros.errors import InvalidDataset
from sam6d_ros.geometry import rle
from sam6d_ros.runtime.error_table import Kind, Retry, handling_of, message_of
from sam6d_ros.types import PoseEstimate, PoseEstimates


@dataclass(frozen=True)
class Found:
    """Pose of one instance.

    Attributes:
        name, instance_id, score, visible: as in ``PoseEstimate``.
        pose: 16 numbers of cam_from_obj, row-major, metres.
        mask: COCO RLE of its pixels; None where masks are not kept.
    """

    name: str
    instance_id: str
    score: float
    visible: float
    pose: tuple[float, ...]
    mask: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, pose: PoseEstimate, with_mask: bool) -> Found:
        """Return the record of an estimate."""
        return cls(
            pose.class_id,
            pose.instance_id,
            float(pose.score),
            float(pose.visible),
            tuple(float(value) for value in np.asarray(pose.cam_from_obj, np.float64).ravel()),
            rle.encode(pose.mask) if with_mask and pose.mask is not None else None,
        )

    def estimate(self) -> PoseEstimate:
        """Return the estimate, without its mask."""
        matrix = np.array(self.pose, np.float64).reshape(4, 4)
        return PoseEstimate(self.name, self.score, matrix, instance_id=self.instance_id)


@dataclass(frozen=True)
class Failure:
    """Error of one frame, by ``runtime.error_table``.

    Attributes:
        message: for people.
        kind: value of ``Kind``.
        exit_code: of a command.
        retry: value of ``Retry``.
        trace: traceback of a defect; empty for other errors.
    """

    message: str
    kind: str
    exit_code: int
    retry: str
    trace: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Return the record of an error."""
        handling = handling_of(error)
        trace = "".join(traceback.format_exception(error)) if handling.with_traceback else ""
        message = message_of(error)
        kind, retry = handling.kind.value, handling.retry.value
        return cls(message, kind, handling.exit_code, retry, trace)

    @property
    def is_final(self) -> bool:
        """Whether another attempt at the same frame is useless."""
        return self.retry == Retry.NEVER.value

    @property
    def gravity(self) -> int:
        """Place of the kind in ``Kind``: the gravest is the largest."""
        return [kind.value for kind in Kind].index(self.kind)


@dataclass(frozen=True)
class FrameResult:
    """Result of one frame.

    Attributes:
        key: of its task.
        found: poses, best first.
        time_s: seconds of the method with the frame in memory; negative after a failure.
        reason: why nothing was found, when nothing was.
        failure: why there is no result; None if there is one.
        limit: score below which the method rejects poses by default.
        camera: 9 numbers of the camera matrix, row-major, width and height, all in pixels; none
            where masks are not kept.
    """

    key: str
    found: tuple[Found, ...] = ()
    time_s: float = -1.0
    reason: str = ""
    failure: Failure | None = None
    limit: float = 0.0
    camera: tuple[float, ...] = ()

    @classmethod
    def of(cls, key: str, poses: PoseEstimates, time_s: float, with_masks: bool) -> FrameResult:
        """Return the record of the poses of a frame."""
        found = tuple(Found.of(pose, with_masks) for pose in poses.items)
        return cls(key, found, time_s, poses.reason)

    @classmethod
    def failed(cls, key: str, error: BaseException) -> FrameResult:
        """Return the record of a frame that failed."""
        failure = Failure.of(error)
        return cls(key, reason=failure.message, failure=failure)

    @property
    def is_final(self) -> bool:
        """Whether a resumed run leaves the frame out: it has a result, or always fails."""
        return self.failure is None or self.failure.is_final

    def line(self) -> str:
        """Return the record as one line of JSON."""
        values = {
            "key": self.key,
            "time_s": self.time_s,
            "reason": self.reason,
            "found": [{**vars(found), "pose": list(found.pose)} for found in self.found],
            "failure": None if self.failure is None else vars(self.failure),
            "limit": self.limit,
            "camera": list(self.camera),
        }
        return json.dumps(values, separators=(",", ":"))


def read_line(line: str) -> FrameResult:
    """Return the record of a line.

    Raises:
        InvalidDataset: the line is damaged.
    """
    try:
        values = json.loads(line)
        found = tuple(Found(**{**row, "pose": tuple(row["pose"])}) for row in values["found"])
        failure = None if values["failure"] is None else Failure(**values["failure"])
        camera = tuple(values["camera"])
        return FrameResult(**{**values, "found": found, "failure": failure, "camera": camera})
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidDataset(f"no record of a frame: {line[:80]!r} ({error})") from error
