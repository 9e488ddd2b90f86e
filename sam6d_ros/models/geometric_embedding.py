"""Geometric structure embedding of a sparse cloud (GeoTransformer, Qin et al. 2022, § 3.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sam6d_ros.models.device import pieces
from sam6d_ros.models.triples import smallest

SIGMA_D = 0.2  # length unit of the distance code
SIGMA_A_DEG = 15.0  # angle unit of the angle code
NEIGHBOURS = 3
BACKGROUND_POINT = 100.0  # coordinates of the stand-in point of "no match"


def pairwise_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return (B, N, M) squared distances by the expanded formula, as the original computes them.

    ‖a‖² − 2a·b + ‖b‖² loses digits for points far from the origin: in the camera frame a point
    is up to 3e-3 from itself. The weights were trained on these values, and exact distances pick
    other neighbours, so the formula and its order of operations stay.
    """
    out = torch.matmul(a, b.transpose(-1, -2)).mul_(-2)  # in place: the arrays are large
    out += a.square().sum(-1, keepdim=True)
    out += b.square().sum(-1)[..., None, :]
    return out.clamp_min_(0.0)


class SinusoidalCode(nn.Module):
    """Scalar to (sin ω₀s, cos ω₀s, sin ω₁s, …)."""

    div_term: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        steps = torch.arange(0, width, 2).float()
        self.register_buffer("div_term", torch.exp(steps * (-math.log(10000.0) / width)))

    def forward(self, scalar: Tensor) -> Tensor:
        omega = scalar[..., None] * self.div_term
        return torch.stack([omega.sin(), omega.cos()], dim=-1).flatten(-2)


class GeometricEmbedding(nn.Module):
    """Pairwise code of distances and of angles to the nearest neighbours."""

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.embedding = SinusoidalCode(width)
        self.proj_d = nn.Linear(width, width)
        self.proj_a = nn.Linear(width, width)

    def indices(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Neighbours, distance codes' arguments and angle codes' arguments of (B, N, 3) points.

        Returns:
            knn (B, N, 3) int64, d (B, N, N), a (B, N, N, 3).
        """
        distance = pairwise_distance(points, points).sqrt_()
        # The first column is taken for the point itself. With rounded distances it need not be,
        # but the original drops it all the same.
        knn = smallest(distance, NEIGHBOURS + 1)[..., 1:]
        flat = knn.flatten(1)[..., None].expand(-1, -1, 3)
        neighbours = points.gather(1, flat).unflatten(1, knn.shape[1:])
        reference = (neighbours - points[:, :, None])[:, :, None]  # (B, N, 1, 3, xyz)
        anchor = (points[:, None] - points[:, :, None])[:, :, :, None]  # (B, N, N, 1, xyz)
        reference, anchor = torch.broadcast_tensors(reference, anchor)
        sine = torch.linalg.cross(reference, anchor, dim=-1).norm(dim=-1)
        cosine = (reference * anchor).sum(-1)
        angle = torch.atan2(sine, cosine) * (180.0 / (SIGMA_A_DEG * math.pi))
        return knn, distance / SIGMA_D, angle

    def forward(self, points: Tensor) -> Tensor:
        """(B, N, N, 256) embedding of (B, N, 3) points, the background point first."""
        _, distance, angle = self.indices(points)
        distance, angle = distance.flatten(0, 1), angle.flatten(0, 1)
        out = distance.new_empty((*distance.shape, self.proj_d.out_features))
        for part in pieces(len(out), distance.shape[1] * NEIGHBOURS, out.device):
            strongest = self.proj_a(self.embedding(angle[part])).amax(-2)
            out[part] = strongest.add_(self.proj_d(self.embedding(distance[part])))
        return out.unflatten(0, points.shape[:2])


def with_background(points: Tensor) -> Tensor:
    """(B, 1 + N, 3): the background point (100, 100, 100) before (B, N, 3) points."""
    return torch.cat([points.new_full((len(points), 1, 3), BACKGROUND_POINT), points], dim=1)
