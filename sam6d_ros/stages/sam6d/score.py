"""Which proposal shows which object: semantic, appearance and geometric scores of SAM-6D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sam6d_ros.cad.cache import load_or_build
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.models import ism_scores
from sam6d_ros.models.device import batch_size, in_chunks
from sam6d_ros.models.sam import mask_boxes
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.stages.sam6d.descriptors import Describer, Descriptors
from sam6d_ros.stages.sam6d.networks import Networks
from sam6d_ros.stages.sam6d.views import SCORE_POINTS, surface_points, template_views
from sam6d_ros.types import Detection, Detections, Frame, Proposals, Scene

CACHE_VERSION = 1
COMPARE_MB = 3.0  # patch descriptors of a proposal and of its template, and their product
MASK_BYTES = 9  # per pixel of a mask whose depth is averaged: one flag, one double


@dataclass(frozen=True)
class ObjectTemplates:
    """What the scorer knows of one object.

    Attributes:
        descriptors: of its V views.
        rotations: (V, 3, 3) float32 of ``cam_from_obj``.
        points: (2048, 3) float32 surface points, metres.
    """

    descriptors: Descriptors
    rotations: Tensor
    points: Tensor


@dataclass(frozen=True)
class Scored:
    """Proposals that passed the semantic threshold.

    Attributes:
        masks: (S, H, W) bool.
        boxes: (S, 4) int64.
        objects: (S,) int64 index of the best object.
        scores: (S,) final scores in [0, 1].
    """

    masks: Tensor
    boxes: Tensor
    objects: Tensor
    scores: Tensor


class DescriptorScorer:
    """Compares proposals with template views by DINOv2 descriptors.

    Args:
        networks: the loaded networks.
        context: settings, cache folder and library of the engine.
    """

    def __init__(self, networks: Networks, context: BuildContext) -> None:
        self.networks, self.config = networks, networks.config
        self._context = context

    @property
    def describer(self) -> Describer:
        """The descriptor network with its settings."""
        net = self.networks
        return Describer(net.dino, net.device, net.dtype, self.config.memory_budget_mb)

    def prepare(self, model: ObjectModel) -> None:
        """Render and describe the object's views, or load them from the cache."""
        self._templates(model)

    def _templates(self, model: ObjectModel) -> ObjectTemplates:
        return self._context.library.derived(model, self._load)

    def _load(self, model: ObjectModel) -> ObjectTemplates:
        config = self.config
        mode = "raw" if config.legacy else "normalised"
        kind = "float32" if self.networks.dtype is None else str(self.networks.dtype)
        key = (
            f"dinov2-templates-v{CACHE_VERSION}-{model.content_hash}-{config.views}-{config.seed}"
            f"-{mode}-{kind}-{self.networks.fingerprint('dinov2')}"
        )
        arrays = load_or_build(key, lambda: self._describe(model), self._context.cache_dir)
        tensors = {k: torch.from_numpy(v).to(self.networks.device) for k, v in arrays.items()}
        return ObjectTemplates(
            Descriptors(tensors["classes"], tensors["patches"].float()),
            tensors["rotations"],
            tensors["points"],
        )

    def _describe(self, model: ObjectModel) -> dict[str, np.ndarray]:
        views = template_views(model, self.config.views, self.config.seed)
        found = self.describer.templates(views, self.config.legacy)
        return {
            "classes": found.classes.cpu().numpy(),
            "patches": found.patches.cpu().numpy(),
            "rotations": np.stack([v.cam_from_obj[:3, :3] for v in views]).astype(np.float32),
            "points": surface_points(model, SCORE_POINTS, self.config.seed),
        }

    def score(
        self,
        scene: Scene,
        proposals: Proposals,
        objects: Sequence[ObjectModel],
        limits: Mapping[str, int],
    ) -> Detections:
        """The best instances of each object, best first within an object."""
        if not len(proposals) or not objects:
            return Detections.empty(proposals.reason or "no object is loaded")
        known = [self._templates(model) for model in objects]
        names = [model.name for model in objects]
        scored = self._score(scene.frame, proposals, names, known)
        if not len(scored.scores):
            limit = ism_scores.SEMANTIC_THRESHOLD
            return Detections.empty(f"no proposal has a semantic score above {limit}")
        return Detections(tuple(self._detections(scored, objects, limits)))

    @torch.inference_mode()
    def _score(
        self,
        frame: Frame,
        proposals: Proposals,
        names: Sequence[str],
        known: Sequence[ObjectTemplates],
    ) -> Scored:
        device = self.networks.device
        masks = torch.from_numpy(proposals.masks).to(device)
        boxes, allowed = mask_boxes(masks), _allowed(proposals, names).to(device)
        if not self.config.legacy:
            large = ism_scores.large_enough(boxes, masks)
            masks, boxes, allowed = masks[large], boxes[large], allowed[large]
        if not len(masks):
            return Scored(masks, boxes, boxes[:, 0], masks.new_zeros(0, dtype=torch.float32))
        query = self.describer.proposals(frame.rgb, masks, boxes)
        references = _padded([k.descriptors.classes for k in known])
        match = ism_scores.semantic_match(query.classes, references, allowed=allowed)
        masks, boxes = masks[match.selected], boxes[match.selected]
        if not len(masks):
            return Scored(masks, boxes, match.object_index, match.score)
        pairs = list(zip(match.object_index.tolist(), match.template.tolist(), strict=True))
        patches = query.patches[match.selected]
        appearance, visible, position = self._compare(frame, masks, patches, known, pairs)
        geometric = self._geometric(frame, position, boxes, known, pairs)
        final = ism_scores.final_scores(match.score, appearance, geometric, visible)
        return Scored(masks, boxes, match.object_index, final)

    def _compare(
        self,
        frame: Frame,
        masks: Tensor,
        patches: Tensor,
        known: Sequence[ObjectTemplates],
        pairs: Sequence[tuple[int, int]],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Appearance score, visible ratio and mean position (S, 3) of S masks and patches."""
        device = self.networks.device
        camera = torch.from_numpy(frame.camera.matrix).to(device)
        depth = torch.from_numpy(frame.depth).to(device)

        def compare(part: slice) -> tuple[Tensor, Tensor, Tensor]:
            best = torch.stack([known[o].descriptors.patches[t] for o, t in pairs[part]])
            position = ism_scores.mean_positions(masks[part], depth, camera).float()
            return *ism_scores.appearance_scores(patches[part], best), position

        item_mb = COMPARE_MB + MASK_BYTES * depth.numel() / 2**20
        chunk = batch_size(0, self.config.memory_budget_mb, item_mb, device)
        parts = in_chunks(compare, len(masks), chunk, "proposals")
        appearance, visible, position = (torch.cat(column) for column in zip(*parts, strict=True))
        return appearance, visible, position

    def _geometric(
        self,
        frame: Frame,
        position: Tensor,
        boxes: Tensor,
        known: Sequence[ObjectTemplates],
        pairs: Sequence[tuple[int, int]],
    ) -> Tensor:
        camera = torch.from_numpy(frame.camera.matrix).to(position)
        rotations = torch.stack([known[o].rotations[t] for o, t in pairs])
        points = torch.stack([known[o].points for o, _ in pairs])
        size = (frame.camera.height, frame.camera.width)
        pixels = ism_scores.project_to_pixels(points, rotations, position, camera, size)
        return ism_scores.geometric_scores(pixels, boxes, self.config.legacy)

    def _detections(
        self, scored: Scored, objects: Sequence[ObjectModel], limits: Mapping[str, int]
    ) -> list[Detection]:
        """Best first per object; duplicates suppressed unless in legacy mode."""
        if self.config.legacy:
            kept = scored.scores.argsort(descending=True, stable=True)
        else:
            kept = ism_scores.suppress_per_object(scored.boxes, scored.scores, scored.objects)
        found = []
        for number, model in enumerate(objects):
            of_object = kept[scored.objects[kept] == number]
            for i in of_object[: limits[model.name]].tolist():
                score = float(scored.scores[i].clamp(0, 1))
                found.append(Detection(model.name, score, scored.masks[i].cpu().numpy()))
        return found


def _allowed(proposals: Proposals, names: Sequence[str]) -> Tensor:
    """Return (P, O) bool, which objects each proposal may show."""
    rows = [[proposals.allows(i, name) for name in names] for i in range(len(proposals))]
    return torch.tensor(rows, dtype=torch.bool)


def _padded(classes: Sequence[Tensor]) -> Tensor:
    """(O, V, C) template descriptors; zeros, similar to nothing, where an object has fewer views.

    A thin object is invisible in the views that meet its edge.
    """
    return torch.nn.utils.rnn.pad_sequence(list(classes), batch_first=True)
