"""Laws of the pose network's parts."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from sam6d_ros.models import pose_solver  # noqa: E402
from sam6d_ros.models.geometric_embedding import pairwise_distance  # noqa: E402
from sam6d_ros.models.image_features import sample_upsampled  # noqa: E402
from sam6d_ros.models.pem import ObjectCode  # noqa: E402
from sam6d_ros.models.transformer import PairAttention, split_heads  # noqa: E402
from sam6d_ros.models.vit import VisionTransformer, VitConfig  # noqa: E402


def random_rotation(batch: int, generator: torch.Generator) -> torch.Tensor:
    q, _ = torch.linalg.qr(torch.randn(batch, 3, 3, generator=generator))
    return q * torch.linalg.det(q).sign()[:, None, None]


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_procrustes_recovers_a_motion(generator: torch.Generator) -> None:
    source = torch.randn(4, 30, 3, generator=generator)
    rotation = random_rotation(4, generator)
    translation = torch.randn(4, 3, generator=generator)
    moved = source @ rotation.mT + translation[:, None]
    weights = torch.rand(4, 30, generator=generator)
    found_r, found_t = pose_solver.procrustes(source, moved, weights)
    assert (found_r - rotation).abs().max() < 1e-4
    assert (found_t - translation).abs().max() < 1e-4
    back = pose_solver.to_object(moved, found_r, found_t)
    assert (back - source).abs().max() < 1e-3


def test_procrustes_never_reflects(generator: torch.Generator) -> None:
    source = torch.randn(50, 3, 3, generator=generator)
    rotation, _ = pose_solver.procrustes(source, -source)
    assert (torch.linalg.det(rotation) > 0.99).all()


def test_a_covariance_that_is_not_finite_spoils_no_other(generator: torch.Generator) -> None:
    """LAPACK refuses the whole batch; features in fp16 may overflow for one detection."""
    spread = torch.randn(3, 3, 3, generator=generator)
    (expected,) = pose_solver.best_rotation(spread)
    spread[1, 0, 2] = torch.nan
    (found,) = pose_solver.best_rotation(spread)
    assert found[1].isnan().all()
    assert torch.equal(found[::2], expected[::2])


def test_procrustes_ignores_points_below_the_floor(generator: torch.Generator) -> None:
    source = torch.randn(1, 20, 3, generator=generator)
    target = source + 1.0
    weights = torch.ones(1, 20)
    target[0, 10:] = 99.0
    weights[0, 10:] = 0.4
    _, translation = pose_solver.procrustes(source, target, weights, floor=0.5)
    assert (translation - 1).abs().max() < 1e-3


def test_folded_pair_scores_equal_the_plain_formula(generator: torch.Generator) -> None:
    attention = PairAttention(pairwise=True)
    x = torch.randn(2, 7, 256, generator=generator)
    pairs = torch.randn(2, 7, 7, 256, generator=generator)
    query = split_heads(attention.proj_q(x))
    key = split_heads(attention.proj_k(x))
    code = attention.proj_p(pairs).unflatten(-1, (4, 64))
    plain = query @ key.mT + torch.einsum("bhnd,bnmhd->bhnm", query, code)
    ours = attention.weights(x, x, pairs)
    assert (ours - (plain / 8).softmax(-1)).abs().max() < 1e-5


def test_one_object_serves_many_observations(tiny: Any, generator: torch.Generator) -> None:
    """A shared object code of batch 1 gives the same as a repeated one."""
    pem, few = tiny.pem, 64
    points = torch.rand(1, few, 3, generator=generator) - 0.5
    features = torch.randn(1, few, 256, generator=generator)
    code = pem.encode_object(points, features, points)
    clouds = torch.rand(3, few, 3, generator=generator) * 0.3 + torch.tensor([0.0, 0.0, 2.0])
    seen = torch.randn(3, few, 256, generator=generator)
    uniforms = torch.rand(3, 600, generator=generator)
    together = pem.predict(seen, clouds, code, uniforms)
    fields = {k: v.expand(3, *v.shape[1:]) for k, v in vars(code).items()}
    repeated = pem.predict(seen, clouds, ObjectCode(**fields), uniforms)
    for name in ("rotation", "translation", "score"):
        assert (getattr(together, name) - getattr(repeated, name)).abs().max() < 1e-3
    alone = pem.predict(seen[1:2], clouds[1:2], code, uniforms[1:2])
    assert (alone.translation - together.translation[1:2]).abs().max() < 1e-3


def test_draws_follow_the_distribution() -> None:
    cumulated = torch.tensor([[0.1, 0.1, 0.6, 0.999]])
    uniforms = torch.tensor([[0.0, 0.1, 0.10001, 0.6, 0.9995]])
    # the first position that reaches the draw; none gives the length
    assert pose_solver.draw_matches(cumulated, uniforms).tolist() == [[0, 0, 2, 2, 4]]


def test_hypothesis_scores_do_not_depend_on_the_chunk(generator: torch.Generator) -> None:
    rotation = random_rotation(10, generator)[None]
    translation = torch.randn(1, 10, 3, generator=generator)
    hypotheses = pose_solver.Hypotheses(rotation, translation, torch.zeros(1, 10))
    points, model = (torch.randn(1, n, 3, generator=generator) for n in (20, 30))
    foreground = (torch.rand(1, 20, generator=generator) > 0.3).float()
    whole = pose_solver.score_hypotheses(hypotheses, points, foreground, model, 10)
    parts = pose_solver.score_hypotheses(hypotheses, points, foreground, model, 3)
    assert torch.allclose(whole, parts)


def test_expanded_distance_is_a_distance(generator: torch.Generator) -> None:
    a, b = (torch.randn(2, n, 3, generator=generator) for n in (5, 6))
    assert torch.allclose(pairwise_distance(a, b).sqrt(), torch.cdist(a, b), atol=1e-3)


def test_sampling_equals_the_upsampled_map(generator: torch.Generator) -> None:
    low = torch.randn(2, 8, 56, 56, generator=generator)
    index = torch.randint(0, 224 * 224, (2, 300), generator=generator)
    full = F.interpolate(low, (224, 224), mode="bilinear").flatten(2)
    expected = full.gather(2, index[:, None].expand(-1, 8, -1)).mT
    assert (sample_upsampled(low, index) - expected).abs().max() < 1e-5


def test_vit_positions_keep_the_learned_grid() -> None:
    vit = VisionTransformer(VitConfig(width=8, depth=1, heads=1, patch=14, grid=5))
    nn.init.normal_(vit.pos_embed)
    assert vit.positions(5, 5) is vit.pos_embed
    assert vit.positions(3, 4).shape == (1, 13, 8)
    assert torch.equal(vit.positions(3, 4)[:, :1], vit.pos_embed[:, :1])


def test_reduced_precision_stays_close(tiny: Any, generator: torch.Generator) -> None:
    """bf16 autocast of the image encoder: directions of the features within 2 degrees or so."""
    from sam6d_ros.models.device import encoding

    images = torch.rand(2, 3, 224, 224, generator=generator)
    full = tiny.dino(images)[1]
    with encoding(torch.bfloat16, torch.device("cpu")):
        reduced = tiny.dino(images)[1]
    assert reduced.dtype == torch.float32
    assert F.cosine_similarity(full, reduced, dim=-1).min() > 0.999
