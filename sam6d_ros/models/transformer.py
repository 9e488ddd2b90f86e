"""Transformer layers of point matching: softmax attention with pairwise codes, linear attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 256
HEADS = 4
FOCUS_POWER = 3  # focused linear attention (Han et al. 2023)
EPS = 1e-6


def split_heads(x: Tensor) -> Tensor:
    """(B, N, C) to (B, heads, N, C / heads)."""
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


class PairAttention(nn.Module):
    """Softmax attention; with ``pairwise``, the query also meets a code of each pair."""

    def __init__(self, pairwise: bool) -> None:
        super().__init__()
        self.proj_q = nn.Linear(WIDTH, WIDTH)
        self.proj_k = nn.Linear(WIDTH, WIDTH)
        self.proj_v = nn.Linear(WIDTH, WIDTH)
        if pairwise:
            self.proj_p = nn.Linear(WIDTH, WIDTH)

    def weights(self, x: Tensor, memory: Tensor, pairs: Tensor | None) -> Tensor:
        """Attention maps (B, heads, N, M); each row sums to one."""
        query = split_heads(self.proj_q(x))
        score = query @ split_heads(self.proj_k(memory)).transpose(-1, -2)
        if pairs is not None:
            score += self._pair_score(query, pairs)
        return (score / query.shape[-1] ** 0.5).softmax(-1)

    def _pair_score(self, query: Tensor, pairs: Tensor) -> Tensor:
        """Return q_i · (W E_ij + b) as (Wᵀ q_i) · E_ij: 1/64 of the work of projecting every pair.

        The bias would add one value to a whole row, which the softmax cancels; it is left out.
        ``pairs`` may have batch 1 (one object, many observations).
        """
        weight = self.proj_p.weight.unflatten(0, (HEADS, -1))  # (heads, d, C)
        folded = torch.einsum("bhnd,hdc->bnhc", query, weight)
        if len(pairs) == 1 and len(query) > 1:
            rows = folded.permute(1, 0, 2, 3).flatten(1, 2)  # (N, B·heads, C)
            score = rows @ pairs[0].transpose(-1, -2)  # (N, B·heads, M)
            return score.unflatten(1, (len(query), HEADS)).permute(1, 2, 0, 3)
        return (folded @ pairs.transpose(-1, -2)).transpose(1, 2)

    def forward(self, x: Tensor, memory: Tensor, pairs: Tensor | None = None) -> Tensor:
        mixed = self.weights(x, memory, pairs) @ split_heads(self.proj_v(memory))
        return mixed.transpose(1, 2).flatten(2)


class LinearAttention(nn.Module):
    """Focused linear attention: cost linear in the number of points."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.proj_q = nn.Linear(WIDTH, WIDTH)
        self.proj_k = nn.Linear(WIDTH, WIDTH)
        self.proj_v = nn.Linear(WIDTH, WIDTH)

    def focus(self, x: Tensor) -> Tensor:
        """Sharpen the direction of each row, keep its norm (over all channels, not per head)."""
        psi = (F.relu(x) + EPS) / F.softplus(self.scale)
        cubed = psi**FOCUS_POWER
        return cubed * (psi.norm(dim=-1, keepdim=True) / cubed.norm(dim=-1, keepdim=True))

    def forward(self, x: Tensor, memory: Tensor, pairs: Tensor | None = None) -> Tensor:
        query = split_heads(self.focus(self.proj_q(x)))
        key = split_heads(self.focus(self.proj_k(memory)))
        value = split_heads(self.proj_v(memory))
        total = query @ key.sum(-2)[..., None] + EPS
        mixed = query @ (key.transpose(-1, -2) @ value) / total
        return mixed.transpose(1, 2).flatten(2)


class AttentionShell(nn.Module):
    """Attention, linear map, residual, norm."""

    def __init__(self, attention: PairAttention | LinearAttention) -> None:
        super().__init__()
        self.attention = attention
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, memory: Tensor, pairs: Tensor | None) -> Tensor:
        return self.norm(x + self.linear(self.attention(x, memory, pairs)))


class FeedForward(nn.Module):
    """Two linear maps with ReLU, residual, norm."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Linear(WIDTH, 2 * WIDTH)
        self.squeeze = nn.Linear(2 * WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.squeeze(F.relu(self.expand(x))))


class TransformerLayer(nn.Module):
    """One attention layer with its feed-forward part (post-norm)."""

    def __init__(self, attention: PairAttention | LinearAttention) -> None:
        super().__init__()
        self.attention = AttentionShell(attention)
        self.output = FeedForward()

    def forward(self, x: Tensor, memory: Tensor, pairs: Tensor | None = None) -> Tensor:
        return self.output(self.attention(x, memory, pairs))


class SelfCrossBlock(nn.Module):
    """Self-attention within each cloud, then cross-attention between them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [TransformerLayer(PairAttention(True)), TransformerLayer(PairAttention(False))]
        )

    def forward(
        self, obs: Tensor, pairs_obs: Tensor, obj: Tensor, pairs_obj: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Updated tokens of the observed cloud and of the object."""
        within, across = self.layers
        obs, obj = within(obs, obs, pairs_obs), within(obj, obj, pairs_obj)
        # In sequence, not in parallel: the object attends to the already updated observation.
        obs = across(obs, obj)
        return obs, across(obj, obs)
