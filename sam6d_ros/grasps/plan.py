"""Grasps of one object: those that are given, else sampled ones, kept by content."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from sam6d_ros.cad import cache
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.grasps.collision import free_candidates
from sam6d_ros.grasps.contacts import ContactPairs, antipodal_pairs
from sam6d_ros.grasps.gripper import Gripper, SamplingConfig, key_parts
from sam6d_ros.grasps.scoring import choose_diverse, pad_contact, score
from sam6d_ros.grasps.surface import GraspSurface
from sam6d_ros.grasps.types import Grasp, GraspSet

log = logging.getLogger(__name__)

CODE_VERSION = "1"  # raise it when the result for the same input changes
# The thinnest thing that counts as one: less is a surface that the file holds twice.
MIN_WIDTH_M = 0.0005


def sample_grasps(
    model: ObjectModel,
    gripper: Gripper,
    config: SamplingConfig,
    cache_dir: Path | None = None,
) -> GraspSet:
    """Sample antipodal grasps on the surface of an object; from the cache if nothing changed.

    The result depends on the arguments only. Grasps on symmetric objects are as good in every
    equivalent turn; no copies are made, as the samples are all around.

    Returns:
        The grasps, best first; empty with a reason if there is none.
    """
    settings = [CODE_VERSION, model.content_hash, *key_parts(gripper, config)]
    arrays = cache.load_or_build(
        f"grasps-{cache.digest(settings)}", lambda: _build(model, gripper, config), cache_dir
    )
    rows = zip(arrays["obj_from_grip"], arrays["width"], arrays["score"], strict=True)
    grasps = tuple(
        Grasp(f"sampled_{index}", pose, float(width), float(value), config.pregrasp)
        for index, (pose, width, value) in enumerate(rows)
    )
    found = GraspSet(grasps, str(arrays["reason"]))
    log.info("%s: %s", model.name, found.reason or f"{len(grasps)} grasps sampled")
    return found


def _build(model: ObjectModel, gripper: Gripper, config: SamplingConfig) -> cache.Arrays:
    rng = np.random.default_rng(config.seed)
    # three points across the smallest face of a finger: none of its boxes slips between them
    spacing = min(gripper.finger_thickness, gripper.finger_width) / 3
    surface = GraspSurface(model, spacing, gripper.finger_width / 4, rng)
    pairs = antipodal_pairs(surface, config.samples, gripper.usable_width)
    good = pairs[(pairs.width > MIN_WIDTH_M) & (pairs.lean < gripper.friction_angle)]
    if not len(good):
        return _nothing(_why_no_pair(surface, pairs, gripper, config))
    box = model.obj_from_box
    free = free_candidates(good, surface.points, box, gripper, config.directions, config.pregrasp)
    if not len(free.pair):
        return _nothing(
            f"the object has {len(good)} pairs of contacts, but the gripper collides with it from "
            f"all of the {config.directions} directions around each"
        )
    lean, width, centre = good.lean[free.pair], good.width[free.pair], good.centre[free.pair]
    contact = pad_contact(surface.scene, free.obj_from_grip, width, gripper)
    off_centre = np.linalg.norm(centre - surface.centre_of_mass, axis=1)
    scores = score(lean, contact, off_centre, width, model.diameter, gripper)
    best = choose_diverse(free.obj_from_grip, scores, config.count, model.diameter)
    return {
        "obj_from_grip": free.obj_from_grip[best],
        "width": width[best],
        "score": scores[best],
        "reason": np.array(""),
    }


def _nothing(reason: str) -> cache.Arrays:
    return {
        "obj_from_grip": np.zeros((0, 4, 4)),
        "width": np.zeros(0),
        "score": np.zeros(0),
        "reason": np.array(reason),
    }


def _why_no_pair(
    surface: GraspSurface, pairs: ContactPairs, gripper: Gripper, config: SamplingConfig
) -> str:
    """Return why no pair of sides can be grasped, with the values that would allow it."""
    if len(pairs):
        return (
            f"the sides at most {gripper.usable_width:.3f} m apart lean by at least "
            f"{np.rad2deg(pairs.lean.min()):.0f}°, and a friction of {gripper.friction:g} holds up "
            f"to {np.rad2deg(gripper.friction_angle):.0f}°"
        )
    wide = antipodal_pairs(surface, config.samples, surface.model.diameter)
    wide = wide[wide.lean < gripper.friction_angle]
    if not len(wide):
        return "the mesh has no two opposite sides that could be held"
    return (
        f"the object is at least {wide.width.min():.3f} m wide between opposite sides, and the "
        f"gripper takes {gripper.usable_width:.3f} m (max_width less two clearances)"
    )
