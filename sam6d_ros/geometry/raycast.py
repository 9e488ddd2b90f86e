"""Headless rendering on the CPU by casting rays at a mesh (Embree through ``embreex``).

A scene holds one mesh in its own frame; rays are moved into that frame, so one acceleration
structure serves every pose, and the rays of many poses go through one call.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.camera import CameraIntrinsics, ray_directions


@dataclass(frozen=True)
class Hits:
    """Hits of N rays. ``face`` is -1 (and the rest 0) where a ray met nothing.

    Attributes:
        face: (N,) int32 index of the triangle.
        distance: (N,) float32 multiples of the ray's direction vector.
        bary: (N, 2) float32 weights of the triangle's second and third corner.
    """

    face: NDArray[np.int32]
    distance: NDArray[np.float32]
    bary: NDArray[np.float32]


@dataclass(frozen=True)
class Rendering:
    """A mesh seen by a camera.

    Attributes:
        depth: (H, W) float32 metres along z, 0 where the mesh is not.
        points_obj: (H, W, 3) float32 surface points in the object frame, metres.
        normals_cam: (H, W, 3) float32 unit normals in the camera frame, towards the camera.
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool.
    """

    depth: NDArray[np.float32]
    points_obj: NDArray[np.float32]
    normals_cam: NDArray[np.float32]
    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_]


class RayScene:
    """One mesh, ready to be met by rays.

    Args:
        vertices: (V, 3) metres, object frame.
        faces: (F, 3) vertex indices.
        colors: (V, 3) uint8 RGB per vertex, or None for mid grey.
    """

    def __init__(
        self, vertices: NDArray, faces: NDArray, colors: NDArray[np.uint8] | None = None
    ) -> None:
        self.vertices = np.ascontiguousarray(vertices, np.float32)
        self.faces = np.ascontiguousarray(faces, np.int32)
        grey = np.full((len(self.vertices), 3), 128, np.uint8)
        self.colors = np.ascontiguousarray(grey if colors is None else colors)
        corners = self.vertices[self.faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        self.face_normals = normals / np.maximum(length, 1e-20)
        # late: code that only runs networks works without the ray caster
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh

        self._scene = rtcore_scene.EmbreeScene()
        self._mesh = TriangleMesh(self._scene, corners)

    def cast(self, origins: NDArray[np.float32], directions: NDArray[np.float32]) -> Hits:
        """Return the first hit of each ray.

        Args:
            origins: (N, 3) float32, metres, object frame.
            directions: (N, 3) float32, object frame.

        Returns:
            Hits of the N rays.
        """
        found = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            query="INTERSECT",
            output=True,
        )
        face = np.asarray(found["primID"], np.int32)
        missed = face < 0
        distance = np.where(missed, 0, found["tfar"]).astype(np.float32)
        bary = np.stack([found["u"], found["v"]], axis=1).astype(np.float32)
        bary[missed] = 0
        return Hits(face, distance, bary)

    def render(
        self,
        camera: CameraIntrinsics,
        cam_from_obj: NDArray[np.float64],
        roi_xywh: tuple[int, int, int, int] | None = None,
        colored: bool = True,
    ) -> Rendering:
        """Render the mesh at a (4, 4) pose, in the whole image or in a pixel rectangle of it.

        Without ``colored`` the colours are left black, which saves a third of the time.

        Args:
            camera: intrinsics of the whole image.
            cam_from_obj: (4, 4) pose of the mesh.
            roi_xywh: rectangle (x, y, width, height) in pixels; None for the whole image.
            colored: whether colours are interpolated.

        Returns:
            Depth, colour and faces in the size of the image or the rectangle.
        """
        roi = roi_xywh or (0, 0, camera.width, camera.height)
        dirs_cam = _roi_directions(camera, roi)
        rotation = cam_from_obj[:3, :3].astype(np.float32)
        origin = -(rotation.T @ cam_from_obj[:3, 3].astype(np.float32))
        dirs_obj = dirs_cam @ rotation
        hits = self.cast(np.broadcast_to(origin, dirs_obj.shape), dirs_obj)
        return self._shade(hits, origin, dirs_obj, dirs_cam, rotation, (roi[3], roi[2]), colored)

    def depth(
        self,
        camera: CameraIntrinsics,
        cam_from_obj: NDArray[np.float64],
        roi_xywh: tuple[int, int, int, int],
    ) -> NDArray[np.float32]:
        """Return the depth of ``render`` alone, which is much cheaper.

        Args:
            camera: intrinsics of the whole image.
            cam_from_obj: (4, 4) pose of the mesh.
            roi_xywh: rectangle (x, y, width, height) in pixels.

        Returns:
            (height, width) float32, metres along z, 0 = no surface.
        """
        rotation = cam_from_obj[:3, :3].astype(np.float32)
        origin = -(rotation.T @ cam_from_obj[:3, 3].astype(np.float32))
        directions = _roi_directions(camera, roi_xywh) @ rotation
        hits = self.cast(np.broadcast_to(origin, directions.shape), directions)
        return hits.distance.reshape(roi_xywh[3], roi_xywh[2])

    def _shade(
        self,
        hits: Hits,
        origin: NDArray,
        dirs_obj: NDArray,
        dirs_cam: NDArray,
        rotation: NDArray,
        shape: tuple[int, int],
        colored: bool,
    ) -> Rendering:
        mask = hits.face >= 0
        points = np.where(mask[:, None], origin + dirs_obj * hits.distance[:, None], 0)
        normals = self.face_normals[hits.face] @ rotation.T
        away = (normals * dirs_cam).sum(1) > 0  # meshes come with mixed winding
        normals = np.where(away[:, None], -normals, normals) * mask[:, None]
        rgb = np.zeros((len(mask), 3), np.uint8)
        if colored:
            rgb = np.rint(self.interpolate_colors(hits) * mask[:, None]).astype(np.uint8)
        return Rendering(
            depth=hits.distance.reshape(shape),
            points_obj=points.astype(np.float32).reshape(*shape, 3),
            normals_cam=normals.astype(np.float32).reshape(*shape, 3),
            rgb=rgb.reshape(*shape, 3),
            mask=mask.reshape(shape),
        )

    def interpolate_colors(self, hits: Hits) -> NDArray[np.float32]:
        """Return the colours of the surface at hits.

        Args:
            hits: of N rays.

        Returns:
            (N, 3) float32 RGB in [0, 255]; meaningless where a ray hit nothing.
        """
        corners = self.colors[self.faces[hits.face]].astype(np.float32)
        u, v = hits.bary[:, :1], hits.bary[:, 1:]
        return corners[:, 0] * (1 - u - v) + corners[:, 1] * u + corners[:, 2] * v


def _roi_directions(
    camera: CameraIntrinsics, roi_xywh: tuple[int, int, int, int]
) -> NDArray[np.float32]:
    """Rays (N, 3), camera frame, z = 1, through the pixels of a rectangle, row by row."""
    x0, y0, width, height = roi_xywh
    v, u = np.mgrid[y0 : y0 + height, x0 : x0 + width]
    return ray_directions(camera, u.ravel(), v.ravel())
