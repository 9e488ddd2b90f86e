"""Targets of BOP datasets: ``test_targets_bop19.json`` and the other files of that kind.

Files of the localisation task name objects and their numbers of instances. Files of the detection
task of 2024 name images alone: every model may be in any of them
(https://bop.felk.cvut.cz/challenges/bop-challenge-2024/).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sam6d_ros.errors import InvalidDataset
from sam6d_ros.evaluation.bop_files import read_json_list

# The first file that exists is read.
KINDS = ("bop19", "bop24", "bop25", "multiview_bop25", "bop18")


@dataclass(frozen=True)
class ImageTargets:
    """Objects to look for in one image.

    Attributes:
        scene_id, im_id: the image.
        counts: numbers of instances that are there, by object id.
        asked: objects that are searched, sorted; more than those in ``counts`` in detection.
        detection: whether the image is of the detection task: objects in ``asked`` may be absent.
    """

    scene_id: int
    im_id: int
    counts: dict[int, int]
    asked: tuple[int, ...] = ()
    detection: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "asked", tuple(sorted({*self.asked, *self.counts})))

    def only(self, obj_ids: Collection[int] | None) -> ImageTargets:
        """Return the targets without other objects; all of them for None."""
        if obj_ids is None:
            return self
        counts = {i: count for i, count in self.counts.items() if i in obj_ids}
        return replace(self, counts=counts, asked=tuple(i for i in self.asked if i in obj_ids))


def targets_file(root: Path, split: str) -> Path | None:
    """Return the targets file of a split (val_primesense: also that of val); None without one."""
    for name in dict.fromkeys((split, split.split("_")[0])):
        for kind in KINDS:
            path = root / f"{name}_targets_{kind}.json"
            if path.is_file():
                return path
    return None


def read_targets(path: Path) -> dict[tuple[int, int], dict[int, int] | None]:
    """Read a targets file: counts by object for each (scene_id, im_id), None in detection.

    Returns:
        Counts by object, or None, by (scene_id, im_id).

    Raises:
        InvalidDataset: the file is missing or damaged.
    """
    images: dict[tuple[int, int], dict[int, int] | None] = {}
    for entry in read_json_list(path):
        try:
            scene_id, im_ids = int(entry["scene_id"]), _image_ids(entry)
            named = {int(entry["obj_id"]): int(entry.get("inst_count", 1))} if _named(entry) else {}
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidDataset(
                f"{path}: the target {entry} has no usable {error}; expected scene_id and im_id, "
                "and obj_id and inst_count for the localisation task"
            ) from error
        for im_id in im_ids:
            before = images.setdefault((scene_id, im_id), None)
            if named:
                images[scene_id, im_id] = {**(before or {}), **named}
    return images


def _named(entry: dict[str, Any]) -> bool:
    return entry.get("obj_id") is not None


def _image_ids(entry: dict[str, Any]) -> list[int]:
    """Return the image of an entry; an entry of several views has ``im_ids``."""
    return [int(i) for i in entry["im_ids"]] if "im_ids" in entry else [int(entry["im_id"])]
