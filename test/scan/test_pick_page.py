"""The page of ``sam6d scan model --pick`` in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from typing import Any

import numpy as np
import pytest
from scan.conftest import motion_of
from scan.test_places import box_of
from support.http_browser import Browsing, chromium

from sam6d_ros.apps.cli import scan_recordings
from sam6d_ros.apps.cli.main import build_parser
from sam6d_ros.apps.cli.pick_page import Pick, pick
from sam6d_ros.evaluation.synthetic.orbit import Orbit
from sam6d_ros.scan.build import Recorded as Pass
from sam6d_ros.scan.places import circle_of_box

WAIT_S = 60
ANSWER = "#p:has-text('The scan goes on in the terminal')"


@pytest.fixture(scope="module")
def browsing() -> Iterator[Browsing]:
    with chromium() as found:
        yield found


def used(
    browsing: Browsing,
    begin: Callable[[Callable[[str], object]], Any],
    pixels: list[tuple[float, float]],
    scale: float = 1.0,
) -> Any:
    """The result of what serves the page, after a drag along pixels of its image.

    Args:
        browsing: the browser.
        begin: serves the page and calls its argument with the address.
        pixels: press at the first, release at the last.
        scale: expected size of a pixel of the image on the screen.
    """
    addresses: Queue[str] = Queue()
    with ThreadPoolExecutor(1) as pool:
        chosen = pool.submit(begin, addresses.put)
        with browsing.page(addresses.get(timeout=WAIT_S), ready=False) as page:
            page.wait_for_function("document.getElementById('i').naturalWidth > 0")
            image = page.locator("#i").bounding_box()
            places = [(image["x"] + scale * u, image["y"] + scale * v) for u, v in pixels]
            page.mouse.move(*places[0])
            page.mouse.down()
            for place in places[1:]:
                page.mouse.move(*place)
            page.mouse.up()
            page.wait_for_selector(ANSWER)
        return chosen.result(timeout=WAIT_S)


def test_a_box_drawn_in_the_page_gives_the_circle_around_the_object(
    browsing: Browsing, recorded: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, top, right, bottom = box_of(recorded)
    words = ["scan", "model", "recording", "--name", "part", "--out", "out", "--pick"]
    args, motion = build_parser().parse_args(words), motion_of(recorded)

    def begin(announce: Callable[[str], object]) -> Any:
        say = lambda text: announce(text.split()[-1])  # noqa: E731
        monkeypatch.setattr(scan_recordings.CONSOLE, "print", say)
        return scan_recordings.scan_options(args, Pass(recorded, motion))

    options = used(browsing, begin, [(left, top), (right - 5, bottom - 5), (right, bottom)])
    centre, radius_m = circle_of_box(recorded, motion, (left, top, right, bottom))
    assert options.centre == pytest.approx(centre, abs=1e-3)
    assert options.radius_m == pytest.approx(radius_m, abs=1e-3)


def test_a_click_on_an_image_larger_than_the_window_is_its_pixel(browsing: Browsing) -> None:
    image = np.full((1200, 2560, 3), 90, np.uint8)
    found = used(browsing, lambda announce: pick(image, announce), [(1000, 600)], scale=0.5)
    assert found == Pick((1000, 600), None)


def test_a_box_that_ends_outside_the_image_ends_at_its_border(browsing: Browsing) -> None:
    image = np.full((240, 320, 3), 90, np.uint8)
    path = [(200, 100), (250, 200), (400, 300)]
    found = used(browsing, lambda announce: pick(image, announce), path)
    assert found == Pick(None, (200, 100, 320, 240))
