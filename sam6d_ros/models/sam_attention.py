"""The attention of SAM's image encoder without the map of all heads at once.

The package's own makes arrays of heads × 4096 × 4096 in its global blocks: gigabytes, most of
whose time goes into touching them. There are two forms, equal to it up to rounding:
:func:`attend` takes a few heads at a time and adds the position bias as a mask, for the CPU;
:func:`attend_folded` takes all heads and hides the bias in more channels, so that a GPU may run
flash attention, which takes no mask. The device decides when the network is built.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam6d_ros.models.device import pieces

ROW = 256  # numbers in what `pieces` counts as one vector
CHANNELS_STEP = 8  # flash attention copies other widths to the next multiple


def replace_attention(image_encoder: nn.Module, package: ModuleType) -> None:
    """Let the blocks of an ``ImageEncoderViT`` attend in the form for their device.

    All blocks share one class, so that compiled code serves all of them.

    Args:
        image_encoder: of the package segment-anything; its keys stay as they are.
        package: the module that defines it.
    """

    class Attention(package.Attention):  # type: ignore[name-defined]
        """Attention of the package in another form."""

        def forward(self, x: Tensor) -> Tensor:
            return (attend if x.device.type == "cpu" else attend_folded)(self, package, x)

    for block in image_encoder.blocks:
        block.attn.__class__ = Attention


def attend(attention: Any, package: ModuleType, x: Tensor) -> Tensor:
    """What ``Attention.forward`` of the package computes, for (B, H, W, C) tokens."""
    batch, height, width, _ = x.shape
    heads, tokens = attention.num_heads, height * width
    qkv = attention.qkv(x).reshape(batch, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = qkv.flatten(1, 2).unbind(0)  # each (B · heads, H · W, C / heads)
    rows, cols = _tables(attention, package, height, width, query.dtype)
    mixed = []
    for part in pieces(len(query), tokens**2 // ROW + 1, query.device):
        down, right = _bias(query[part].unflatten(1, (height, width)), rows, cols)
        bias = (down[..., :, None] + right[..., None, :]).flatten(3).flatten(1, 2)[:, None]
        q, k, v = (tensor[part, None] for tensor in (query, key, value))
        mixed.append(F.scaled_dot_product_attention(q, k, v, attn_mask=bias)[:, 0])
    joined = torch.cat(mixed).reshape(batch, heads, height, width, -1)
    return attention.proj(joined.permute(0, 2, 3, 1, 4).flatten(3))


def attend_folded(attention: Any, package: ModuleType, x: Tensor) -> Tensor:
    """:func:`attend` as one call without a mask.

    q·k + down[row of key] + right[column of key] is one product if the query carries both bias
    vectors and the key the one-hot code of its row and column: 208 channels in the global blocks of
    ViT-H, 108 in its windows.

    Returns:
        (B, H, W, C).
    """
    batch, height, width, _ = x.shape
    heads, tokens = attention.num_heads, height * width
    qkv = attention.qkv(x).reshape(batch, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = qkv.unbind(0)  # each (B, heads, H · W, C / heads)
    depth = query.shape[-1]
    tables = _tables(attention, package, height, width, query.dtype)
    down, right = _bias(query.flatten(0, 1).unflatten(1, (height, width)), *tables)
    bias = torch.cat([down, right], -1).reshape(batch, heads, tokens, height + width)
    rows = torch.eye(height, dtype=query.dtype, device=x.device)[:, None].expand(-1, width, -1)
    cols = torch.eye(width, dtype=query.dtype, device=x.device)[None].expand(height, -1, -1)
    code = torch.cat([rows, cols], -1).flatten(0, 1).expand(batch, heads, -1, -1)
    unused = -(depth + height + width) % CHANNELS_STEP
    query = F.pad(torch.cat([query * depth**-0.5, bias], -1), (0, unused))
    key = F.pad(torch.cat([key, code], -1), (0, unused))
    value = F.pad(value, (0, height + width + unused))  # flash attention wants equal widths
    mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0)[..., :depth]
    return attention.proj(mixed.transpose(1, 2).reshape(batch, height, width, -1))


def _tables(
    attention: Any, package: ModuleType, height: int, width: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return the relative positions (H, H, C) of rows and (W, W, C) of columns."""
    return (
        _positions(package, height, attention.rel_pos_h).to(dtype),
        _positions(package, width, attention.rel_pos_w).to(dtype),
    )


def _positions(package: ModuleType, size: int, table: Tensor) -> Tensor:
    """Return (size, size, C) rows of the table by query and key: table[query − key + size − 1].

    The package gathers them by an index made on the host: 64 copies a frame, and no graph can be
    captured. Tables of another size are resampled there.
    """
    if len(table) != 2 * size - 1:
        resampled: Tensor = package.get_rel_pos(size, size, table)
        return resampled
    return table.flip(0).unfold(0, size, 1).flip(0).transpose(1, 2)


def _bias(query: Tensor, rows: Tensor, cols: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bias of (N, H, W, C) queries to each row (N, H, W, H) and column (N, H, W, W)."""
    down = torch.einsum("nhwc,hkc->nhwk", query, rows)
    return down, torch.einsum("nhwc,wkc->nhwk", query, cols)
