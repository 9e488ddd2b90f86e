"""Onboarding and estimation in a process that sees the declared dependencies alone.

python declared_core.py FOLDER
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement

OWN = "sam6d_ros"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(name: str = OWN) -> Iterator[str]:
    """Yield the distributions that a plain installation brings, with their own requirements."""
    seen, waiting = set(), [name]
    while waiting:
        current = canonical(waiting.pop())
        if current in seen:
            continue
        seen.add(current)
        try:
            lines = requires(current) or []
        except PackageNotFoundError:  # of another platform
            continue
        for line in lines:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
        yield current


class Hidden(MetaPathFinder):
    """Finder that hides the modules of every other distribution."""

    def __init__(self) -> None:
        here = set(declared())
        self.modules = {
            module
            for module, owners in packages_distributions().items()
            if not here & set(map(canonical, owners)) and module != OWN
        }

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in self.modules:
            raise ModuleNotFoundError(f"No module named {top!r} (not declared)", name=top)


def main(folder: Path) -> None:
    hidden = Hidden()
    assert "pytest" in hidden.modules  # the finder works
    for name in [n for n in sys.modules if n.partition(".")[0] in hidden.modules]:
        del sys.modules[name]
    sys.meta_path.insert(0, hidden)

    import numpy as np
    import trimesh

    from sam6d_ros.cad.onboard import onboard
    from sam6d_ros.config import PipelineConfig
    from sam6d_ros.runtime.build import EngineSpec, build_engine
    from sam6d_ros.runtime.objects import ObjectSet
    from sam6d_ros.runtime.warmup import box_model, warm_up_input

    corners = np.array([[0, 0, 0], [0.08, 0.06, 0], [0.05, 0.1, 0], [-0.03, 0.04, 0]])
    flat = trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], process=False)
    box, ball = trimesh.creation.box((0.1, 0.06, 0.04)), trimesh.creation.icosphere(2, 0.05)
    for name, mesh in {"flat": flat, "box": box, "ball": ball}.items():
        for suffix in ("ply", "stl", "obj", "glb"):
            path = folder / f"{name}.{suffix}"
            mesh.export(path)
            model = onboard(path, unit="m")
            assert 0.05 < model.diameter < 0.2
    model, frame, _ = warm_up_input(box_model())
    spec = EngineSpec(PipelineConfig(backend="geometric"), objects=ObjectSet({model.name: model}))
    engine = build_engine(spec)
    poses = engine.run(frame)
    assert len(poses) or poses.reason
    print("done")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
