"""Poses by the Pose Estimation Model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from sam6d_ros.cad.cache import load_or_build
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry import se3
from sam6d_ros.models.device import (
    batch_size,
    batch_sizes,
    encoding,
    in_chunks,
    padded,
    reporting_memory,
)
from sam6d_ros.models.exact import inference
from sam6d_ros.models.graphs import Graphs
from sam6d_ros.models.pem import ObjectCode
from sam6d_ros.models.steps import Steps
from sam6d_ros.models.transfer import to_device, to_host
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.stages.sam6d import pem_inputs
from sam6d_ros.stages.sam6d.networks import Networks
from sam6d_ros.stages.sam6d.views import POSE_POINTS, TemplateView, ViewChoice, surface_points
from sam6d_ros.types import Candidates, Detection, Detections, Frame, InstanceCandidates, Scene

CACHE_VERSION = 1
VIEW_MB = 60.0  # activations of one template view in the image encoder; a bound
CODE_MB = 45.0  # of an object, copied for each detection when objects are mixed
DETECTION_MB = 200.0  # of one detection at the peak, in the geometric embedding; measured
DETECTIONS_AT_ONCE = 16  # on a GPU
CROP_ARRAYS = ("bgr", "flat_index", "points")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Prepared:
    """An object's code and how far its surface reaches from its origin, in metres."""

    code: ObjectCode
    radius: float


@dataclass(frozen=True)
class _Work:
    """One detection with its network input, the code of its object and its number there."""

    detection: Detection
    crop: pem_inputs.CropInput
    code: ObjectCode
    number: int


