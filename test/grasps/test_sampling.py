"""Laws of sampled grasps, on shapes for which the right answers are known."""

import numpy as np
import pytest
import trimesh
from support.meshes import l_shape, mesh_of

from sam6d_ros.cad.onboard import onboard_mesh
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.geometry import se3
from sam6d_ros.grasps import plan
from sam6d_ros.grasps.gripper import GIVE_M, Gripper, SamplingConfig
from sam6d_ros.grasps.plan import sample_grasps

GRIPPER, CONFIG = Gripper(), SamplingConfig(samples=150, count=12)
BOX = (0.12, 0.06, 0.03)


def model_of(shape: trimesh.Trimesh):
    return onboard_mesh(mesh_of(shape), "thing", symmetries="none")


def grasps_of(shape: trimesh.Trimesh, gripper=GRIPPER, config=CONFIG):
    return sample_grasps(model_of(shape), gripper, config)


def poses(found) -> np.ndarray:
    return np.stack([grasp.obj_from_grip for grasp in found.grasps])


def flipped(shape: trimesh.Trimesh) -> trimesh.Trimesh:
    """The same shape with every other face turned inside out."""
    faces = shape.faces.copy()
    faces[::2] = faces[::2, ::-1]
    return trimesh.Trimesh(shape.vertices, faces, process=False)


@pytest.mark.parametrize("shape", [trimesh.creation.box(BOX), flipped(trimesh.creation.box(BOX))])
def test_a_box_is_held_by_opposite_faces_along_their_normals(shape):
    found = grasps_of(shape)
    assert found.grasps
    assert not found.reason
    for grasp in found.grasps:
        closing = grasp.obj_from_grip[:3, 0]
        side = int(np.abs(closing).argmax())
        assert abs(closing[side]) == pytest.approx(1, abs=1e-6)
        assert side != 0, "the long side is wider than the gripper"
        assert grasp.width == pytest.approx(BOX[side], abs=1e-5)
        contacts = grasp.obj_from_grip[:3, 3] + np.outer((-0.5, 0.5), grasp.width * closing)
        np.testing.assert_allclose(np.abs(contacts[:, side]), BOX[side] / 2, atol=1e-5)
        assert (np.abs(contacts) <= np.array(BOX) / 2 + 1e-5).all()


def test_the_axis_of_a_grasp_on_a_sphere_passes_through_its_centre():
    radius = 0.03
    found = grasps_of(trimesh.creation.icosphere(4, radius))
    assert len(found.grasps) == CONFIG.count
    origin, closing = poses(found)[:, :3, 3], poses(found)[:, :3, 0]
    assert np.linalg.norm(np.cross(origin, closing), axis=1).max() < 0.06 * radius
    assert all(abs(grasp.width - 2 * radius) < 0.01 * radius for grasp in found.grasps)


def test_a_thin_wall_is_held_by_its_rim_and_a_narrow_cup_from_outside():
    cup = trimesh.creation.annulus(0.026, 0.03, 0.09)
    widths = {round(grasp.width, 3) for grasp in grasps_of(cup).grasps}
    assert 0.004 in widths
    assert max(widths) == pytest.approx(0.06, abs=0.001)


def test_an_object_wider_than_the_gripper_has_no_grasp_and_the_reason_names_both_widths():
    found = grasps_of(trimesh.creation.box((0.2, 0.25, 0.3)))
    assert found.grasps == ()
    assert "at least 0.200 m wide" in found.reason
    assert "the gripper takes 0.070 m" in found.reason


@pytest.mark.slow
def test_walls_that_a_finger_would_have_to_be_inside_of_have_no_grasp():
    """A closed hollow box: its walls are thin enough, but one finger would be in the cavity."""
    outer = trimesh.creation.box((0.2, 0.2, 0.2))
    inner = trimesh.creation.box((0.19, 0.19, 0.19))
    inner.invert()
    found = grasps_of(trimesh.util.concatenate([outer, inner]))
    assert found.grasps == ()
    assert "the gripper collides with it from all of the 8 directions" in found.reason


def test_a_slippery_cone_has_no_grasp_and_the_reason_names_the_angles():
    found = grasps_of(trimesh.creation.cone(0.03, 0.02), Gripper(friction=0.05))
    assert found.grasps == ()
    assert "lean by at least" in found.reason
    assert "up to 3°" in found.reason


def test_a_plate_is_held_at_its_edges_only():
    half = 0.15
    found = grasps_of(
        trimesh.creation.box((2 * half, 2 * half, 0.002)), config=SamplingConfig(samples=300)
    )
    assert found.grasps
    depth = half - np.abs(poses(found)[:, :2, 3]).max(1)
    # a plate thinner than the give, looked at in points 4 mm apart
    assert depth.max() <= GRIPPER.finger_length + GIVE_M + 0.004


@pytest.mark.parametrize(
    "shape", [l_shape(), trimesh.creation.annulus(0.026, 0.03, 0.09)], ids=["bracket", "cup"]
)
def test_no_part_of_the_gripper_is_inside_the_object_on_its_way_in(shape):
    """Judged by a ray test of solid angles, not by the points that the planner looks at."""
    found = grasps_of(shape)
    assert found.grasps
    for grasp in found.grasps:
        for low, high in GRIPPER.swept_boxes(grasp.width, CONFIG.pregrasp):
            axes = [np.linspace(a, b, 7)[1:-1] for a, b in zip(low, high, strict=True)]
            inside = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3)
            assert not shape.contains(se3.transform(grasp.obj_from_grip, inside)).any()


