"""Datasets in BOP format: frames, targets and ground truth.

Layout and units: https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
(millimetres there, metres here).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidDataset
from sam6d_ros.evaluation.bop_files import (
    find_split,
    folders,
    image_file,
    pick,
    read_json,
    read_json_list,
)
from sam6d_ros.frames import make_frame, parse_camera, read_depth, read_rgb
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import Frame

TARGETS_FILES = ("test_targets_bop19.json", "test_targets_bop24.json")
COLOR_DIRS, COLOR_SUFFIXES = ("rgb", "gray"), (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
DEPTH_SUFFIXES = (".png", ".tif", ".tiff", ".npy", ".exr")
MIN_VISIBILITY = 0.1  # instances seen less are no targets (BOP challenge 2019)


@dataclass(frozen=True)
class GroundTruth:
    """One annotated instance.

    Attributes:
        obj_id: number of the object in the dataset.
        cam_from_obj: (4, 4) pose in the camera frame, metres.
        visibility: visible fraction of the instance in [0, 1]; 1 when not annotated.
    """

    obj_id: int
    cam_from_obj: NDArray[np.float64]
    visibility: float = 1.0


@dataclass(frozen=True)
class ImageTargets:
    """What to look for in one image: ``counts`` maps object ids to numbers of instances."""

    scene_id: int
    im_id: int
    counts: dict[int, int]


def pose_from_mm(rotation: Any, translation_mm: Any) -> NDArray[np.float64]:
    """(4, 4) pose in metres from nine numbers and three millimetres."""
    matrix = np.asarray(rotation, np.float64).reshape(3, 3)
    return se3.from_rotation_translation(matrix, np.asarray(translation_mm, np.float64) / MM_PER_M)


class BopDataset:
    """A BOP-format folder.

    Args:
        root: the dataset's folder (with ``models/`` and ``test/`` or ``val/``).
        split: name of the folder with the scenes; the first of test*, val* by default.

    Raises:
        InvalidDataset: there is no such folder or no scene in it.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        if not root.is_dir():
            raise InvalidDataset(f"the dataset folder {root} does not exist")
        self.root = root
        self.split_dir = root / split if split else find_split(root)
        if not self.split_dir.is_dir():
            raise InvalidDataset(f"{root} has no split {split!r}; it has {folders(root)}")
        self.scene_ids = sorted(int(name) for name in folders(self.split_dir) if name.isdigit())
        if not self.scene_ids:
            raise InvalidDataset(f"{self.split_dir} has no scene folder such as 000001")

    @property
    def models_dir(self) -> Path:
        """The folder of the CAD models, millimetres.

        Raises:
            InvalidDataset: there is none.
        """
        for name in ("models", "models_cad", "models_eval"):
            if (self.root / name).is_dir():
                return self.root / name
        raise InvalidDataset(f"{self.root} has no folder models/ with the CAD files")

    def model_ids(self) -> list[int]:
        """Ids of the objects that have a CAD file (obj_000001.ply …)."""
        stems = {path.stem for path in self.models_dir.glob("obj_*.*")}
        return sorted(int(stem[4:]) for stem in stems if stem[4:].isdigit())

    def images(self, scenes: Collection[int] | None = None) -> list[tuple[int, int]]:
        """Return (scene_id, im_id) of every image that has a camera, in order.

        Args:
            scenes: only these scenes; all by default.
        """
        wanted = [s for s in self.scene_ids if scenes is None or s in scenes]
        return [
            (scene_id, im_id)
            for scene_id in wanted
            for im_id in sorted(read_json(self.scene_dir(scene_id) / "scene_camera.json"))
        ]

    def targets(
        self, scenes: Collection[int] | None = None, obj_ids: Collection[int] | None = None
    ) -> list[ImageTargets]:
        """What to look for in which image, in the order of scene and image.

        From the targets file; without one, the instances annotated as visible; without
        annotations, one instance of every model in every image.

        Args:
            scenes: only these scenes; all by default.
            obj_ids: only these objects; all by default.

        Raises:
            InvalidDataset: nothing is left to look for.
        """
        found = []
        for scene_id, im_id, counts in self._all_targets():
            wanted = {k: n for k, n in counts.items() if obj_ids is None or k in obj_ids}
            if wanted and (scenes is None or scene_id in scenes):
                found.append(ImageTargets(scene_id, im_id, wanted))
        if not found:
            raise InvalidDataset(
                f"{self.split_dir} has no target for scenes {scenes or 'all'} and objects "
                f"{obj_ids or 'all'}; it has the scenes {self.scene_ids[:20]}"
            )
        return sorted(found, key=lambda t: (t.scene_id, t.im_id))

    def frame(self, scene_id: int, im_id: int) -> Frame:
        """Read one image pair; its stamp is made of the ids, one second per image.

        Raises:
            InvalidDataset: the files are missing.
            InvalidFrame, InvalidCamera: they are unusable.
        """
        scene = self.scene_dir(scene_id)
        entry = pick(read_json(scene / "scene_camera.json"), im_id, scene / "scene_camera.json")
        camera = parse_camera(entry)
        rgb = read_rgb(image_file(scene, COLOR_DIRS, im_id, COLOR_SUFFIXES))
        depth_file = image_file(scene, ("depth",), im_id, DEPTH_SUFFIXES)
        return make_frame(rgb, read_depth(depth_file, camera_scale=camera.depth_scale), camera)

    def ground_truth(self, scene_id: int, im_id: int) -> tuple[GroundTruth, ...] | None:
        """Annotated instances of an image; None when it is not annotated."""
        scene = self.scene_dir(scene_id)
        if not (scene / "scene_gt.json").is_file():
            return None
        entries = read_json(scene / "scene_gt.json").get(im_id)
        if entries is None:
            return None
        info: list[dict[str, Any]] = [{}] * len(entries)
        if (scene / "scene_gt_info.json").is_file():
            info = read_json(scene / "scene_gt_info.json").get(im_id, info)
        return tuple(
            GroundTruth(
                int(entry["obj_id"]),
                pose_from_mm(entry["cam_R_m2c"], entry["cam_t_m2c"]),
                float(more.get("visib_fract", 1.0)),
            )
            for entry, more in zip(entries, info, strict=True)
        )

    def scene_dir(self, scene_id: int) -> Path:
        """The folder of a scene, whatever the padding of its name.

        Raises:
            InvalidDataset: there is none.
        """
        for name in folders(self.split_dir):
            if name.isdigit() and int(name) == scene_id:
                return self.split_dir / name
        raise InvalidDataset(f"{self.split_dir} has no scene {scene_id}; it has {self.scene_ids}")

    def _all_targets(self) -> Iterator[tuple[int, int, dict[int, int]]]:
        for name in TARGETS_FILES:
            if (self.root / name).is_file():
                yield from self._targets_from_file(self.root / name)
                return
        for scene_id, im_id in self.images():
            truth = self.ground_truth(scene_id, im_id)
            if truth is None:
                yield scene_id, im_id, dict.fromkeys(self.model_ids(), 1)
            else:
                visible = [gt.obj_id for gt in truth if gt.visibility >= MIN_VISIBILITY]
                yield scene_id, im_id, dict(Counter(visible))

    def _targets_from_file(self, path: Path) -> Iterator[tuple[int, int, dict[int, int]]]:
        images: dict[tuple[int, int], dict[int, int]] = {}
        for entry in read_json_list(path):
            image = images.setdefault((int(entry["scene_id"]), int(entry["im_id"])), {})
            if "obj_id" in entry:
                image[int(entry["obj_id"])] = int(entry.get("inst_count", 1))
            else:  # the detection task of 2024 names no objects
                image.update(dict.fromkeys(self.model_ids(), 1))
        for (scene_id, im_id), counts in images.items():
            if scene_id in self.scene_ids:
                yield scene_id, im_id, counts
