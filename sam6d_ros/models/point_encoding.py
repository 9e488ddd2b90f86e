"""Positional encoding of dense points: a two-scale PointNet (Qi et al. 2017) over ball groups."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam6d_ros.models.device import pieces
from sam6d_ros.models.point_ops import ball_queries, group

RADII = (0.1, 0.2)  # of the object's radius
SAMPLES = (32, 64)
CHANNELS = (6, 32, 64, 128)


class _NormLayer(nn.Module):
    """Holds the batch norm under the name that the checkpoint uses."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)


class PointLayer(nn.Module):
    """1×1 convolution without bias, batch norm with running statistics, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.normlayer = _NormLayer(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs): the norm is folded into the linear map."""
        bn = self.normlayer.bn
        assert bn.running_mean is not None
        assert bn.running_var is not None
        gain = bn.weight * torch.rsqrt(bn.running_var + bn.eps)
        weight = self.conv.weight.flatten(1) * gain[:, None]
        return F.linear(x, weight, bn.bias - bn.running_mean * gain).relu_()


class PointMlp(nn.Module):
    """Three point layers, shared by all neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.layer0, self.layer1, self.layer2 = (PointLayer(i, o) for i, o in pairwise(CHANNELS))

    def forward(self, groups: Tensor) -> Tensor:
        return self.layer2(self.layer1(self.layer0(groups)))


class _OutputLayer(nn.Module):
    """A linear map stored as a 1-D convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.conv.weight[..., 0], self.conv.bias)


class PointEncoding(nn.Module):
    """(B, N, 3) points, unit about the object's radius, to (B, N, 256)."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp1, self.mlp2 = PointMlp(), PointMlp()
        self.mlp3 = _OutputLayer(2 * CHANNELS[-1])

    def forward(self, points: Tensor) -> Tensor:
        neighbours = ball_queries(points, points, RADII, SAMPLES)
        scales = [
            self._strongest(mlp, points, index)
            for mlp, index in zip((self.mlp1, self.mlp2), neighbours, strict=True)
        ]
        return self.mlp3(torch.cat(scales, dim=-1))

    @staticmethod
    def _strongest(mlp: PointMlp, points: Tensor, index: Tensor) -> Tensor:
        """(B, N, 128) largest answers among the (B, N, S) neighbours of each point."""
        parts = pieces(points.shape[1], len(points) * index.shape[-1], points.device)
        found = [mlp(group(points, points[:, p], index[:, p])).amax(-2) for p in parts]
        return torch.cat(found, dim=1)
