"""Ctrl-C while a program imports, starts, loads and searches; a user without a home."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
import trimesh
from support.bop_folder import BopFolder
from support.moments import GOES_ON, HELD, SWALLOWED, interrupted, moment
from support.ros.held_double import Hold
from support.ros.world import PROGRAMS

from sam6d_ros.apps.ros.node.domain import own_domain
from sam6d_ros.apps.ros.node.graph import graph_environment

pytestmark = pytest.mark.slow  # each test starts a program and interrupts it

NODE, COMMAND = "sam6d_ros.apps.ros.pose_node", "sam6d_ros.apps.cli.start"
TIMEOUT_S = 60
# Libraries swallow a KeyboardInterrupt while they are imported: so does this import.
GREEDY = """
import pathlib, sys
class Greedy:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            try:
                pathlib.Path({marker!r}).touch()
                while True: pass
            except BaseException: pass
sys.meta_path.insert(0, Greedy())
"""
ONBOARDING = ("sam6d_ros.geometry.raycast", "RayScene.render")
COMPILATION = ("sam6d_ros.stages.kernels.loops", "Loop.compile")
MESH = ("sam6d_ros.cad.mesh_files", "check_file")
SPINNING = ("sam6d_ros.apps.ros.node.guard", "spin_guarded")
BUILDING = ("sam6d_ros.runtime.build", "build_engine")
SEARCH = ("sam6d_ros.stages.geometric.seeds", "seeds_in")
HELPER = ("sam6d_ros.stages.kernels.ahead", "_start_helper")
LOADING = (ONBOARDING, COMPILATION, HELPER, MESH)
COMPILING = (COMPILATION, HELPER)
STARTS = [
    ("sam6d_ros.apps.ros.node.ros_log", "install"),
    ("sam6d_ros.apps.ros.node.parameters", "declare"),
    SPINNING,
    ("sam6d_ros.apps.ros.camera.pairing", "FramePairing.reset"),
    *LOADING,
]
COMMANDS = [
    ("sam6d_ros.apps.cli.main", "build_parser"),
    BUILDING,
    ONBOARDING,
    COMPILATION,
    HELPER,
    SEARCH,
    ("sam6d_ros.stages.geometric.examine", "cast_poses"),
]
# The command, whose search reports that it has begun, and does not end.
SEARCHING = """
import pathlib, sys
from sam6d_ros.apps.cli import main
from sam6d_ros.runtime.engine import Engine
whole = Engine.run
def started(*args, **options):
    pathlib.Path({marker!r}).touch()
    while True:
        whole(*args, **options)