class PemEstimator:
    """One pose per detection.

    Args:
        networks: the loaded networks.
        context: cache folder and library of the engine.
    """

    def __init__(self, networks: Networks, context: BuildContext) -> None:
        self.networks, self.config, self._context = networks, networks.config, context
        self._fitting: dict[str, int] = {}
        self._graphs = Graphs(self._steps)
        # One run of the network costs a GPU about 1200 launches, whatever the number of detections;
        # on the CPU the copies of the codes cost more than is gained.
        self.mix_objects = networks.device.type != "cpu"

    def prepare(self, model: ObjectModel) -> None:
        """Compute the template features of the object, or load them from the cache.

        Args:
            model: the object.
        """
        self._prepared(model)

    def _prepared(self, model: ObjectModel) -> _Prepared:
        return self._context.library.derived(model, self._load)

    @reporting_memory("the code of an object")
    def _load(self, model: ObjectModel) -> _Prepared:
        config = self.config
        kind = "float32" if self.networks.dtype is None else str(self.networks.dtype)
        key = (
            f"pem-templates-v{CACHE_VERSION}-{model.content_hash}-{config.views}-{config.seed}"
            f"-{kind}-{self.networks.fingerprint('pem')}"
        )
        arrays = load_or_build(key, lambda: self._templates(model), self._context.cache_dir)
        device = self.networks.device
        points, features = (torch.from_numpy(arrays[k]).to(device) for k in ("points", "features"))
        surface = surface_points(model, POSE_POINTS, config.seed)
        with inference():
            code = self.networks.pem.encode_object(
                points, features, torch.from_numpy(surface).to(device)[None]
            )
        radius = float(np.linalg.norm(surface, axis=1).max())
        return _Prepared(code, radius)

    def _templates(self, model: ObjectModel) -> dict[str, np.ndarray]:
        """Points (1, 2048, 3) and features (1, 2048, 256) chosen from all views."""
        random = np.random.default_rng(self.config.seed)
        choice = ViewChoice(self.config.views, self.config.seed)
        views = self._context.library.passing(model, choice)
        inputs = [_view_input(view, random) for view in views]
        device, pem = self.networks.device, self.networks.pem

        def features(part: slice) -> Tensor:
            bgr = torch.from_numpy(np.stack([i.bgr for i in inputs[part]])).to(device)
            flat = torch.from_numpy(np.stack([i.flat_index for i in inputs[part]])).to(device)
            with encoding(self.networks.dtype, device):
                return pem.feature_extraction(bgr, flat).float().flatten(0, 1)

        chunk = batch_size(0, self.config.memory_budget_mb, VIEW_MB, device)
        fitting = self._fitting
        found = torch.cat(in_chunks(features, len(inputs), chunk, "template views", fitting))
        points = torch.from_numpy(np.concatenate([i.points for i in inputs])).to(device)
        with inference():
            cloud = pem.template_cloud(points, found)
        return {"points": cloud[0].cpu().numpy(), "features": cloud[1].cpu().numpy()}

    @reporting_memory("the detections of a frame")
    def estimate(
        self, scene: Scene, detections: Detections, objects: Sequence[ObjectModel]
    ) -> Candidates:
        """Estimate one pose of each detection with enough depth.

        A pose's score is the network's pose score times the detection's score.

        Args:
            scene: the frame.
            detections: instances with masks.
            objects: models of the detected classes.

        Returns:
            Poses, best first; empty with the reason.
        """
        frame = scene.frame
        work: list[_Work] = []
        reasons: list[str] = []
        for model in objects:
            mine = [d for d in detections.items if d.class_id == model.name]
            limit = self.config.min_detection_score
            sure = [d for d in mine if d.score > limit]
            if low := len(mine) - len(sure):
                reasons.append(
                    f"{low} of {len(mine)} detections of {model.name!r} score {limit:.2f} "
                    "(min_detection_score) or lower"
                )
            work += self._work(frame, sure, self._prepared(model))
        found = self._estimate(work, scene.checkpoint)
        found.sort(key=lambda item: -item.score[0])
        if not found:
            reason = "; ".join(reasons) or "no detection has enough depth pixels near its centre"
            return Candidates.empty(reason)
        return Candidates(tuple(found))

    def _work(
        self,
        frame: Frame,
        detections: Sequence[Detection],
        known: _Prepared,
    ) -> list[_Work]:
        """Return the network inputs of one object's detections that have enough depth."""
        random = np.random.default_rng(self.config.seed)
        found: list[_Work] = []
        for detection in detections:
            cloud = pem_inputs.masked_cloud(frame.depth, frame.camera, detection.mask, known.radius)
            if cloud is None:
                _LOG.debug("a detection of %s has too little depth", detection.class_id)
                continue
            drawn = pem_inputs.draw(len(cloud.points), pem_inputs.OBSERVED_POINTS, random)
            visible = detection.mask & (frame.depth > 0)
            crop = pem_inputs.observation_input(frame.rgb, visible, cloud, drawn)
            found.append(_Work(detection, crop, known.code, len(found)))
        return found

    def _estimate(
        self, work: Sequence[_Work], checkpoint: Callable[[], None]
    ) -> list[InstanceCandidates]:
        """Return the finite poses; several objects go through the network together on a GPU."""
        groups = [list(work)] if self.mix_objects else _by_object(work)
        out = []
        for group in groups:
            poses = zip(group, self._run(group, checkpoint), strict=True) if group else ()
            out += [pose for w, p in poses if (pose := _as_candidates(w.detection, *p)) is not None]
        return out

    def _steps(
        self, bgr: Tensor, flat: Tensor, cloud: Tensor, uniforms: Tensor, *code: Tensor
    ) -> Steps[tuple[Tensor, ...]]:
        """Return rotation, translation and pose score of B crops, as a computation."""
        pem = self.networks.pem
        with encoding(self.networks.dtype, bgr.device):
            features = pem.feature_extraction(bgr, flat).float()
        found = yield from pem.predict_steps(features, cloud, ObjectCode(*code), uniforms)
        return found.rotation, found.translation, found.score

    @property
    def chunk(self) -> int:
        """Number of detections that go through the network together."""
        config, device = self.config, self.networks.device
        item_mb = DETECTION_MB + (CODE_MB if self.mix_objects else 0.0)
        wanted, budget_mb = config.detections_per_batch, config.memory_budget_mb
        chunk = batch_size(wanted, budget_mb, item_mb, device, DETECTIONS_AT_ONCE)
        return chunk if wanted or device.type == "cpu" else 1 << (chunk.bit_length() - 1)

    @property
    def warm_up_sizes(self) -> list[int]:
        """Numbers of detections for which a GPU records graphs, the largest first."""
        return batch_sizes(self.chunk, self.networks.device)

    @inference()
    def _run(
        self, work: Sequence[_Work], checkpoint: Callable[[], None]
    ) -> list[tuple[np.ndarray, np.ndarray, float]]:
        """Rotation, translation and pose score of each input."""
        device, config, chunk = self.networks.device, self.config, self.chunk
        draws, rows = 3 * self.networks.pem.config.hypotheses, [w.number for w in work]
        # on the CPU, so that every device draws the same
        uniforms = torch.rand(
            max(rows) + 1, draws, generator=torch.Generator().manual_seed(config.seed)
        )[rows]

        def run(part: slice) -> tuple[Tensor, ...]:
            count = part.stop - part.start
            missing = padded(count, max(chunk, count), device) - count
            items = [*work[part], *[work[part.start]] * missing]
            given = [np.stack([getattr(w.crop, name) for w in items]) for name in CROP_ARRAYS]
            drawn = uniforms[part][[*range(count), *[0] * missing]]
            inputs = (to_device(value, device) for value in (*given, drawn))
            found = self._graphs(*inputs, *_joined([w.code for w in items]).tensors)
            return tuple(tensor[:count] for tensor in to_host(*found))

        out = []
        for rotation, translation, score in in_chunks(
            run, len(work), chunk, "detections", self._fitting, checkpoint
        ):
            arrays = (t.double().numpy() for t in (rotation, translation))
            out += list(zip(*arrays, score.tolist(), strict=True))
        return out


