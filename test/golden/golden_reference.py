"""Where the golden files and the tools that belong to them lie; seeded networks, built once."""

from __future__ import annotations

import importlib.util
from functools import cached_property
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import torch

from sam6d_ros.models.dinov2 import DinoV2
from sam6d_ros.models.pem import PoseEstimationModel

REPO = Path(__file__).resolve().parents[2]
DEFAULT_REFERENCE = REPO.parent / "shared" / "sam6d"


def find_reference(folder: Path, named: Path | None = None) -> Path:
    """Folder of seed_weights.py and the key tables: named, the parent of ``folder``, or default."""
    for place in (named, folder.parent, folder, DEFAULT_REFERENCE):
        if place is not None and (place / "seed_weights.py").is_file():
            return place
    raise SystemExit(
        f"seed_weights.py is neither beside {folder} nor in {DEFAULT_REFERENCE}; "
        "name its folder with --reference DIR"
    )


def load_tool(path: Path) -> ModuleType:
    """Import one of the reference's own scripts by path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_device = torch.device("cpu")


def use_device(device: torch.device) -> None:
    """Have all later tensors and networks of the checks on this device."""
    global _device
    _device = device


def current_device() -> torch.device:
    """Return the device of :func:`use_device`."""
    return _device


def on_device(values: np.ndarray) -> torch.Tensor:
    """Return a tensor of the same values on the device of the checks."""
    return torch.from_numpy(values).to(_device)


class Reference:
    """The golden folder with its tools."""

    def __init__(self, folder: Path, named: Path | None = None) -> None:
        self.folder = folder
        self.tools = find_reference(folder, named)

    def arrays(self, stem: str) -> dict[str, np.ndarray]:
        """All arrays of one npz file of the folder."""
        with np.load(self.folder / f"{stem}.npz") as file:
            return {key: file[key] for key in file.files}

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def tiles(self, stem: str, size: int = 224, columns: int = 7) -> np.ndarray:
        """(V, 224, 224, 3) uint8 RGB tiles of a mosaic, row-major (padding tiles included)."""
        image = cv2.imread(str(self.folder / f"{stem}.png"), cv2.IMREAD_COLOR)
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        rows = rgb.shape[0] // size
        return rgb.reshape(rows, size, columns, size, 3).swapaxes(1, 2).reshape(-1, size, size, 3)

    def seeded(self, table: str) -> dict[str, torch.Tensor]:
        """The seeded weights of one key table."""
        seed = self.seed_weights
        weights = seed.fill(seed.load_table(self.tools / table))
        return {key: on_device(value) for key, value in weights.items()}

    @cached_property
    def seed_weights(self) -> ModuleType:
        return load_tool(self.tools / "seed_weights.py")

    @cached_property
    def ism_inputs(self) -> ModuleType:
        return load_tool(self.tools / "ism_inputs.py")

    @cached_property
    def pem(self) -> PoseEstimationModel:
        """The pose network with seeded weights, loaded strictly."""
        model = PoseEstimationModel().eval().requires_grad_(False)
        model.load_state_dict(self.seeded("pem_state_dict.json"), strict=True, assign=True)
        return model.to(_device)

    @cached_property
    def dino(self) -> DinoV2:
        """The descriptor network with seeded weights, loaded strictly."""
        model = DinoV2().eval().requires_grad_(False)
        model.vit.load_state_dict(
            self.seeded("dinov2_vitl14_state_dict.json"), strict=True, assign=True
        )
        return model.to(_device)
