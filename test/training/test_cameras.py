import numpy as np
import pytest

from training import color_camera, depth_camera, scan
from training.color_camera import ColorCamera
from training.depth_camera import DepthCamera, Surfaces
from training.registration import Registration
from training.shapes import MAKERS

SHAPE = (60, 80)


def perfect(**changed):
    kept = {
        "kind": "stereo", "density": 1.0, "baseline_m": 0.05, "noise_px": 0.0, "step_px": 1e-4,
        "noise_m": 0.0, "window_px": 0, "scale": 1.0, "offset_m": 0.0, "ripple": 0.0,
        "ripple_px": 20.0, "lateral_px": 0.0, "loss": 0.01, "smoothed": False,
    }  # fmt: skip
    return DepthCamera(**{**kept, **changed})


def step(**changed):
    """Return a near square in front of a wall."""
    depth = np.full(SHAPE, 0.8, np.float32)
    depth[20:40, 30:50] = 0.5
    ones = np.ones(SHAPE, np.float32)
    kept = {
        "depth": depth,
        "facing": ones,
        "albedo": ones / 2,
        "metal": 0 * ones,
        "lit": np.ones(SHAPE, bool),
    }
    return Surfaces(**{**kept, **changed})


def measured(seen=None, **changed):
    return depth_camera.measure(seen or step(), perfect(**changed), 600.0, np.random.default_rng(0))


def test_a_camera_without_errors_measures_the_depth_inside_surfaces():
    depth, seen = measured(), step()
    inside = np.zeros(SHAPE, bool)
    inside[23:37, 33:47] = inside[:15] = True
    assert np.allclose(depth[inside], seen.depth[inside], atol=1e-3)


def test_a_matching_window_makes_near_surfaces_larger():
    thin, fat = (np.sum(np.abs(measured(window_px=w) - 0.5) < 0.01) for w in (0, 4))
    assert fat > 1.1 * thin


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({"scale": 1.01}, 0.808), ({"offset_m": -0.003}, 0.797)],
)
def test_systematic_errors_shift_all_depths(changed, expected):
    assert np.median(measured(**changed)[:15]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("changed", [{"lit": False}, {"facing": 0.02}, {"albedo": 0.001}])
def test_shadow_grazing_and_dark_surfaces_lose_depth(changed):
    planes = {name: np.full(SHAPE, value, np.float32) for name, value in changed.items()}
    planes = {name: plane > 0 if name == "lit" else plane for name, plane in planes.items()}
    kept, lost = (np.mean(measured(seen, loss=1.0) > 0) for seen in (step(), step(**planes)))
    assert kept > 0.9
    assert lost < kept - 0.03


def test_a_coarse_depth_image_fills_the_colour_image():
    depth = measured(density=0.5)
    assert depth.shape == (30, 40)
    none = Registration(np.zeros(2), 0.0, 0.0, 0.0)
    registered = none.of_depth(depth, 80, 60)
    assert registered.shape == SHAPE
    assert np.array_equal(registered[::2, ::2], depth)


def test_registration_without_error_changes_nothing_and_parts_add_up():
    image = np.random.default_rng(0).random((*SHAPE, 3), np.float32)
    assert np.allclose(Registration(np.zeros(2), 0, 0, 0).of_color(image), image, atol=1e-5)
    error = Registration(np.array([2.0, -1.0]), 0.01, 0.003, 0.001)
    places, none = error.sources(80, 60), error.part(0).sources(80, 60)
    halves = error.part(0.3).sources(80, 60) - error.part(-0.7).sources(80, 60)
    assert np.allclose(halves, places - none, atol=0.02)
    assert np.allclose((places - none)[30, 40], (2.0, -1.0), atol=0.05)


def test_a_colour_camera_without_errors_keeps_the_image():
    image = np.full((*SHAPE, 3), 120, np.float32)
    plain = ColorCamera(1.0, np.ones(3), 0, 0, 0, 0.5, np.zeros(2), 0, 0, 0)
    rng = np.random.default_rng(0)
    assert np.abs(color_camera.photograph(image, plain, rng).astype(float) - 120).max() <= 1


def test_motion_blurs_along_its_path_only():
    image = np.zeros((*SHAPE, 3), np.float32)
    image[30, 40] = 200
    moved = ColorCamera(1.0, np.ones(3), 0, 0, 0, 0.3, np.array([5.0, 0.0]), 0, 0, 0)
    seen = color_camera.photograph(image, moved, np.random.default_rng(0))[..., 0] > 5
    assert np.ptp(np.argwhere(seen)[:, 1]) >= 4
    assert np.ptp(np.argwhere(seen)[:, 0]) <= 2


@pytest.mark.parametrize("kind", ["mug", "plate"])
def test_a_cad_model_differs_from_the_thing_within_bounds(kind):
    rng = np.random.default_rng(5)
    made = MAKERS[kind](rng, rng)
    model = scan.with_errors(made, kind == "mug", rng)
    diameter = np.linalg.norm(np.ptp(made.vertices, axis=0))
    error = np.linalg.norm(model.vertices - made.vertices, axis=1) / diameter
    assert 1e-4 < error.mean() < 0.05
    assert np.array_equal(model.faces, made.faces)
    places = np.unique(made.vertices.round(6), axis=0, return_inverse=True)[1].ravel()
    if kind == "plate":  # seams stay closed
        for place in range(0, int(places.max()), 50):
            assert np.ptp(model.vertices[places == place], axis=0).max() < 1e-6
