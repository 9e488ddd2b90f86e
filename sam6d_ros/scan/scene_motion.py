"""Camera motion from the scene itself: features, dense odometry, loops closed by a pose graph.

Pairs of frames are registered by SIFT features with depth (OpenCV), then by colour and depth of
all pixels (Park et al., ICCV 2017, as Open3D has it); the graph of all pairs is optimised as in
Choi et al., CVPR 2015 (https://www.open3d.org/docs/release/tutorial/pipelines/multiway_registration.html).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics, back_project
from sam6d_ros.scan.motion import NO_BOARD, Frames, Motion, check_motion
from sam6d_ros.scan.open3d_module import open3d

Array = NDArray[np.float64]

MATCH_RATIO = 0.8  # Lowe, IJCV 2004
MIN_INLIERS = 15
CONTRAST = 0.015  # of SIFT, a third of its default: table tops are nearly plain
REPROJECTION_PX = 3.0
MAX_RANGE_M = 2.5
SMALL_PX = 320  # width of the images for the dense odometry; 640 take four times as long
ITERATIONS = (10, 5, 5)  # coarse to fine
MIN_FITNESS = 0.4  # share of the measured pixels that fit, below which a pair is not registered
LOOP_TURN_RAD = np.deg2rad(25.0)  # views farther apart share too little
LOOP_EVERY, LOOPS = 2, 4  # frames between those that close loops, and loops of each
MAX_LOST_SHARE = 0.5
PRUNE = 0.25


@dataclass
class _View:
    """One frame, prepared for registration."""

    camera: CameraIntrinsics
    small: CameraIntrinsics
    image: Any
    measured: float  # share of its pixels that have depth
    keypoints: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    cloud: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True)
class _Edge:
    """A registered pair: ``to_from_from`` (4, 4) and its (6, 6) information."""

    start: int
    end: int
    end_from_start: Array
    information: Array
    loop: bool


def from_scene(
    frames: Frames,
    masks: NDArray[np.bool_] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Motion:
    """Register the frames with each other.

    Args:
        frames: the recording, in the order of time.
        masks: (N, H, W) bool; only these pixels are used (a turntable before a standing camera).
        progress: called with (done, all) after each frame.

    Returns:
        The motion of the camera.

    Raises:
        InvalidInput: the frames cannot be registered, or the camera does not move.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="features") as ahead:
        try:
            return _registered(_Registration(frames, masks, ahead), len(frames), progress)
        finally:
            ahead.shutdown(wait=False, cancel_futures=True)


def _registered(
    register: _Registration, count: int, progress: Callable[[int, int], None] | None
) -> Motion:
    """Register each frame with the one before, and with those that close loops."""
    chain = [np.eye(4)]
    edges: list[_Edge] = []
    lost = 0
    for index in range(1, count):
        edge = register.pair(index - 1, index, loop=False)
        if edge is None:
            lost += 1
            edge = _Edge(index - 1, index, np.eye(4), 1e-3 * np.eye(6), loop=False)
        edges.append(edge)
        chain.append(chain[-1] @ se3.inverse(edge.end_from_start))
        for other in _loops(np.array(chain), index):
            if (loop := register.pair(other, index, loop=True)) is not None:
                edges.append(loop)
        if progress is not None:
            progress(index + 1, count)
    if lost > MAX_LOST_SHARE * (count - 1):
        raise InvalidInput(
            f"{lost} of {count - 1} pairs of frames cannot be registered; expected at most "
            f"{MAX_LOST_SHARE:.0%}. Move more slowly, put a printed board under the object (sam6d "
            "scan board), or give the poses"
        )
    poses = _optimise(chain, edges)
    notes = (NO_BOARD,) if not lost else (NO_BOARD, f"{lost} pairs of frames were bridged by loops")
    return check_motion(Motion(poses, "scene", notes=notes))


def _loops(chain: Array, index: int) -> NDArray[np.intp]:
    """Return earlier frames that look from about the same direction, spread over time."""
    if index % LOOP_EVERY or index < 2:
        return np.empty(0, np.intp)
    turn = se3.rotation_angle(chain[: index - 1, :3, :3], chain[index, :3, :3])
    near = np.flatnonzero(turn < LOOP_TURN_RAD)
    if len(near) <= LOOPS:
        return near
    return near[np.linspace(0, len(near) - 1, LOOPS).astype(int)]


