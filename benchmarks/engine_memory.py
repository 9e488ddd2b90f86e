"""Resident memory of one engine with 20 objects of the geometric backend.

python -m benchmarks.engine_memory [--role full]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import trimesh

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.onboard import onboard
from sam6d_ros.config import PipelineConfig
from sam6d_ros.evaluation.synthetic.objects import CLUTTER, TARGETS
from sam6d_ros.geometry.units import BYTES_PER_MB
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.engine import ROLES
from sam6d_ros.runtime.memory import free_memory, resident_bytes
from sam6d_ros.runtime.objects import ObjectChange, apply_change

OBJECTS = 20
SCALE_STEP = 1.15  # between the copies of one shape, so that no two objects are alike


def models(folder: Path) -> Iterator[ObjectModel]:
    """Yield onboarded synthetic objects of distinct shapes and sizes."""
    items = (*TARGETS, *CLUTTER)
    for number in range(OBJECTS):
        item, copy = items[number % len(items)], number // len(items)
        solid = item.make()
        vertices = solid.vertices * SCALE_STEP**copy
        mesh = trimesh.Trimesh(vertices, solid.faces, vertex_colors=solid.colors, process=False)
        path = folder / f"{item.name}_{copy}.ply"
        mesh.export(path)
        yield onboard(path, path.stem, unit="m", cache_dir=folder)


def main() -> None:
    """Print the memory of the process before and after the objects are added."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role", default="full", choices=ROLES)
    role = parser.parse_args().role
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onboarded = list(models(folder))
        for _ in range(2):  # views are rendered in the first round and read in the second
            engine = build_engine(EngineSpec(PipelineConfig(backend="geometric"), folder, role))
            free_memory()
            before = resident_bytes()
            apply_change(engine, ObjectChange.only(onboarded))
            free_memory()
            after = resident_bytes()
    print(
        f"role {role}, {OBJECTS} objects: {(after - before) / BYTES_PER_MB:.0f} MB "
        f"({after / BYTES_PER_MB:.0f} MB with libraries and meshes)"
    )


if __name__ == "__main__":
    main()
