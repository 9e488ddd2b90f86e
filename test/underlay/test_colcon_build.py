"""A workspace with a copy of this package builds with colcon, and what it installs works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
NOT_SOURCES = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "install", "log")
SERVICES = r"  (action|srv)/\w+\.\w+\n"
EXECUTABLES = ("pipeline", "pose_node", "replay_node", "segmentation_node", "tracking_node")
USE_WHAT_WAS_INSTALLED = f"""
import importlib, pathlib, sys
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from sam6d_ros.apps.ros.node.graph import module_of
import sam6d_ros, sam6d_ros.msg, sam6d_ros.types
from rclpy.serialization import deserialize_message, serialize_message

prefix = pathlib.Path(get_package_prefix("sam6d_ros"))
assert prefix == pathlib.Path(sys.argv[1]), prefix
for module in (sam6d_ros, sam6d_ros.msg, sam6d_ros.types):
    assert prefix in pathlib.Path(module.__file__).parents, module.__file__
sent = sam6d_ros.msg.InstanceMaskArray(width=3, reason="no depth")
kind = sam6d_ros.msg.InstanceMaskArray
assert deserialize_message(serialize_message(sent), kind) == sent
for name in {EXECUTABLES}:
    assert callable(importlib.import_module(module_of(name)).main)
share = pathlib.Path(get_package_share_directory("sam6d_ros"))
assert (share / "config/fastdds.xml").is_file()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace without services and actions: set-up compiles these, by the same file."""
    package = tmp_path / "src/sam6d_ros"
    shutil.copytree(REPO, package, ignore=NOT_SOURCES)
    build_file = package / "CMakeLists.txt"
    build_file.write_text(re.sub(SERVICES, "", build_file.read_text()))
    return tmp_path


def run(workspace: Path, *command: str) -> str:
    """Run in the workspace as in a shell where the environment has been activated."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "AMENT_PREFIX_PATH")}
    env["PATH"] = os.pathsep.join([str(Path(sys.prefix) / "bin"), env["PATH"]])
    env["CMAKE_PREFIX_PATH"] = sys.prefix
    done = subprocess.run(command, cwd=workspace, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)  # a compiler at work
def test_colcon_build_installs_a_working_package(workspace: Path) -> None:
    """Copied and by links; the second build takes the compiled messages of the first."""
    for folder, options in (("copied", []), ("linked", ["--symlink-install"])):
        # ament refuses to put a link where the build before left a folder
        shutil.rmtree(workspace / "build/sam6d_ros/ament_cmake_python", ignore_errors=True)
        run(workspace, "colcon", "build", "--install-base", folder, *options)
        built = [path.name for path in (workspace / "build").iterdir() if path.is_dir()]
        assert built == ["sam6d_ros"]  # and nothing of underlay/
        prefix = workspace / folder / "sam6d_ros"
        for name in EXECUTABLES:
            assert os.access(prefix / "lib/sam6d_ros" / name, os.X_OK), name
        assert (prefix / "share/sam6d_ros/config/fastdds.xml").is_symlink() == bool(options)
        script = workspace / "use.py"
        script.write_text(USE_WHAT_WAS_INSTALLED)
        run(workspace, "bash", "-c", f"source {folder}/setup.bash && python {script} {prefix}")
