"""Semantic, appearance and geometric scores of SAM-6D: objects of the proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from sam6d_ros.cad.cache import load_or_build
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.models import ism_scores
from sam6d_ros.models.device import batch_size, batch_sizes, in_chunks, reporting_memory
from sam6d_ros.models.exact import inference
from sam6d_ros.models.suppression import suppress_per_object
from sam6d_ros.models.transfer import pack, to_device, to_host, unpack
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.stages.sam6d.descriptors import Describer, Descriptors
from sam6d_ros.stages.sam6d.networks import Networks
from sam6d_ros.stages.sam6d.regions_on_device import Regions
from sam6d_ros.stages.sam6d.views import SCORE_POINTS, ViewChoice, surface_points
from sam6d_ros.types import Detection, Detections, Frame, Proposals, Scene

CACHE_VERSION = 1
COMPARE_MB = 3.0  # patch descriptors of a proposal and of its template, and their product
EARLY_MASK_PIXELS = 1 << 29  # 64 MB, packed
MASK_BYTES = 9  # per pixel of a mask whose depth is averaged: one flag, one double


@dataclass(frozen=True)
class ObjectTemplates:
    """Descriptors and points of one object.

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
        regions: S of them.
        objects: (S,) int64 index of the best object, on the host.
        scores: (S,) final scores in [0, 1], on the device.
    """

    regions: Regions
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
        self._fitting: dict[str, int] = {}

    @cached_property
    def describer(self) -> Describer:
        """The descriptor network with its settings."""
        net = self.networks
        return Describer(net.dino, net.device, net.dtype, self.config.memory_budget_mb)

    @property
    def warm_up_sizes(self) -> list[int]:
        """Numbers of crops that go through the network together on a GPU."""
        return batch_sizes(self.describer.chunk, self.networks.device)

    def prepare(self, model: ObjectModel) -> None:
        """Render and describe the object's views, or load them from the cache.

        Args:
            model: the object.
        """
        self._templates(model)

    def _templates(self, model: ObjectModel) -> ObjectTemplates:
        return self._context.library.derived(model, self._load)

    @reporting_memory("the template descriptors of an object")
    def _load(self, model: ObjectModel) -> ObjectTemplates:
        config = self.config
        mode = "raw" if config.legacy else "normalised"
        kind = "float32" if self.networks.dtype is None else str(self.networks.dtype)
        key = (
            f"dinov2-templates-v{CACHE_VERSION}-{model.content_hash}-{config.views}-{config.seed}"
            f"-{mode}-{kind}-{self.networks.fingerprint('dinov2')}"
        )
        arrays = load_or_build(key, lambda: self._describe(model), self._context.cache_dir)
        tensors = {k: to_device(v, self.networks.device) for k, v in arrays.items()}
        return ObjectTemplates(
            Descriptors(tensors["classes"], tensors["patches"].float()),
            tensors["rotations"],
            tensors["points"],
        )

    def _describe(self, model: ObjectModel) -> dict[str, np.ndarray]:
        choice = ViewChoice(self.config.views, self.config.seed)
        views = self._context.library.passing(model, choice)
        found = self.describer.templates(views, self.config.legacy)
        return {
            "classes": found.classes.cpu().numpy(),
            "patches": found.patches.cpu().numpy(),
            "rotations": np.stack([v.cam_from_obj[:3, :3] for v in views]).astype(np.float32),
            "points": surface_points(model, SCORE_POINTS, self.config.seed),
        }

    @reporting_memory("the regions of a frame")
    def score(
        self,
        scene: Scene,
        proposals: Proposals,
        objects: Sequence[ObjectModel],
        limits: Mapping[str, int],
    ) -> Detections:
        """Return the best instances of each object, best first within an object.

        Args:
            scene: the frame.
            proposals: regions of the frame.
            objects: objects to find.
            limits: largest number of instances, by object.
        """
        if not len(proposals) or not objects:
            return Detections.empty(proposals.reason or "no object is loaded")
        known = [self._templates(model) for model in objects]
        names = [model.name for model in objects]
        scored = self._score(scene, proposals, names, known)
        if not len(scored.scores):
            limit = ism_scores.SEMANTIC_THRESHOLD
            return Detections.empty(f"no proposal has a semantic score above {limit}")
        return Detections(tuple(self._detections(scored, objects, limits)))

    @inference()
    def _score(
        self,
        scene: Scene,
        proposals: Proposals,
        names: Sequence[str],
        known: Sequence[ObjectTemplates],
    ) -> Scored:
        frame, device = scene.frame, self.networks.device
        regions, allowed = Regions.of(proposals, device), _allowed(proposals, names)
        if not self.config.legacy:
            image = frame.depth.size
            large = ism_scores.large_enough(regions.boxes, regions.pixels, image)
            if not large.all():
                index = large.nonzero()[:, 0]
                regions, allowed = regions.at(index), allowed[index]
        if not len(regions):
            return _none_of(regions)
        query = self.describer.proposals(frame.rgb, regions.masks, regions.boxes, scene.checkpoint)
        references = _padded([k.descriptors.classes for k in known])
        match = ism_scores.semantic_match(query.classes, references, to_device(allowed, device))
        score, objects, template = to_host(match.score, match.object_index, match.template)
        selected = (score > ism_scores.SEMANTIC_THRESHOLD).nonzero()[:, 0]
        if not len(selected):
            return _none_of(regions)
        regions, objects = regions.at(selected), objects[selected]
        pairs = list(zip(objects.tolist(), template[selected].tolist(), strict=True))
        patches = query.patches[to_device(selected, device)]
        appearance, visible, position = self._compare(frame, regions.masks, patches, known, pairs)
        geometric = self._geometric(frame, position, regions.boxes, known, pairs)
        semantic = to_device(score[selected], device)
        final = ism_scores.final_scores(semantic, appearance, geometric, visible)
        return Scored(regions, objects, final)

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
        camera = to_device(frame.camera.matrix, device)
        depth = to_device(frame.depth, device)

        def compare(part: slice) -> tuple[Tensor, Tensor, Tensor]:
            best = torch.stack([known[o].descriptors.patches[t] for o, t in pairs[part]])
            position = ism_scores.mean_positions(masks[part], depth, camera).float()
            return *ism_scores.appearance_scores(patches[part], best), position

        item_mb = COMPARE_MB + MASK_BYTES * depth.numel() / 2**20
        chunk = batch_size(0, self.config.memory_budget_mb, item_mb, device)
        parts = in_chunks(compare, len(masks), chunk, "proposals", self._fitting)
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
        device = self.networks.device
        camera = to_device(frame.camera.matrix.astype(np.float32), device)
        rotations = torch.stack([known[o].rotations[t] for o, t in pairs])
        points = torch.stack([known[o].points for o, _ in pairs])
        size = (frame.camera.height, frame.camera.width)
        pixels = ism_scores.project_to_pixels(points, rotations, position, camera, size)
        return ism_scores.geometric_scores(pixels, to_device(boxes, device), self.config.legacy)

    def _detections(
        self, scored: Scored, objects: Sequence[ObjectModel], limits: Mapping[str, int]
    ) -> list[Detection]:
        """Best first per object; duplicates suppressed unless in legacy mode."""
        regions, objects_of = scored.regions, scored.objects
        early = regions.masks.numel() <= EARLY_MASK_PIXELS  # then one wait serves scores and masks
        scores, *masks = to_host(scored.scores, *([pack(regions.masks)] if early else []))
        if self.config.legacy:
            kept = scores.argsort(descending=True, stable=True)
        else:
            kept = suppress_per_object(regions.boxes, scores, objects_of)
        chosen = torch.cat(
            [kept[objects_of[kept] == n][: limits[m.name]] for n, m in enumerate(objects)]
        )
        packed = masks[0][chosen] if early else to_host(pack(regions.at(chosen).masks))[0]
        return [
            Detection(objects[objects_of[i]].name, float(scores[i].clamp(0, 1)), mask)
            for i, mask in zip(chosen.tolist(), unpack(packed, regions.size_hw), strict=True)
        ]


def _none_of(regions: Regions) -> Scored:
    none = torch.zeros(0, dtype=torch.int64)
    return Scored(regions.at(none), none, none.float())


def _allowed(proposals: Proposals, names: Sequence[str]) -> Tensor:
    """Return (P, O) bool, which objects each proposal may show."""
    rows = [[proposals.allows(i, name) for name in names] for i in range(len(proposals))]
    return torch.tensor(rows, dtype=torch.bool)


def _padded(classes: Sequence[Tensor]) -> Tensor:
    """Return (O, V, C) template descriptors, padded with zeros if an object has fewer views.

    A thin object is invisible in the views that meet its edge.
    """
    return torch.nn.utils.rnn.pad_sequence(list(classes), batch_first=True)
