"""Order of poses by how well a part can be picked from above."""

from __future__ import annotations

from dataclasses import replace

from sam6d_ros.types import PoseEstimate, PoseEstimates

VISIBLE_STEP = 0.1  # parts whose visible shares differ by less are ordered by their range


def pickable_first(poses: PoseEstimates) -> PoseEstimates:
    """Return the same poses, the most pickable part first.

    Parts that nothing hides come first, in steps of a tenth of the silhouette; among equals the one
    nearest to the camera, which lies on top where the camera looks into a bin.

    Args:
        poses: of one frame.
    """
    return replace(poses, items=tuple(sorted(poses.items, key=_rank)))


def _rank(pose: PoseEstimate) -> tuple[int, float]:
    steps = round(pose.visible / VISIBLE_STEP)
    return -steps, float(pose.cam_from_obj[2, 3])
