"""Near-symmetric poses: rotations about an object's centre that leave its shape nearly the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.symmetry.group import expand
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.kit import ObjectKit

TURN_STEP_DEG = 30  # about the axes of the box
ROUND_STEP = np.radians(15)  # about the axis of a round object
SAME_TURN = np.radians(2)  # a symmetry of the shape and a turn about its axis


def turns_of(model: ObjectModel) -> NDArray[np.float64]:
    """Return rotations (K, 3, 3), object frame: symmetries of the shape, turns about the axes.

    Shapes that are nearly symmetric (boxes, cans, a mug whose handle is hidden) fit equally well
    in such poses; only texture or a small part distinguishes them.

    Args:
        model: the object.
    """
    axes = model.obj_from_box[:3, :3].T
    angles = np.radians(np.arange(TURN_STEP_DEG, 360, TURN_STEP_DEG))
    vectors = (axes[:, None] * angles[:, None]).reshape(-1, 3)
    alike = expand(model.shape_symmetries, ROUND_STEP)[:, :3, :3]
    every = np.concatenate([alike, Rotation.from_rotvec(vectors).as_matrix()])
    cosine = (np.einsum("aij,bij->ab", every, every) - 1) / 2
    again = np.tril(cosine > np.cos(SAME_TURN), -1).any(1)
    return every[~again]


def turned(kit: ObjectKit, hypotheses: Hypotheses) -> Hypotheses:
    """Return every pose in every near-symmetric rotation about the object's centre.

    The place of each is the number of the pose it was made from.

    Args:
        kit: views of the object.
        hypotheses: N poses.
    """
    turns = turns_of(kit.model)
    rotation = np.einsum("nij,kjl->nkil", hypotheses.rotation, turns).reshape(-1, 3, 3)
    source = np.repeat(np.arange(len(hypotheses)), len(turns))
    repeated = hypotheses.take(source)
    centres = hypotheses.centres(kit.centre)[source]
    return Hypotheses(
        rotation,
        centres - rotation @ kit.centre,
        repeated.score,
        repeated.region,
        source,
        repeated.parent,
    )