Engine.run = started
sys.exit(main.main({arguments!r}))
"""


@pytest.mark.parametrize("module", ["numpy", "cv2", "sam6d_ros.errors", "sam6d_ros.runtime.engine"])
@pytest.mark.parametrize("program", [NODE, COMMAND])
def test_ctrl_c_while_libraries_are_imported_ends_without_a_traceback(program, module, tmp_path):
    marker = tmp_path / "importing"
    (tmp_path / "sitecustomize.py").write_text(GREEDY.format(module=module, marker=str(marker)))
    path = os.pathsep.join([str(tmp_path), *sys.path])
    status, output = interrupted(["-m", program, "weights"], marker, PYTHONPATH=path)
    assert status in (-signal.SIGINT, 0, 130)
    assert "Traceback" not in output


def interrupted_node(place, folder, then=GOES_ON):
    """Start a segmentation node that is interrupted at a place; (status, output)."""
    trimesh.creation.box((0.1, 0.07, 0.05)).export(folder / "a.ply")
    objects = folder / "objects.yaml"
    objects.write_text("objects:\n- {name: a, mesh: a.ply, unit: m}\n")
    marker, path = moment(folder, place, then)
    arguments = ["--ros-args", "-p", f"objects_file:={objects}", "-p", "backend:=geometric"]
    arguments += ["-p", f"cache_dir:={folder}"]
    with own_domain() as domain_id:
        environment = graph_environment(domain_id, folder) | cold(place, folder)
        environment |= {"PYTHONPATH": path}
        # the other loading of the real engine takes long
        real = ("-m", "sam6d_ros.apps.ros.segmentation_node")
        is_real = place in LOADING or then != GOES_ON
        program = real if is_real else PROGRAMS["segmentation_node"]
        return interrupted([*program, *arguments], marker, by_itself=True, **environment)


def interrupted_command(place, folder, then=GOES_ON):
    """Start `sam6d eval` that is interrupted at a place; (status, output)."""
    dataset = BopFolder(folder / "set").write()
    marker, path = moment(folder, place, then)
    arguments = ["eval", str(dataset), "--backend", "geometric"]
    arguments += ["--cache-dir", str(folder / "cache")]
    environment = {"PYTHONPATH": path, **cold(place, folder)}
    return interrupted(["-m", COMMAND, *arguments], marker, by_itself=True, **environment)


def cold(place, folder):
    """Variables under which loops are compiled, for the places that are reached then only."""
    if place not in COMPILING:
        return {}
    return {"NUMBA_CACHE_DIR": str(folder / "cold")}


@pytest.mark.graph
@pytest.mark.parametrize("place", STARTS, ids=lambda place: place[1])
def test_ctrl_c_at_a_moment_of_its_start_ends_a_node(place, tmp_path):
    status, output = interrupted_node(place, tmp_path)
    assert status == 0, output
    assert "Traceback" not in output


@pytest.mark.parametrize("place", COMMANDS, ids=lambda place: place[1])
def test_ctrl_c_at_a_moment_of_its_start_ends_the_command(place, tmp_path):
    status, output = interrupted_command(place, tmp_path)
    assert status in (-signal.SIGINT, 130), output
    assert "Traceback" not in output


@pytest.mark.graph
@pytest.mark.parametrize("then", [HELD, SWALLOWED])
@pytest.mark.parametrize("place", [SPINNING, ONBOARDING], ids=lambda place: place[1])
def test_a_node_ends_though_a_thread_of_it_does_not(place, then, tmp_path):
    status, output = interrupted_node(place, tmp_path, then)
    assert status == 0, output
    assert "Traceback" not in output


@pytest.mark.parametrize("then", [HELD, SWALLOWED])
@pytest.mark.parametrize("place", [BUILDING, SEARCH], ids=lambda place: place[1])
def test_the_command_ends_though_a_call_does_not(place, then, tmp_path):
    """In the main thread, and in one of those that search for objects."""
    status, output = interrupted_command(place, tmp_path, then)
    assert status == 130, output
    assert "Traceback" not in output


def test_ctrl_c_in_a_download_ends_the_command(tmp_path):
    """The server takes the connection, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        marker = tmp_path / "connected"

        def accept():
            connection, _ = server.accept()
            marker.touch()
            connection.recv(1 << 16)
            connection.recv(1)  # until the client has ended

        threading.Thread(target=accept, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        arguments = ["weights", "fetch", "--dir", str(tmp_path), "--mirror", url]
        path = os.pathsep.join(sys.path)
        status, output = interrupted(["-m", COMMAND, *arguments], marker, PYTHONPATH=path)
    assert status == 130, output
    assert "Traceback" not in output


def test_ctrl_c_in_the_middle_of_a_search_ends_the_command_with_130(tmp_path):
    dataset = BopFolder(tmp_path / "set").write()
    arguments = ["eval", str(dataset), "--backend", "geometric"]
    arguments += ["--cache-dir", str(tmp_path / "cache")]
    marker = tmp_path / "searching"
    code = SEARCHING.format(marker=str(marker), arguments=arguments)
    status, output = interrupted(["-c", code], marker, PYTHONPATH=os.pathsep.join(sys.path))
    assert status == 130, output
    assert "sam6d: interrupted" in output
    assert "Traceback" not in output


@pytest.mark.graph
def test_ctrl_c_in_the_middle_of_a_search_ends_a_node_at_once(make_world, tmp_path):
    """The stage never ends; the end of the world checks the status and the log."""
    world = make_world()
    world.children.env["HELD_STAGES"] = str(tmp_path)
    hold = Hold(tmp_path, "segment")
    child = world.start_node("segmentation_node", "held_double.py")
    world.probe.wait_for(hold.reached, "the stage", 40.0, every=world.send_frame)
    child.interrupt()
    assert child.wait() == 0, child.output()
    world.children.running.remove(child)
    assert "Traceback" not in child.output()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become a user without a home folder")
@pytest.mark.parametrize("program", [NODE, COMMAND])
def test_a_user_without_a_home_folder_gets_the_remedy(program):
    done = subprocess.run(
        [sys.executable, "-m", program, "weights"],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        user=12345,
        group=12345,
        timeout=TIMEOUT_S,
    )
    if "No module named" in done.stderr:
        pytest.skip("another user may not read this checkout")
    assert done.returncode in (1, 2)
    assert "set HOME" in done.stderr
    assert "Traceback" not in done.stderr
