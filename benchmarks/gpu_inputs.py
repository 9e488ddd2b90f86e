"""Synthetic inputs and seeded networks of ``benchmarks.gpu``: no file of a frame, no ray caster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.models.device import encoding
from sam6d_ros.models.dinov2 import DinoV2
from sam6d_ros.models.exact import inference
from sam6d_ros.models.image_features import TAPS, VIT_BASE, normalise
from sam6d_ros.models.pem import PemConfig, PoseEstimationModel
from sam6d_ros.models.vit import VitConfig
from sam6d_ros.stages.sam6d import estimate, score
from sam6d_ros.stages.sam6d.settings import Sam6dConfig
from sam6d_ros.types import Detection, Detections, Frame, Proposals, Scene

HEIGHT, WIDTH, FOCAL = 480, 640, 600.0
TABLE_M = 0.8  # distance of the background
COLUMNS, ROWS = 10, 10  # of the grid of proposals
DISC_PX = 21  # radius of a proposal
VIEWS_AT_ONCE = 6
NAME = "object"


@dataclass(frozen=True)
class Templates:
    """Template views of one object, as the golden files hold them.

    Attributes:
        bgr: (V, 224, 224, 3) uint8 crops, black outside the object.
        flat_index: (V, K) int64 pixels of the points in the crops.
        points: (V, K, 3) float32 metres, object frame.
    """

    bgr: np.ndarray
    flat_index: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class LoadedNetworks:
    """Networks with seeded weights in the place of the released ones."""

    config: Sam6dConfig
    sam: Any
    dino: Any
    pem: Any
    device: torch.device
    dtype: torch.dtype | None

    def fingerprint(self, role: str) -> str:
        """Return a name for cache keys."""
        return f"seeded-{role}"


class FixedLibrary:
    """Per-object data that were made beforehand."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def derived(self, model: Any, build: Callable[[Any], Any]) -> Any:
        """Return the prepared value of the stage that asks."""
        return self.values[type(build.__self__).__name__]


@dataclass(frozen=True)
class FixedContext:
    """The part of a build context that the stages read."""

    library: FixedLibrary
    cache_dir: Path | None = None


@dataclass(frozen=True)
class FixedModel:
    """Stands for the registered object."""

    name: str = NAME
    content_hash: str = NAME
    templates: Any = field(default=None)


def scene() -> Scene:
    """Return a textured table with a bump under every proposal, 640 × 480 pixels."""
    random = np.random.default_rng(0)
    depth = np.full((HEIGHT, WIDTH), TABLE_M, np.float32)
    masks = discs(COLUMNS * ROWS)
    depth[masks.any(0)] -= 0.05
    depth += random.normal(0, 0.002, depth.shape).astype(np.float32)
    rgb = random.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3)).repeat(8, 0).repeat(8, 1)
    camera = CameraIntrinsics(FOCAL, FOCAL, (WIDTH - 1) / 2, (HEIGHT - 1) / 2, WIDTH, HEIGHT)
    return Scene(Frame(rgb.astype(np.uint8), depth, camera))