class _Registration:
    """Register pairs of frames; features are found once per frame, by a thread, one ahead."""

    def __init__(
        self, frames: Frames, masks: NDArray[np.bool_] | None, ahead: ThreadPoolExecutor
    ) -> None:
        self._frames, self._masks, self._ahead = frames, masks, ahead
        self._sift = cv2.SIFT.create(nfeatures=1500, contrastThreshold=CONTRAST)
        self._views: dict[int, Future[_View]] = {}
        odometry = open3d().t.pipelines.odometry
        self._criteria = [odometry.OdometryConvergenceCriteria(n) for n in ITERATIONS]

    def pair(self, start: int, end: int, loop: bool) -> _Edge | None:
        """Return the motion from one frame to another; None where they do not fit."""
        o3d = open3d()
        first, second = self._view(start), self._view(end)
        guess = _by_features(first, second)
        if guess is None and loop:
            return None
        odometry = o3d.t.pipelines.odometry
        matrix = o3d.core.Tensor(np.asarray(first.small.matrix, np.float64))
        try:
            result = odometry.rgbd_odometry_multi_scale(
                first.image,
                second.image,
                matrix,
                o3d.core.Tensor(np.eye(4) if guess is None else guess),
                1.0,
                MAX_RANGE_M,
                self._criteria,
                odometry.Method.Hybrid,
            )
        except RuntimeError:  # too few pixels fit
            return None
        motion = result.transformation.numpy()
        # Open3D counts all pixels of the image, also those without depth
        fitness = result.fitness / max(first.measured, 1e-6)
        if fitness < MIN_FITNESS or not np.isfinite(motion).all():
            return None
        information = odometry.compute_odometry_information_matrix(
            first.image.depth,
            second.image.depth,
            matrix,
            result.transformation,
            0.02,
            1.0,
            MAX_RANGE_M,
        )
        return _Edge(start, end, motion, information.numpy(), loop)

    def _view(self, index: int) -> _View:
        for wanted in range(index, min(index + 2, len(self._frames))):
            if wanted not in self._views:
                self._views[wanted] = self._ahead.submit(self._prepare, wanted)
        return self._views[index].result()

    def _prepare(self, index: int) -> _View:
        o3d = open3d()
        frame = self._frames.frame(index)
        depth = np.where(frame.depth < MAX_RANGE_M, frame.depth, 0).astype(np.float32)
        mask = None
        if self._masks is not None:
            depth = np.where(self._masks[index], depth, 0).astype(np.float32)
            mask = self._masks[index].astype(np.uint8)
        grey = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)
        keys, descriptors = self._sift.detectAndCompute(grey, mask)
        points = np.array([key.pt for key in keys], np.float32).reshape(-1, 2)
        if descriptors is None:
            descriptors = np.zeros((0, 128), np.float32)
        small = frame.camera.scaled(min(1.0, SMALL_PX / frame.camera.width))
        size = (small.width, small.height)
        rgb = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA)
        near = cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST)
        image = o3d.t.geometry.RGBDImage(o3d.t.geometry.Image(rgb), o3d.t.geometry.Image(near))
        cloud = back_project(frame.camera, depth)
        at = np.rint(points).astype(int)
        at = np.clip(at, 0, [frame.camera.width - 1, frame.camera.height - 1])
        measured = float((near > 0).mean())
        return _View(
            frame.camera, small, image, measured, points, descriptors, cloud[at[:, 1], at[:, 0]]
        )


def _by_features(first: _View, second: _View) -> Array | None:
    """Return (4, 4) second_from_first from matched features with depth, or None."""
    if min(len(first.descriptors), len(second.descriptors)) < MIN_INLIERS:
        return None
    pairs = cv2.BFMatcher().knnMatch(first.descriptors, second.descriptors, k=2)
    good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < MATCH_RATIO * p[1].distance]
    good = [match for match in good if first.cloud[match.queryIdx, 2] > 0]
    if len(good) < MIN_INLIERS:
        return None
    points = first.cloud[[match.queryIdx for match in good]].astype(np.float64)
    pixels = second.keypoints[[match.trainIdx for match in good]].astype(np.float64)
    cv2.setRNGSeed(0)
    found, turn, shift, inliers = cv2.solvePnPRansac(
        points,
        pixels,
        second.camera.matrix,
        None,
        reprojectionError=REPROJECTION_PX,
        iterationsCount=300,
    )
    if not found or inliers is None or len(inliers) < MIN_INLIERS:
        return None
    return se3.from_rotation_translation(cv2.Rodrigues(turn)[0], shift[:, 0])


def _optimise(chain: list[Array], edges: list[_Edge]) -> Array:
    """Return (N, 4, 4) world_from_cam of the pose graph; the world is the first camera."""
    registration = open3d().pipelines.registration
    graph = registration.PoseGraph()
    for pose in chain:
        graph.nodes.append(registration.PoseGraphNode(pose))
    for edge in edges:
        graph.edges.append(
            registration.PoseGraphEdge(
                edge.start, edge.end, edge.end_from_start, edge.information, uncertain=edge.loop
            )
        )
    registration.global_optimization(
        graph,
        registration.GlobalOptimizationLevenbergMarquardt(),
        registration.GlobalOptimizationConvergenceCriteria(),
        registration.GlobalOptimizationOption(
            max_correspondence_distance=0.02, edge_prune_threshold=PRUNE, reference_node=0
        ),
    )
    return np.array([np.asarray(node.pose) for node in graph.nodes])
