"""The attention of SAM's image encoder without the map of all heads at once.

The package's own makes arrays of heads × 4096 × 4096 in its global blocks: gigabytes, most of
whose time goes into touching them. This one takes a few heads at a time through torch's fused
attention; the result is the same up to rounding.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam6d_ros.models.device import pieces

ROW = 256  # numbers in what `pieces` counts as one vector


def replace_attention(image_encoder: nn.Module, package: ModuleType) -> None:
    """Let the blocks of an ``ImageEncoderViT`` attend in pieces.

    Args:
        image_encoder: of the package segment-anything; its keys stay as they are.
        package: the module that defines it.
    """
    for block in image_encoder.blocks:
        block.attn.forward = partial(attend, block.attn, package)


def attend(attention: Any, package: ModuleType, x: Tensor) -> Tensor:
    """What ``Attention.forward`` of the package computes, for (B, H, W, C) tokens."""
    batch, height, width, _ = x.shape
    heads, tokens = attention.num_heads, height * width
    qkv = attention.qkv(x).reshape(batch, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = qkv.flatten(1, 2).unbind(0)  # each (B · heads, H · W, C / heads)
    rows = package.get_rel_pos(height, height, attention.rel_pos_h).to(query.dtype)
    cols = package.get_rel_pos(width, width, attention.rel_pos_w).to(query.dtype)
    mixed = []
    for part in pieces(len(query), tokens**2 // ROW + 1, query.device):
        bias = _position_bias(query[part].unflatten(1, (height, width)), rows, cols)
        q, k, v = (tensor[part, None] for tensor in (query, key, value))
        mixed.append(F.scaled_dot_product_attention(q, k, v, attn_mask=bias)[:, 0])
    joined = torch.cat(mixed).reshape(batch, heads, height, width, -1)
    return attention.proj(joined.permute(0, 2, 3, 1, 4).flatten(3))


def _position_bias(query: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """(N, 1, H·W, H·W): what each (N, H, W, C) query thinks of the way to each other token."""
    down = torch.einsum("nhwc,hkc->nhwk", query, rows)
    right = torch.einsum("nhwc,wkc->nhwk", query, cols)
    return (down[..., :, None] + right[..., None, :]).flatten(3).flatten(1, 2)[:, None]
