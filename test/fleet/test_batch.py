"""Batches without a cluster: one worker in this process."""

from __future__ import annotations

import builtins

import pytest
from support.fleet_frames import BOX, write_frames

from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import BackendUnavailable, InvalidConfig
from sam6d_ros.fleet.batch import run_batch
from sam6d_ros.fleet.connect import check_head, import_ray
from sam6d_ros.fleet.pool import LocalPool
from sam6d_ros.fleet.results import FrameResult
from sam6d_ros.fleet.shards import ShardFolder
from sam6d_ros.fleet.tasks import BopImage, FrameTask, Work
from sam6d_ros.fleet.worker import FrameWorker


class Counting:
    """Worker that counts the frames it gets."""

    def __init__(self):
        self.keys = []

    def run(self, task):
        self.keys.append(task.key)
        return FrameResult(task.key)


def tasks(count):
    return [FrameTask(str(i), BopImage("nowhere", None, None, 1, i)) for i in range(count)]


def test_a_batch_goes_on_where_an_earlier_one_ended(tmp_path):
    first, second = Counting(), Counting()
    with ShardFolder(tmp_path, {}) as shards:
        run = run_batch(LocalPool(first), tasks(6), shards)
        assert [next(run)[0].key for _ in range(4)] == ["0", "1", "2", "3"]
        run.close()
    with ShardFolder(tmp_path, {}) as shards:
        assert [records[0].key for records in run_batch(LocalPool(second), tasks(6), shards)]
        assert sorted(shards.records) == ["0", "1", "2", "3", "4", "5"]
    assert second.keys == ["4", "5"]


def test_a_frame_that_cannot_be_read_is_a_record_and_not_the_end(tmp_path):
    root = write_frames(tmp_path / "set", 2)
    (root / "test/000002/depth/000001.png").unlink()
    worker = FrameWorker(Work(PipelineConfig(backend="geometric"), None, (BOX,), keep_all=True))
    images = [FrameTask(str(i), BopImage(root, None, None, 2, i)) for i in (1, 2)]
    lost, found = [worker.run(task) for task in images]
    assert "has no image" in lost.failure.message
    assert lost.is_final
    assert found.failure is None
    assert found.found[0].name == BOX.name


def test_the_name_of_the_extra_is_in_the_error_without_ray(monkeypatch):
    original = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(BackendUnavailable, match=r"pip install -e '.\[fleet\]'"):
        import_ray()


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:ray", "head:70000"])
def test_a_malformed_address_is_refused(address):
    with pytest.raises(InvalidConfig, match="HOST:PORT"):
        check_head(address)


def test_an_address_without_a_head_is_refused_at_once():
    with pytest.raises(BackendUnavailable, match="no Ray head node answers"):
        check_head("127.0.0.1:9")


def test_the_backend_is_named_before_the_work_travels():
    assert Work(PipelineConfig(backend="auto")).config.backend in ("geometric", "sam6d")
