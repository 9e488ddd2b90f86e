"""Pages of the model server, driven by clicks in headless Chromium: images, streams, models."""

from __future__ import annotations

import re

import pytest
from support.http_browser import overflow, pixels
from support.mjpeg_server import http_camera
from support.model_server import picture, png
from support.stream_server import CLOSED, SHOWN, served

PHONE = {"width": 390, "height": 844}
TOKEN = "a-token-of-enough-length"
ADDRESSES = ("", "models", "video", "video-config")


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("av", reason="missing: pip install -e '.[streams]'")
    with served() as client:
        yield client


@pytest.fixture
def opened(browsing, server):
    """Open a page of the server by its address."""
    return lambda address, **options: browsing.page(f"{server.base_url}/{address}", **options)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "cells.png"
    path.write_bytes(png(picture(2)))
    return path


def test_an_image_gives_boxes_and_the_table(opened, image):
    with opened("") as page:
        page.fill("#threshold", "0")
        page.set_input_files("#image", image)
        page.wait_for_selector("#answer[data-request]")
        assert page.inner_text("#boxes td[data-label=Label]") == "image"
        assert page.locator("#times .row").count() > 0
        assert "-F 'image=@cells.png'" in page.inner_text("#lines")
        assert page.evaluate("document.getElementById('overlay').naturalWidth") > 0


def test_an_image_is_dropped(opened, image):
    with opened("") as page:
        page.fill("#threshold", "0")
        data = list(image.read_bytes())
        dropped = page.evaluate_handle(
            """data => {
                const moved = new DataTransfer();
                moved.items.add(new File([new Uint8Array(data)], "dropped.png"));
                return moved;
            }""",
            data,
        )
        page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
        page.wait_for_selector("#answer[data-request]")
        assert "dropped.png" in page.inner_text("#lines")


def test_a_file_that_is_no_image_is_refused(opened, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    with opened("") as page:
        page.set_input_files("#image", tmp_path / "text.png")
        page.wait_for_selector("#problem:has-text('is no image')")


def test_a_stream_is_tested_added_watched_edited_and_removed(opened):
    with http_camera() as camera, opened("video-config") as page:
        page.fill("#name", "door")
        page.fill("#url", f"{camera.url}/video")
        page.select_option("#model", "half")
        page.click("#test")
        page.wait_for_selector("#trial:has-text('64 × 48')")
        page.click("#save")
        page.wait_for_selector("#streams .state:text-is('live')")
        page.click("[aria-label='Watch door']")
        page.wait_for_selector("#rate:not(:text-is('–'))")
        page.wait_for_selector("#boxes td:text-is('image')")
        assert re.fullmatch(r"[\d.]+ m?s", page.inner_text("#age"))
        assert page.inner_text("#size") == "64 × 48"
        assert pixels(page.locator("#picture").screenshot()).std() > 0
        page.click("#stop")
        page.click("text=Streams")
        page.click("[aria-label='Edit door']")
        page.fill("#name", "gate")
        page.click("#save")
        page.wait_for_selector("[aria-label='Remove gate']")
        page.click("[aria-label='Remove gate']")
        page.wait_for_selector("#streams:has-text('There is no stream yet.')")


def test_a_stream_without_pictures_has_its_reason_and_shows_no_password(opened):
    with opened("video-config") as page:
        page.fill("#name", "dead")
        page.fill("#url", CLOSED)
        page.click("#test")
        page.wait_for_selector("#stage:has-text('nothing listens')")
        page.click("#save")
        page.wait_for_selector("#streams .state:text-is('failed')")
        assert SHOWN in page.inner_text("#streams")
        assert "geheim" not in page.content()
        page.click("[aria-label='Remove dead']")
        page.wait_for_selector("#streams:has-text('There is no stream yet.')")
        page.fill("#url", "file:///etc/passwd")
        page.click("#test")
        page.wait_for_selector("#problem:has-text('file')")


def test_models_are_loaded_measured_and_unloaded(opened):
    with opened("models") as page:
        card = page.locator("[aria-label='Model half']")
        assert card.locator(".state").inner_text() == "ready"
        card.locator("canvas").nth(1).wait_for()
        page.click("[aria-label='Warm up half']")
        page.wait_for_selector("#stage:has-text('half, done')")
        page.fill("#name", "second")
        page.fill("#source", "/nowhere/model")
        page.click("#load")
        page.wait_for_selector("#problem:has-text('--allow-root')")
        assert page.locator("[aria-label='Model second']").count() == 0


def test_a_model_is_unloaded_by_a_click(browsing):
    with served() as own, browsing.page(f"{own.base_url}/models") as page:
        page.click("[aria-label='Unload half']")
        page.wait_for_selector("#none:visible")
        assert own.get("/models").json()["models"] == []


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_phone_does_not_scroll_sideways(opened, address):
    with opened(address, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        assert overflow(page) == 0


def test_pages_go_to_browsers_and_json_to_others(server):
    for address in ADDRESSES:
        page = server.get(f"/{address}", headers={"Accept": "text/html,*/*"})
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert server.get("/models").json()["success"] is True
    assert server.get("/video").status_code == 404


def test_without_the_token_pages_are_shown_and_data_is_not():
    with served(token=TOKEN) as guarded:
        html = {"Accept": "text/html"}
        for address in ADDRESSES:
            assert guarded.get(f"/{address}", headers=html).status_code == 200
        assert guarded.get("/models").status_code == 401
        assert guarded.post("/models", headers=html, json={}).status_code == 401
        assert guarded.get("/models/half", headers=html).status_code == 401
