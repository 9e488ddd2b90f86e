"""The stages of the sam6d backend with seeded networks and fixed inputs, for ``benchmarks.gpu``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks import gpu_inputs, gpu_original
from sam6d_ros.models import sam_attention
from sam6d_ros.models.device import encoder_dtype, encoding
from sam6d_ros.models.reduced import hold_weights
from sam6d_ros.stages.sam6d import estimate, score
from sam6d_ros.stages.sam6d.settings import Sam6dConfig
from sam6d_ros.types import Detections, Proposals

SHARE = 0.25  # of SAM's masks that pass the first threshold


@dataclass(frozen=True)
class Setup:
    """What the stages are built from.

    Attributes:
        config: settings of the backend.
        device: of the networks.
        tiny: whether the networks are small ones.
        regions: number of regions that are scored.
        templates: views of the object.
    """

    config: Sam6dConfig
    device: torch.device
    tiny: bool
    regions: int
    templates: gpu_inputs.Templates


class Stages:
    """All stages, built and with the object prepared; they run on one synthetic frame.

    Args:
        setup: settings and inputs.
        dino: descriptor network on the device.
        pem: pose network on the device.
        skipped: receives the reason if SAM is not here.
    """

    def __init__(self, setup: Setup, dino: Any, pem: Any, skipped: dict[str, str]) -> None:
        self.config, self.device, self.tiny = setup.config, setup.device, setup.tiny
        self.regions, self.skipped = setup.regions, skipped
        self.scene, self.model = gpu_inputs.scene(), gpu_inputs.FixedModel()
        dtype = encoder_dtype(self.config.precision, self.device)
        self.networks = gpu_inputs.LoadedNetworks(
            self.config, self.segmenter(dtype), dino, pem, self.device, dtype
        )
        for part in gpu_inputs.reduced(self.networks):
            hold_weights(part, dtype)
        self.context = gpu_inputs.prepare(self.networks, setup.templates)
        self.scorer = score.DescriptorScorer(self.networks, self.context)  # type: ignore[arg-type]
        self.estimator = estimate.PemEstimator(self.networks, self.context)  # type: ignore[arg-type]

    def segmenter(self, dtype: torch.dtype | None) -> Any:
        """Return SAM with a threshold that a share of its masks pass, or None."""
        try:
            sam = gpu_inputs.build_sam(self.config.sam_variant, self.tiny)
            from sam6d_ros.models.sam import SamSegmenter
        except Exception as error:
            self.skipped["sam"] = f"{type(error).__name__}: {error}"
            return None
        sam = gpu_inputs.seed(sam, 1, self.device)
        random = SamSegmenter(sam, replace(self.config, min_predicted_iou=0.0), dtype)
        quality = sam_qualities(random, self.scene.frame.rgb)
        limit = float(quality.quantile(1 - SHARE).clamp(0, 1))
        config = replace(self.config, min_predicted_iou=limit, min_stability=0.0)
        return SamSegmenter(sam, config, dtype)

    def frame(self, count: int) -> None:
        """Run all stages on one frame with fixed regions and detections."""
        if self.networks.sam is not None:
            self.networks.sam.segment(self.scene.frame.rgb)
        self.score()
        self.poses(count)

    def score(self) -> Detections:
        """Score the fixed regions."""
        regions: Proposals = gpu_inputs.proposals(self.regions)
        limits = {gpu_inputs.NAME: self.regions}
        return self.scorer.score(self.scene, regions, [self.model], limits)  # type: ignore[list-item]

    def poses(self, count: int) -> None:
        """Estimate the poses of fixed detections."""
        found = gpu_inputs.detections(count)
        poses = self.estimator.estimate(self.scene, found, [self.model])  # type: ignore[list-item]
        if len(poses.items) != count:
            raise RuntimeError(f"{len(poses.items)} poses of {count} detections: {poses.reason}")

    def graphs(self) -> dict[str, int]:
        """Return the number of recorded graphs; none where the GPU refused, and on the CPU."""
        found = {"poses": self.estimator._graphs.shapes}
        if self.networks.sam is not None:
            found["sam encoder"] = self.networks.sam._encoder.shapes
        return found

    def attention_forms(self) -> dict[str, Callable[[], Any]]:
        """Return both forms of SAM's attention, on the tokens of a global block."""
        encoder = self.networks.sam.sam.image_encoder
        block = next(block for block in encoder.blocks if not block.window_size)
        package = sys.modules[type(block.attn).__base__.__module__]
        side, width = encoder.img_size // encoder.patch_embed.proj.stride[0], block.norm1.weight
        x = torch.rand(1, side, side, len(width), device=self.device)

        def run(form: Callable[..., torch.Tensor]) -> torch.Tensor:
            with encoding(self.networks.dtype, self.device):
                return form(block.attn, package, x)

        forms = (sam_attention.attend, sam_attention.attend_folded)
        return {f"global block, {f.__name__}": (lambda f=f: run(f)) for f in forms}  # type: ignore[misc]

    def original_parts(self, count: int) -> dict[str, Callable[[], Any]]:
        """Return the stages of one frame in the original's way."""
        networks, device = self.networks, self.device
        crops = torch.rand(self.regions, 3, 224, 224, device=device)
        known = self.context.library.values["PemEstimator"].code
        random = torch.Generator().manual_seed(4)
        inputs = {
            "bgr": torch.zeros(count, 224, 224, 3, dtype=torch.uint8, device=device),
            "flat_index": torch.randint(0, 224**2, (count, 2048), generator=random).to(device),
            "points": known.points.expand(count, -1, -1) * known.radius + 0.8,
            "uniforms": torch.rand(count, 3 * networks.pem.config.hypotheses, generator=random).to(
                device
            ),
        }
        if inputs["flat_index"].shape[1] != known.points.shape[1]:  # small networks
            inputs["flat_index"] = inputs["flat_index"][:, : known.points.shape[1]]
        cloud, features = known.points * known.radius, known.features
        parts: dict[str, Callable[[], Any]] = {
            "scores": lambda: gpu_original.describe(networks.dino, crops),
            "poses": lambda: gpu_original.poses(networks.pem, inputs, cloud, features),
        }
        if networks.sam is not None:
            sam, rgb = networks.sam.sam, self.scene.frame.rgb
            image = networks.sam._to_input(rgb)
            side = self.config.points_per_side
            prompts = torch.rand(side * side, 2, generator=random).to(device) * image.shape[-1]
            parts["proposals"] = lambda: gpu_original.masks(sam, image, prompts, rgb.shape[:2])
        return parts


def sam_qualities(segmenter: Any, rgb: Any) -> torch.Tensor:
    """Return the predicted IoU of all masks of some prompts."""
    image = segmenter._to_input(rgb)
    features = segmenter._encode(image)
    points = torch.rand(64, 1, 2, generator=torch.Generator().manual_seed(5)).to(image.device)
    labels = torch.ones(64, 1, dtype=torch.int32, device=image.device)
    sam = segmenter.sam
    with torch.inference_mode():
        given = (points * image.shape[-2], labels)
        sparse, dense = sam.prompt_encoder(points=given, boxes=None, masks=None)
        position = sam.prompt_encoder.get_dense_pe()
        quality = [
            sam.mask_decoder(features, position, sparse[i : i + 4], dense[i : i + 4], True)[1]
            for i in range(0, 64, 4)
        ]
    return torch.cat(quality).flatten()
