"""Template folders of requests to a server with the sam6d backend, tiny networks."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

for _module, _extra in (("torch", "sam6d"), ("fastapi", "http"), ("httpx", "http")):
    pytest.importorskip(_module, reason=f"missing: pip install -e '.[{_extra}]'")

from support.contexts import context  # noqa: E402
from support.http_server import serving, settings_for  # noqa: E402
from support.template_folder import write_templates  # noqa: E402

from sam6d_ros.apps.http.settings import ISM  # noqa: E402
from sam6d_ros.cad.onboard import onboard  # noqa: E402
from sam6d_ros.config import PipelineConfig  # noqa: E402
from sam6d_ros.pipeline import Segmentation  # noqa: E402
from sam6d_ros.runtime.engine import Engine  # noqa: E402
from sam6d_ros.stages.sam6d.propose import SamProposer  # noqa: E402
from sam6d_ros.stages.sam6d.score import DescriptorScorer  # noqa: E402

ROUTE = "/api/v1/inference"


@pytest.fixture(scope="module")
def server(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    root, cache = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("cache")

    def build() -> Engine:
        stages = Segmentation(SamProposer(tiny), DescriptorScorer(tiny, context(cache)))
        config = PipelineConfig(backend="sam6d")
        return Engine(config, cache, "segmentation", backend="sam6d", segmentation=stages)

    settings = settings_for(cache, role=ISM, config=PipelineConfig(), roots=(root,))
    with serving(settings, root, build) as it:
        yield it


@pytest.fixture(scope="module")
def body(server: Any) -> dict[str, Any]:
    sample: dict[str, Any] = server.ism.get("/test/sample").raise_for_status().json()
    return sample


@pytest.fixture
def folder(server: Any, body: dict[str, Any]) -> Any:
    path = server.root / "templates"
    yield write_templates(path, onboard(body["cad_path"], unit="mm"))
    shutil.rmtree(path)


def test_template_files_are_used(server: Any, body: dict[str, Any], folder: Any) -> None:
    plain = server.ism.post(ROUTE, json=body).raise_for_status().json()
    assert (plain["templates"], plain["template_dir_used"]) == ("rendered", None)

    request = {**body, "template_dir": str(folder)}
    answer = server.ism.post(ROUTE, json=request).raise_for_status().json()
    assert (answer["templates"], answer["template_dir_used"]) == ("files", str(folder))
    assert answer["notes"] == []
    models = server.services.host.objects.models
    assert [model.templates for model in models.values()] == [None, folder]

    server.ism.post(ROUTE, json=request).raise_for_status()
    assert len(server.services.host.objects.models) == 2, "prepared once"


def test_without_templates_views_are_rendered(server: Any, body: dict[str, Any]) -> None:
    empty = server.root / "empty"
    empty.mkdir()
    answer = server.ism.post(ROUTE, json={**body, "template_dir": str(empty)})
    assert answer.raise_for_status().json()["templates"] == "rendered"
    assert answer.json()["template_dir_used"] == str(empty)
    assert answer.json()["notes"][0].startswith("template_dir has no templates: views are rendered")


def test_a_folder_that_lacks_a_file_is_refused(
    server: Any, body: dict[str, Any], folder: Any
) -> None:
    (folder / "mask_17.png").unlink()
    answer = server.ism.post(ROUTE, json={**body, "template_dir": str(folder)})
    assert answer.status_code == 422
    assert "mask_17.png is missing" in answer.json()["error_message"]
    assert server.ism.post(ROUTE, json=body).status_code == 200


def test_registered_objects_state_their_templates(
    server: Any, body: dict[str, Any], folder: Any
) -> None:
    with open(body["cad_path"], "rb") as mesh:
        content = mesh.read()

    def upload(templates: str) -> Any:
        fields = {"name": "carton", "unit": "mm", "options": f"templates: {templates}"}
        return server.ism.post("/api/v1/objects", data=fields, files={"mesh": ("m.ply", content)})

    outside = upload("/etc")
    assert outside.status_code == 403
    assert "options.templates" in outside.json()["error_message"]
    assert upload(str(folder)).status_code == 201
    request = {**body, "cad_path": None, "object": "carton", "template_dir": str(folder)}
    answer = server.ism.post(ROUTE, json=request).raise_for_status().json()
    assert answer["templates"] == "files"
    assert answer["notes"] == [
        "template_dir goes with cad_path; registered objects state templates in their entry"
    ]
