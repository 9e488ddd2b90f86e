"""Symmetries of a scanned object: detected, or stated by the user about its vertical."""

from __future__ import annotations

import numpy as np

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.cad.model import Symmetries
from sam6d_ros.cad.onboard import onboard_mesh
from sam6d_ros.cad.symmetry.group import MAX_GROUP, turn
from sam6d_ros.errors import InvalidInput

AUTO, NONE, ROUND = "auto", "none", "round"
UP = np.array([0.0, 0.0, 1.0])


def check_symmetry(wanted: str) -> None:
    """Check the word of the user.

    Raises:
        InvalidInput: it is none of ``find_symmetries``.
    """
    is_number = wanted.isdecimal() and 2 <= int(wanted) <= MAX_GROUP
    if wanted not in (AUTO, NONE, ROUND) and not is_number:
        raise InvalidInput(
            f"the symmetry is {wanted!r}; expected {AUTO}, {NONE}, {ROUND}, or the number of "
            f"placements about the vertical, 2 to {MAX_GROUP}"
        )


def find_symmetries(mesh: Mesh, wanted: str = AUTO) -> Symmetries:
    """Return the motions that keep the look of a scanned object.

    Args:
        mesh: z up, origin in the middle of its bottom, metres.
        wanted: "auto" to detect them; "none"; "round" for any turn about the vertical through the
            origin; a number N for N placements about it.

    Raises:
        InvalidInput: ``wanted`` is none of these.
    """
    check_symmetry(wanted)
    if wanted == AUTO:
        return onboard_mesh(mesh, "scan").symmetries
    if wanted == NONE:
        return Symmetries()
    if wanted == ROUND:
        return Symmetries(axes=np.array([[UP, np.zeros(3)]]))
    angles = 2 * np.pi / int(wanted) * np.arange(int(wanted))
    return Symmetries(turn(UP, np.zeros(3), angles))
