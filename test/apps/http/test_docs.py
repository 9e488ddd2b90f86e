"""docs/http.md: every command with an answer is run, and the answer has the form that is shown."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest
from support.doc_examples import examples_of, run_examples

PAGE = (Path(__file__).parents[3] / "docs/http.md").read_text()
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
    assert len(examples_of(PAGE)) >= 11
    addresses = {"ISM": served.urls["ism"], "PEM": served.urls["pem"]}
    run_examples(PAGE, folder, addresses, (*FREE, *COUNTS))
