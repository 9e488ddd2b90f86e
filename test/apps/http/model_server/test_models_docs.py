"""docs/model_server.md: routes, options and fields are there, and its commands answer as shown."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from support.doc_examples import examples_of, run_examples
from support.model_server import picture, png, serving_models

from sam6d_ros.apps.http.environment import variables_of
from sam6d_ros.apps.http.schemas.models import ModelRequest
from sam6d_ros.apps.http.settings import MODELS
from sam6d_ros.runtime.model_server.host import ModelState
from sam6d_ros.runtime.model_server.spec import ModelSpec

pytestmark = [
    pytest.mark.detectors,
    pytest.mark.sam6d,  # torch writes the models
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PAGE = (Path(__file__).parents[4] / "docs/model_server.md").read_text()
# Their values differ from run to run.
FREE = (
    *("timestamp", "uptime", "timings_ms", "memory_bytes", "images_per_s", "seconds"),
    *("mean", "min", "max", "p50", "p95"),
)


@pytest.fixture(scope="module")
def server(model_root):
    spec = ModelSpec("tiny", str(model_root / "tiny"))
    with serving_models(model_root, models=(spec,), default_model="tiny") as one:
        yield one


@pytest.fixture
def folder(tmp_path):
    image = png(picture(1))
    (tmp_path / "photo.png").write_bytes(image)
    text = base64.b64encode(image).decode()
    (tmp_path / "image.json").write_text(json.dumps({"image": text}))
    (tmp_path / "notes.txt").write_text("notes\n")
    return tmp_path


def test_the_commands_give_the_answers_that_are_shown(server, folder, model_root):
    assert len(examples_of(PAGE)) >= 10
    variables = {"MODELS": server.url, "ROOT": str(model_root)}
    run_examples(PAGE, folder, variables, FREE)


def test_every_route_field_state_and_variable_is_described(server):
    for path in server.client.get("/openapi.json").json()["paths"]:
        if path.startswith(("/streams", "/login")):
            continue
        assert path.replace("{name}", "tiny") in PAGE or path.replace("{name}", "second") in PAGE
    for name in ModelRequest.model_fields:
        assert f"| `{name}`" in PAGE
    for state in ModelState:
        assert f"`{state.value}`" in PAGE
    for variable in variables_of(MODELS):
        assert f"`{variable.name}`" in PAGE


def test_the_python_example_runs(model_root, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, {"source": str(model_root / "tiny"), "image_rgb": picture(2)})
    assert "('third',)" in capsys.readouterr().out


def test_the_defaults_of_the_table_are_those_of_the_schema():
    rows = dict(re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\| ([^|]+?) \|$", PAGE, re.MULTILINE))
    defaults = {item.name: item.default for item in fields(ModelSpec)}
    for name in ("threshold", "warm_up_runs", "capacity", "timeout_s"):
        assert float(rows[name]) == defaults[name] == ModelRequest.model_fields[name].default
