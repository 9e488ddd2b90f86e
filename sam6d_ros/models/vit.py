"""A plain vision transformer with the parameter names of the released MAE and DINOv2 files.

Dosovitskiy et al. 2021 (pre-norm, class token, learned positions); layer scale as in
Touvron et al. 2021. One class serves both ViT-B/16 of the pose network and DINOv2 ViT-L/14.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NORM_EPS = 1e-6  # timm and DINOv2, unlike torch's 1e-5


@dataclass(frozen=True)
class VitConfig:
    """Shape of a vision transformer.

    Attributes:
        width: channels of a token.
        depth: number of blocks.
        heads: attention heads.
        patch: side of a patch in pixels.
        grid: side of the grid of learned positions.
        layer_scale: whether each branch is multiplied by a learned ``gamma``.
        classes: size of the unused classification head that the file holds, 0 for none.
        mask_token: whether the file holds the (unused) mask token.
    """

    width: int
    depth: int
    heads: int
    patch: int
    grid: int
    layer_scale: bool = False
    classes: int = 0
    mask_token: bool = False


class LayerScale(nn.Module):
    """Multiply by a learned vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Attention(nn.Module):
    """Multi-head self-attention with one joint projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    """Two layers with the exact GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Attention and MLP, each normalised before and added to its input."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        width = config.width
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = Attention(width, config.heads)
        self.ls1 = LayerScale(width) if config.layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = Mlp(width)
        self.ls2 = LayerScale(width) if config.layer_scale else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    """One linear map per patch: (B, 3, H, W) to (B, patches row-major, width)."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.width, config.patch, config.patch)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """The encoder; see :class:`VitConfig`."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.grid**2, width))
        if config.mask_token:
            self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.patch_embed = PatchEmbed(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        if config.classes:
            self.head = nn.Linear(width, config.classes)

    def positions(self, rows: int, cols: int) -> Tensor:
        """Return the position embeddings (1, 1 + rows·cols, width), resampled to the grid.

        The scale factor carries the +0.1 of the official DINOv2 code (a guard against rounding
        there), so samples lie at (i + 0.5)·grid/(rows + 0.1) − 0.5; the released descriptors
        were made that way.
        """
        grid, width = self.config.grid, self.config.width
        if (rows, cols) == (grid, grid):
            return self.pos_embed
        square = self.pos_embed[:, 1:].reshape(1, grid, grid, width).permute(0, 3, 1, 2)
        scale = ((rows + 0.1) / grid, (cols + 0.1) / grid)
        resized = F.interpolate(square.float(), scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], resized.flatten(2).transpose(1, 2)], dim=1)

    def embed(self, images: Tensor) -> Tensor:
        """Tokens (B, 1 + patches, width) of normalised (B, 3, H, W) images, class token first."""
        patch = self.config.patch
        tokens = self.patch_embed(images)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), tokens], dim=1)
        return tokens + self.positions(images.shape[-2] // patch, images.shape[-1] // patch)

    def forward(self, images: Tensor, taps: Sequence[int] = ()) -> list[Tensor]:
        """Normalised outputs (B, 1 + patches, width) of the blocks in ``taps`` (last if none)."""
        wanted = set(taps) or {len(self.blocks) - 1}
        tokens, found = self.embed(images), []
        for number, block in enumerate(self.blocks):
            tokens = block(tokens)
            if number in wanted:
                found.append(self.norm(tokens))
        return found
