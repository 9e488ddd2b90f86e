"""Folders of compiled loops of versions that are gone."""

import fcntl
import os
import time

import pytest

from sam6d_ros.stages.kernels import old_folders
from sam6d_ros.stages.kernels.old_folders import UNUSED_S, USED, remove_unused

OLD, NEW = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def loops(tmp_path):
    for name in (OLD, NEW, "of the user"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "loop.nbc").touch()
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def age(folder):
    (folder / USED).touch()
    long_ago = time.time() - 2 * UNUSED_S
    os.utime(folder / USED, (long_ago, long_ago))


def test_a_folder_that_was_not_used_for_a_month_is_removed(loops):
    age(loops / OLD)
    age(loops / "of the user")
    old_folders.use(loops / NEW)
    assert remove_unused(loops) == [OLD]
    assert names(loops) == [NEW, "of the user"]


def test_a_folder_in_use_stays_however_old(loops):
    age(loops / OLD)
    with (loops / OLD / USED).open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)  # as a program of that version, running for a month
        assert remove_unused(loops) == []
    assert remove_unused(loops) == [OLD]


def test_a_folder_of_a_version_that_marks_none_is_removed_a_month_later(loops):
    assert remove_unused(loops) == []
    assert remove_unused(loops, time.time() + 2 * UNUSED_S) == [OLD, NEW]


def test_what_an_ended_removal_left_is_removed(loops):
    (loops / f"{old_folders.REMOVED}1-{OLD}").mkdir()
    remove_unused(loops)
    assert names(loops) == [OLD, NEW, "of the user"]


def test_a_folder_that_is_removed_while_a_program_starts_is_made_anew(loops, monkeypatch):
    """The removal comes between the opening of the file and its lock."""
    age(loops / OLD)
    lock = fcntl.flock

    def late(file, kind):
        monkeypatch.setattr(old_folders.fcntl, "flock", lock)
        os.utime(loops / OLD / USED, (0, 0))
        assert remove_unused(loops) == [OLD]
        lock(file, kind)

    monkeypatch.setattr(old_folders.fcntl, "flock", late)
    assert old_folders.use(loops / OLD) is not None
    assert USED in names(loops / OLD)
