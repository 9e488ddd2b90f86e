"""The printed ChArUco board: drawn to scale, found in images, camera poses from it.

The detector is OpenCV's (https://docs.opencv.org/4.x/df/d4a/tutorial_charuco_detection.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import Frame

Array = NDArray[np.float64]

MM_PER_INCH = 25.4
PRINT_DPI = 300
MIN_CORNERS = 6  # four are enough for a pose, and not for a trustworthy one
MAX_ERROR_PX = 3.0


@dataclass(frozen=True)
class BoardSpec:
    """A ChArUco board.

    Attributes:
        columns, rows: number of squares.
        square_m: side of a square as printed, metres.
        marker_share: side of a marker as a share of the square's.
    """

    columns: int = 9
    rows: int = 6
    square_m: float = 0.030
    marker_share: float = 0.75

    def __post_init__(self) -> None:
        """Refuse boards that cannot be drawn.

        Raises:
            InvalidInput: a size is out of its range.
        """
        if not (3 <= self.columns <= 30 and 3 <= self.rows <= 30):
            raise InvalidInput(
                f"the board has {self.columns} x {self.rows} squares; expected 3 to 30 each way"
            )
        if not 0.005 <= self.square_m <= 0.2:
            raise InvalidInput(
                f"the squares are {self.square_m} m wide; expected 0.005 to 0.2 m: measure one "
                "square of the print with a ruler"
            )

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of the squares together, metres."""
        return self.columns * self.square_m, self.rows * self.square_m

    def charuco(self) -> cv2.aruco.CharucoBoard:
        """Return OpenCV's board; its corners are in metres, x right, y down, z into the paper."""
        dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_1000)
        size = (self.columns, self.rows)
        return cv2.aruco.CharucoBoard(
            size, self.square_m, self.square_m * self.marker_share, dictionary
        )

    def image(self, pixels_per_square: int) -> NDArray[np.uint8]:
        """Draw the squares (H, W) grey without a margin."""
        size = (self.columns * pixels_per_square, self.rows * pixels_per_square)
        return np.asarray(self.charuco().generateImage(size))


def write_pdf(spec: BoardSpec, path: Path) -> None:
    """Write the board to scale on a page just large enough, with a margin of 10 mm.

    Raises:
        InvalidInput: the file cannot be written.
    """
    dots = round(spec.square_m * MM_PER_M / MM_PER_INCH * PRINT_DPI)
    # the resolution is chosen so that whole dots give the exact size
    dpi = dots / (spec.square_m * MM_PER_M / MM_PER_INCH)
    margin = round(10 / MM_PER_INCH * dpi)
    page = np.pad(spec.image(dots), margin, constant_values=255)
    try:
        Image.fromarray(page).save(path, "PDF", resolution=dpi)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error}") from error


@dataclass(frozen=True)
class BoardView:
    """The board in one image.

    Attributes:
        cam_from_board: (4, 4) pose; the board's x right, y down, z into the paper.
        corners: (N, 2) pixels of the corners that were found.
        error_px: root mean square distance of the corners from the projected board.
    """

    cam_from_board: Array
    corners: Array
    error_px: float


class BoardFinder:
    """Find one board in many images.

    Args:
        spec: the board.
    """

    def __init__(self, spec: BoardSpec) -> None:
        self._board = spec.charuco()
        self._detector = cv2.aruco.CharucoDetector(self._board)

    def find(self, frame: Frame) -> BoardView | None:
        """Return the board in a frame; None where too little of it is seen."""
        grey = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)
        corners, ids, _, _ = self._detector.detectBoard(grey)
        if ids is None or len(ids) < MIN_CORNERS:
            return None
        on_board, in_image = self._board.matchImagePoints(corners, ids)
        matrix = frame.camera.matrix
        found, turn, shift = cv2.solvePnP(on_board, in_image, matrix, None)
        if not found:
            return None
        turn, shift = cv2.solvePnPRefineLM(on_board, in_image, matrix, None, turn, shift)
        projected, _ = cv2.projectPoints(on_board, turn, shift, matrix, None)
        error = float(np.sqrt(((projected - in_image) ** 2).sum(-1).mean()))
        if error > MAX_ERROR_PX:
            return None
        pose = se3.from_rotation_translation(cv2.Rodrigues(turn)[0], shift[:, 0])
        return BoardView(pose, in_image.reshape(-1, 2).astype(np.float64), error)


def scale_against_depth(frame: Frame, view: BoardView) -> Array:
    """Compute the ratios of measured depth to the board's at its corners; 1 where both agree.

    A board printed at 97 % of its size gives 0.97. Corners without depth are left out.

    Returns:
        (N,) ratios.
    """
    rows, cols = (np.rint(view.corners[:, axis]).astype(int) for axis in (1, 0))
    inside = (rows >= 0) & (rows < frame.depth.shape[0]) & (cols >= 0)
    inside &= cols < frame.depth.shape[1]
    measured = frame.depth[rows[inside], cols[inside]].astype(np.float64)
    camera = frame.camera
    rays = np.column_stack(
        [
            (view.corners[inside, 0] - camera.cx) / camera.fx,
            (view.corners[inside, 1] - camera.cy) / camera.fy,
            np.ones(int(inside.sum())),
        ]
    )
    normal, point = view.cam_from_board[:3, 2], view.cam_from_board[:3, 3]
    expected = (point @ normal) / (rays @ normal)
    return (measured / expected)[(measured > 0) & (expected > 0)]


def parse_board(text: str) -> BoardSpec:
    """Parse "9x6:30": columns, rows, side of a square in millimetres.

    Returns:
        The board.

    Raises:
        InvalidInput: another form, or a size out of its range.
    """
    try:
        squares, side = text.lower().split(":")
        columns, rows = squares.split("x")
        return BoardSpec(int(columns), int(rows), float(side) / 1000)
    except InvalidInput:
        raise
    except ValueError as error:
        raise InvalidInput(
            f"the board is {text!r}; expected COLUMNSxROWS:MILLIMETRES such as 9x6:30"
        ) from error
