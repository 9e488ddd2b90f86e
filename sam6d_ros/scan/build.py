"""A recording becomes a model: the steps in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.geometry import se3
from sam6d_ros.scan import surface as surfaces
from sam6d_ros.scan.axes import object_frame
from sam6d_ros.scan.heights import footprint
from sam6d_ros.scan.motion import Frames, Motion
from sam6d_ros.scan.moving import without_moving
from sam6d_ros.scan.region import DEFAULT_RADIUS_M, Region, find_region
from sam6d_ros.scan.report import Coverage, coverage_of
from sam6d_ros.scan.second_pass import first_from_second
from sam6d_ros.scan.smoothing import smoothed
from sam6d_ros.scan.take import Take
from sam6d_ros.scan.tsdf import Surface, fuse_depth

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ScanOptions:
    """Choices of the user.

    Attributes:
        radius_m: radius of the circle in which the object stands, metres.
        centre: (3,) middle of the circle in the world of the poses; None for where the cameras
            look.
        faces: about how many triangles the model gets.
    """

    radius_m: float = DEFAULT_RADIUS_M
    centre: tuple[float, float, float] | None = None
    faces: int = surfaces.TARGET_FACES


@dataclass(frozen=True)
class ScannedObject:
    """A model from a recording.

    Attributes:
        mesh: metres; origin in the middle of the bottom face, z up, x along its longer side.
        world_from_obj: (4, 4) where it stood in the world of the camera poses.
        coverage: what of it was seen.
        notes: warnings for the user.
        second_from_obj: (4, 4) where it stood in the world of the second recording, if any.
    """

    mesh: Mesh
    world_from_obj: Array
    coverage: Coverage
    notes: tuple[str, ...]
    second_from_obj: Array | None = None


@dataclass(frozen=True)
class Recorded:
    """A recording with its camera motion.

    Attributes:
        frames: the recording.
        motion: its camera poses.
        masks: (N, H, W) bool pixels of the object in each frame, if they are known.
    """

    frames: Frames
    motion: Motion
    masks: NDArray[np.bool_] | None = None


def scan_object(
    frames: Frames,
    motion: Motion,
    options: ScanOptions | None = None,
    masks: NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
    second: Recorded | None = None,
) -> ScannedObject:
    """Make a model of the object in a recording.

    Args:
        frames: the recording.
        motion: its camera poses.
        options: the user's choices.
        masks: (N, H, W) bool pixels of the object in each frame, if they are known.
        progress: called with (done, all) while depth is fused.
        second: another recording, of the object turned over; it shows the bottom.

    Returns:
        Mesh and report.

    Raises:
        InvalidInput: there is no plane, no object, two of them, or no surface results; or the two
            recordings do not fit each other.
        BackendUnavailable: Open3D is not installed.
    """
    options = options or ScanOptions()
    take, surface = _fused(Recorded(frames, motion, masks), options, progress)
    takes = [take]
    if second is not None:
        turned = replace(options, centre=None)  # its place in another world
        takes = _registered(take, surface, *_fused(second, turned, progress), options)
        surface = surfaces.close(surfaces.free_of_plane(fuse_depth(takes, progress)))
    mesh, views = surfaces.coloured(_reduced(surface, options), takes)
    obj_from_stand = object_frame(mesh)
    mesh = replace(mesh, vertices=se3.transform(obj_from_stand, mesh.vertices))
    places = [obj_from_stand @ one.object_from_stand @ one.region.stand_from_world for one in takes]
    eyes = [
        se3.transform(place, one.motion.world_from_cam[one.motion.used][:, :3, 3])
        for place, one in zip(places, takes, strict=True)
    ]
    coverage = coverage_of(mesh, views, np.concatenate(eyes))
    worlds = [se3.inverse(place) for place in places]
    notes = (*motion.notes, *_moving_notes(takes), *coverage.notes())
    return ScannedObject(mesh, worlds[0], coverage, notes, worlds[1] if second else None)


def _fused(
    recorded: Recorded, options: ScanOptions, progress: Progress | None
) -> tuple[Take, Surface]:
    """Return a recording placed on its plane, and the closed surface of its object."""
    frames, motion, masks = recorded.frames, recorded.motion, recorded.masks
    centre = None if options.centre is None else np.array(options.centre)
    region = find_region(frames, motion, radius_m=options.radius_m, centre=centre, masks=masks)
    take = Take(frames, motion, region, masks)
    fused = fuse_depth([take], progress)
    still = without_moving(take, fused)
    if still.left_out:
        fused = fuse_depth([still], progress)
    place = footprint(fused.vertices, options.radius_m)
    return replace(still, footprint=place), surfaces.cut_from_plane(fused)


def _registered(
    first: Take, first_surface: Surface, second: Take, second_surface: Surface, options: ScanOptions
) -> list[Take]:
    """Return both takes in the frame of the first, without their planes."""
    meshes = [
        surfaces.coloured(_reduced(surface, options), [take])[0]
        for surface, take in ((first_surface, first), (second_surface, second))
    ]
    pose = first_from_second(*meshes)
    return [
        replace(first, without_plane=True),
        replace(second, without_plane=True, object_from_stand=pose),
    ]


def _reduced(surface: Surface, options: ScanOptions) -> Surface:
    """Return a surface with fewer faces and less noise."""
    return smoothed(surfaces.thin(surface, options.faces))


def _moving_notes(takes: Sequence[Take]) -> list[str]:
    """Return warnings about moving things."""
    count = sum(len(take.left_out) for take in takes)
    return [f"something moved through {count} frames, a hand perhaps; it is left out"] * (count > 0)


__all__ = ["Recorded", "Region", "ScanOptions", "ScannedObject", "scan_object"]
