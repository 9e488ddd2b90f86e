"""Per-pixel image features of the pose network: ViT-B/16 and a linear up-sampling."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sam6d_ros.models.transfer import constant
from sam6d_ros.models.vit import VisionTransformer, VitConfig

VIT_BASE = VitConfig(width=768, depth=12, heads=12, patch=16, grid=14, classes=1000)
TAPS = (2, 5, 8, 11)  # blocks whose outputs are joined
CHANNELS = 256
SUB = 4  # each patch vector becomes SUB×SUB pixels of the low-resolution map
INPUT_SIZE = 224
# ImageNet statistics of (red, green, blue). The pose network was trained on BGR crops
# normalised with the statistics in this order, so blue gets the red ones.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


def normalise(images_u8: Tensor) -> Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float32 with the statistics in channel order."""
    return standardise(images_u8.permute(0, 3, 1, 2).float() / 255.0)


def standardise(images: Tensor) -> Tensor:
    """Apply the statistics to (B, 3, H, W) float32 images in [0, 1]."""
    mean, std = (constant(v, images.device)[:, None, None] for v in (PIXEL_MEAN, PIXEL_STD))
    return (images - mean) / std


class RgbNet(nn.Module):
    """Image to a (B, 256, 56, 56) feature map."""

    def __init__(self, config: VitConfig = VIT_BASE, taps: tuple[int, ...] = TAPS) -> None:
        super().__init__()
        self.taps = taps
        self.vit = VisionTransformer(config)
        self.output_upscaling = nn.Linear(config.width * len(taps), SUB * SUB * CHANNELS)

    def forward(self, images: Tensor) -> Tensor:
        tokens = torch.cat([tap[:, 1:] for tap in self.vit(images, self.taps)], dim=-1)
        side = images.shape[-1] // self.vit.config.patch
        pixels = self.output_upscaling(tokens).float()
        pixels = pixels.reshape(-1, side, side, SUB, SUB, CHANNELS)
        # patch (r, c), sub-pixel (u, v) is low-resolution pixel (SUB·r + u, SUB·c + v)
        return pixels.permute(0, 5, 1, 3, 2, 4).reshape(-1, CHANNELS, side * SUB, side * SUB)


def _axis_weights(position: Tensor, factor: float, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Lower index, upper index and upper weight of bilinear sampling with half-pixel centres."""
    source = ((position + 0.5) * factor - 0.5).clamp_min(0)
    lower = source.floor()
    weight = source - lower
    low = lower.long()
    return low, (low + 1).clamp_max(size - 1), weight


def sample_upsampled(low_map: Tensor, flat_index: Tensor) -> Tensor:
    """Values of the bilinearly up-sampled map at pixels, without making the whole map.

    Args:
        low_map: (B, C, h, w).
        flat_index: (B, N) int64, row·224 + column of the full-size image.

    Returns:
        (B, N, C).
    """
    height, width = low_map.shape[-2:]
    row, col = flat_index // INPUT_SIZE, flat_index % INPUT_SIZE
    top, bottom, wy = _axis_weights(row.float(), height / INPUT_SIZE, height)
    left, right, wx = _axis_weights(col.float(), width / INPUT_SIZE, width)
    rows = low_map.flatten(2).transpose(1, 2).contiguous()

    def at(y: Tensor, x: Tensor) -> Tensor:
        index = (y * width + x)[..., None].expand(-1, -1, rows.shape[-1])
        return rows.gather(1, index)

    wx, wy = wx[..., None], wy[..., None]
    upper = at(top, left) * (1 - wx) + at(top, right) * wx
    lower = at(bottom, left) * (1 - wx) + at(bottom, right) * wx
    return upper * (1 - wy) + lower * wy


class FeatureExtraction(nn.Module):
    """Features of chosen pixels of 224×224 crops."""

    def __init__(self, config: VitConfig = VIT_BASE, taps: tuple[int, ...] = TAPS) -> None:
        super().__init__()
        self.rgb_net = RgbNet(config, taps)

    def forward(self, bgr_u8: Tensor, flat_index: Tensor) -> Tensor:
        """(B, N, 256) features of (B, 224, 224, 3) uint8 BGR crops at (B, N) flat pixels."""
        return sample_upsampled(self.rgb_net(normalise(bgr_u8)), flat_index)
