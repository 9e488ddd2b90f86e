"""Datasets in BOP format: frames, targets and ground truth.

Layout and units: https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
(millimetres there, metres here).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from sam6d_ros.errors import InvalidDataset
from sam6d_ros.evaluation.bop_files import (
    SceneFiles,
    choose_sensor,
    find_split,
    folders,
    pick,
    read_json,
)
from sam6d_ros.evaluation.bop_targets import ImageTargets, read_targets, targets_file
from sam6d_ros.evaluation.bop_truth import GroundTruth, read_truth, visible_counts
from sam6d_ros.frames import make_frame, parse_camera, read_depth, read_rgb
from sam6d_ros.types import Frame

COLOR_DIRS, COLOR_SUFFIXES = ("rgb", "gray"), (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
DEPTH_SUFFIXES = (".png", ".tif", ".tiff", ".npy", ".exr")


class BopDataset:
    """A BOP-format folder.

    Args:
        root: the dataset's folder (with ``models/`` and ``test/`` or ``val/``).
        split: name of the folder with the scenes; the first of test*, val* by default.
        sensor: name of the sensor in the file names of BOP-Industrial; the only one by default.

    Raises:
        InvalidDataset: there is no such folder, no scene or sensor in it, or several sensors.
    """

    def __init__(self, root: Path, split: str | None = None, sensor: str | None = None) -> None:
        if not root.is_dir():
            raise InvalidDataset(f"the dataset folder {root} does not exist")
        self.root = root
        self.split_dir = root / split if split else find_split(root)
        if not self.split_dir.is_dir():
            raise InvalidDataset(f"{root} has no split {split!r}; it has {folders(root)}")
        self.scene_ids = sorted(int(name) for name in folders(self.split_dir) if name.isdigit())
        if not self.scene_ids:
            raise InvalidDataset(f"{self.split_dir} has no scene folder such as 000001")
        self._truth = cache(self._read_truth)
        self.sensor = choose_sensor(self.scene_dir(self.scene_ids[0]), sensor)

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
            for im_id in sorted(read_json(self.files(scene_id).json("scene_camera")))
        ]

    def targets(
        self, scenes: Collection[int] | None = None, obj_ids: Collection[int] | None = None
    ) -> list[ImageTargets]:
        """Return the objects to look for in each image, in the order of scene and image.

        From the targets file of the split; without one, the instances annotated as visible;
        without annotations, one instance of every model in every image.

        Args:
            scenes: only these scenes; all by default.
            obj_ids: only these objects; all by default.

        Raises:
            InvalidDataset: nothing is left to look for.
        """
        in_scenes = [t for t in self._all_targets() if scenes is None or t.scene_id in scenes]
        found = [target for t in in_scenes if (target := t.only(obj_ids)).asked]
        if not found:
            source = targets_file(self.root, self.split_dir.name)
            raise InvalidDataset(
                f"{self.split_dir} has no target for scenes {scenes or 'all'} and objects "
                f"{obj_ids or 'all'} ({source.name if source else 'no targets file'}); it has the "
                f"scenes {self.scene_ids[:20]}"
            )
        return sorted(found, key=lambda t: (t.scene_id, t.im_id))

    def frame(self, scene_id: int, im_id: int) -> Frame:
        """Read one image pair; its stamp is made of the ids, one second per image.

        Returns:
            The frame.

        Raises:
            InvalidDataset: the files are missing.
            InvalidFrame, InvalidCamera: they are unusable.
        """
        files = self.files(scene_id)
        cameras = files.json("scene_camera")
        camera = parse_camera(pick(read_json(cameras), im_id, cameras))
        rgb = read_rgb(files.image(COLOR_DIRS, im_id, COLOR_SUFFIXES))
        depth_file = files.image(("depth",), im_id, DEPTH_SUFFIXES)
        return make_frame(rgb, read_depth(depth_file, camera_scale=camera.depth_scale), camera)

    def ground_truth(self, scene_id: int, im_id: int) -> tuple[GroundTruth, ...] | None:
        """Read the annotated instances of an image; None if it is not annotated.

        Returns:
            The instances, or None.

        Raises:
            InvalidDataset: the files are damaged.
        """
        return self._truth(scene_id, im_id)

    def _read_truth(self, scene_id: int, im_id: int) -> tuple[GroundTruth, ...] | None:
        files = self.files(scene_id)
        return read_truth(files.json("scene_gt"), files.json("scene_gt_info"), im_id)

    def files(self, scene_id: int) -> SceneFiles:
        """List the file names of a scene, of the dataset's sensor.

        Returns:
            The file names.

        Raises:
            InvalidDataset: there is no such scene.
        """
        return SceneFiles(self.scene_dir(scene_id), self.sensor)

    def scene_dir(self, scene_id: int) -> Path:
        """Find the folder of a scene, whatever the padding of its name.

        Returns:
            The folder.

        Raises:
            InvalidDataset: there is none.
        """
        for name in folders(self.split_dir):
            if name.isdigit() and int(name) == scene_id:
                return self.split_dir / name
        raise InvalidDataset(f"{self.split_dir} has no scene {scene_id}; it has {self.scene_ids}")

    def _all_targets(self) -> Iterator[ImageTargets]:
        path = targets_file(self.root, self.split_dir.name)
        if path is None:
            for image in self.images():
                truth = self.ground_truth(*image)
                every = dict.fromkeys(self.model_ids(), 1)
                yield ImageTargets(*image, every if truth is None else visible_counts(truth))
            return
        for image, counts in read_targets(path).items():
            if image[0] in self.scene_ids:
                yield self._detection(image) if counts is None else ImageTargets(*image, counts)

    def _detection(self, image: tuple[int, int]) -> ImageTargets:
        """Return a target of the detection task: every model is asked, present or not."""
        models = self.model_ids()
        truth = self.ground_truth(*image) or ()
        counts = {i: count for i, count in visible_counts(truth).items() if i in models}
        return ImageTargets(*image, counts, tuple(models), detection=True)
