"""Page of the ISM and PEM services, driven by clicks and keys in headless Chromium."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from http_browser import chromium, pixels

from sam6d_ros.apps.http.sample import NAME, SEED
from sam6d_ros.evaluation.synthetic import make_scene

TOKEN = "a-token-of-enough-length"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browsing():
    """One browser for the module: its loop would disturb other tests of the session."""
    with chromium() as browsing:
        yield browsing


@pytest.fixture
def pem(browsing, served):
    with browsing.page(f"{served.urls['pem']}/") as page:
        yield page


@pytest.fixture(scope="module")
def files(sample, tmp_path_factory):
    """The sample as files: images, camera in the BOP format, mesh."""
    folder = tmp_path_factory.mktemp("page")
    for name in ("rgb", "depth"):
        (folder / f"{name}.png").write_bytes(base64.b64decode(sample[f"{name}_image"]))
    (folder / "scene_camera.json").write_text(json.dumps({"7": sample["cam_params"]}))
    return folder


def run(page):
    page.click("#run")
    page.wait_for_selector("#answer[data-request]", state="visible")
    page.wait_for_function("document.getElementById('run').disabled === false")


def cell(page, label, table="#poses"):
    return page.inner_text(f"{table} td[data-label^='{label}']")


def check_position(text, units_per_metre=1000):
    truth = make_scene(SEED, targets=[NAME]).ground_truth[0].cam_from_obj
    position = np.array([float(part) for part in text.split()]) / units_per_metre
    assert np.linalg.norm(position - truth[:3, 3]) < 0.005


def test_the_sample_runs_to_the_right_pose_with_all_views(pem):
    assert "ready: geometric" in pem.inner_text("#server")
    run(pem)
    assert cell(pem, "Object") == NAME
    check_position(cell(pem, "Position"))
    assert float(cell(pem, "Score")) > 0.5
    assert cell(pem, "Result", "#instances") == "pose found"
    assert "1 pose from 1 mask" in pem.inner_text("#stage")
    assert pem.locator("#times .row").count() == 4
    assert pem.evaluate("document.getElementById('overlay').naturalWidth") == 640
    view = pixels(pem.locator("#view").screenshot())
    assert len(np.unique(view.reshape(-1, 3), axis=0)) > 1000
    pem.check("[name=picture][value=masks]")
    masks = pixels(pem.locator("#masks").screenshot())
    assert len(np.unique(masks.reshape(-1, 3), axis=0)) > 1000


def test_the_view_turns_by_mouse_and_by_keys(pem):
    run(pem)
    view = pem.locator("#view")

    def seen():
        pem.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        return pixels(view.screenshot()).astype(int)

    first = seen()
    box = view.bounding_box()
    pem.mouse.move(box["x"] + 100, box["y"] + 100)
    pem.mouse.down()
    pem.mouse.move(box["x"] + 180, box["y"] + 120, steps=4)
    pem.mouse.up()
    turned = seen()
    view.press("ArrowLeft")
    view.press("+")
    keyed = seen()
    view.press("Home")
    home = seen()
    assert np.abs(turned - first).mean() > 1
    assert np.abs(keyed - turned).mean() > 1
    assert np.abs(home - first).mean() < 1
