"""The operators that detectors of torchvision need, against their definitions."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is missing: make setup-sam6d")
pytestmark = pytest.mark.sam6d

from sam6d_ros.detectors import torchvision_ops as ops  # noqa: E402
from sam6d_ros.detectors.postprocess import suppress  # noqa: E402


def random_boxes(count: int, side: float, seed: int = 3):
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand((count, 2), generator=generator) * side
    size = torch.rand((count, 2), generator=generator) * side / 2 + 1
    return torch.cat([low, low + size], dim=1), torch.rand(count, generator=generator)


def test_suppression_is_that_of_the_detectors():
    boxes, scores = random_boxes(60, 50)
    ours = suppress(boxes.numpy(), scores.numpy(), np.zeros(60, int), 0.3)
    assert ops.nms(boxes, scores, 0.3).tolist() == ours.tolist()
    assert 1 < len(ours) < 60


@pytest.mark.parametrize("aligned", [True, False])
def test_regions_are_sampled_bilinearly(aligned):
    """Against grid_sample at the same points, inside the image."""
    features = torch.rand((2, 3, 20, 30), generator=torch.Generator().manual_seed(1))
    boxes, _ = random_boxes(70, 40)
    boxes = boxes.clamp(4, 54) / torch.tensor([1.0, 1.5, 1.0, 1.5])
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 2.5)
    images = torch.arange(70) % 2
    rois = torch.cat([images[:, None].float(), boxes], dim=1)
    bins, points, scale = 4, 2, 0.5
    got = ops.roi_align(features, rois, scale, bins, bins, points, aligned)
    for place in range(70):
        edges = boxes[place] * scale - (0.5 if aligned else 0.0)
        at = (torch.arange(bins * points) + 0.5) / (bins * points)
        length = edges[2:] - edges[:2] if aligned else (edges[2:] - edges[:2]).clamp(min=1)
        xs, ys = (edges[axis] + at * length[axis] for axis in (0, 1))
        grid = torch.stack(torch.meshgrid(xs / 29 * 2 - 1, ys / 19 * 2 - 1, indexing="xy"), dim=-1)
        source = features[images[place]][None]
        sampled = torch.nn.functional.grid_sample(source, grid[None], align_corners=True)
        wanted = torch.nn.functional.avg_pool2d(sampled, points)[0]
        assert torch.allclose(got[place], wanted, atol=1e-5), place


def test_what_lies_outside_counts_nothing():
    features = torch.ones((1, 1, 8, 8))
    inside = ops.roi_align(features, torch.tensor([[0, 1.0, 1, 5, 5]]), 1.0, 2, 2, 2, True)
    outside = ops.roi_align(features, torch.tensor([[0, 20.0, 20, 30, 30]]), 1.0, 2, 2, 2, True)
    assert torch.allclose(inside, torch.ones_like(inside))
    assert not outside.any()
    with pytest.raises(ValueError, match="sampling_ratio"):
        ops.roi_align(features, torch.zeros((1, 5)), 1.0, 2, 2, 0, True)


def test_the_names_can_be_called():
    ops.provide_operators()
    ops.provide_operators()  # once per process
    assert ops.has_operators()
    boxes, scores = random_boxes(20, 10)
    kept = torch.ops.torchvision.nms(boxes, scores, 0.5)
    assert kept.tolist() == ops.nms(boxes, scores, 0.5).tolist()
