"""The Pose Estimation Model of SAM-6D (Lin et al., CVPR 2024), composed of its parts.

What depends on the object alone (features, sampling, embeddings) is computed once per object
and shared by all observations of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from sam6d_ros.models.device import piece_length
from sam6d_ros.models.geometric_embedding import GeometricEmbedding, with_background
from sam6d_ros.models.image_features import TAPS, VIT_BASE, FeatureExtraction
from sam6d_ros.models.matching import CoarseMatching, FineMatching
from sam6d_ros.models.point_ops import furthest_point_sampling, gather_rows
from sam6d_ros.models.pose_solver import (
    FinePose,
    Hypotheses,
    assign,
    decompose_repeats_steps,
    draw_matches,
    hypothesise,
    keep_best,
    sampling_distribution,
    score_hypotheses,
    solve_fine_steps,
)
from sam6d_ros.models.steps import Steps, run
from sam6d_ros.models.vit import VitConfig

RADIUS_EPS = 1e-6  # added to the radius before dividing by it


@dataclass(frozen=True)
class PemConfig:
    """Constants of the released model.

    Attributes:
        dense_points: points of each cloud.
        sparse_points: points of the coarse stage.
        hypotheses: poses drawn from three matches each.
        kept_hypotheses: those that are scored against the model.
        vit: shape of the image encoder.
        taps: encoder blocks that are read.
    """

    dense_points: int = 2048
    sparse_points: int = 196
    hypotheses: int = 6000
    kept_hypotheses: int = 300
    vit: VitConfig = VIT_BASE
    taps: tuple[int, ...] = TAPS


@dataclass(frozen=True)
class ObjectCode:
    """An object as the matching stages see it, lengths in units of its radius.

    Batch 1, or one for each observation.

    Attributes:
        radius: (1,) metres, largest norm of a template point.
        points: (1, 2048, 3) template points.
        features: (1, 2048, 256).
        model: (1, 1024, 3) surface points for scoring.
        sparse: (1, 196) int64 indices of the sparse points.
        pairs: (1, 197, 197, 256) embedding of the sparse points with the background.
        tokens: (1, 2049, 256) input of the fine stage.
    """

    radius: Tensor
    points: Tensor
    features: Tensor
    model: Tensor
    sparse: Tensor
    pairs: Tensor
    tokens: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors, in order."""
        return tuple(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class Observation:
    """B observed clouds in units of the object's radius, camera frame (not centred).

    Attributes:
        points: (B, 2048, 3).
        features: (B, 2048, 256).
        sparse: (B, 196) int64.
        pairs: (B, 197, 197, 256).
    """

    points: Tensor
    features: Tensor
    sparse: Tensor
    pairs: Tensor


@dataclass(frozen=True)
class CoarsePose:
    """Result of the coarse stage: the best hypothesis, and what it was chosen from."""

    rotation: Tensor
    translation: Tensor
    hypotheses: Hypotheses
    numbers: Tensor
    scores: Tensor


@dataclass(frozen=True)
class PosePrediction:
    """B poses.

    Attributes:
        rotation: (B, 3, 3) object to camera.
        translation: (B, 3) metres.
        score: (B,) in [0, 1].
    """

    rotation: Tensor
    translation: Tensor
    score: Tensor


class PoseEstimationModel(nn.Module):
    """Feature extraction, geometric embedding, coarse and fine matching."""

    def __init__(self, config: PemConfig | None = None) -> None:
        super().__init__()
        self.config = config or PemConfig()
        self.feature_extraction = FeatureExtraction(self.config.vit, self.config.taps)
        self.geo_embedding = GeometricEmbedding()
        self.coarse_point_matching = CoarseMatching()
        self.fine_point_matching = FineMatching()

    def template_cloud(self, points: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Choose 2048 of the template points: (1, 2048, 3) and (1, 2048, 256).

        Args:
            points: (V·K, 3) metres, object frame, all views one after the other.
            features: (V·K, 256).

        Returns:
            Points and their features.
        """
        index = furthest_point_sampling(points[None], self.config.dense_points)
        return gather_rows(points[None], index), gather_rows(features[None], index)

    def encode_object(self, points: Tensor, features: Tensor, model: Tensor) -> ObjectCode:
        """Prepare an object from its template cloud and (1, K, 3) surface points, in metres."""
        radius = points.norm(dim=2).amax(1)
        scale = (radius + RADIUS_EPS)[:, None, None]
        return self.code_object(points / scale, features, model / scale, radius)

    def code_object(
        self, points: Tensor, features: Tensor, model: Tensor, radius: Tensor
    ) -> ObjectCode:
        """:meth:`encode_object` of clouds that are already in units of the (1,) radius."""
        sparse = furthest_point_sampling(points, self.config.sparse_points)
        pairs = self.geo_embedding(with_background(gather_rows(points, sparse)))
        tokens = self.fine_point_matching.tokens(features, points)
        return ObjectCode(radius, points, features, model, sparse, pairs, tokens)

    def encode_observation(self, points: Tensor, features: Tensor, radius: Tensor) -> Observation:
        """Prepare (B, 2048, 3) observed points in metres, camera frame."""
        return self.code_observation(points / (radius + RADIUS_EPS)[:, None, None], features)

    def code_observation(self, points: Tensor, features: Tensor) -> Observation:
        """:meth:`encode_observation` of clouds that are already in units of the radius."""
        sparse = furthest_point_sampling(points, self.config.sparse_points)
        pairs = self.geo_embedding(with_background(gather_rows(points, sparse)))
        return Observation(points, features, sparse, pairs)

    def coarse_logits(self, obs: Observation, obj: ObjectCode) -> Tensor:
        """(B, 197, 197) logits of the sparse points."""
        return self.coarse_point_matching(
            gather_rows(obs.features, obs.sparse),
            obs.pairs,
            gather_rows(obj.features, obj.sparse),
            obj.pairs,
        )

    def coarse_pose(
        self,
        logits: Tensor,
        obs: Observation,
        obj: ObjectCode,
        uniforms: Tensor | None = None,
        matches: Tensor | None = None,
    ) -> CoarsePose:
        """Run :meth:`coarse_pose_steps`."""
        return run(self.coarse_pose_steps(logits, obs, obj, uniforms, matches))

    def coarse_pose_steps(
        self,
        logits: Tensor,
        obs: Observation,
        obj: ObjectCode,
        uniforms: Tensor | None = None,
        matches: Tensor | None = None,
    ) -> Steps[CoarsePose]:
        """Return the best of many three-point poses.

        Args:
            logits: of :meth:`coarse_logits`.
            obs: the observations.
            obj: the object.
            uniforms: (B, 3·hypotheses) in [0, 1), the randomness.
            matches: flat match indices instead of drawing them (tests).

        Yields:
            Work of the host.

        Returns:
            The hypothesis of the highest score.

        Raises:
            ValueError: neither uniforms nor matches are given.
        """
        assignment = assign(logits)
        if matches is None:
            if uniforms is None:
                raise ValueError("coarse_pose needs uniforms or matches")
            matches = draw_matches(sampling_distribution(assignment), uniforms)
        points = gather_rows(obs.points, obs.sparse)
        sides = points, gather_rows(obj.points, obj.sparse)
        drawn = hypothesise(matches, *sides)
        kept, numbers = keep_best(drawn, min(self.config.kept_hypotheses, matches.shape[1] // 3))
        kept = yield from decompose_repeats_steps(kept, numbers, matches, *sides)
        chunk = piece_length(points.shape[0] * points.shape[1], points.device)
        scores = score_hypotheses(kept, points, assignment.foreground_obs, obj.model, chunk)
        best = scores.argmax(1)
        item = torch.arange(len(best), device=best.device)
        return CoarsePose(
            kept.rotation[item, best], kept.translation[item, best], kept, numbers, scores
        )

    def fine_logits(
        self, obs: Observation, obj: ObjectCode, rotation: Tensor, translation: Tensor
    ) -> Tensor:
        """(B, 2049, 2049) logits of all points, given an initial pose."""
        moved = (obs.points - translation[:, None]) @ rotation
        tokens = self.fine_point_matching.tokens(obs.features, moved)
        return self.fine_point_matching(
            tokens, obs.pairs, obs.sparse, obj.tokens, obj.pairs, obj.sparse
        )

    def fine_pose(self, logits: Tensor, obs: Observation, obj: ObjectCode) -> FinePose:
        """Refined pose in units of the object's radius."""
        return run(solve_fine_steps(assign(logits), obs.points, obj.points, obj.model))

    def predict(
        self, features: Tensor, points: Tensor, obj: ObjectCode, uniforms: Tensor
    ) -> PosePrediction:
        """Run :meth:`predict_steps`."""
        return run(self.predict_steps(features, points, obj, uniforms))

    def predict_steps(
        self, features: Tensor, points: Tensor, obj: ObjectCode, uniforms: Tensor
    ) -> Steps[PosePrediction]:
        """Return the poses of B observations.

        The features are computed apart: the image encoder may run in reduced precision, and the
        matching must not.

        Args:
            features: (B, 2048, 256) of the points.
            points: (B, 2048, 3) float32 metres, camera frame.
            obj: the object, or one for each observation.
            uniforms: (B, 18000) float32 in [0, 1).

        Yields:
            Work of the host.

        Returns:
            The poses.
        """
        obs = self.encode_observation(points, features, obj.radius)
        logits = self.coarse_logits(obs, obj)
        coarse = yield from self.coarse_pose_steps(logits, obs, obj, uniforms)
        logits = self.fine_logits(obs, obj, coarse.rotation, coarse.translation)
        fine = yield from solve_fine_steps(assign(logits), obs.points, obj.points, obj.model)
        return PosePrediction(
            fine.rotation, fine.translation * (obj.radius + RADIUS_EPS)[:, None], fine.score
        )
