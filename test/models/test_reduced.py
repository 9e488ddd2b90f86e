"""Weights held in half precision, and blocks compiled one by one."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from models.conftest import seed  # noqa: E402

from sam6d_ros.models.device import encoding  # noqa: E402
from sam6d_ros.models.dinov2 import DinoV2  # noqa: E402
from sam6d_ros.models.reduced import compile_blocks, hold_weights  # noqa: E402
from sam6d_ros.models.sam_decoder import SharedDecoder  # noqa: E402
from sam6d_ros.models.sam_network import SamShape, build_sam, reduced_parts  # noqa: E402
from sam6d_ros.models.vit import VitConfig  # noqa: E402

BF16 = torch.bfloat16


def encoders(tiny: Any) -> dict[str, tuple[Any, torch.Tensor]]:
    images = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    return {
        "sam": (tiny.sam.sam.image_encoder, images[..., :128, :128]),
        "dinov2": (tiny.dino.vit, images),
        "pem": (tiny.pem.feature_extraction.rgb_net, images),
    }


@pytest.mark.parametrize("name", ["sam", "dinov2", "pem"])
def test_held_weights_give_the_same_bits(tiny: Any, name: str) -> None:
    """Half of the memory, and no cast at each use."""
    encoder, images = encoders(tiny)[name]
    held = copy.deepcopy(encoder)
    hold_weights(held, BF16)
    sizes = [sum(p.nbytes for p in net.parameters()) for net in (encoder, held)]
    assert sizes[1] < 0.8 * sizes[0]  # positions are a large part of small networks
    with encoding(BF16, torch.device("cpu")):
        expected, found = encoder(images), held(images)
    pairs = zip(expected, found, strict=True) if name == "dinov2" else [(expected, found)]
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("dtype", "logits", "quality", "share"),
    [(BF16, 0.02, 0.02, 0.98), (torch.float16, 0.004, 0.003, 0.995)],
    ids=["bf16", "fp16"],
)
def test_the_mask_decoder_is_close_in_reduced_precision(
    dtype: torch.dtype, logits: float, quality: float, share: float
) -> None:
    """At full size; half of its time on a GPU. The mask is the sign of the last product."""
    random = torch.Generator().manual_seed(3)
    sam = seed(build_sam(SamShape(32, 1, 2, (0,))), 1)
    features = torch.randn(1, 256, 64, 64, generator=random)
    points = torch.rand(1, 2, generator=random) * 1024

    def decode(kind: torch.dtype | None) -> tuple[torch.Tensor, torch.Tensor]:
        for part in reduced_parts(sam):
            hold_weights(part, kind)
        with torch.inference_mode():
            decoder = SharedDecoder(sam, features, kind)
            decoded = decoder.attend(points)
            assert decoded.queries.dtype == torch.float32
            assert decoded.keys.dtype == (kind or torch.float32)
            return decoded.quality, decoder.masks(decoded, torch.arange(1), torch.arange(3))

    exact, found = decode(None), decode(dtype)
    assert not torch.equal(exact[1], found[1])
    assert found[1].dtype == torch.float32
    assert (found[1] - exact[1]).norm() < logits * exact[1].norm()
    assert (found[0] - exact[0]).abs().max() < quality
    inside = [masks > 0 for _, masks in (exact, found)]
    both = (inside[0] & inside[1]).flatten(1).sum(1)
    assert (both / (inside[0] | inside[1]).flatten(1).sum(1)).min() > share


def test_float32_weights_stay(tiny: Any) -> None:
    net = copy.deepcopy(tiny.dino.vit)
    hold_weights(net, None)
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_blocks_of_one_kind_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole encoder was compiled: minutes, and again for each number of crops."""
    compiled: list[int] = []

    def backend(graph: Any, _: Any) -> Any:
        compiled.append(1)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    dino = seed(DinoV2(VitConfig(32, 6, 2, patch=14, grid=37, layer_scale=True)), 2)
    sam = seed(
        build_sam(SamShape(width=32, depth=6, heads=2, global_blocks=(1, 4), image_size=128)), 1
    )
    for net, images, kinds in (
        (dino.vit, torch.rand(2, 3, 224, 224), 1),
        (sam.image_encoder, torch.rand(1, 3, 128, 128), 2),
    ):
        with torch.inference_mode():
            expected = net(images)
            compile_blocks(net.blocks)
            compiled.clear()
            found = net(images)
        assert len(compiled) == kinds
        for a, b in zip(expected, found, strict=True):
            assert torch.allclose(a, b, atol=1e-5)
