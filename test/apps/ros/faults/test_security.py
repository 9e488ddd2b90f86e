"""Nodes with SROS2 switched on and its files missing do not run unprotected."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = ["-m", "sam6d_ros.apps.ros.pose_node", "--ros-args", "--enclave", "/sam6d"]


@pytest.mark.graph
@pytest.mark.parametrize("enclave", ["missing", "empty"])
def test_a_node_without_its_keys_does_not_start(enclave, tmp_path):
    """Also with the keys, on a middleware that is built without security."""
    if enclave == "empty":
        (tmp_path / "enclaves/sam6d").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, *PROGRAM],
        env={
            **os.environ,
            "ROS_SECURITY_ENABLE": "true",
            "ROS_SECURITY_STRATEGY": "Enforce",
            "ROS_SECURITY_KEYSTORE": str(tmp_path),
            "ROS_LOG_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert "security" in done.stderr.lower()
    assert "Traceback" not in done.stderr
