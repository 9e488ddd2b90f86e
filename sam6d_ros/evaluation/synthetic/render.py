"""Look at the world: colour with light and shadow, exact depth, and who is seen where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.evaluation.synthetic.patches import Image
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics, project, ray_directions
from sam6d_ros.geometry.raycast import RayScene

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
AMBIENT, DIFFUSE, SPECULAR = 0.52, 0.72, 0.12
LIGHT_SIZE_M, LIGHT_SAMPLES = 0.10, 4  # an area light: soft shadows
_EPSILON_M = 4e-4
NOTHING = -2  # owner of a pixel whose ray meets nothing


@dataclass(frozen=True)
class Body:
    """A mesh in the world.

    Attributes:
        scene: the mesh.
        world_from_obj: (4, 4) its pose.
    """

    scene: RayScene
    world_from_obj: Array


@dataclass(frozen=True)
class Board:
    """A painted rectangle: the table top, the floor, a wall.

    Attributes:
        corner, right, down: (3,) world; the upper left corner and the two sides.
        image: its paint.
    """

    corner: Array
    right: Array
    down: Array
    image: Image

    def meet(self, origin: Array, directions: NDArray) -> tuple[NDArray, NDArray]:
        """Distance (N,), inf where missed, and place (N, 2) in [0, 1] of rays."""
        normal = np.cross(self.right, self.down)
        slope = directions @ normal
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = ((self.corner - origin) @ normal) / slope
        local = origin + directions * np.where(np.isfinite(distance), distance, 0)[:, None]
        local = local - self.corner
        place = np.stack(
            [
                local @ self.right / (self.right @ self.right),
                local @ self.down / (self.down @ self.down),
            ],
            axis=1,
        )
        inside = ((place >= 0) & (place <= 1)).all(1) & (distance > 1e-6)
        return np.where(inside, distance, np.inf), place

    def paint(self, place: NDArray) -> NDArray[np.float32]:
        """Colours (N, 3) at places in [0, 1]."""
        at = (place * (self.image.shape[1], self.image.shape[0]) - 0.5).astype(np.float32)
        rows = [chunk[None] for chunk in np.array_split(at, max(1, len(at) // 16384))]
        seen = [
            cv2.remap(self.image, row, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
            for row in rows
        ]
        return np.concatenate(seen).astype(np.float32)


@dataclass(frozen=True)
class View:
    """Images of an ideal camera.

    Attributes:
        rgb: (H, W, 3) float32, 0-255, lit.
        depth: (H, W) float32 metres along z, 0 where nothing is met.
        points_world: (H, W, 3) float32 metres.
        normals_cam: (H, W, 3) float32 towards the camera.
        owner: (H, W) int32 index of the body, -1 for boards, -2 for nothing.
    """

    rgb: Floats
    depth: Floats
    points_world: Floats
    normals_cam: Floats
    owner: NDArray[np.int32]


class World:
    """Bodies, boards and a light. The bodies are one mesh in the world, met by one cast."""

    def __init__(self, bodies: Sequence[Body], boards: Sequence[Board], light: Array) -> None:
        self.bodies, self.boards, self.light = list(bodies), list(boards), light
        scenes = [body.scene for body in self.bodies]
        starts = np.cumsum([0, *(len(scene.vertices) for scene in scenes[:-1])])
        self._scene = RayScene(
            np.concatenate(
                [se3.transform(body.world_from_obj, body.scene.vertices) for body in self.bodies]
            ),
            np.concatenate([s.faces + k for s, k in zip(scenes, starts, strict=True)]),
            np.concatenate([scene.colors for scene in scenes]),
        )
        self._owner = np.repeat(np.arange(len(scenes)), [len(scene.faces) for scene in scenes])

    def view(self, camera: CameraIntrinsics, world_from_cam: Array, lit: bool = True) -> View:
        """Cast one ray per pixel; without light, the colours are those of the paint."""
        v, u = np.mgrid[: camera.height, : camera.width]
        dirs_cam = ray_directions(camera, u.ravel(), v.ravel())
        rays = dirs_cam @ world_from_cam[:3, :3].T.astype(np.float32)
        origin = world_from_cam[:3, 3]
        depth, owner, rgb, normals = self._nearest(origin, rays)
        normals[(normals * rays).sum(1) > 0] *= -1
        met = np.isfinite(depth)
        points = origin.astype(np.float32) + rays * np.where(met, depth, 0)[:, None]
        shape = (camera.height, camera.width)
        view = View(
            np.clip(rgb, 0, 255).reshape(*shape, 3),
            np.where(met, depth, 0).reshape(shape),
            points.reshape(*shape, 3),
            (normals @ world_from_cam[:3, :3].astype(np.float32)).reshape(*shape, 3),
            owner.reshape(shape),
        )
        return self.lit(view, world_from_cam) if lit else view

    def lit(self, view: View, world_from_cam: Array) -> View:
        """Return a view without light as it is in the light."""
        met, rgb = view.owner != NOTHING, view.rgb.copy()
        points = view.points_world[met]
        normals = view.normals_cam[met] @ world_from_cam[:3, :3].T.astype(np.float32)
        rays = points - world_from_cam[:3, 3].astype(np.float32)
        rgb[met] *= self._light_on(points, normals, rays)[:, None]
        return replace(view, rgb=np.clip(rgb, 0, 255))

    def _nearest(self, origin: Array, rays: Floats) -> tuple[Floats, NDArray, Floats, Floats]:
        hits = self._scene.cast(np.broadcast_to(origin.astype(np.float32), rays.shape), rays)
        met = hits.face >= 0
        depth = np.where(met, hits.distance, np.float32(np.inf))
        owner = np.where(met, self._owner[hits.face], NOTHING).astype(np.int32)
        rgb = self._scene.interpolate_colors(hits)
        normals = self._scene.face_normals[hits.face].astype(np.float32)
        for board in self.boards:
            distance, place = board.meet(origin, rays)
            near = distance < depth
            if near.any():
                normal = np.cross(board.right, board.down)
                depth[near], owner[near] = distance[near], -1
                rgb[near] = board.paint(place[near])
                normals[near] = normal / np.linalg.norm(normal)
        rgb[owner == NOTHING] = 0
        return depth, owner, rgb, normals

    def blocked(self, points: Floats, towards: Array) -> NDArray[np.bool_]:
        """Whether a body stands between points (N, 3) and one place (3,) of the world."""
        rays = towards.astype(np.float32) - points
        start = points + rays * (_EPSILON_M / np.linalg.norm(rays, axis=1, keepdims=True))
        hits = self._scene.cast(start, rays)
        return (hits.face >= 0) & (hits.distance < 1)

    def visibility(
        self, index: int, view: View, camera: CameraIntrinsics, world_from_cam: Array
    ) -> tuple[float, NDArray[np.bool_]]:
        """Compute the visible share of a body's picture, and its (H, W) mask.

        What lies outside the image is not seen.

        Returns:
            Share in [0, 1], and mask.
        """
        body, mask = self.bodies[index], view.owner == index
        cam_from_obj = se3.inverse(world_from_cam) @ body.world_from_obj
        pixels = project(camera, se3.transform(cam_from_obj, body.scene.vertices))
        if np.isnan(pixels).any():  # reaches behind the camera
            return 0.0, mask
        size = np.array([camera.width, camera.height])
        low = np.clip(np.floor(pixels.min(0)).astype(int), -size, 2 * size)
        high = np.clip(np.ceil(pixels.max(0)).astype(int) + 1, -size, 2 * size)
        roi = (int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
        whole = int(body.scene.render(camera, cam_from_obj, roi).mask.sum())
        return (min(1.0, float(mask.sum()) / whole) if whole else 0.0), mask

    def _light_on(self, points: Floats, normals: Floats, rays: Floats) -> Floats:
        """Factor (N,) of the colours: ambient + Lambert with soft shadows + a weak highlight."""
        rng = np.random.default_rng(0)
        offsets = rng.uniform(-1, 1, (LIGHT_SAMPLES, 3)) * LIGHT_SIZE_M
        lifted = points + normals * np.float32(_EPSILON_M)
        hidden = [self.blocked(lifted, self.light + offset) for offset in offsets]
        open_share = 1 - np.mean(hidden, axis=0, dtype=np.float32)
        to_light = _unit(self.light.astype(np.float32) - points)
        lambert = np.clip((normals * to_light).sum(1), 0, 1)
        half = _unit(to_light - _unit(rays))
        shine = np.clip((normals * half).sum(1), 0, 1) ** 40
        sky = 0.85 + 0.15 * normals[:, 2]  # what faces down gets less of the ambient light
        return AMBIENT * sky + open_share * (DIFFUSE * lambert + SPECULAR * shine)


def _unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
