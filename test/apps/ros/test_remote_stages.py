"""Nodes whose stages are HTTP services elsewhere."""

from __future__ import annotations

import pytest

for _module in ("fastapi", "httpx"):
    pytest.importorskip(_module, reason="missing: pip install -e '.[http]'")

from support.fleet_frames import write_frames  # noqa: E402
from support.http_server import running, settings_for  # noqa: E402
from support.ros.spun import arguments, spun  # noqa: E402

from sam6d_ros.apps.http.factory import create_app  # noqa: E402
from sam6d_ros.apps.http.services import Services  # noqa: E402
from sam6d_ros.apps.http.settings import FLEET  # noqa: E402
from sam6d_ros.apps.ros.pose_node import PoseNode  # noqa: E402
from sam6d_ros.apps.ros.segmentation_node import SegmentationNode  # noqa: E402
from sam6d_ros.errors import NotReady  # noqa: E402
from sam6d_ros.evaluation.bop import BopDataset  # noqa: E402
from sam6d_ros.runtime.request import Request  # noqa: E402

pytestmark = pytest.mark.http
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_frames(tmp_path_factory.mktemp("remote_nodes") / "set", 2)


@pytest.fixture(scope="module")
def frame(dataset):
    return BopDataset(dataset).frame(2, 2)


@pytest.fixture(scope="module")
def url(dataset):
    settings = settings_for(dataset.parent / "cache", objects_file=dataset / "objects.yaml")
    services = Services(settings)
    with running(create_app(services, FLEET)) as url:
        services.loading.result(PATIENCE_S)
        yield url


def node_of(kind, dataset, **parameters):
    cache, objects = dataset.parent / "cache", dataset / "objects.yaml"
    given = {"objects_file": objects, "cache_dir": cache, "backend": "geometric", **parameters}
    return lambda: kind(cli_args=arguments(**given))


def result(node, work):
    """Run work with the engine of a node, in its compute thread."""
    node.host.load().result(PATIENCE_S)
    node.host.activate()
    return node.host.submit(Request(work)).result(PATIENCE_S)


def test_both_nodes_find_an_object_by_the_services(dataset, url, frame):
    given = {"remote_url": url, "remote_timeout_s": "60.0"}
    makers = [node_of(kind, dataset, **given) for kind in (SegmentationNode, PoseNode)]
    with spun(*makers) as (segmentation, pose):
        masks = result(segmentation, lambda engine, ctx: engine.segment(frame, ctx=ctx))
        poses = result(pose, lambda engine, ctx: engine.estimate(frame, masks, ctx=ctx))
        assert (segmentation.backend, pose.backend) == ("remote", "remote")
        assert segmentation.host.submit(Request(lambda engine, _: engine.device)).result(9) == "cpu"
    assert [item.class_id for item in masks.items] == ["box"]
    assert [item.class_id for item in poses.items] == ["box"]


def test_a_node_goes_on_when_the_services_do_not_answer(dataset, frame):
    node = node_of(SegmentationNode, dataset, remote_url="http://127.0.0.1:9")
    with spun(node) as alone, pytest.raises(NotReady, match="cannot be reached"):
        result(alone, lambda engine, ctx: engine.segment(frame, ctx=ctx))


def test_the_local_stages_take_over_by_option(dataset, frame):
    given = {"remote_url": "http://127.0.0.1:9", "remote_fallback": "true"}
    with spun(node_of(SegmentationNode, dataset, **given)) as node:
        masks = result(node, lambda engine, ctx: engine.segment(frame, ctx=ctx))
    assert [item.class_id for item in masks.items] == ["box"]
