"""One small synthetic recording of a bracket on a printed board, for all tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import pytest
from scipy.spatial.transform import Rotation

from sam6d_ros.apps.cli.commands import scan
from sam6d_ros.apps.cli.main import main
from sam6d_ros.evaluation.synthetic.objects import bracket
from sam6d_ros.evaluation.synthetic.orbit import Orbit, OrbitPlan, record, write_recording
from sam6d_ros.evaluation.synthetic.patches import Solid
from sam6d_ros.evaluation.synthetic.scene import CAMERA
from sam6d_ros.scan.board import BoardSpec
from sam6d_ros.scan.build import ScannedObject, scan_object
from sam6d_ros.scan.motion import Motion, from_poses
from sam6d_ros.types import Frame

pytest.importorskip("open3d", reason="missing: pip install -e '.[scan]'")

BOARD = BoardSpec(7, 5, 0.055)
FRAMES, SECOND_FRAMES = 30, 20


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.scan)


@dataclass(frozen=True)
class Changed:
    """A recording whose depth is changed frame by frame."""

    recorded: Orbit
    change: object

    def __len__(self) -> int:
        return len(self.recorded)

    def frame(self, index: int) -> Frame:
        frame = self.recorded.frame(index)
        return replace(frame, depth=self.change(frame.depth))  # type: ignore[operator]


def filmed(solid: Solid | None = None, **plan: object) -> Orbit:
    """A small recording, once around; of the bracket by default."""
    mat = cv2.cvtColor(BOARD.image(40), cv2.COLOR_GRAY2RGB)
    choices = {"frames": FRAMES, "turns": 1.0, "camera": CAMERA.scaled(0.5), "mat": mat}
    choices |= {"mat_m": BOARD.size_m} | plan
    return record(solid or bracket(), 5, OrbitPlan(**choices))  # type: ignore[arg-type]


def motion_of(recorded: Orbit) -> Motion:
    """The true motion of the camera."""
    return from_poses(list(recorded.world_from_cam), len(recorded))


@pytest.fixture(scope="session")
def recorded() -> Orbit:
    return filmed()


@pytest.fixture(scope="session")
def folder(recorded: Orbit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(recorded, tmp_path_factory.mktemp("recording"))


@pytest.fixture(scope="session")
def turned() -> Orbit:
    """The bracket upside down."""
    turn = Rotation.from_euler("xz", [180, 40], degrees=True).as_matrix()
    return filmed(standing=turn, frames=SECOND_FRAMES)


@pytest.fixture(scope="session")
def by_poses(recorded: Orbit) -> ScannedObject:
    """The scan of the bracket with the true motion."""
    return scan_object(recorded, motion_of(recorded))


@dataclass(frozen=True)
class Command:
    """Results of `sam6d scan model` with two recordings."""

    out: Path
    recordings: tuple[Path, Path]
    printed: str


@pytest.fixture(scope="session")
def command(folder: Path, turned: Orbit, tmp_path_factory: pytest.TempPathFactory) -> Command:
    base = tmp_path_factory.mktemp("command")
    second, out = write_recording(turned, base / "turned"), base / "scan"
    words = ["scan", "model", str(folder), "--name", "part", "--out", str(out)]
    words += ["--poses", str(folder / "scene_camera.json"), "--second", str(second)]
    words += ["--second-poses", str(second / "scene_camera.json")]
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr(scan.CONSOLE, "print", lambda *texts, **_: printed.extend(map(str, texts)))
        assert main(words) == 0
    return Command(out, (folder, second), "\n".join(printed))
