"""The tracking node with its real tracker, on small rendered images, as a process over real DDS."""

import numpy as np
import pytest
import trimesh
from support.meshes import fine, l_shape
from support.ros.probe import FRAME_ID
from support.ros.tracking_graph import FRAME_NS, Graph, ids, scores

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.conversions.rigid import transform_from_pose
from sam6d_ros.cad.objects import load_objects
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.types import PoseEstimate

CAMERA = CameraIntrinsics(200.0, 200.0, 79.5, 59.5, 160, 120)
WALL_M, BOARD_M = 1.0, 0.3
LOADING_S = 240.0  # the first start on a machine compiles the kernels


@pytest.fixture(scope="module")
def bracket(tmp_path_factory):
    """An L of many colours, as a file, and the model that a node makes of it."""
    folder = tmp_path_factory.mktemp("objects")
    shape = fine(l_shape(), 0.01)
    low, high = shape.bounds
    colours = (40 + 200 * (shape.vertices - low) / (high - low)).astype(np.uint8)
    shape.visual = trimesh.visual.ColorVisuals(shape, vertex_colors=colours)
    shape.export(folder / "bracket.ply")
    objects = folder / "objects.yaml"
    objects.write_text("objects:\n  - {name: bracket, mesh: bracket.ply, unit: m}\n")
    (model,) = load_objects(objects, cache_dir=folder / "cache")
    return objects, folder / "cache", model


class Brackets(Graph):
    """A camera that looks at brackets before a wall, sometimes past a board."""

    def __init__(self, probe, model):
        super().__init__(probe)
        self.model = model

    def show(self, poses, board_columns=0):
        """One frame of brackets at these poses; a board hides the first columns."""
        self.stamp_ns += FRAME_NS
        depth = np.full((CAMERA.height, CAMERA.width), WALL_M, np.float32)
        rgb = np.full((CAMERA.height, CAMERA.width, 3), 120, np.uint8)
        for pose in poses:
            view = self.model.scene.render(CAMERA, pose)
            depth, rgb = np.where(view.mask, view.depth, depth), rgb.copy()
            rgb[view.mask] = view.rgb[view.mask]
        depth[:, :board_columns], rgb[:, :board_columns] = BOARD_M, 60
        header = conversions.header_from(self.stamp_ns, FRAME_ID)
        return super().show(
            [
                conversions.image_from_rgb(rgb, header),
                conversions.depth_image_from_metres(depth, header),
                conversions.camera_info_from_intrinsics(CAMERA, header),
            ]
        )

    def tell(self, poses):
        items = [PoseEstimate("bracket", 0.7, pose) for pose in poses]
        super().tell(items, {"bracket": self.model})


def places(step):
    """Two brackets that pass each other, one turning; (4, 4) each."""
    there = se3.exp([-0.12 + 0.004 * step, -0.03, 0.50, 0.3 + 0.02 * step, 0.5, 0.2])
    back = se3.exp([0.10 - 0.002 * step, 0.04, 0.62, -0.4, 0.8, 0.1])
    return [there, back]


def errors(detection, truth):
    """(millimetres, degrees) between a detection and the truth."""
    pose = transform_from_pose(detection.results[0].pose.pose)
    turn = np.trace(pose[:3, :3].T @ truth[:3, :3])
    degrees = np.degrees(np.arccos(np.clip((turn - 1) / 2, -1, 1)))
    return 1e3 * np.linalg.norm(pose[:3, 3] - truth[:3, 3]), degrees


@pytest.mark.slow
def test_equal_objects_are_followed_under_their_ids_past_a_board(probe, bracket):
    objects, cache, model = bracket
    graph = Brackets(probe, model)
    parameters = {"objects_file": objects, "cache_dir": cache}
    graph.start(parameters, timeout_s=LOADING_S)
    graph.show(places(0))
    graph.tell(places(0))
    results = (graph.show(places(0)) for _ in range(300))
    first = next(result for result in results if len(ids(result)) == 2)
    nearer = min(first.detections, key=lambda d: d.results[0].pose.pose.position.z).id
    (farther,) = set(ids(first)) - {nearer}
    worst = np.zeros(2)
    for step in range(1, 31):
        board = 75 if 10 <= step < 15 else 0  # hides the nearer one
        result = graph.show(places(step), board)
        assert set(ids(result)) == {nearer, farther}
        found = {detection.id: detection for detection in result.detections}
        if board:
            assert scores(result)[nearer] < scores(first)[nearer]
        else:
            worst = np.maximum(worst, errors(found[nearer], places(step)[0]))
        worst = np.maximum(worst, errors(found[farther], places(step)[1]))
        if step == 20:
            graph.tell(places(step)[::-1])
    assert worst[0] < 3, f"{worst[0]:.1f} mm"
    assert worst[1] < 3, f"{worst[1]:.1f}°"
