"""Engine whose stages run elsewhere: behind the HTTP services of a fleet, or of one machine.

A frame is sent to ``/api/v1/inference`` and ``/api/v1/pose_estimation`` (docs/http.md).
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_entry import ObjectEntry
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.errors import InvalidInput, InvariantError, Sam6dError
from sam6d_ros.fleet.remote_client import RemoteClient
from sam6d_ros.geometry import rle, se3
from sam6d_ros.geometry.region import Region
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.warmup import Report
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.types import (
    Boxes,
    Detection,
    Detections,
    Frame,
    PoseEstimate,
    PoseEstimates,
    Scene,
)

T = TypeVar("T")

REMOTE = "remote"  # name of the backend
INFERENCE, ESTIMATION = "/api/v1/inference", "/api/v1/pose_estimation"
PAUSE_S = 5.0  # after a failure, in which the local stages work at once
EXACT_M = 1e-6  # depth in whole millimetres is sent as PNG, other depth as TIFF


@dataclass(frozen=True)
class RemoteSettings:
    """Access to the services.

    Attributes:
        url: of the services.
        timeout_s: from a request to its answer.
        token: that the services want; empty for none.
        fallback: whether the local stages work while the services do not answer.
    """

    url: str
    timeout_s: float = 10.0
    token: str = ""
    fallback: bool = False


class RemoteEngine(Engine):
    """Engine with the objects of a local one and the stages of services elsewhere.

    Limits of an object and the default threshold are those of the services. Boxes of a detector and
    regions are not sent: such a call is the local stages', or refused.

    Args:
        local: engine with the objects; with stages if it is the fallback.
        access: to the services.
        role: "segmentation", "pose" or "full".
        clock: seconds that never jump.

    Raises:
        InvalidConfig: the URL is malformed.
    """

    def __init__(
        self,
        local: Engine,
        access: RemoteSettings,
        role: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(local.config, local.cache_dir, role, backend=REMOTE)
        self._local, self._access, self._clock = local, access, clock
        self._client = RemoteClient(access.url, access.timeout_s, access.token)
        self._again = -np.inf  # when the services are tried again
        self._look_for(local.objects, local.entries, local.settings)

    def take_objects(
        self,
        models: Mapping[str, ObjectModel],
        entries: Mapping[str, ObjectEntry],
        settings: Mapping[str, ObjectSettings],
    ) -> None:
        """Look for these objects and no others; the services have their own."""
        self._local.take_objects(models, entries, settings)
        self._look_for(models, entries, settings)

    def warm_up(self, report: Report = lambda _: None) -> None:
        """Do nothing: the services are warm."""

    def segment(
        self,
        frame: Frame | Scene,
        names: Sequence[str] | None = None,
        region: Region | None = None,
        acceptance: Acceptance | None = None,
        ctx: RunContext | None = None,
        boxes: Boxes | None = None,
    ) -> Detections:
        """Find the visible instances; see ``Engine.segment``.

        Returns:
            The detections.

        Raises:
            NotReady, Overloaded, DeadlineExceeded: the services do not answer, and there is no
                fallback.
            InvalidInput: a region or boxes are stated, and there is no fallback.
        """
        scene, ctx = Scene.of(frame), ctx or RunContext()
        wanted = [model.name for model in self._select(names)]

        def here() -> Detections:
            return self._local.segment(scene, names, region, acceptance, ctx, boxes)

        if region is not None or boxes is not None:
            if self._access.fallback:
                return here()
            raise InvalidInput(
                "remote_url takes whole frames only, neither a region nor boxes of a detector; "
                "set remote_fallback, or leave remote_url empty"
            )
        if not wanted:
            return Detections.empty("no object is registered")
        body = {**frame_body(scene.frame), "object": wanted, "mask_format": "rle"}
        answer = self._asked(INFERENCE, body, ctx, here)
        return answer if isinstance(answer, Detections) else detections_of(answer)

    def estimate(
        self,
        frame: Frame | Scene,
        detections: Detections,
        acceptance: Acceptance | None = None,
        ctx: RunContext | None = None,
    ) -> PoseEstimates:
        """Estimate the pose of each detection; see ``Engine.estimate``.

        Returns:
            The estimates.

        Raises:
            NotReady, Overloaded, DeadlineExceeded: the services do not answer, and there is no
                fallback.
        """
        scene, ctx = Scene.of(frame), ctx or RunContext()
        if not detections.items:
            return PoseEstimates.empty(scene.frame, detections.reason or "nothing was detected")
        names = [*dict.fromkeys(item.class_id for item in detections.items)]
        self._select(names)

        def here() -> PoseEstimates:
            return self._local.estimate(scene, detections, acceptance, ctx)

        limits = acceptance or self.acceptance
        body = {
            **frame_body(scene.frame),
            "object": names,
            "units": "m",
            "detections": detections_body(detections),
            "max_instances": limits.max_instances,
            **({"min_score": limits.min_score} if limits.min_score > 0 else {}),
        }
        answer = self._asked(ESTIMATION, body, ctx, here)
        return answer if isinstance(answer, PoseEstimates) else poses_of(answer, scene.frame)

    def _asked(
        self, path: str, body: Mapping[str, Any], ctx: RunContext, here: Callable[[], T]
    ) -> Mapping[str, Any] | T:
        """Return the answer of the services, or what the local stages give in their place."""
        if self._access.fallback and self._clock() < self._again:
            return here()
        ctx.checkpoint()
        ctx.on_stage(REMOTE)
        try:
            with ctx.timings.measure(REMOTE):
                answer = self._client.post(path, body)
        except Sam6dError as error:
            if not self._access.fallback:
                raise
            self._again = self._clock() + PAUSE_S
            ctx.on_warning(f"{error}; the local stages work instead for {PAUSE_S:g} s")
            return here()
        ctx.checkpoint()
        return answer


def frame_body(frame: Frame) -> dict[str, Any]:
    """Return the fields of a request that hold a frame; no digit of it is lost."""
    units = np.rint(frame.depth * MM_PER_M)
    is_whole = bool(np.all(np.abs(units / MM_PER_M - frame.depth) < EXACT_M))
    if is_whole and units.max(initial=0) <= np.iinfo(np.uint16).max:
        depth, scale = _encoded(".png", units.astype(np.uint16)), 1.0
    else:
        depth, scale = _encoded(".tiff", frame.depth), MM_PER_M
    camera = {"cam_K": frame.camera.matrix.ravel().tolist(), "depth_scale": scale}
    colour = _encoded(".png", np.ascontiguousarray(frame.rgb[..., ::-1]))
    return {"rgb_image": colour, "depth_image": depth, "cam_params": camera}


def _encoded(suffix: str, image: NDArray) -> str:
    return base64.b64encode(cv2.imencode(suffix, image)[1].tobytes()).decode("ascii")


def detections_body(detections: Detections) -> dict[str, Any]:
    """Return the detections of a request."""
    items = detections.items
    return {
        "masks": [rle.encode(item.mask) for item in items],
        "names": [item.class_id for item in items],
        "scores": [float(item.score) for item in items],
        "instance_ids": [item.instance_id for item in items],
        "pose_hints": [item.pose_hints.tolist() for item in items],
    }


def detections_of(answer: Mapping[str, Any]) -> Detections:
    """Return the detections of an answer.

    Raises:
        InvariantError: it is none of these services.
    """
    try:
        found = answer["detections"]
        columns = (found[key] for key in ("names", "scores", "masks", "instance_ids", "pose_hints"))
        rows = zip(*columns, strict=True)
        items = tuple(
            Detection(name, score, rle.decode(mask), ident, np.array(hints).reshape(-1, 4, 4))
            for name, score, mask, ident, hints in rows
        )
        return Detections(items, str(answer["reason"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InvariantError(f"the services gave another answer: {error}") from error


def poses_of(answer: Mapping[str, Any], frame: Frame) -> PoseEstimates:
    """Return the poses of an answer.

    Raises:
        InvariantError: it is none of these services.
    """
    try:
        items = tuple(_pose(item) for item in answer["poses"])
        return PoseEstimates(items, frame.stamp_ns, frame.frame_id, str(answer["reason"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InvariantError(f"the services gave another answer: {error}") from error


def _pose(item: Mapping[str, Any]) -> PoseEstimate:
    covariance = item["covariance"]
    rotation = np.array(item["rotation"], np.float64)
    return PoseEstimate(
        item["name"],
        float(item["confidence"]),
        se3.from_rotation_translation(rotation, np.array(item["translation"], np.float64)),
        covariance=None if covariance is None else np.array(covariance, np.float64),
        mask=None if item["mask"] is None else rle.decode(item["mask"]),
        instance_id=item["instance_id"],
    )
