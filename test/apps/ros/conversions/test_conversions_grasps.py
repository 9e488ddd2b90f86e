"""Grasps and scenes as messages and as changes: without nodes, without MoveIt."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from support.meshes import mesh_of

from sam6d_ros.apps.ros.conversions import header_from
from sam6d_ros.apps.ros.conversions.grasps import (
    grasp_array,
    grasp_markers,
    object_frame_poses,
    place_grasps,
    poses_of,
)
from sam6d_ros.apps.ros.conversions.rigid import transform_from_pose
from sam6d_ros.apps.ros.conversions.scene import collision_mesh, grasp_subframes
from sam6d_ros.apps.ros.planning_scene.objects import Change, SceneObjects
from sam6d_ros.cad.onboard import onboard_mesh
from sam6d_ros.geometry import se3
from sam6d_ros.grasps.types import Grasp, GraspSet
from sam6d_ros.types import PoseEstimate

HEADER = header_from(5_000_000_000, "camera")
TOP = Grasp("top", se3.exp([0, 0, 0.1, 0, 3, 0]), 0.04, 0.9, 0.1)
SIDE = Grasp("side", se3.exp([0.1, 0, 0, 0, 0, 1]), 0.05, 0.5, 0.1)
RIM = Grasp("rim", se3.exp([0, 0.1, 0, 1, 0, 0]), 0.01, 0.7, 0.1)
GRASPS = {"mug": GraspSet((TOP, SIDE)), "bowl": GraspSet((RIM,)), "ball": GraspSet((), "too wide")}


def pose(instance_id: str, x: float = 0.0) -> PoseEstimate:
    name = instance_id.rpartition("_")[0]
    return PoseEstimate(name, 0.9, se3.exp([x, 0, 1, 0, 0.5, 0]), None, None, instance_id)


def kinds(changes):
    return [(change.change, change.object_id) for change in changes]


def test_grasps_of_all_objects_come_best_first_and_at_most_so_many_of_each():
    poses = [pose("mug_0"), pose("mug_1", 0.3), pose("bowl_0", 0.6), pose("ball_0")]
    placed = place_grasps(poses, GRASPS, 2)
    assert [(one.object_id, one.grasp.name) for one in placed] == [
        ("mug_0", "top"),
        ("mug_1", "top"),
        ("bowl_0", "rim"),
        ("mug_0", "side"),
        ("mug_1", "side"),
    ]
    assert len(place_grasps(poses, GRASPS, 1)) == 3
    only_side = place_grasps(poses, GRASPS, 1, lambda cam_from_grip: cam_from_grip[2, 3] < 1)
    assert {one.grasp.name for one in only_side} == {"side"}, "the filter comes before the limit"


def test_an_array_in_another_frame_is_moved_there():
    placed = place_grasps([pose("mug_0")], GRASPS, 2)
    base_from_cam = se3.exp([1, 2, 3, 0.5, 0.6, 0.7])
    message = grasp_array(placed, HEADER, base_from_cam)
    for grasp, one in zip(message.grasps, placed, strict=True):
        expected = base_from_cam @ pose("mug_0").cam_from_obj @ one.grasp.obj_from_grip
        np.testing.assert_allclose(transform_from_pose(grasp.pose), expected, atol=1e-12)
        assert (grasp.object_id, grasp.class_id, grasp.name) == ("mug_0", "mug", one.grasp.name)
        assert grasp.width == pytest.approx(one.grasp.width)
        assert grasp.score == pytest.approx(one.grasp.score)
    assert poses_of(message).poses == [grasp.pose for grasp in message.grasps]


def test_a_grasp_carries_its_way_in_and_how_sure_the_pose_is():
    """An uncertain turn of the object moves the grip by the lever, in the header's axes."""
    turn_about_z = np.diag([1e-6, 1e-6, 1e-6, 0, 0, 1e-4])
    mug = replace(pose("mug_0"), cam_from_obj=np.eye(4), covariance=turn_about_z, score=0.8)
    base_from_cam = se3.exp([0, 0, 0, 0, 0, np.pi / 2])
    for frame_from_cam, shifted in ((None, 1), (base_from_cam, 0)):  # SIDE lies 0.1 m along x
        (grasp,) = grasp_array(
            place_grasps([mug], {"mug": GraspSet((SIDE,))}, 1), HEADER, frame_from_cam
        ).grasps
        covariance = np.reshape(grasp.covariance, (6, 6))
        variances = [1e-6, 1e-6, 1e-6]
        variances[shifted] += 1e-4 * 0.1**2
        np.testing.assert_allclose(np.diag(covariance)[:3], variances)
        assert covariance[5, 5] == pytest.approx(1e-4)
        assert grasp.pregrasp_distance == pytest.approx(SIDE.pregrasp)
        assert grasp.pose_score == pytest.approx(0.8)


