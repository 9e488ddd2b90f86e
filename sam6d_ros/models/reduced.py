"""Networks made ready for a device: weights in the type they are used in, compiled blocks."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


def hold_weights(network: nn.Module, dtype: torch.dtype | None) -> None:
    """Keep the weights of products and convolutions in the reduced type of the network.

    Automatic mixed precision casts them at every use: 1.05 G weights a frame, and it never keeps
    the result of weights without gradient. Norms, positions and scales stay in float32. The results
    of encoders are the same bits.

    Args:
        network: runs under automatic mixed precision of this type.
        dtype: None for float32.
    """
    if dtype is None:
        return
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            module.to(dtype)


def compile_blocks(blocks: Iterable[nn.Module]) -> None:
    """Compile transformer blocks one by one; blocks of one kind share the code.

    Args:
        blocks: of an encoder.
    """
    for block in blocks:
        block.compile()
