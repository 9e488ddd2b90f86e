"""Labels that a cluster makes while it loses a worker and a machine equal those of one process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.cluster_processes import actor_processes, stored

from sam6d_ros.apps.cli.main import main

WAIT_S = 240.0
RECORDINGS = ("a", "b")


@pytest.fixture(scope="module")
def recordings(frames, tmp_path_factory) -> Path:
    """Two recordings, one image of which is damaged."""
    root = tmp_path_factory.mktemp("recordings")
    for name in RECORDINGS:
        shutil.copytree(frames / "test/000002", root / name)
    (root / "a/depth/000003.png").write_bytes(b"no image")
    return root


def words(frames: Path, recordings: Path, out: Path, *more: str) -> list[str]:
    """`sam6d label` of the recordings."""
    paths = {"--frames": recordings, "--out": out, "--objects": frames / "objects.yaml"}
    options = {**paths, "--backend": "geometric", "--cache-dir": frames.parent / "cache"}
    return ["label", *(str(word) for pair in options.items() for word in pair), *more]


def contents(out: Path) -> dict[str, bytes]:
    """Files of a dataset by name, without the results of single frames, which state times."""
    files = [path for path in out.rglob("*") if path.is_file() and path.parent.name != "shards"]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def test_labels_survive_a_killed_worker_and_machine(
    cluster, second_node, frames, recordings, tmp_path
):
    plain, out = tmp_path / "plain", tmp_path / "labels"
    assert main(words(frames, recordings, plain)) == 2  # of the damaged image
    command = words(frames, recordings, out, "--ray", cluster.address, "--workers", "2")
    with (tmp_path / "log").open("w") as log:
        program = [sys.executable, "-m", "sam6d_ros.apps.cli.main", *command]
        driver = subprocess.Popen(program, stdout=log, stderr=log)

        def wait_for(condition) -> None:
            end = time.monotonic() + WAIT_S
            while not condition():
                assert driver.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < end
                time.sleep(0.02)

        try:
            wait_for(lambda: stored(out / "shards"))
            before = actor_processes(cluster)
            os.kill(before[0], signal.SIGKILL)
            wait_for(lambda: set(actor_processes(cluster)) - set(before))
            cluster.remove_node(second_node, allow_graceful=False)
            assert driver.wait(WAIT_S) == 2
        finally:
            driver.kill()
            driver.wait()
    assert set(stored(out / "shards").values()) == {1}
    assert contents(out) == contents(plain)
