"""docs/http.md: every command with an answer is run, and the answer has the form that is shown."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from packages import skip_without

PAGE = (Path(__file__).parents[2] / "docs/http.md").read_text()
EXAMPLES = re.findall(r"```sh\n(curl[^\n]*)\n```\n\n```json\n(.*?)\n```", PAGE, re.DOTALL)
ANY = "…"
# Their values differ from run to run.
FREE = ("timestamp", "uptime", "timings_s", "inference_time", "total_time")
COUNTS = ("objects", "num_templates")  # other tests leave objects


@pytest.fixture(scope="module")
def folder(served, sample, tmp_path_factory):
    """The files that the commands name; the object of the sample is prepared."""
    served.pem.post("/api/v1/full_pipeline", json=sample).raise_for_status()
    folder = tmp_path_factory.mktemp("docs")
    (folder / "sample.json").write_text(json.dumps(sample))
    start = {**sample, "detect": True, "stamp_s": 12.5}
    (folder / "track.json").write_text(json.dumps(start))
    images = ("rgb_image", "depth_image")
    for name in images:
        data = base64.b64decode(sample[name])
        (folder / f"{name.removesuffix('_image')}.png").write_bytes(data)
    fields = {key: value for key, value in sample.items() if key not in images}
    (folder / "request.json").write_text(json.dumps(fields))
    shutil.copy(sample["cad_path"], folder / "tea_box.ply")
    return folder


def test_every_route_is_described(served):
    for client in served.clients.values():
        for path in client.get("/openapi.json").json()["paths"]:
            shown = path.replace("{name}", "NAME")
            known = (path, shown, path.split("{")[0])
            assert any(part in PAGE for part in known), f"docs/http.md lacks {path}"


def test_the_commands_give_the_answers_that_are_shown(served, folder):
    """In the order of the page: an object is uploaded, shown and deleted."""
    skip_without(shutil.which("curl"), "curl")
    assert len(EXAMPLES) >= 11
    environment = {"ISM": served.urls["ism"], "PEM": served.urls["pem"], "PATH": "/usr/bin:/bin"}
    for command, shown in EXAMPLES:
        run = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert run.returncode == 0, f"{command}: {run.stderr}"
        compare(json.loads(shown), json.loads(run.stdout), command)


def compare(shown: Any, given: Any, where: str) -> None:
    """Fail unless the shown value is what was given, but for what `…` stands for."""
    if shown == ANY:
        return
    if isinstance(shown, dict):
        assert isinstance(given, dict), where
        if ANY not in shown:
            assert shown.keys() == given.keys(), where
        for key, value in shown.items():
            if key == ANY:
                continue
            if key in (*FREE, *COUNTS):
                assert type(value) is type(given[key]), f"{where}.{key}"
            else:
                compare(value, given[key], f"{where}.{key}")
    elif isinstance(shown, list):
        assert isinstance(given, list), where
        if shown == [ANY]:
            return
        assert len(shown) == len(given), where
        for index, (one, other) in enumerate(zip(shown, given, strict=True)):
            compare(one, other, f"{where}[{index}]")
    elif isinstance(shown, float):
        assert given == pytest.approx(shown, abs=max(0.05, 0.05 * abs(shown))), where
    elif isinstance(shown, str) and shown.startswith(ANY):
        assert given.endswith(shown.removeprefix(ANY)), where
    elif isinstance(shown, int) and not isinstance(shown, bool):
        assert abs(given - shown) <= 3, where  # pixels of a box
    else:
        assert given == shown, where
