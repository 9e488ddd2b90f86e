"""Services on a fleet without a cluster: configuration, options, shared objects."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from support.fleet_frames import BOX, write_frames

from sam6d_ros.apps.cli.main import main
from sam6d_ros.apps.cli.serve_fleet import user_config
from sam6d_ros.cad.object_entry import ObjectEntry
from sam6d_ros.errors import InvalidMesh, InvalidObjects
from sam6d_ros.fleet.shared_objects import Shelf, UploadedObject

ROOT = Path(__file__).parents[2]
CONFIG, DOC = ROOT / "config/serve.yaml", ROOT / "docs/fleet.md"


@pytest.mark.fleet
@pytest.mark.skipif(find_spec("ray") is None, reason="missing: pip install -e '.[fleet]'")
def test_the_configuration_file_is_one_of_ray_serve(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")  # as in all tests that import Ray
    from ray.serve.schema import ServeDeploySchema

    from sam6d_ros.apps.http import serve_ray

    (app,) = ServeDeploySchema(**yaml.safe_load(CONFIG.read_text())).applications
    assert serve_ray.build(app.args)  # as Ray Serve calls it
    settings = serve_ray.FleetArgs(**app.args).settings()
    assert settings.limits.deadline_s == app.args["deadline"]
    assert app.import_path == f"{serve_ray.__name__}:{serve_ray.build.__name__}"
    assert [d.name for d in app.deployments] == [serve_ray.replicas.DEPLOYMENT]


@pytest.mark.fleet
@pytest.mark.skipif(find_spec("ray") is None, reason="missing: pip install -e '.[fleet]'")
def test_the_example_of_kuberay_states_services_that_can_be_built(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    from ray.serve.schema import ServeDeploySchema

    from sam6d_ros.apps.http import serve_ray

    (example,) = [b for b in DOC.read_text().split("```yaml\n")[1:] if "kind: RayService" in b]
    spec = yaml.safe_load(example.split("```")[0])["spec"]
    (app,) = ServeDeploySchema(**yaml.safe_load(spec["serveConfigV2"])).applications
    stated = serve_ray.FleetArgs(**app.args)
    assert [d.name for d in app.deployments] == [serve_ray.replicas.DEPLOYMENT]
    cluster = spec["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for (container,) in [group["template"]["spec"]["containers"] for group in groups]:
        mounts = [Path(mount["mountPath"]) for mount in container["volumeMounts"]]
        assert stated.token_file.parent in mounts
        assert stated.weights.parent in mounts
        variables = {item["name"]: item["value"] for item in container["env"]}
        assert variables[serve_ray.replicas.PROXY_CALLBACK] == serve_ray.serve_proxy.IMPORT_PATH


def test_a_new_content_of_the_objects_file_is_another_configuration(tmp_path):
    path = write_frames(tmp_path / "set", 1) / "objects.yaml"
    text = "objects:\n- {mesh: a.ply, name: "
    (path.parent / "a.ply").write_bytes(b"no mesh")
    first = user_config(path)
    path.write_text(path.read_text().replace("box", "cup"))
    assert user_config(path)["objects"] == first["objects"]
    assert user_config(path)["revision"] != first["revision"]
    for damaged, error in (("objects: 3", InvalidObjects), (f"{text}a}}", InvalidMesh)):
        path.write_text(damaged)
        with pytest.raises(error):
            user_config(path)


@pytest.mark.parametrize(
    "words", [("--replicas=0",), ("--replica-cpus=0",), ("--replicas=3", "--max-replicas=2")]
)
def test_replicas_out_of_their_range_are_refused(words, capsys):
    assert main(["serve", "all", "--ray", *words]) == 2
    assert "expected at least" in capsys.readouterr().err


def test_the_shelf_gives_each_replica_what_it_lacks():
    shelf, packed = Shelf(), pickle.dumps(UploadedObject(BOX, ObjectEntry("cup", Path("cup.ply"))))
    first = shelf.put("cup", packed)
    new, versions = shelf.news({})
    assert new == {"cup": packed}
    assert versions == {"cup": first}
    assert shelf.news(versions) == ({}, versions)
    second = shelf.put("cup", packed)
    assert second > first
    assert [*shelf.news(versions)[0]] == ["cup"]
    shelf.drop("cup")
    assert shelf.news({"cup": second}) == ({}, {})
