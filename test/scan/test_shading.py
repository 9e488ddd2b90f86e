"""Shading of the room in the colours of a scan."""

from __future__ import annotations

import numpy as np

from sam6d_ros.scan.shading import without_shading


def test_the_dark_side_of_a_printed_ball_becomes_as_bright_as_the_lit_one() -> None:
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(4000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    printed = rng.random(4000) < 0.2
    paint = np.where(printed[:, None], (160, 40, 40), (190, 186, 180)).astype(np.float32)
    light = np.exp(0.35 * normals @ [0.6, 0.0, 0.8]) / np.exp(0.35)
    shaded = (paint * light[:, None]).astype(np.float32)
    found = without_shading(shaded, normals, np.ones(4000))
    assert np.abs(found - paint).max() < 16
    assert np.abs(shaded - paint).max() > 80


def test_a_thing_of_which_half_is_in_the_shade_gets_its_paint_back() -> None:
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(4000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    light = 0.44 + 0.7 * np.maximum(normals @ [0.55, 0.7, 0.45], 0)
    paint = np.array([200.0, 196.0, 190.0])
    found = without_shading((paint * light[:, None]).astype(np.float32), normals, np.ones(4000))
    brightness = found.mean(1)
    assert np.quantile(brightness, 0.05) > 0.88 * np.quantile(brightness, 0.95)


def test_colours_without_shading_stay_as_they_are() -> None:
    normals = np.vstack([np.eye(3), -np.eye(3)]).repeat(50, axis=0)
    colors = np.full((300, 3), 140, np.float32)
    assert np.allclose(without_shading(colors, normals, np.ones(300)), colors, atol=0.5)
