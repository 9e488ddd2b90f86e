"""Symmetries are groups, and what is detected maps the mesh onto itself."""

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation
from support.meshes import REAL, fine, l_shape, mesh_of, surface_of

from sam6d_ros.cad.bop_models import load_bop_models
from sam6d_ros.cad.model import Symmetries
from sam6d_ros.cad.onboard import onboard_mesh
from sam6d_ros.cad.symmetry import group as symmetry
from sam6d_ros.cad.symmetry.detect import LOOK, SHAPE, detect
from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3

OFF_CENTRE = se3.exp([0.3, -0.2, 0.1, 0.4, 0.5, 0.6])


def moved(shape: trimesh.Trimesh) -> trimesh.Trimesh:
    out = shape.copy()
    out.apply_transform(OFF_CENTRE)
    return out


SHAPES = {
    # (discrete motions, axes)
    "box": (trimesh.creation.box((0.1, 0.16, 0.22)), 4, 0),
    "square bar": (trimesh.creation.box((0.08, 0.08, 0.22)), 8, 0),
    "cube": (trimesh.creation.box((0.1, 0.1, 0.1)), 24, 0),
    "can": (trimesh.creation.cylinder(0.04, 0.11, sections=64), 2, 1),
    "cone": (trimesh.creation.cone(0.04, 0.11, sections=64), 1, 1),
    "ball": (trimesh.creation.icosphere(subdivisions=4, radius=0.05), 1, 2),
    "hexagon": (trimesh.creation.cylinder(0.05, 0.03, sections=6), 12, 0),
    "angle": (l_shape(), 1, 0),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("place", ["centred", "moved"])
def test_known_groups_are_found(name, place):
    shape, discrete, axes = SHAPES[name]
    found = detect(surface_of(shape if place == "centred" else moved(shape)), SHAPE)
    assert (len(found.discrete), len(found.axes)) == (discrete, axes)


@pytest.mark.parametrize("name", SHAPES)
def test_every_motion_maps_the_surface_onto_itself(name):
    shape = moved(SHAPES[name][0])
    surface = surface_of(shape)
    motions = symmetry.expand(detect(surface, SHAPE), np.deg2rad(45), max_count=200)
    assert np.allclose(motions[0], np.eye(4))
    for motion in motions:
        distance, _ = surface.distances(motion)
        assert np.percentile(distance, 95) < 0.03 * surface.diameter


def test_a_print_breaks_the_symmetry_of_the_look_only():
    shape = fine(trimesh.creation.box((0.1, 0.16, 0.22)), 0.006)
    plain = np.full((len(shape.vertices), 3), 90, np.uint8)
    printed = plain.copy()
    printed[shape.vertices[:, 2] > 0.02] = (230, 40, 40)
    assert len(onboard_mesh(mesh_of(shape, plain), "plain").symmetries.discrete) == 4
    model = onboard_mesh(mesh_of(shape, printed), "printed")
    # turning about z keeps the red end up
    assert len(model.symmetries.discrete) == 2
    assert len(model.shape_symmetries.discrete) == 4
    assert np.allclose(np.abs(model.symmetries.discrete[1][2, 2]), 1, atol=1e-3)


def test_a_handle_breaks_the_symmetry_of_a_cup():
    cup = trimesh.creation.cylinder(0.04, 0.09, sections=64)
    handle = trimesh.creation.torus(0.025, 0.006)
    handle.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0]))
    handle.apply_translation((0.045, 0, 0))
    found = detect(surface_of(trimesh.util.concatenate([cup, handle])), LOOK)
    assert len(found.axes) == 0


