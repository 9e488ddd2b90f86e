"""Place of the object from the user: a pixel, a box, a choice in the page."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from scan.conftest import Changed, motion_of

from sam6d_ros.apps.cli import scan_recordings
from sam6d_ros.apps.cli.main import build_parser, main
from sam6d_ros.apps.cli.pick_page import Pick, pick, pick_of
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.synthetic.orbit import Orbit
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import project
from sam6d_ros.scan.build import Recorded as Pass
from sam6d_ros.scan.places import circle_of_box, place_of_pixel
from sam6d_ros.scan.region import find_region

IMAGE = np.full((240, 320, 3), 90, np.uint8)


def box_of(recorded: Orbit) -> tuple[int, int, int, int]:
    """The box around the object in the first frame."""
    rows, columns = np.nonzero(recorded.masks[0])
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return tuple(map(int, box))  # type: ignore[return-value]


def test_a_pixel_of_the_first_frame_states_the_middle(recorded: Orbit) -> None:
    motion = motion_of(recorded)
    camera = recorded.frame(0).camera
    middle = np.argwhere(recorded.masks[0]).mean(0)[::-1]
    u, v = np.rint(middle).astype(int).tolist()
    place = np.array(place_of_pixel(recorded, motion, u, v))
    seen = project(camera, se3.transform(se3.inverse(motion.world_from_cam[0]), place[None]))
    assert np.abs(seen[0] - [u, v]).max() < 0.01
    assert 0 < place[2] < 0.1  # on the object, above the table
    with pytest.raises(InvalidInput, match="expected one inside 320 x 240"):
        place_of_pixel(recorded, motion, 320, 10)
    with pytest.raises(InvalidInput, match="no depth is measured within 4 pixels of 30 40"):
        place_of_pixel(Changed(recorded, np.zeros_like), motion, 30, 40)


def test_a_box_gives_a_circle_around_its_object(recorded: Orbit) -> None:
    motion = motion_of(recorded)
    centre, radius = circle_of_box(recorded, motion, box_of(recorded))
    true = recorded.world_from_obj[:3, 3]
    assert np.linalg.norm(np.subtract(centre, true)[:2]) < 0.04
    assert 0.08 < radius < 0.2  # the bracket is 120 mm long
    assert find_region(recorded, motion, radius_m=radius, centre=np.array(centre)).size[0] < 0.25


@pytest.mark.parametrize("box", [(10, 10, 5, 20), (0, 0, 321, 10), (-1, 0, 5, 5)])
def test_a_box_outside_the_image_is_refused(
    box: tuple[int, int, int, int], recorded: Orbit
) -> None:
    with pytest.raises(InvalidInput, match="inside 320 x 240"):
        circle_of_box(recorded, motion_of(recorded), box)


def test_a_box_without_an_object_is_refused(recorded: Orbit) -> None:
    motion = motion_of(recorded)
    left, top, right, _ = box_of(recorded)
    with pytest.raises(InvalidInput, match="points of the box stand above the plane"):
        circle_of_box(recorded, motion, (left, top - 40, right, top - 10))
    with pytest.raises(InvalidInput, match="0 pixels of the box have depth"):
        circle_of_box(Changed(recorded, np.zeros_like), motion, box_of(recorded))


def sent(*posts: object):
    """A user of the page: reads it, then sends these; answers are appended to the list."""
    answers: list[tuple[int, str]] = []

    def announce(url: str) -> None:
        def use() -> None:
            for path, start in (("", b"<!doctype"), ("image.png", b"\x89PNG")):
                assert urllib.request.urlopen(url + path, timeout=30).read().startswith(start)
            for post in posts:
                data = json.dumps(post).encode()
                try:
                    with urllib.request.urlopen(url + "pick", data, timeout=30) as answer:
                        answers.append((answer.status, answer.read().decode()))
                except urllib.error.HTTPError as error:
                    answers.append((error.code, error.read().decode()))

        threading.Thread(target=use, daemon=True).start()

    return announce, answers


def test_a_choice_in_the_page_is_returned() -> None:
    announce, answers = sent("nonsense", [10, 10, 900, 20], [120, 150, 40, 60])
    assert pick(IMAGE, announce) == Pick(None, (40, 60, 120, 150))
    assert [status for status, _ in answers[:2]] == [400, 400]
    assert "inside 320 x 240" in answers[1][1]


def test_a_short_drag_is_a_click() -> None:
    assert pick_of([100, 80, 102, 78], (240, 320)) == Pick((100, 78), None)


def test_the_command_takes_the_choice(recorded: Orbit, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["scan", "model", "recording", "--name", "part", "--out", "out", "--pick"]
    args = build_parser().parse_args(words)
    box = box_of(recorded)
    monkeypatch.setattr(scan_recordings, "pick", lambda *_: Pick(None, box))
    motion = motion_of(recorded)
    options = scan_recordings.scan_options(args, Pass(recorded, motion))
    centre, radius_m = circle_of_box(recorded, motion, box)
    assert options.centre == pytest.approx(centre, abs=1e-3)
    assert options.radius_m == pytest.approx(radius_m, abs=1e-3)


def test_two_places_are_refused(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["scan", "model", str(folder), "--name", "part", "--out", str(tmp_path / "scan")]
    words += ["--poses", str(folder / "scene_camera.json"), "--at", "100", "100"]
    assert main([*words, "--box", "10", "10", "50", "50"]) == 2
    assert "--at and --box are given; expected one" in capfd.readouterr().err
