"""The generated executables, as `ros2 run` starts them."""

import signal
import subprocess
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]


def test_an_executable_ends_on_ctrl_c_while_it_imports(tmp_path: Path) -> None:
    """Libraries swallow a KeyboardInterrupt while they are imported: here one that reports it."""
    marker = tmp_path / "importing"
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib, sys, types\n"
        "class Greedy:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'sam6d_ros.apps.ros.replay_node':\n"
        "            try:\n"
        f"                pathlib.Path({str(marker)!r}).touch()\n"
        "                while True: pass\n"
        "            except BaseException: pass\n"
        "sys.meta_path.insert(0, Greedy())\n"
    )
    template = (REPO / "scripts/executable.py.in").read_text()
    program = tmp_path / "replay_node"
    program.write_text(
        template.replace("@executable@", "replay_node").replace("@module@", "replay_node")
    )
    process = subprocess.Popen([sys.executable, program], env={"PYTHONPATH": str(tmp_path)})
    try:
        end = time.monotonic() + 30
        while not marker.exists():
            assert process.poll() is None
            assert time.monotonic() < end
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT
    finally:
        process.kill()
