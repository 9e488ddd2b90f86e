"""Poses by the Pose Estimation Model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sam6d_ros.cad.cache import load_or_build
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import back_project
from sam6d_ros.models.device import batch_size, encoding, in_chunks
from sam6d_ros.models.pem import ObjectCode, PosePrediction
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.stages.sam6d import pem_inputs
from sam6d_ros.stages.sam6d.networks import Networks
from sam6d_ros.stages.sam6d.views import POSE_POINTS, TemplateView, surface_points, template_views
from sam6d_ros.types import Candidates, Detection, Detections, Frame, InstanceCandidates, Scene

CACHE_VERSION = 1
VIEW_MB = 60.0  # activations of one template view in the image encoder; a bound
DETECTION_MB = 200.0  # of one detection at the peak, in the geometric embedding; measured
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Prepared:
    """An object's code and how far its surface reaches from its origin, in metres."""

    code: ObjectCode
    radius: float


class PemEstimator:
    """One pose per detection.

    Args:
        networks: the loaded networks.
        context: cache folder and library of the engine.
    """

    def __init__(self, networks: Networks, context: BuildContext) -> None:
        self.networks, self.config, self._context = networks, networks.config, context

    def prepare(self, model: ObjectModel) -> None:
        """Compute the template features of the object, or load them from the cache."""
        self._prepared(model)

    def _prepared(self, model: ObjectModel) -> _Prepared:
        return self._context.library.derived(model, self._load)

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
        with torch.inference_mode():
            code = self.networks.pem.encode_object(
                points, features, torch.from_numpy(surface).to(device)[None]
            )
        radius = float(np.linalg.norm(surface, axis=1).max())
        return _Prepared(code, radius)

    def _templates(self, model: ObjectModel) -> dict[str, np.ndarray]:
        """Points (1, 2048, 3) and features (1, 2048, 256) chosen from all views."""
        random = np.random.default_rng(self.config.seed)
        views = template_views(model, self.config.views, self.config.seed)
        inputs = [_view_input(view, random) for view in views]
        device, pem = self.networks.device, self.networks.pem

        def features(part: slice) -> Tensor:
            bgr = torch.from_numpy(np.stack([i.bgr for i in inputs[part]])).to(device)
            flat = torch.from_numpy(np.stack([i.flat_index for i in inputs[part]])).to(device)
            with encoding(self.networks.dtype, device):
                return pem.feature_extraction(bgr, flat).float().flatten(0, 1)

        chunk = batch_size(0, self.config.memory_budget_mb, VIEW_MB, device)
        found = torch.cat(in_chunks(features, len(inputs), chunk, "template views"))
        points = torch.from_numpy(np.concatenate([i.points for i in inputs])).to(device)
        with torch.inference_mode():
            cloud = pem.template_cloud(points, found)
        return {"points": cloud[0].cpu().numpy(), "features": cloud[1].cpu().numpy()}

    def estimate(
        self, scene: Scene, detections: Detections, objects: Sequence[ObjectModel]
    ) -> Candidates:
        """One pose of each detection with enough depth, best first.

        A pose's score is the network's pose score times the detection's score.
        """
        frame = scene.frame
        points = back_project(frame.camera, frame.depth)
        found: list[InstanceCandidates] = []
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
            found += self._estimate_object(frame, points, sure, self._prepared(model))
        found.sort(key=lambda item: -item.score[0])
        if not found:
            reason = "; ".join(reasons) or "no detection has enough depth pixels near its centre"
            return Candidates.empty(reason)
        return Candidates(tuple(found))

    def _estimate_object(
        self,
        frame: Frame,
        points: np.ndarray,
        detections: Sequence[Detection],
        known: _Prepared,
    ) -> list[InstanceCandidates]:
        random = np.random.default_rng(self.config.seed)
        usable, inputs = [], []
        for detection in detections:
            cloud = pem_inputs.masked_cloud(points, detection.mask, known.radius)
            if cloud is None:
                _LOG.debug("a detection of %s has too little depth", detection.class_id)
                continue
            drawn = pem_inputs.draw(len(cloud.points), pem_inputs.OBSERVED_POINTS, random)
            visible = detection.mask & (frame.depth > 0)
            inputs.append(pem_inputs.observation_input(frame.rgb, visible, cloud, drawn))
            usable.append(detection)
        poses = self._run(inputs, known.code) if inputs else []
        pairs = zip(usable, poses, strict=True)
        return [pose for d, p in pairs if (pose := _as_candidates(d, *p)) is not None]

    def _run(
        self, inputs: Sequence[pem_inputs.CropInput], code: ObjectCode
    ) -> list[tuple[np.ndarray, np.ndarray, float]]:
        """Rotation, translation and pose score of each input."""
        device, pem, config = self.networks.device, self.networks.pem, self.networks.config
        draws = 3 * pem.config.hypotheses
        # on the CPU, so that every device draws the same
        uniforms = torch.rand(
            len(inputs), draws, generator=torch.Generator().manual_seed(config.seed)
        )

        def run(part: slice) -> PosePrediction:
            bgr, flat, cloud = (
                torch.from_numpy(np.stack([getattr(i, name) for i in inputs[part]])).to(device)
                for name in ("bgr", "flat_index", "points")
            )
            with encoding(self.networks.dtype, device):
                features = pem.feature_extraction(bgr, flat).float()
            with torch.inference_mode():
                return pem.predict(features, cloud, code, uniforms[part].to(device))

        wanted, budget_mb = config.detections_per_batch, config.memory_budget_mb
        chunk = batch_size(wanted, budget_mb, DETECTION_MB, device)
        out = []
        for part in in_chunks(run, len(inputs), chunk, "detections"):
            arrays = (t.double().cpu().numpy() for t in (part.rotation, part.translation))
            out += list(zip(*arrays, part.score.tolist(), strict=True))
        return out


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
