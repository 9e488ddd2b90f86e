"""Scan of an object while its frames come: recorded on disk, then made into a model."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidConfig, InvalidInput
from sam6d_ros.frames.recordings import Recording
from sam6d_ros.scan.board import parse_board
from sam6d_ros.scan.build import Recorded, ScanOptions, scan_object
from sam6d_ros.scan.frames import ReadAhead
from sam6d_ros.scan.motion import MIN_FRAMES, from_board, from_poses
from sam6d_ros.scan.output import content_of, summary, write_scan
from sam6d_ros.scan.recorder import RecordingWriter
from sam6d_ros.scan.region import DEFAULT_RADIUS_M
from sam6d_ros.scan.scene_motion import from_scene
from sam6d_ros.scan.symmetry import find_symmetries
from sam6d_ros.types import Frame

FRAMES = "recording"
MOST_PASSES = 2
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ScanRequest:
    """Wishes of the user.

    Attributes:
        name: of the object.
        folder: of all scans of the node.
        max_frames: frames after which no more are recorded.
        board: printed board, see ``parse_board``; empty for none.
        radius_m: of the circle in which the object stands.
        has_poses: whether each frame comes with the pose of its camera.
    """

    name: str
    folder: Path
    max_frames: int
    board: str = ""
    radius_m: float = DEFAULT_RADIUS_M
    has_poses: bool = False

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise InvalidConfig(
                f"the name of the object is {self.name!r}; expected a text without '/' that does "
                "not begin with '.': it is the name of a file"
            )
        if self.board:
            parse_board(self.board)


class Pass:
    """Frames of an object as it stands.

    Args:
        folder: new.

    Attributes:
        poses: (4, 4) world_from_cam of the frames, metres, if there are poses.

    Raises:
        InvalidInput: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.poses: list[NDArray[np.float64]] = []
        self._writer = RecordingWriter(folder)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._writer)

    def add(self, frame: Frame, world_from_cam: NDArray[np.float64] | None = None) -> None:
        """Record a frame.

        Args:
            frame: the RGB-D frame.
            world_from_cam: (4, 4) pose of the camera, metres, if there are poses.

        Raises:
            InvalidInput: it cannot be written.
        """
        self._writer.add(frame, world_from_cam)
        if world_from_cam is not None:
            self.poses.append(world_from_cam)


class LiveScan:
    """One scan; the folder ``NAME``, or ``NAME_1`` and so on below that of the request.

    Args:
        wanted: wishes of the user.

    Raises:
        InvalidInput: the folder cannot be made.
    """

    def __init__(self, wanted: ScanRequest) -> None:
        self._wanted = wanted
        names = itertools.chain([wanted.name], (f"{wanted.name}_{i}" for i in itertools.count(1)))
        self.folder = next(path for n in names if not (path := wanted.folder / n).exists())
        self._passes = [Pass(self.folder / FRAMES)]

    @property
    def current(self) -> Pass:
        """The pass that is recorded."""
        return self._passes[-1]

    @property
    def is_full(self) -> bool:
        """Whether no more frames are recorded in this pass."""
        return len(self.current) >= self._wanted.max_frames

    def turn(self) -> None:
        """Begin the second pass: the object has been turned over.

        Raises:
            InvalidInput: there is a second pass already, or the first one has too few frames.
        """
        if len(self._passes) == MOST_PASSES:
            raise InvalidInput(f"the object was turned over already; expected {MOST_PASSES} passes")
        self._check_frames()
        self._passes.append(Pass(self.folder / f"{FRAMES}_2"))

    def make(self, progress: Progress) -> str:
        """Make the model of the recorded frames and write it.

        Args:
            progress: called with a stage, the frames that are done, and all.

        Returns:
            A sentence: file, size, error and warnings.

        Raises:
            InvalidInput: too few frames, or no object can be made of them.
        """
        self._check_frames()
        with ExitStack() as stack:
            passes = [self._recorded(one, stack, progress) for one in self._passes]
            first, second = passes[0], passes[1] if len(passes) > 1 else None
            scanned = scan_object(
                first.frames,
                first.motion,
                ScanOptions(self._wanted.radius_m),
                progress=lambda done, n: progress("fusing", done, n),
                second=second,
            )
            symmetries = find_symmetries(scanned.mesh)
            content = content_of(scanned, passes, symmetries=symmetries)
        write_scan(self.folder, self._wanted.name, scanned, content, symmetries)
        notes = "".join(f"; warning: {note}" for note in content["warnings"])
        return f"{self.folder / self._wanted.name}.ply: {summary(content)}{notes}"

    def _check_frames(self) -> None:
        if len(self.current) < MIN_FRAMES:
            raise InvalidInput(
                f"{len(self.current)} frames were recorded; expected at least {MIN_FRAMES}: move "
                "the camera slowly around the object before ~/stop or ~/turn"
            )

    def _recorded(self, one: Pass, stack: ExitStack, progress: Progress) -> Recorded:
        """Return a pass with the motion of its camera."""
        frames = stack.enter_context(closing(ReadAhead(Recording(one.folder))))

        def report(done: int, count: int) -> None:
            progress("camera motion", done, count)

        if self._wanted.has_poses:
            return Recorded(frames, from_poses(one.poses, len(frames)))
        if self._wanted.board:
            return Recorded(frames, from_board(frames, parse_board(self._wanted.board), report))
        return Recorded(frames, from_scene(frames, None, report))