def _joined(codes: Sequence[ObjectCode]) -> ObjectCode:
    """Return one code of batch B for B observations.

    If all are the same object's, it is of batch 1 on the CPU, where that saves time; on a GPU it is
    a view of batch B, so that the shapes are the same for one object and for many.
    """
    if all(code is codes[0] for code in codes):
        if codes[0].points.device.type == "cpu":
            return codes[0]
        return ObjectCode(*(t.expand(len(codes), *t.shape[1:]) for t in codes[0].tensors))
    return ObjectCode(
        *(torch.cat(parts) for parts in zip(*(c.tensors for c in codes), strict=True))
    )


def _by_object(work: Sequence[_Work]) -> list[list[_Work]]:
    """Return the work of each object, in order."""
    return [list(group) for _, group in groupby(work, key=lambda w: id(w.code))]


def _view_input(view: TemplateView, random: np.random.Generator) -> pem_inputs.CropInput:
    """Network input of one template view with a fresh draw of its pixels."""
    box = pem_inputs.square_box(view.mask)
    available = int(view.mask[box[0] : box[1], box[2] : box[3]].sum())
    drawn = np.sort(pem_inputs.draw(available, pem_inputs.TEMPLATE_POINTS, random))
    return pem_inputs.template_input(view.rgb, view.mask, view.points_obj, drawn)


def _as_candidates(
    detection: Detection, rotation: np.ndarray, translation: np.ndarray, score: float
) -> InstanceCandidates | None:
    """The typed result, or None when the network gave no finite pose."""
    if not (np.isfinite(rotation).all() and np.isfinite(translation).all()):
        _LOG.warning("the pose network gave no finite pose for %s", detection.class_id)
        return None
    return InstanceCandidates(
        detection.class_id,
        detection.instance_id,
        se3.from_rotation_translation(rotation, translation)[None],
        np.clip([score * detection.score], 0.0, 1.0),
        detection.mask,
        {"pose": float(score), "detection": detection.score},
    )
