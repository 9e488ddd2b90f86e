"""The resize of SAM's input equals Pillow's."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")
from PIL import Image  # noqa: E402

from sam6d_ros.models.resize import resize  # noqa: E402
from sam6d_ros.models.transfer import pack, to_device, to_host, unpack  # noqa: E402

SIZES = {
    "camera": ((480, 640), (768, 1024)),
    "high": ((640, 480), (1024, 768)),
    "smaller": ((720, 1280), (576, 1024)),
    "odd": ((37, 53), (714, 1024)),
    "much smaller": ((300, 400), (31, 42)),
    "one axis": ((48, 64), (48, 100)),
    "same": ((48, 64), (48, 64)),
    "a line": ((1, 640), (2, 1024)),
}


@pytest.mark.parametrize("case", sorted(SIZES))
def test_every_byte_is_that_of_pillow(case: str) -> None:
    source, target = SIZES[case]
    image = np.random.default_rng(3).integers(0, 256, (*source, 3), np.uint8)
    image[: source[0] // 3] = np.where(image[: source[0] // 3] < 128, 0, 255)  # full contrast
    expected = Image.fromarray(image).resize(target[::-1], Image.Resampling.BILINEAR)
    assert np.array_equal(resize(torch.from_numpy(image), target).numpy(), np.array(expected))


def test_packed_masks_come_back_as_they_were() -> None:
    """A GPU hands them over with eight pixels a byte."""
    from support.device_counts import pretend
    from support.pretend_cuda import Pretended

    masks = torch.rand(3, 7, 11, generator=torch.Generator().manual_seed(1)) > 0.5
    with pretend():
        (packed,) = to_host(pack(Pretended(masks)))
    assert packed.shape == (3, 10)
    assert np.array_equal(unpack(packed, (7, 11)), masks.numpy())


@pytest.mark.filterwarnings("error")
def test_images_that_torch_cannot_share_are_copied() -> None:
    """A mirrored view, as RGB of a BGR image, failed; a read-only one warned."""
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    fixed = image.copy()
    fixed.flags.writeable = False
    for given in (image[..., ::-1], image[::-1], fixed):
        assert np.array_equal(to_device(given, torch.device("cpu")).numpy(), given)
    assert np.shares_memory(to_device(image, torch.device("cpu")).numpy(), image)