def discs(count: int) -> np.ndarray:
    """Return (count, H, W) bool discs on a grid, row by row."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    number = np.arange(count)[:, None, None]
    x = (number % COLUMNS + 0.5) * WIDTH / COLUMNS
    y = (number // COLUMNS + 0.5) * HEIGHT / ROWS
    found: np.ndarray = (u - x) ** 2 + (v - y) ** 2 < DISC_PX**2
    return found


def proposals(count: int) -> Proposals:
    """Return fixed regions."""
    return Proposals(discs(count), np.full(count, 0.9, np.float32))


def detections(count: int) -> Detections:
    """Return fixed detections of the one object."""
    return Detections(tuple(Detection(NAME, 0.9, mask) for mask in discs(count)))


def read_templates(folder: Path | None, views: int) -> Templates:
    """Return case A of the golden folder, or synthetic views without one."""
    path = folder / "pem_caseA_templates.npz" if folder else None
    if folder is None or path is None or not path.is_file():
        return synthetic_templates(views)
    from golden_reference import Reference

    with np.load(path) as file:
        choose = file["tem_choose"][:views].astype(np.int64)
        points = file["tem_xyz_mm_f16"][:views].astype(np.float32) / np.float32(1000)
    tiles = Reference(folder).tiles("pem_caseA_templates_rgb")[: len(choose)]
    return Templates(np.ascontiguousarray(tiles[..., ::-1]), choose, points)


def synthetic_templates(views: int, points: int = 5000) -> Templates:
    """Return views of a speckled sphere of 4 cm radius."""
    random = np.random.default_rng(1)
    v, u = (np.mgrid[:224, :224] - 111.5) / 105
    inside = u**2 + v**2 < 1
    colours = random.integers(40, 255, (views, 28, 28, 3)).repeat(8, 1).repeat(8, 2)
    bgr = (colours * inside[..., None]).astype(np.uint8)
    flat = np.stack([random.choice(np.flatnonzero(inside), points) for _ in range(views)])
    x, y = u.ravel()[flat], v.ravel()[flat]
    front = np.stack([x, y, -np.sqrt(np.maximum(1 - x**2 - y**2, 0))], -1)
    turns = np.linalg.qr(random.normal(size=(views, 3, 3)))[0]
    return Templates(bgr, flat, (0.04 * front @ turns).astype(np.float32))


def prepare(networks: LoadedNetworks, views: Templates) -> FixedContext:
    """Return the data of the object for the stages, computed from template views."""
    device, parts = networks.device, range(0, len(views.bgr), VIEWS_AT_ONCE)
    bgr, flat = (torch.from_numpy(a).to(device) for a in (views.bgr, views.flat_index))
    points = torch.from_numpy(views.points.reshape(-1, 3)).to(device)
    describer = score.DescriptorScorer(networks, None).describer  # type: ignore[arg-type]
    rgb = bgr.flip(-1)
    step = [slice(i, i + VIEWS_AT_ONCE) for i in parts]
    with encoding(networks.dtype, device):
        features = [networks.pem.feature_extraction(bgr[p], flat[p]).float() for p in step]
    with inference():
        found = [describer._describe(normalise(rgb[p]), bgr[p].any(-1)) for p in step]
        cloud = networks.pem.template_cloud(points, torch.cat(features).flatten(0, 1))
        surface = cloud[0][:, :: max(1, cloud[0].shape[1] // 1024)]
        code = networks.pem.encode_object(*cloud, surface)
    known = score.ObjectTemplates(
        score.Descriptors(*(torch.cat([getattr(d, k) for d in found]) for k in DESCRIPTORS)),
        torch.linalg.qr(torch.randn(len(bgr), 3, 3))[0].to(device),
        surface[0],
    )
    radius = float(code.radius)
    values = {"DescriptorScorer": known, "PemEstimator": estimate._Prepared(code, radius)}
    return FixedContext(FixedLibrary(values))


DESCRIPTORS = ("classes", "patches")


def reduced(networks: LoadedNetworks) -> list[nn.Module]:
    """Return the parts that run in reduced precision."""
    found = [networks.dino.vit, networks.pem.feature_extraction.rgb_net]
    if networks.sam is None:
        return found
    from sam6d_ros.models.sam_network import reduced_parts

    return found + reduced_parts(networks.sam.sam)


def seed(module: nn.Module, number: int, device: torch.device) -> Any:
    """Fill a module with numbers of the usual sizes and move it to the device."""
    module = module.to(device)
    random = torch.Generator(device).manual_seed(number)
    for name, value in module.state_dict().items():
        if name.endswith(("num_batches_tracked", "div_term")):
            continue
        noise = torch.randn(value.shape, generator=random, device=device)
        if name.endswith("running_var"):
            value.copy_(1 + 0.1 * noise.abs())
        elif value.ndim >= 2:
            value.copy_(noise / value[0].numel() ** 0.5)
        else:
            value.copy_((1 if name.endswith("weight") else 0) + 0.1 * noise)
    return module.eval().requires_grad_(False)


def tiny_config(config: Sam6dConfig) -> Sam6dConfig:
    """Return settings for small networks."""
    return replace(config, points_per_side=4, points_per_batch=8)


def build_dino(tiny: bool) -> DinoV2:
    """Return an untrained descriptor network."""
    if tiny:
        return DinoV2(VitConfig(32, 2, 2, patch=14, grid=37, layer_scale=True))
    return DinoV2()


def build_pem(tiny: bool) -> PoseEstimationModel:
    """Return an untrained pose network."""
    if not tiny:
        return PoseEstimationModel(PemConfig(vit=VIT_BASE, taps=TAPS))
    vit = VitConfig(48, 4, 4, patch=16, grid=14)
    shape = PemConfig(256, 40, 200, 40, vit, (0, 1, 2, 3))
    return PoseEstimationModel(shape)


def build_sam(variant: str, tiny: bool) -> nn.Module:
    """Return an untrained segmentation network; needs the package segment-anything."""
    from sam6d_ros.models import sam_network as sam

    if tiny:
        return sam.build_sam(sam.SamShape(32, 2, 2, (1,), image_size=128))
    return sam.build_sam(sam.SHAPES[variant])
