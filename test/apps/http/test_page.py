"""Page of the ISM and PEM services, driven by clicks and keys in headless Chromium."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from support.http_browser import cell, done, pixels, run
from support.http_server import Gate
from support.packages import skip_without

from sam6d_ros.apps.http.sample import NAME, SEED
from sam6d_ros.evaluation.synthetic import make_scene

CLIPBOARD = ["clipboard-read", "clipboard-write"]


@pytest.fixture
def pem(browsing, served):
    with browsing.page(f"{served.urls['pem']}/", permissions=CLIPBOARD) as page:
        yield page


@pytest.fixture(scope="module")
def files(sample, tmp_path_factory):
    """The frame of the sample as files: images, and the camera in the BOP format."""
    folder = tmp_path_factory.mktemp("page")
    for name in ("rgb", "depth"):
        data = base64.b64decode(sample[f"{name}_image"])
        (folder / f"{name}_000007.png").write_bytes(data)
    cameras = {"3": {"cam_K": [1.0] * 9}, "7": sample["cam_params"]}
    (folder / "scene_camera.json").write_text(json.dumps(cameras))
    return folder


def check_position(page):
    truth = make_scene(SEED, targets=[NAME]).ground_truth[0].cam_from_obj
    position = np.array([float(part) for part in cell(page, "Position").split()]) / 1000
    assert np.linalg.norm(position - truth[:3, 3]) < 0.005


def colors(page, selector):
    """Return how many colours a part of the page has."""
    picture = pixels(page.locator(selector).screenshot())
    return len(np.unique(picture.reshape(-1, 3), axis=0))


def choose_files(page, files):
    page.check("[name=source][value=files]")
    page.set_input_files("#rgb", files / "rgb_000007.png")
    page.set_input_files("#depth", files / "depth_000007.png")
    page.set_input_files("#camera", files / "scene_camera.json")
    page.wait_for_selector("#camera-note:has-text('image 7')")


def test_the_sample_runs_to_the_right_pose_with_all_views(pem):
    assert "ready: geometric" in pem.inner_text("#server")
    run(pem)
    assert cell(pem, "Object") == NAME
    check_position(pem)
    assert float(cell(pem, "Score")) > 0.5
    assert cell(pem, "Result", "#instances") == "pose found"
    assert "1 pose from 1 mask" in pem.inner_text("#stage")
    assert pem.locator("#times .row").count() == 4
    assert pem.evaluate("document.getElementById('overlay').naturalWidth") == 640
    assert colors(pem, "#view") > 1000
    pem.check("[name=picture][value=masks]")
    assert colors(pem, "#masks") > 1000


def test_the_view_turns_by_mouse_and_by_keys(pem):
    run(pem)
    view = pem.locator("#view")

    def seen():
        frames = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        pem.evaluate(frames)
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


def output(command, folder):
    """Run lines that the page shows, and return their output."""
    run = subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True, timeout=120
    )
    return run.stdout


def check_same_pose(pose, answer):
    (other,) = answer["pem_result"]["poses"]
    np.testing.assert_allclose(other["translation"], pose["translation"], atol=1e-3)


def copied(page, what):
    button = f"[aria-label^='Copy the {what}']"
    page.click(button)
    page.wait_for_selector(f"{button}:text-is('Copied')")
    return json.loads(page.evaluate("navigator.clipboard.readText()"))


def test_results_are_copied_and_downloaded(pem, tmp_path):
    run(pem)
    with pem.expect_download() as saving:
        pem.click("#save")
    saving.value.save_as(tmp_path / "answer.json")
    (pose,) = json.loads((tmp_path / "answer.json").read_text())["pem_result"]["poses"]
    assert copied(pem, "position") == pose["translation"]
    assert copied(pem, "quaternion") == pose["quat_xyzw"]
    assert [row[3] for row in copied(pem, "4×4 matrix")] == [*pose["translation"], 1]
    pem.check("[name=language][value=python]")
    printed = output([sys.executable, "-c", pem.inner_text("#lines")], tmp_path)
    check_same_pose(pose, json.loads(printed))
    pem.check("[name=language][value=curl]")
    skip_without(shutil.which("curl"), "curl")
    output(["bash", "-c", pem.inner_text("#lines")], tmp_path)
    check_same_pose(pose, json.loads((tmp_path / "answer.json").read_text()))


def test_files_and_an_uploaded_mesh_give_the_pose(pem, files, sample):
    choose_files(pem, files)
    pem.click("#upload summary")
    pem.set_input_files("#mesh", sample["cad_path"])
    pem.fill("#mesh-name", "page_box")
    pem.select_option("#mesh-unit", "mm")
    pem.click("#mesh-send")
    pem.wait_for_selector("#mesh-note:has-text('page_box is registered')")
    run(pem)
    assert cell(pem, "Object") == "page_box"
    check_position(pem)
    if shutil.which("curl"):
        output(["bash", "-c", pem.inner_text("#lines")], files)
        answer = json.loads((files / "answer.json").read_text())
        assert answer["pem_result"]["poses"][0]["name"] == "page_box"
    pem.click("[aria-label='Delete page_box']")
    pem.wait_for_selector("#mesh-note:has-text('page_box is deleted')")


def test_errors_say_what_is_wrong_and_the_page_goes_on(pem, files):
    pem.check("[name=source][value=files]")
    pem.click("#run")
    pem.wait_for_selector("#problem:has-text('Choose a colour image')")
    choose_files(pem, files)
    pem.check("[name=object][value=path]")
    pem.fill("#cad-path", "/etc/passwd")
    pem.click("#run")
    pem.wait_for_selector("#problem:has-text('--allow-root')")
    pem.fill("#fx", "-5")
    pem.click("#run")
    pem.wait_for_selector("#problem:has-text('-5')")
    assert "status 422, request " in pem.inner_text("#problem")
    pem.fill("#fx", "")
    pem.click("#run")
    pem.wait_for_selector("#problem:has-text('a number for fx')")
    pem.check("[name=source][value=sample]")
    pem.check("[name=object][value=sample]")
    run(pem)
    assert pem.is_hidden("#problem")
    check_position(pem)


def test_texts_are_never_markup(pem):
    pem.check("[name=object][value=path]")
    pem.fill("#cad-path", "/<img src=x onerror=alert(1)>")
    pem.click("#run")
    pem.wait_for_selector("#problem:has-text('<img src=x onerror=alert(1)>')")
    assert pem.locator("#problem img").count() == 0


def test_a_browser_without_webgl_shows_the_rest(pem, browsing):
    pem.evaluate(
        """() => {
            const original = HTMLCanvasElement.prototype.getContext;
            HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
                return kind.startsWith("webgl") ? null : original.call(this, kind, ...rest);
            };
        }"""
    )
    run(pem)
    assert "cannot draw in 3D" in pem.inner_text("#view-problem")
    check_position(pem)
    assert any("WebGL" in text for text in browsing.problems)
    browsing.problems.clear()


def test_a_file_that_is_no_camera_is_refused_by_name(pem, tmp_path):
    (tmp_path / "camera.json").write_text('{"cam_K": [1, 2]}')
    pem.check("[name=source][value=files]")
    pem.set_input_files("#camera", tmp_path / "camera.json")
    pem.wait_for_selector("#camera-note:has-text('cam_K has 2 entries')")


def test_nothing_found_is_explained(pem):
    pem.fill("#min-score", "1")
    run(pem)
    assert "Nothing was found: " in pem.inner_text("#notes")
    assert "0 poses" in pem.inner_text("#stage")
    assert "min_score" in pem.inner_text("#lines")


def test_a_request_is_cancelled_on_the_server_too(pem, served):
    with Gate(served.services):
        pem.click("#run")
        pem.wait_for_selector("#stage:has-text('Waiting for the requests before')")
        pem.click("#cancel")
        pem.wait_for_selector("#stage:has-text('Cancelled.')")
        served.until(lambda: not served.services.running, "the end of the request")
    assert pem.is_hidden("#problem")
    run(pem)
    check_position(pem)


def test_keys_alone_are_enough(pem):
    def tab_to(key):
        for _ in range(40):
            pem.keyboard.press("Tab")
            if pem.evaluate("document.activeElement.id") == key:
                return
        raise AssertionError(f"{key} is not reached by Tab")

    tab_to("grasps")
    pem.keyboard.press("Space")
    tab_to("run")
    pem.keyboard.press("Enter")
    done(pem)
    assert int(cell(pem, "Grasps")) > 0
    tab_to("view")
    pem.keyboard.press("ArrowUp")
    tab_to("save")
