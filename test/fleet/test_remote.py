"""Engine behind HTTP services: the same poses, a deadline, and the local stages when all fails."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace

import numpy as np
import pytest

for _module in ("fastapi", "httpx"):
    pytest.importorskip(_module, reason="missing: pip install -e '.[http]'")

from support.fleet_frames import BOX, write_frames  # noqa: E402
from support.http_server import running, settings_for  # noqa: E402

from sam6d_ros.apps.http.factory import create_app  # noqa: E402
from sam6d_ros.apps.http.services import Services  # noqa: E402
from sam6d_ros.apps.http.settings import FLEET  # noqa: E402
from sam6d_ros.config import PipelineConfig  # noqa: E402
from sam6d_ros.errors import (  # noqa: E402
    DeadlineExceeded,
    InvalidConfig,
    InvalidInput,
    NotReady,
    UnknownName,
)
from sam6d_ros.evaluation.bop import BopDataset  # noqa: E402
from sam6d_ros.fleet.remote import PAUSE_S, RemoteEngine, RemoteSettings  # noqa: E402
from sam6d_ros.geometry.region import Region  # noqa: E402
from sam6d_ros.pipeline import RunContext  # noqa: E402
from sam6d_ros.runtime.build import EngineSpec, build_engine  # noqa: E402
from sam6d_ros.runtime.objects import ObjectSet  # noqa: E402
from sam6d_ros.types import Detections  # noqa: E402

pytestmark = pytest.mark.http
CONFIG = PipelineConfig(backend="geometric")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = write_frames(tmp_path_factory.mktemp("remote") / "set", 3)
    text = (root / "objects.yaml").read_text().replace("name: box", f"name: {BOX.name}")
    (root / "objects.yaml").write_text(text)
    return root


@pytest.fixture(scope="module")
def url(dataset):
    settings = settings_for(dataset.parent / "cache", objects_file=dataset / "objects.yaml")
    services = Services(settings)
    with running(create_app(services, FLEET)) as url:
        services.loading.result(120)
        yield url


@pytest.fixture(scope="module")
def frame(dataset):
    return BopDataset(dataset).frame(2, 2)


def engine(dataset, role="full"):
    spec = EngineSpec(CONFIG, dataset.parent / "cache", role, objects_file=dataset / "objects.yaml")
    return build_engine(spec)


@pytest.fixture(scope="module")
def objects(dataset):
    return engine(dataset, "objects")


@pytest.fixture(scope="module")
def local(dataset):
    return engine(dataset)


@pytest.fixture
def silent():
    """URL of a server that accepts and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_remote_stages_give_the_poses_of_local_ones(url, objects, local, frame):
    remote = RemoteEngine(objects, RemoteSettings(url, 60.0), "full")
    here, there = local.run(frame), remote.run(frame)
    assert len(here) == len(there) == 1
    assert np.allclose(here.items[0].cam_from_obj, there.items[0].cam_from_obj, atol=1e-9)
    assert there.items[0].score == here.items[0].score
    assert there.items[0].instance_id == here.items[0].instance_id
    assert np.array_equal(there.items[0].mask, here.items[0].mask)
    assert (there.stamp_ns, there.frame_id) == (frame.stamp_ns, frame.frame_id)


def test_nothing_is_sent_without_detections(objects, frame):
    remote = RemoteEngine(objects, RemoteSettings("http://127.0.0.1:9"), "full")
    assert remote.estimate(frame, Detections.empty("no red thing")).reason == "no red thing"


def test_an_object_that_the_services_lack_is_named(url, frame):
    cup = ObjectSet({"cup": replace(BOX, name="cup")})
    local = build_engine(EngineSpec(CONFIG, None, "objects", cup))
    with pytest.raises(UnknownName, match="no object is named 'cup'"):
        RemoteEngine(local, RemoteSettings(url), "full").segment(frame)


def test_the_deadline_holds_when_the_services_are_silent(silent, objects, frame):
    remote = RemoteEngine(objects, RemoteSettings(silent, 0.2), "full")
    done = threading.Event()

    def ask():
        with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.2 s"):
            remote.segment(frame)
        done.set()

    thread = threading.Thread(target=ask)
    thread.start()
    assert done.wait(20)
    thread.join()


def test_without_services_and_fallback_a_call_fails_by_name(objects, frame):
    remote = RemoteEngine(objects, RemoteSettings("http://127.0.0.1:9"), "full")
    with pytest.raises(NotReady, match=r"127\.0\.0\.1:9 cannot be reached"):
        remote.segment(frame)


def test_the_fallback_works_and_the_services_are_tried_again_later(local, frame, clock):
    access = RemoteSettings("http://127.0.0.1:9", fallback=True)
    remote, warnings = RemoteEngine(local, access, "full", clock), []
    ctx = RunContext(on_warning=warnings.append)
    expected = local.segment(frame)
    for _ in range(2):
        found = remote.segment(frame, ctx=ctx)
        assert [d.class_id for d in found.items] == [d.class_id for d in expected.items]
    assert len(warnings) == 1
    clock.now += PAUSE_S
    remote.segment(frame, ctx=ctx)
    assert len(warnings) == 2
    assert "the local stages work instead" in warnings[0]


def test_a_region_is_for_local_stages_only(url, objects, local, frame):
    region = Region(0, 0, 90, 70)
    with pytest.raises(InvalidInput, match="whole frames only"):
        RemoteEngine(objects, RemoteSettings(url), "full").segment(frame, region=region)
    access = RemoteSettings("http://127.0.0.1:9", fallback=True)
    assert RemoteEngine(local, access, "full").segment(frame, region=region).items


def test_an_address_that_is_none_is_refused(objects):
    with pytest.raises(InvalidConfig, match="expected http://HOST:PORT"):
        RemoteEngine(objects, RemoteSettings("fleet:8000"), "full")