@pytest.mark.parametrize(
    "group",
    [
        Symmetries(),
        Symmetries(np.stack([np.eye(4), np.diag([1.0, -1, -1, 1])])),
        Symmetries(axes=np.array([[[0, 0, 1.0], [0.1, 0.2, 0]]])),
        Symmetries(
            np.stack([np.eye(4), np.diag([1.0, -1, -1, 1])]), np.array([[[0, 0, 1.0], [0, 0, 0]]])
        ),
    ],
)
def test_expanded_groups_are_closed(group):
    motions = symmetry.expand(group, np.deg2rad(30))
    assert len(motions) == len(group.discrete) * (12 if len(group.axes) else 1)
    products = (motions[:, None] @ motions[None]).reshape(-1, 4, 4)
    gap = np.abs(products[:, None] - motions[None]).max((2, 3)).min(1)
    assert gap.max() < 1e-9
    inverses = se3.inverse(motions)
    assert np.abs(inverses[:, None] - motions[None]).max((2, 3)).min(1).max() < 1e-9


@pytest.mark.parametrize("step_deg", [90, 36, 10, 7, 1])
def test_steps_are_even_and_never_wider_than_asked(step_deg):
    group = Symmetries(axes=np.array([[[0, 0, 2.0], [0, 0, 0]]]))
    motions = symmetry.expand(group, np.deg2rad(step_deg))
    steps = se3.rotation_angle(motions[:-1, :3, :3], motions[1:, :3, :3])
    assert np.allclose(steps, 2 * np.pi / len(motions))
    assert steps.max() <= np.deg2rad(step_deg) + 1e-9


def test_expanding_stays_below_the_cap():
    ball = Symmetries(axes=np.array([[[0, 0, 1.0], [0, 0, 0]], [[1.0, 0, 0], [0, 0, 0]]]))
    motions = symmetry.expand(ball, np.deg2rad(1), max_count=1000)
    assert 500 < len(motions) <= 1000
    # any rotation has a neighbour
    wanted = Rotation.random(50, rng=np.random.default_rng(0)).as_matrix()
    angles = se3.rotation_angle(wanted[:, None], motions[None, :, :3, :3]).min(1)
    assert angles.max() < np.deg2rad(40)


def test_a_turn_keeps_its_axis():
    point = np.array([0.1, 0.2, 0.3])
    motion = symmetry.turn(np.array([1.0, 2, 3]), point, 0.7)
    on_axis = point + np.array([[1.0, 2, 3]]) * 0.4
    assert np.allclose(se3.transform(motion, on_axis), on_axis)
    assert se3.rotation_angle(np.eye(3), motion[:3, :3]) == pytest.approx(0.7)


def test_generators_are_completed():
    quarter = symmetry.turn(np.array([0, 0, 1.0]), np.zeros(3), np.pi / 2)
    flip = np.diag([1.0, -1, -1, 1])
    assert len(symmetry.complete(np.stack([quarter, flip]), np.zeros((0, 2, 3)))) == 8


def test_detected_motions_that_contradict_are_left_out_with_a_warning(caplog):
    """A turn by 77° about a skew axis and a half turn generate no small group."""
    stated = Symmetries(np.stack([np.eye(4), np.diag([1.0, -1, -1, 1])]))
    skew = symmetry.turn(np.array([1.0, 0.3, 0.2]), np.zeros(3), np.deg2rad(77))
    group = symmetry.union(stated, Symmetries(np.stack([np.eye(4), skew])))
    assert np.array_equal(group.discrete, stated.discrete)
    assert "left out" in caplog.text


def test_bop_symmetries_are_millimetres():
    flip = np.diag([1.0, -1, -1, 1])
    flip[:3, 3] = (0, 8, 6)
    group = symmetry.from_bop(
        {
            "symmetries_discrete": [flip.ravel().tolist()],
            "symmetries_continuous": [{"axis": [0, 0, 2], "offset": [1, 2, 3]}],
        }
    )
    assert np.allclose(group.discrete[1][:3, 3], (0, 0.008, 0.006))
    assert np.allclose(group.axes[0], [[0, 0, 1], [0.001, 0.002, 0.003]])


