"""Labels of recordings as a dataset in BOP format, for the training of detectors.

Below the folder: ``models/``; one scene per recording in ``train/000000/`` and so on, with the
images, ``scene_camera.json``, ``scene_gt.json``, ``scene_gt_info.json``, ``mask_visib/`` and
``scene_gt_coco.json``; ``recordings.json``, the scene of each recording; ``failed.json``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import InvalidDataset
from sam6d_ros.evaluation.bop_writing import (
    depth_units,
    info_entry,
    png,
    truth_entry,
    write_models,
)
from sam6d_ros.fleet.coco import Coco
from sam6d_ros.fleet.recordings import Image, LabelSource
from sam6d_ros.fleet.results import Found, FrameResult
from sam6d_ros.fleet.shards import write_whole
from sam6d_ros.fleet.tasks import FrameFiles
from sam6d_ros.frames import read_camera, read_depth
from sam6d_ros.geometry import rle
from sam6d_ros.types import Frame

SPLIT = "train"
DEPTH_SCALE = 0.2  # mm: a depth image of 16 bits reaches to 13.1 m
INDEX, FAILED = "recordings.json", "failed.json"


class LabelFolder:
    """Dataset that is written.

    Args:
        out: its folder.
        models: objects; their numbers begin with 1, in this order.

    Raises:
        InvalidDataset: the index of recordings is damaged.
    """

    def __init__(self, out: Path, models: Sequence[ObjectModel]) -> None:
        self.out = out
        self._numbers = {model.name: i for i, model in enumerate(models, start=1)}
        self._models = dict(enumerate(models, start=1))
        self._scenes = self._read_index()

    def scene_of(self, recording: LabelSource) -> Path:
        """Return the folder of a recording; it stays the same in later runs."""
        path = str(recording.path)
        if path not in self._scenes:
            self._scenes[path] = max(self._scenes.values(), default=-1) + 1
            self.out.mkdir(parents=True, exist_ok=True)
            write_whole(self.out / INDEX, json.dumps(self._scenes, indent=1) + "\n")
        return self.out / SPLIT / f"{self._scenes[path]:06d}"

    def write_objects(self) -> None:
        """Write the models."""
        write_models(self._models, self.out / "models")

    def write_scene(self, recording: LabelSource, results: Mapping[str, FrameResult]) -> None:
        """Write the labels of a recording; frames that failed are left out.

        Args:
            recording: the recording.
            results: by key.
        """
        scene = self.scene_of(recording)
        for folder in ("rgb", "depth", "mask_visib"):
            (scene / folder).mkdir(parents=True, exist_ok=True)
        cameras, truths, infos = {}, {}, {}
        coco = Coco({number: name for name, number in self._numbers.items()})
        for image in recording.images:
            result = results.get(image.key)
            if result is None or result.failure is not None:
                continue
            scale = DEPTH_SCALE if image.files is None else copy_images(image, image.files, scene)
            im_id = image.im_id
            cameras[im_id] = {"cam_K": list(result.camera[:9]), "depth_scale": scale}
            found = [(self._numbers[item.name], item) for item in result.found]
            truths[im_id] = [truth_entry(number, _pose(item)) for number, item in found]
            masks = [_mask(item) for _, item in found]
            pairs = zip(masks, found, strict=True)
            infos[im_id] = [info_entry(mask, item.visible) for mask, (_, item) in pairs]
            _write_masks(scene / "mask_visib", im_id, masks)
            coco.add(im_id, f"rgb/{colour_name(image)}", result.camera[9:], found)
        _write_json(scene / "scene_camera.json", cameras)
        _write_json(scene / "scene_gt_info.json", infos)
        _write_json(scene / "scene_gt_coco.json", coco.values())
        _write_json(scene / "scene_gt.json", truths)  # last: without it there are no labels

    def write_failed(self, results: Iterable[FrameResult]) -> int:
        """List the frames that failed; return their number."""
        failed = {r.key: vars(r.failure) for r in results if r.failure is not None}
        _write_json(self.out / FAILED, failed)
        return len(failed)

    def _read_index(self) -> dict[str, int]:
        path = self.out / INDEX
        if not path.is_file():
            return {}
        try:
            return {str(name): int(number) for name, number in json.loads(path.read_text()).items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise InvalidDataset(f"{path} is damaged: {error}; delete {self.out}") from error


def colour_name(image: Image) -> str:
    """Return the name of the colour image in the dataset."""
    suffix = ".png" if image.files is None else image.files.rgb.suffix.lower()
    return f"{image.im_id:06d}{suffix}"


def copy_images(image: Image, files: FrameFiles, scene: Path) -> float:
    """Copy the images of a frame into a scene, unless they are there; return the depth scale."""
    _copy(files.rgb, scene / "rgb" / colour_name(image))
    number = int(files.rgb.stem) if files.rgb.stem.isdecimal() else None
    stated = read_camera(files.camera, number).depth_scale
    depth = scene / "depth" / f"{image.im_id:06d}.png"
    if files.depth.suffix.lower() == ".png":
        _copy(files.depth, depth)
        return 1.0 if stated is None else stated
    if not depth.is_file():
        metres = read_depth(files.depth, camera_scale=stated)
        write_whole(depth, png(depth_units(metres, DEPTH_SCALE)))
    return DEPTH_SCALE


def write_images(frame: Frame, im_id: int, scene: Path) -> None:
    """Write the images of a frame into a scene, unless they are there."""
    units = depth_units(frame.depth, DEPTH_SCALE)
    images: tuple[tuple[str, NDArray], ...] = (("rgb", frame.rgb), ("depth", units))
    for folder, image in images:
        path = scene / folder / f"{im_id:06d}.png"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, png(image))


def _copy(source: Path, target: Path) -> None:
    if not target.is_file():
        unfinished = target.with_name(target.name + ".unfinished")
        shutil.copyfile(source, unfinished)
        unfinished.replace(target)


def _pose(found: Found) -> NDArray[np.float64]:
    return np.array(found.pose, np.float64).reshape(4, 4)


def _mask(found: Found) -> NDArray[np.bool_] | None:
    return None if found.mask is None else rle.decode(found.mask)


def _write_masks(folder: Path, im_id: int, masks: Sequence[NDArray[np.bool_] | None]) -> None:
    for number, mask in enumerate(masks):
        if mask is not None:
            content = png(np.where(mask, np.uint8(255), np.uint8(0)))
            (folder / f"{im_id:06d}_{number:06d}.png").write_bytes(content)


def _write_json(path: Path, value: Any) -> None:
    write_whole(path, json.dumps(value, indent=1) + "\n")
