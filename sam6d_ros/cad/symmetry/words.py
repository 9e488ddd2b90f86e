"""Symmetries in words, for people."""

from __future__ import annotations

from sam6d_ros.cad.model import Symmetries


def in_words(symmetries: Symmetries) -> str:
    """Return the group in words.

    Args:
        symmetries: the group.
    """
    if not symmetries.is_symmetric:
        return "none"
    parts = []
    if len(symmetries.discrete) > 1:
        parts.append(f"{len(symmetries.discrete)} placements")
    if len(symmetries.axes):
        axes = [" ".join(f"{value:.2f}" for value in axis[0]) for axis in symmetries.axes]
        parts.append("any turn about " + " and ".join(f"({axis})" for axis in axes))
    return ", ".join(parts)