def turns(*degrees: float) -> Symmetries:
    """Rotations about z beside the identity."""
    motions = symmetry.turn(np.array([0.0, 0, 1]), np.zeros(3), np.deg2rad([0, *degrees]))
    return Symmetries(motions)


@pytest.mark.parametrize(
    ("degrees", "count"), [((90,), 4), ((90, 180, 270), 4), ((0, 120), 3), ((10,), 36), ((), 1)]
)
def test_a_list_of_symmetries_is_completed_to_their_group(degrees, count):
    given = turns(*degrees)
    group = symmetry.completed(given)
    assert len(group.discrete) == count
    found = {round(a) for a in np.degrees(se3.rotation_angle(np.eye(3), group.discrete[:, :3, :3]))}
    assert len(found) == count // 2 + 1, "every angle of the cyclic group, up to its sign"


def test_inexact_symmetries_of_a_data_set_stay_as_they_are():
    """The brick of YCB-V, object 21: one of its half turns is 4.8° from square to the others."""
    tilt = symmetry.turn(np.array([1.0, 0, 0]), np.zeros(3), np.deg2rad(4.8))
    halves = [
        np.diag([-1.0, 1, -1, 1]) @ tilt,
        np.diag([1.0, -1, -1, 1]),
        np.diag([-1.0, -1, 1, 1]),
    ]
    brick = Symmetries(np.stack([np.eye(4), *halves]))
    assert np.array_equal(symmetry.completed(brick).discrete, brick.discrete)


def test_a_list_beyond_the_largest_group_stays_as_it_is(caplog):
    listed = turns(*range(5, 360, 5))
    assert symmetry.completed(listed) is listed
    assert "taken as listed" in caplog.text


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"symmetries_discrete": [[1, 2, 3]]}, r"symmetries_discrete\[0\].*16"),
        ({"symmetries_discrete": [[2.0] * 16]}, "no proper rotation"),
        ({"symmetries_continuous": [{"axis": [0, 0, 0]}]}, "length must not be zero"),
        ({"symmetries_continuous": [{"axis": [0, "x", 0]}]}, "3 finite numbers"),
        ({"symmetries_continuous": [[0, 0, 1]]}, "a map with axis"),
    ],
)
def test_wrong_symmetries_are_refused(entry, reason):
    with pytest.raises(InvalidInput, match=reason):
        symmetry.from_bop(entry)


def test_the_shape_contains_the_stated_symmetries():
    stated = Symmetries(np.stack([np.eye(4), np.diag([-1.0, -1, 1, 1])]))
    model = onboard_mesh(mesh_of(l_shape()), "angle", symmetries=stated)
    assert np.array_equal(model.symmetries.discrete, stated.discrete)
    assert len(model.shape_symmetries.discrete) == 2


# name: (discrete motions, axes) of the shape; scanned meshes with dents
REAL_SHAPES = {
    ("ycbv", 1): ("002_master_chef_can", 2, 1),
    ("ycbv", 2): ("003_cracker_box", 4, 0),
    ("ycbv", 3): ("004_sugar_box", 4, 0),
    ("ycbv", 9): ("010_potted_meat_can", 4, 0),
    ("ycbv", 11): ("019_pitcher_base", 1, 0),
    ("ycbv", 14): ("025_mug", 1, 0),
    ("ycbv", 15): ("035_power_drill", 1, 0),
    ("ycbv", 21): ("061_foam_brick", 4, 0),
    ("lm", 6): ("cat", 1, 0),
}


@pytest.mark.skipif(not REAL.is_dir(), reason="real data: ../shared/real is not there")
@pytest.mark.parametrize("key", REAL_SHAPES)
def test_scanned_objects(key):
    name, discrete, axes = REAL_SHAPES[key]
    model = load_bop_models(REAL / key[0] / "models", [key[1]])[0]
    assert model.name == name
    assert len(model.shape_symmetries.discrete) == discrete
    assert len(model.shape_symmetries.axes) == axes
