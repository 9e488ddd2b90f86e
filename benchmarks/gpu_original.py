"""One frame in the way of the original's scripts, with the same networks.

The baseline of the speed ratio, as run_inference_custom.py of github.com/JiehongLin/SAM-6D:
everything in float32 with torch's own TF32 settings, masks of 64 prompts at once by the package's
decoder, every mask upscaled before it is judged, 16 crops at once, and what depends on the object
alone computed for each detection anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sam6d_ros.models.pem import PoseEstimationModel
from sam6d_ros.models.sam_cut import mask_boxes, stability
from sam6d_ros.models.suppression import suppress

PROMPTS_AT_ONCE = 64  # points_per_batch of SamAutomaticMaskGenerator
CROPS_AT_ONCE = 16  # chunk_size of the original's descriptor model
CANDIDATES = 4  # share of the masks that pass: one in so many


@contextmanager
def package_attention(sam: Any) -> Iterator[None]:
    """Give the blocks of the encoder the package's own attention."""
    attentions = [block.attn for block in sam.image_encoder.blocks]
    ours = type(attentions[0])
    for attention in attentions:
        attention.__class__ = ours.__base__
    try:
        yield
    finally:
        for attention in attentions:
            attention.__class__ = ours


@torch.inference_mode()
def masks(sam: Any, image: Tensor, prompts: Tensor, image_hw: tuple[int, int]) -> Tensor:
    """Return the boxes of the kept masks of one (1, 3, h, w) input."""
    with package_attention(sam):
        features = sam.image_encoder(sam.preprocess(image))
    kept, scores = [], []
    for start in range(0, len(prompts), PROMPTS_AT_ONCE):
        points = prompts[start : start + PROMPTS_AT_ONCE, None]
        labels = torch.ones(len(points), 1, dtype=torch.int32, device=points.device)
        sparse, dense = sam.prompt_encoder(points=(points, labels), boxes=None, masks=None)
        low, quality = sam.mask_decoder(
            image_embeddings=features,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
        logits = sam.postprocess_masks(low, image.shape[-2:], image_hw).flatten(0, 1)
        steady = stability(logits, 0.0).nan_to_num(0.0)
        order = (quality.flatten() + 0 * steady).argsort(descending=True)
        order = order[: max(1, len(order) // CANDIDATES)]
        kept.append((logits[order] > 0).cpu())  # the original keeps them as run lengths on the host
        scores.append(quality.flatten()[order])
    found, score = torch.cat(kept).to(image.device), torch.cat(scores)
    boxes = mask_boxes(found)
    return boxes[suppress(boxes, score, 0.7)]


@torch.inference_mode()
def describe(dino: Any, crops: Tensor) -> list[Tensor]:
    """Return class tokens of (P, 3, 224, 224) crops."""
    return [
        dino(crops[start : start + CROPS_AT_ONCE])[0].cpu()
        for start in range(0, len(crops), CROPS_AT_ONCE)
    ]


@torch.inference_mode()
def poses(
    pem: PoseEstimationModel, inputs: dict[str, Tensor], cloud: Tensor, features: Tensor
) -> Tensor:
    """Return the scores of B detections from the object's template cloud and its features."""
    count = len(inputs["bgr"])
    dense = pem.feature_extraction(inputs["bgr"], inputs["flat_index"])
    objects = pem.encode_object(
        cloud.expand(count, -1, -1).contiguous(),
        features.expand(count, -1, -1).contiguous(),
        cloud[:, ::2].expand(count, -1, -1).contiguous(),
    )
    return pem.predict(dense, inputs["points"], objects, inputs["uniforms"]).score.cpu()
