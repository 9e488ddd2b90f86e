"""Small networks with seeded weights: same code paths as the released ones, in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from sam6d_ros.stages.sam6d.settings import Sam6dConfig


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/test/models/" in str(item.path).replace("\\", "/"):
            item.add_marker(pytest.mark.sam6d)


@dataclass(frozen=True)
class TinyNetworks:
    """Stands in for the loaded released networks."""

    config: Sam6dConfig
    sam: object
    dino: object
    pem: object
    device: object
    dtype: object = None

    def fingerprint(self, role: str) -> str:
        return f"tiny-{role}"

    def with_config(self, **changes: object) -> TinyNetworks:
        return replace(self, config=replace(self.config, **changes))


def seed(module: object, number: int) -> object:
    """Fill a module with numbers of the usual sizes; no training."""
    import torch

    random = torch.Generator().manual_seed(number)
    for name, value in module.state_dict().items():
        if name.endswith(("num_batches_tracked", "div_term")):
            continue
        noise = torch.randn(value.shape, generator=random)
        if name.endswith("running_var"):
            value.copy_(1 + 0.1 * noise.abs())
        elif value.ndim >= 2:
            value.copy_(noise / value[0].numel() ** 0.5)
        else:
            value.copy_((1 if name.endswith("weight") else 0) + 0.1 * noise)
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny() -> TinyNetworks:
    """All three networks, tiny, on the CPU."""
    torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")
    from sam6d_ros.models.dinov2 import DinoV2
    from sam6d_ros.models.pem import PemConfig, PoseEstimationModel
    from sam6d_ros.models.sam import SamSegmenter
    from sam6d_ros.models.sam_network import SamShape, build_sam
    from sam6d_ros.models.vit import VitConfig

    torch.set_num_threads(1)  # threads that outnumber free cores wait for one another
    config = Sam6dConfig(
        points_per_side=3, min_predicted_iou=0.0, min_stability=0.0, views=3, compat="legacy"
    )
    base = VitConfig(width=48, depth=4, heads=4, patch=16, grid=14)
    large = VitConfig(width=32, depth=2, heads=2, patch=14, grid=37, layer_scale=True)
    pem = PoseEstimationModel(
        PemConfig(sparse_points=40, vit=base, taps=(0, 1, 2, 3), hypotheses=200, kept_hypotheses=40)
    )
    sam = build_sam(SamShape(width=32, depth=2, heads=2, global_blocks=(1,), image_size=128))
    return TinyNetworks(
        config,
        SamSegmenter(seed(sam, 1), config),
        seed(DinoV2(large), 2),
        seed(pem, 3),
        torch.device("cpu"),
    )
