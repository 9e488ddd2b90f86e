"""Shards: complete or absent, resumable, of one run at a time."""

from __future__ import annotations

import pytest

from sam6d_ros.errors import InvalidConfig, InvalidDataset, NotReady, ResourceExhausted, TooLarge
from sam6d_ros.fleet.results import Found, FrameResult, read_line
from sam6d_ros.fleet.shards import MOST_RECORDS, MOST_S, UNFINISHED, ShardFolder

STATEMENT = {"backend": "geometric", "objects": {"box": "abc"}}
POSE = (1.0, 0.0, 0.0, 0.1 + 0.2, *(1 / 3,) * 8, 0.0, 0.0, 0.0, 1.0)


def record(key: str) -> FrameResult:
    return FrameResult(key, (Found("box", "box_0", 2 / 3, 1.0, POSE, {"size": [2, 2]}),), 0.5)


def shards_in(folder):
    return sorted(path.name for path in folder.glob("shard-*"))


def test_a_record_survives_its_line_with_every_digit():
    assert read_line(record("a").line()) == record("a")
    failed = FrameResult.failed("b", ValueError("broken"))
    assert read_line(failed.line()) == failed
    assert "Traceback" in failed.failure.trace or "ValueError" in failed.failure.trace


def test_results_are_there_again_after_a_run_that_was_cut_short(tmp_path):
    interrupted = ShardFolder(tmp_path, STATEMENT)
    interrupted.add([record("a")])  # the first one is written at once
    (tmp_path / f"shard-000002.jsonl{UNFINISHED}").write_text('{"key": "half')
    interrupted._lock.close()  # as the end of the process does
    with ShardFolder(tmp_path, STATEMENT) as shards:
        assert shards.is_done("a")
        assert not shards.is_done("b")
        assert shards.records["a"] == record("a")
        shards.add([record("b")])
    assert shards_in(tmp_path) == ["shard-000001.jsonl", "shard-000002.jsonl"]


def test_shards_are_few_however_fast_the_results_come(tmp_path, clock):
    with ShardFolder(tmp_path, STATEMENT, clock) as shards:
        for number in range(2 * MOST_RECORDS):
            shards.add([record(str(number))])
        assert len(shards_in(tmp_path)) == 2
        clock.now += MOST_S
        shards.add([])
        assert len(shards_in(tmp_path)) == 3
    assert len(shards_in(tmp_path)) == 3


def test_frames_that_always_fail_are_done_and_others_are_tried_again(tmp_path):
    with ShardFolder(tmp_path, STATEMENT) as shards:
        errors = {"large": TooLarge("x"), "a": OSError("gone"), "b": ResourceExhausted("memory")}
        shards.add([FrameResult.failed(key, error) for key, error in errors.items()])
    with ShardFolder(tmp_path, STATEMENT) as shards:
        assert [shards.is_done(key) for key in ("large", "a", "b")] == [True, False, False]
        shards.add([record("a")])
    with ShardFolder(tmp_path, STATEMENT) as shards:
        assert shards.records["a"] == record("a")


def test_results_of_other_work_are_not_mixed(tmp_path):
    with ShardFolder(tmp_path, STATEMENT):
        pass
    with pytest.raises(InvalidConfig, match="objects differ"):
        ShardFolder(tmp_path, {**STATEMENT, "objects": {"box": "def"}})


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    with ShardFolder(tmp_path, STATEMENT), pytest.raises(NotReady, match="another run"):
        ShardFolder(tmp_path, STATEMENT)


def test_a_damaged_shard_is_named(tmp_path):
    with ShardFolder(tmp_path, STATEMENT) as shards:
        shards.add([record("a")])
    (tmp_path / "shard-000001.jsonl").write_text('{"key": "a"\n')
    with pytest.raises(InvalidDataset, match=r"shard-000001\.jsonl is damaged"):
        ShardFolder(tmp_path, STATEMENT)
