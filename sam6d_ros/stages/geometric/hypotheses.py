"""Hypotheses of one object's pose: a struct of arrays that the stages of the search hand on."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry import se3
from sam6d_ros.stages.kernels.sampling import choose_diverse

SAME_SHIFT = 0.06  # in diameters
SAME_ANGLE = np.radians(12)
PLACE = 0.35  # side of a place in diameters: thin parts in a bin lie this near to each other


@dataclass(frozen=True)
class Hypotheses:
    """N hypotheses of one object's pose.

    Attributes:
        rotation: (N, 3, 3) float64, cam_from_obj.
        translation: (N, 3) float64 metres.
        score: (N,) float32, comparable within one object and one stage only.
        region: (N,) int64, the region whose seed it grew from.
        place: (N,) int64 number of the cube in which the object's centre lies: every place has its
            quota. A number has no meaning beyond one stage.
        parent: (N,) int64 index into the table of the stage before.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    score: NDArray[np.float32]
    region: NDArray[np.int64]
    place: NDArray[np.int64]
    parent: NDArray[np.int64]

    @property
    def poses(self) -> NDArray[np.float64]:
        """(N, 4, 4) cam_from_obj."""
        return se3.from_rotation_translation(self.rotation, self.translation)

    @classmethod
    def from_poses(
        cls, poses: NDArray[np.float64], score: NDArray, region: NDArray[np.int64]
    ) -> Hypotheses:
        """Return hypotheses of poses; each is a place of its own.

        Args:
            poses: (N, 4, 4) cam_from_obj.
            score: (N,).
            region: (N,) number of the region of each.
        """
        rotation = np.ascontiguousarray(poses[:, :3, :3])
        translation = np.ascontiguousarray(poses[:, :3, 3])
        number = np.arange(len(poses))
        return cls(rotation, translation, np.asarray(score, np.float32), region, number, number)

    @classmethod
    def joined(cls, *parts: Hypotheses) -> Hypotheses:
        """Return all of several sets, in order."""
        arrays = [[getattr(part, f.name) for part in parts] for f in fields(cls)]
        return cls(*(np.concatenate(values) for values in arrays))

    def take(self, index: NDArray) -> Hypotheses:
        """Return the chosen hypotheses.

        Args:
            index: (K,) numbers.
        """
        return Hypotheses(*(getattr(self, f.name)[index] for f in fields(self)))

    def numbered(self) -> Hypotheses:
        """Return the same as the start of a stage: each is its own parent."""
        return replace(self, parent=np.arange(len(self)))

    def with_score(self, score: NDArray) -> Hypotheses:
        """Return the same poses, in the same order, with other scores.

        Args:
            score: (N,).
        """
        return replace(self, score=np.asarray(score, np.float32))

    def moved(self, rotation: NDArray, translation: NDArray) -> Hypotheses:
        """Return the same hypotheses at other poses.

        Args:
            rotation: (N, 3, 3) of cam_from_obj.
            translation: (N, 3) metres.
        """
        return replace(self, rotation=rotation, translation=translation)

    def centres(self, centre_obj: NDArray) -> NDArray[np.float64]:
        """Return the centres of the object in the camera frame.

        Args:
            centre_obj: (3,) metres, object frame.

        Returns:
            (N, 3) metres.
        """
        return self.rotation @ centre_obj + self.translation

    def placed(self, centre_obj: NDArray, diameter: float) -> Hypotheses:
        """Return the same hypotheses with the numbers of their present places.

        Args:
            centre_obj: (3,) metres, object frame.
            diameter: of the object, metres.
        """
        cube = np.floor(self.centres(centre_obj) / (PLACE * diameter)).astype(np.int64)
        cube -= cube.min(0, initial=0)
        size = cube.max(0, initial=0) + 1
        key = (cube[:, 0] * size[1] + cube[:, 1]) * size[2] + cube[:, 2]
        return replace(self, place=np.unique(key, return_inverse=True)[1].ravel())

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True)
class Seeds:
    """S scene points on which views are placed.

    Attributes:
        pixels_rc: (S, 2) int64 pixels as (row, column) at the working size.
        region: (S,) int64 index of the region each lies in.
    """

    pixels_rc: NDArray[np.int64]
    region: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.region)


def diverse(
    hypotheses: Hypotheses, centre_obj: NDArray, diameter: float, per_place: int
) -> Hypotheses:
    """Return the best of each place, by falling score, no two of a place alike.

    Two are alike within SAME_SHIFT and SAME_ANGLE. A quota for each place keeps a partly hidden
    object among the hypotheses when a large clean surface resembles it.

    Args:
        hypotheses: N poses.
        centre_obj: (3,) centre of the object, metres, object frame.
        diameter: of the object, metres.
        per_place: largest number of each place.
    """
    ranked = hypotheses.take(np.argsort(-hypotheses.score, kind="stable"))
    kept = choose_diverse(
        ranked.rotation, ranked.centres(centre_obj), ranked.place, SAME_SHIFT * diameter,
        np.cos(SAME_ANGLE), per_place, int(ranked.place.max(initial=-1)) + 1,
    )  # fmt: skip
    return ranked.take(kept)