def test_an_unknown_covariance_stays_unknown():
    (grasp,) = grasp_array(place_grasps([pose("bowl_0")], GRASPS, 1), HEADER).grasps
    assert [*grasp.covariance] == [-1.0, *[0.0] * 35]


def test_each_object_has_its_grasps_in_its_own_frame():
    placed = place_grasps([pose("mug_0"), pose("mug_1")], GRASPS, 2)
    arrays = object_frame_poses(placed, HEADER, "cell/")
    assert [name for name, _ in arrays] == ["mug", "mug"]
    assert [array.header.frame_id for _, array in arrays] == ["cell/mug_0", "cell/mug_1"]
    for _, array in arrays:
        assert array.header.stamp == HEADER.stamp
        for message, grasp in zip(array.poses, (TOP, SIDE), strict=True):
            np.testing.assert_allclose(transform_from_pose(message), grasp.obj_from_grip, atol=1e-9)


def test_the_drawn_fingers_are_as_far_apart_as_the_grasp_is_wide():
    cleared, marker = grasp_markers(place_grasps([pose("bowl_0")], GRASPS, 1), HEADER).markers
    points = np.array([[p.x, p.y, p.z] for p in marker.points])
    assert np.linalg.norm(points[0] - points[5]) == pytest.approx(RIM.width)
    assert marker.colors[0].g == pytest.approx(RIM.score)
    assert cleared.action == cleared.DELETEALL


def test_an_object_is_added_moved_and_removed_when_it_was_not_seen_for_long():
    scene = SceneObjects(forget_s=2.0)
    base_from_cam = se3.exp([1, 0, 0, 0, 0, 0])
    (added,) = scene.update(10_000_000_000, [pose("mug_0")], base_from_cam)
    assert (added.change, added.object_id, added.class_id) == (Change.ADD, "mug_0", "mug")
    np.testing.assert_allclose(added.frame_from_obj, base_from_cam @ pose("mug_0").cam_from_obj)
    changes = scene.update(11_000_000_000, [pose("mug_0"), pose("bowl_0")], np.eye(4))
    assert kinds(changes) == [(Change.MOVE, "mug_0"), (Change.ADD, "bowl_0")]
    assert scene.update(13_000_000_000, [pose("bowl_0")], np.eye(4))[1:] == []
    changes = scene.update(13_100_000_000, [pose("bowl_0")], np.eye(4))
    assert kinds(changes) == [(Change.MOVE, "bowl_0"), (Change.REMOVE, "mug_0")]
    assert kinds(scene.update(13_200_000_000, [pose("mug_0")], np.eye(4)))[0][0] is Change.ADD


def test_who_comes_late_gets_every_object_again_and_a_bag_that_starts_anew_a_new_scene():
    scene = SceneObjects(forget_s=2.0)
    scene.update(10_000_000_000, [pose("mug_0")], np.eye(4))
    scene.add_again()
    changes = scene.update(10_100_000_000, [pose("mug_0")], np.eye(4))
    assert kinds(changes) == [(Change.ADD, "mug_0")]
    changes = scene.update(1_000_000_000, [pose("mug_0")], np.eye(4))
    assert kinds(changes) == [(Change.REMOVE, "mug_0"), (Change.ADD, "mug_0")]
    assert kinds(scene.clear()) == [(Change.REMOVE, "mug_0")]
    assert scene.clear() == []


def test_a_collision_mesh_is_small_and_as_large_as_the_object():
    sphere = onboard_mesh(mesh_of(trimesh.creation.icosphere(4, 0.05)), "ball", symmetries="none")
    assert len(sphere.faces) == 5120
    for max_faces, most in ((10_000, 5120), (500, 500)):
        mesh = collision_mesh(sphere, max_faces)
        corners = np.array([[p.x, p.y, p.z] for p in mesh.vertices])
        faces = np.array([triangle.vertex_indices for triangle in mesh.triangles])
        assert len(faces) <= most
        assert faces.max() == len(corners) - 1
        np.testing.assert_allclose(np.linalg.norm(corners, axis=1), 0.05, atol=0.001)


def test_subframes_are_the_grasps_and_the_places_before_them():
    names, poses = grasp_subframes([TOP])
    assert names == ["top", "top_pregrasp"]
    grip, before = (transform_from_pose(message) for message in poses)
    np.testing.assert_allclose(grip, TOP.obj_from_grip, atol=1e-12)
    np.testing.assert_allclose(before[:3, 3], grip[:3, 3] - TOP.pregrasp * grip[:3, 2], atol=1e-12)