def test_every_grasp_presses_within_the_friction_cones():
    gripper = Gripper(friction=0.3)
    found = grasps_of(trimesh.creation.icosphere(3, 0.03).apply_scale((1, 0.7, 0.5)), gripper)
    assert found.grasps
    sphere = np.array((1, 0.7, 0.5)) * 0.03
    for grasp in found.grasps:
        closing = grasp.obj_from_grip[:3, 0]
        for side in (-1, 1):
            contact = grasp.obj_from_grip[:3, 3] + side * grasp.width / 2 * closing
            normal = contact / sphere**2  # of the ellipsoid
            cosine = side * closing @ normal / np.linalg.norm(normal)
            assert np.arccos(cosine) < gripper.friction_angle + np.deg2rad(5)  # facets


def test_grasps_are_proper_and_named_and_the_best_is_the_first():
    found = grasps_of(l_shape())
    scores = [grasp.score for grasp in found.grasps]
    assert scores[0] == max(scores)
    assert all(0 <= value <= 1 for value in scores)
    assert len({grasp.name for grasp in found.grasps}) == len(scores)
    for grasp in found.grasps:
        se3.check_rigid(grasp.obj_from_grip, tolerance=1e-9)
        start = grasp.obj_from_grip[:3, 3] - CONFIG.pregrasp * grasp.obj_from_grip[:3, 2]
        np.testing.assert_allclose(grasp.obj_from_pregrasp[:3, 3], start)


def test_the_first_grasps_of_a_box_come_from_several_sides_and_the_best_is_central():
    found = grasps_of(trimesh.creation.box(BOX))
    approaches = np.round(poses(found)[:6, :3, 2]).astype(int)
    assert len(np.unique(approaches, axis=0)) >= 4
    assert np.linalg.norm(found.grasps[0].obj_from_grip[:3, 3]) < 0.02


def test_the_same_request_gives_the_same_grasps_and_another_seed_gives_others():
    first, second = grasps_of(l_shape()), grasps_of(l_shape())
    np.testing.assert_array_equal(poses(first), poses(second))
    other = grasps_of(l_shape(), config=SamplingConfig(samples=150, count=12, seed=1))
    assert not np.array_equal(poses(first), poses(other))


def test_grasps_come_from_the_cache_until_object_gripper_or_sampling_change(tmp_path, monkeypatch):
    model = model_of(l_shape())
    first = sample_grasps(model, GRIPPER, CONFIG, tmp_path)
    nothing = model_of(trimesh.creation.box((0.2, 0.25, 0.3)))
    reason = sample_grasps(nothing, GRIPPER, CONFIG, tmp_path).reason
    built = []

    def build(*arguments):
        built.append(arguments)
        return plan._nothing("built anew")

    monkeypatch.setattr(plan, "_build", build)
    again = sample_grasps(model, GRIPPER, CONFIG, tmp_path)
    assert [grasp.name for grasp in again.grasps] == [grasp.name for grasp in first.grasps]
    np.testing.assert_array_equal(poses(again), poses(first))
    assert sample_grasps(nothing, GRIPPER, CONFIG, tmp_path).reason == reason
    assert not built
    sample_grasps(model, Gripper(max_width=0.1), CONFIG, tmp_path)
    sample_grasps(model, GRIPPER, SamplingConfig(samples=151, count=12), tmp_path)
    sample_grasps(model_of(trimesh.creation.box(BOX)), GRIPPER, CONFIG, tmp_path)
    assert len(built) == 3


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"max_width": 0.0}, "max_width is 0.0; expected a number above 0"),
        ({"friction": float("nan")}, "friction is nan"),
        ({"finger_length": -1.0}, "finger_length is -1.0"),
        ({"clearance": 0.04}, "leaves nothing between two clearances"),
    ],
)
def test_a_gripper_that_cannot_be_is_refused(wrong, reason):
    with pytest.raises(InvalidConfig, match=reason):
        Gripper(**wrong)
    with pytest.raises(InvalidConfig, match="above 0"):
        SamplingConfig(samples=0)


def test_the_swept_boxes_are_as_large_as_the_measures():
    palm, *fingers = GRIPPER.swept_boxes(0.04, 0.08)
    assert palm[1, 2] < -GRIPPER.finger_length
    assert palm[0, 2] == pytest.approx(-GRIPPER.finger_length - GRIPPER.palm_height - 0.08)
    for right, left in (fingers[:2], fingers[2:]):
        np.testing.assert_allclose(right[:, 0], -left[::-1, 0])
        np.testing.assert_allclose(right[:, 1:], left[:, 1:])
        assert right[1, 2] == GRIPPER.finger_tip
    (coming, _), (closing, _) = fingers[:2], fingers[2:]
    assert coming[0, 0] == closing[1, 0] == pytest.approx(0.02 + GRIPPER.clearance)
    assert np.ptp(coming[:, 0]) == pytest.approx(GRIPPER.finger_thickness)
    assert closing[0, 0] == pytest.approx(0.02 + GIVE_M)
    assert coming[0, 2] == pytest.approx(closing[0, 2] - 0.08)
