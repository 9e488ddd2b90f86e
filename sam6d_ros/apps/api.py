"""Python interface: load a frame and objects, open an engine, draw and print its estimates.

A thin shell around ``EngineSpec`` and ``build_engine``; ``sam6d_ros`` exports its functions lazily.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros import frames
from sam6d_ros.apps.compiled_loops import keep_compiled_loops
from sam6d_ros.apps.environment import allow_openexr, default_cache_dir, share_folder
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_entry import ObjectEntry, read_entry
from sam6d_ros.cad.objects import load_entry, read_objects_file
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidInput, InvalidObjects
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.runtime.views import View, fuse_views
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates
from sam6d_ros.visualize import draw_poses


def load_frame(rgb: Path | str, depth: Path | str, camera: Path | str, **options: Any) -> Frame:
    """Read one registered RGB-D frame from files.

    Args:
        rgb: colour image.
        depth: depth image registered to the colour image, 16 bits in millimetres.
        camera: file with the camera matrix.
        **options: ``depth_scale`` (millimetres per unit) and ``image_id``, as in
            ``sam6d_ros.frames.load_frame``.

    Returns:
        The frame; depth in metres.

    Raises:
        InvalidFrame, InvalidCamera: a file is missing, unreadable, or the files do not fit.
    """
    allow_openexr()
    return frames.load_frame(Path(rgb), Path(depth), Path(camera), **options)


def load_objects(
    files: Path | str | Sequence[Path | str], unit: str = "auto", cache_dir: Path | None = None
) -> ObjectSet:
    """Onboard the objects of CAD files, or of an objects file (docs/objects.md).

    Args:
        files: one CAD file (PLY, OBJ, STL, GLB, glTF), several, or one objects file (YAML). An
            object of a CAD file has the file's name without suffix.
        unit: of the CAD files: "m", "cm", "mm", "inch", "ft", or "auto"; an objects file states
            its own.
        cache_dir: folder of prepared objects; the user's cache folder by default.

    Returns:
        The objects with their entries and settings.

    Raises:
        InvalidObjects: no file, two objects of one name, an unknown unit, or an objects file
            that cannot be used.
        InvalidMesh, TooLarge: a CAD file cannot be used.
    """
    paths = [Path(files)] if isinstance(files, (str, Path)) else [Path(file) for file in files]
    entries = _entries(paths, unit)
    cache = default_cache_dir() if cache_dir is None else cache_dir
    models = {name: load_entry(entry, cache) for name, entry in entries.items()}
    return ObjectSet(models, entries, {name: entry.settings for name, entry in entries.items()})


def _entries(paths: Sequence[Path], unit: str) -> dict[str, ObjectEntry]:
    """Return the entries of CAD files or of one objects file by name."""
    if len(paths) == 1 and paths[0].suffix.lower() in (".yaml", ".yml"):
        if unit != "auto":
            raise InvalidObjects(
                f"`unit` is {unit!r} beside {paths[0]}; state `unit` in the objects file"
            )
        return {entry.name: entry for entry in read_objects_file(paths[0], share_folder)}
    entries: dict[str, ObjectEntry] = {}
    for path in paths:
        entry = read_entry(path.stem, str(path.absolute()), unit, "")
        if entry.name in entries:
            raise InvalidObjects(
                f"{entries[entry.name].mesh} and {path} are both named {entry.name!r}; rename "
                "one, or name them in an objects file"
            )
        entries[entry.name] = entry
    if not entries:
        raise InvalidObjects("no file of an object is given; expected CAD files or an objects file")
    return entries


def open_engine(
    objects: ObjectSet,
    backend: str = "auto",
    cache_dir: Path | None = None,
    role: str = "full",
    *,
    min_score: float | None = None,
    max_instances: int = PipelineConfig.max_instances,
) -> Engine:
    """Build an engine that finds objects; it compiles its loops on the first call of a machine.

    Args:
        objects: as ``load_objects`` returns them.
        backend: "auto", "geometric", "sam6d", or one of another package (docs/backends.md).
        cache_dir: folder of prepared objects; the user's cache folder by default.
        role: "full", or "service" for an engine that tracks as well.
        min_score: poses that score lower are not returned, in [0, 1]; None takes the backend's.
            An object of an objects file may state its own.
        max_instances: largest number of instances of each object; likewise.

    Returns:
        The engine; ``run(frame)`` returns its estimates.

    Raises:
        InvalidObjects: the objects are no ``ObjectSet``.
        InvalidConfig: the backend or the role is unknown, or a number is out of its range.
        BackendUnavailable, CheckpointError: the backend cannot run.
    """
    if not isinstance(objects, ObjectSet):
        raise InvalidObjects(
            f"objects is {repr(objects)[:80]}; expected what load_objects returns: "
            "open_engine(load_objects(...))"
        )
    keep_compiled_loops()
    cache = default_cache_dir() if cache_dir is None else cache_dir
    config = PipelineConfig(backend, min_score=min_score, max_instances=max_instances)
    return build_engine(EngineSpec(config, cache, role, objects))


def fuse(
    estimates: Sequence[PoseEstimates],
    fixed_from_cam: Sequence[NDArray[np.float64]],
    objects: Mapping[str, ObjectModel],
    frames: Sequence[Frame] | None = None,
) -> PoseEstimates:
    """Join the estimates of several views of objects at rest (docs/views.md).

    Args:
        estimates: of each view.
        fixed_from_cam: (4, 4) pose of the camera at each view in the frame in which the objects
            rest, metres.
        objects: models by name, such as ``engine.objects``.
        frames: of each view; without them no view counts against an instance that it missed.

    Returns:
        The estimates in the camera of the last view, best first.

    Raises:
        InvalidInput: the numbers of estimates, poses and frames differ, there is no view, or a
            pose of the camera is no rigid transform.
        InvalidObjects: an estimate is of another object.
    """
    given = [None] * len(estimates) if frames is None else frames
    if not len(estimates) == len(fixed_from_cam) == len(given):
        raise InvalidInput(
            f"there are {len(estimates)} estimates, {len(fixed_from_cam)} camera poses and "
            f"{len(given)} frames; expected one of each for every view"
        )
    poses = [np.asarray(pose, np.float64) for pose in fixed_from_cam]
    return fuse_views([*map(View, given, estimates, poses)], objects)


def draw(
    frame: Frame, estimates: PoseEstimates, objects: Mapping[str, ObjectModel]
) -> NDArray[np.uint8]:
    """Draw estimates on the colour image of their frame.

    Args:
        frame: the frame that was searched.
        estimates: its estimates.
        objects: models by name, such as ``engine.objects``.

    Returns:
        (H, W, 3) uint8 RGB, with contour, box, axes and label of each object.
    """
    return draw_poses(frame.rgb, frame.camera, estimates.items, objects)


def to_dict(estimates: PoseEstimates) -> dict[str, Any]:
    """Return estimates as plain values for JSON.

    Args:
        estimates: of one frame.

    Returns:
        ``stamp_ns``, ``frame_id``, ``reason`` and ``poses``: name, score, and ``cam_from_obj``
        (4 × 4, metres) of each.
    """
    return {
        "stamp_ns": estimates.stamp_ns,
        "frame_id": estimates.frame_id,
        "reason": estimates.reason,
        "poses": [_pose(item) for item in estimates.items],
    }


def _pose(item: PoseEstimate) -> dict[str, Any]:
    return {
        "class_id": item.class_id,
        "instance_id": item.instance_id,
        "score": float(item.score),
        "cam_from_obj": item.cam_from_obj.tolist(),
    }
