"""Sequences of a moving camera with known poses, rendered once and kept on disk."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sam6d_ros.cad.bop_models import load_bop_models
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.evaluation.bop_truth import GroundTruth
from sam6d_ros.evaluation.synthetic import make_scene, write_bop
from sam6d_ros.types import Frame

VERSION = 1  # raise it when the rendering changes: kept sequences are made anew
RATE_HZ = 30
SEQUENCES: dict[str, dict[str, Any]] = {
    "hand_held": {"seed": 1, "frames": 150, "path": "hand_held"},
    "arc": {"seed": 2, "frames": 60, "path": "arc"},
    "occluded": {"seed": 3, "frames": 90, "path": "hand_held", "occluded": True},
    "lifted": {"seed": 4, "frames": 90, "path": "hand_held", "lifted": "soup_can"},
}


@dataclass(frozen=True)
class Sequence:
    """Frames with their truth.

    Attributes:
        name: of SEQUENCES.
        models: the objects by name.
        frames: with stamps RATE_HZ apart.
        truth: per frame, object name → true pose and visibility.
    """

    name: str
    models: Mapping[str, ObjectModel]
    frames: list[Frame]
    truth: list[dict[str, GroundTruth]]


def load(name: str, cache_dir: Path, every: int = 1) -> Sequence:
    """A sequence with every n-th frame; renders it when it is not in the cache (minutes)."""
    folder = cache_dir / "sequences" / f"{name}-{VERSION}"
    if not (folder / "objects.yaml").is_file():  # the last file that is written
        settings = dict(SEQUENCES[name])
        print(f"rendering {settings['frames']} frames of {name} …", file=sys.stderr, flush=True)
        write_bop(make_scene(settings.pop("seed"), cache_dir=cache_dir, **settings), folder)
    dataset = BopDataset(folder)
    models = load_bop_models(dataset.models_dir, None, cache_dir)
    names = dict(enumerate((model.name for model in models), start=1))
    frames, truth = [], []
    for index in range(0, SEQUENCES[name]["frames"], every):
        frame = dataset.frame(0, index + 1)
        frames.append(replace(frame, stamp_ns=round(index * 1e9 / RATE_HZ)))
        truth.append({names[gt.obj_id]: gt for gt in dataset.ground_truth(0, index + 1) or ()})
    return Sequence(name, {model.name: model for model in models}, frames, truth)
