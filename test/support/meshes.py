"""Meshes with known properties, for the tests of onboarding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.cad.symmetry.detect import SymmetrySurface
from sam6d_ros.geometry.mesh import bounding_box, diameter

REAL = Path(__file__).resolve().parents[3] / "shared" / "real"
RED, BLUE = (220, 30, 20, 255), (10, 40, 200, 255)


def mesh_of(shape: trimesh.Trimesh, colors: np.ndarray | None = None) -> Mesh:
    return Mesh(np.asarray(shape.vertices), np.asarray(shape.faces, np.int32), colors)


def surface_of(shape: trimesh.Trimesh, colors: np.ndarray | None = None) -> SymmetrySurface:
    vertices = np.asarray(shape.vertices)
    return SymmetrySurface(
        vertices, shape.faces, colors, diameter(vertices), bounding_box(vertices)[0]
    )


def fine(shape: trimesh.Trimesh, edge: float) -> trimesh.Trimesh:
    vertices, faces = trimesh.remesh.subdivide_to_size(shape.vertices, shape.faces, edge)
    return trimesh.Trimesh(vertices, faces)


def l_shape() -> trimesh.Trimesh:
    base = trimesh.creation.box((0.12, 0.07, 0.02))
    wall = trimesh.creation.box((0.02, 0.05, 0.08))
    wall.apply_translation((-0.05, 0.01, 0.05))
    return trimesh.util.concatenate([base, wall])


def textured_quad(folder: Path, with_image: bool = True) -> None:
    """A 0.2 m square whose left half is red and right half blue, upper quarter white."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32], image[:, 32:], image[:16] = RED[:3], BLUE[:3], 255
    if with_image:
        Image.fromarray(image).save(folder / "print.png")
    (folder / "quad.mtl").write_text("newmtl paper\nKd 1 1 1\nmap_Kd print.png\n")
    corners = "v 0 0 0\nv 0.2 0 0\nv 0.2 0.2 0\nv 0 0.2 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
    (folder / "quad.obj").write_text(
        f"mtllib quad.mtl\n{corners}usemtl paper\nf 1/1 2/2 3/3\nf 1/1 3/3 4/4\n"
    )
