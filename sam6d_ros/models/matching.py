"""Coarse (196 points) and fine (2048 points) matching of an observation to an object."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam6d_ros.models.point_encoding import PointEncoding
from sam6d_ros.models.point_ops import gather_rows
from sam6d_ros.models.transformer import (
    WIDTH,
    LinearAttention,
    SelfCrossBlock,
    TransformerLayer,
)

BLOCKS = 3
TEMPERATURE = 0.1  # of the cosine similarity


class _Matching(nn.Module):
    """What both stages share: the background token and the two projections."""

    def __init__(self) -> None:
        super().__init__()
        self.bg_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.in_proj = nn.Linear(WIDTH, WIDTH)
        self.out_proj = nn.Linear(WIDTH, WIDTH)

    def prefix_background(self, features: Tensor) -> Tensor:
        """The learned token of "no match" before (B, N, C) features."""
        return torch.cat([self.bg_token.expand(len(features), -1, -1), features], dim=1)

    def logits(self, obs: Tensor, obj: Tensor) -> Tensor:
        """Cosine similarities over the temperature: (B, 1 + N, 1 + M), index 0 = background."""
        obs = F.normalize(self.out_proj(obs), dim=-1)
        obj = F.normalize(self.out_proj(obj), dim=-1)
        return obs @ obj.transpose(-1, -2) / TEMPERATURE


class CoarseMatching(_Matching):
    """Matching of the sparse points."""

    def __init__(self) -> None:
        super().__init__()
        self.transformers = nn.ModuleList(SelfCrossBlock() for _ in range(BLOCKS))

    def forward(self, obs: Tensor, pairs_obs: Tensor, obj: Tensor, pairs_obj: Tensor) -> Tensor:
        """Return logits from (B, N, 256) features and (B, 1 + N, 1 + N, 256) pairwise embeddings.

        The object's tensors may have batch 1.
        """
        obs = self.prefix_background(self.in_proj(obs))
        obj = self.prefix_background(self.in_proj(obj))
        for block in self.transformers:
            obs, obj = block(obs, pairs_obs, obj, pairs_obj)
        return self.logits(obs, obj)


class FineBlock(nn.Module):
    """A sparse self/cross block whose result is spread to the dense points."""

    def __init__(self) -> None:
        super().__init__()
        self.sparse_layer = SelfCrossBlock()
        self.dense_layer = TransformerLayer(LinearAttention())

    def forward(
        self,
        obs: Tensor,
        pairs_obs: Tensor,
        index_obs: Tensor,
        obj: Tensor,
        pairs_obj: Tensor,
        index_obj: Tensor,
    ) -> tuple[Tensor, Tensor]:
        sparse_obs, sparse_obj = self.sparse_layer(
            self._sparse(obs, index_obs), pairs_obs, self._sparse(obj, index_obj), pairs_obj
        )
        return self._spread(obs, sparse_obs), self._spread(obj, sparse_obj)

    @staticmethod
    def _sparse(dense: Tensor, index: Tensor) -> Tensor:
        """Return background and sparse rows of (B, 1 + N, C).

        ``index`` counts points, the rows count from the background, and the original uses the
        one for the other: row I is the feature of point I − 1. The weights were trained so.
        """
        return torch.cat([dense[:, :1], gather_rows(dense, index)], dim=1)

    def _spread(self, dense: Tensor, sparse: Tensor) -> Tensor:
        """Dense rows attend to the sparse ones without the background, whose row is replaced."""
        return torch.cat([sparse[:, :1], self.dense_layer(dense[:, 1:], sparse[:, 1:])], dim=1)


class FineMatching(_Matching):
    """Matching of the dense points."""

    def __init__(self) -> None:
        super().__init__()
        self.PE = PointEncoding()
        self.transformers = nn.ModuleList(FineBlock() for _ in range(BLOCKS))

    def tokens(self, features: Tensor, points: Tensor) -> Tensor:
        """(B, 1 + N, 256) tokens of (B, N, 256) features at (B, N, 3) object-frame points."""
        return self.prefix_background(self.in_proj(features) + self.PE(points))

    def forward(
        self,
        obs: Tensor,
        pairs_obs: Tensor,
        index_obs: Tensor,
        obj: Tensor,
        pairs_obj: Tensor,
        index_obj: Tensor,
    ) -> Tensor:
        """Logits from :meth:`tokens`, sparse indices (B, 196) and those points' embeddings."""
        for block in self.transformers:
            obs, obj = block(obs, pairs_obs, index_obs, obj, pairs_obj, index_obj)
        return self.logits(obs, obj)
