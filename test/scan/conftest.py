"""One small synthetic recording of a bracket on a printed board, for all tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from scipy.spatial.transform import Rotation

from sam6d_ros.evaluation.synthetic.objects import bracket
from sam6d_ros.evaluation.synthetic.orbit import Orbit, OrbitPlan, record, write_recording
from sam6d_ros.evaluation.synthetic.patches import Solid
from sam6d_ros.evaluation.synthetic.scene import CAMERA
from sam6d_ros.scan.board import BoardSpec
from sam6d_ros.types import Frame

pytest.importorskip("open3d", reason="missing: pip install 'sam6d_ros[scan]'")

BOARD = BoardSpec(7, 5, 0.055)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.scan)


@dataclass(frozen=True)
class Recorded:
    """Frames in memory, as the scan takes them."""

    orbit: Orbit

    def __len__(self) -> int:
        return len(self.orbit.frames)

    def frame(self, index: int) -> Frame:
        return self.orbit.frames[index]


def filmed(solid: Solid | None = None, **plan: object) -> Recorded:
    """A recording of half the usual size, once around; of the bracket by default."""
    mat = cv2.cvtColor(BOARD.image(40), cv2.COLOR_GRAY2RGB)
    choices = {"frames": 36, "turns": 1.0, "camera": CAMERA.scaled(0.5), "mat": mat}
    choices |= {"mat_m": BOARD.size_m} | plan
    return Recorded(record(solid or bracket(), 5, OrbitPlan(**choices)))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def recorded() -> Recorded:
    return filmed()


@pytest.fixture(scope="session")
def folder(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(recorded.orbit, tmp_path_factory.mktemp("recording"))


@pytest.fixture(scope="session")
def turned() -> Recorded:
    """The bracket upside down."""
    turn = Rotation.from_euler("xz", [180, 40], degrees=True).as_matrix()
    return filmed(standing=turn)
