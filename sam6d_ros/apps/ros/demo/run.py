"""The demo: a camera made of files, both nodes as processes over DDS, and what comes out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console

from sam6d_ros.apps.ros.camera.input import INPUTS
from sam6d_ros.apps.ros.demo import report as demo_report
from sam6d_ros.apps.ros.demo.listener import Listener
from sam6d_ros.apps.ros.demo.scene import DemoScene, Task, make_task
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.domain import own_domain
from sam6d_ros.apps.ros.node.graph import Children, graph_environment
from sam6d_ros.cad import objects
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.objects import ObjectEntry
from sam6d_ros.errors import InvalidDataset, Sam6dError
from sam6d_ros.types import PoseEstimates

CAMERA_NS = "/camera"
READY = tuple(topics.of_node(n, topics.READY) for n in ("segmentation_node", "pose_node"))
REMAPPINGS = {
    "~/rgb": f"{CAMERA_NS}/{topics.REPLAY_RGB}",
    "~/depth": f"{CAMERA_NS}/{topics.REPLAY_DEPTH}",
    "~/camera_info": f"{CAMERA_NS}/{topics.REPLAY_CAMERA_INFO}",
    f"pose_node:{topics.MASKS}": topics.of_node("segmentation_node", topics.MASKS),
    f"pose_node:{topics.FOLLOW_OBJECTS}": topics.of_node("segmentation_node", topics.OBJECTS),
}
# Onboarding the first time makes templates of every object; later starts take them from the cache.
READY_TIMEOUT_S = 600.0
RESULT_TIMEOUT_S = 180.0


def run_demo(scene: DemoScene, out: Path) -> int:
    """Run the graph on one image and show how good the poses are.

    Args:
        scene: choice of the image.
        out: folder for the picture, the logs and the synthetic scene.

    Returns:
        Exit code, see ``report.exit_code``.

    Raises:
        ChildDied, TimeoutError: a node ended or nothing came; with the log.
        InvalidInput: the dataset is unusable.
    """
    console = Console()
    out = out.resolve()
    log_dir = out / "log"
    log_dir.mkdir(parents=True, exist_ok=True)
    with console.status("preparing the scene"):
        task = make_task(scene, out)
    objects_file = write_objects_file(task.models.values(), out / "objects.yaml", task.unit)
    poses = run_graph(task, objects_file, log_dir, console)
    overlay = demo_report.write_overlay(task.frame, poses, task.models, out / "overlay.png")
    matches = demo_report.match(task.truth, poses, task.models)
    console.print(demo_report.table(matches, poses))
    console.print(f"picture: {overlay}\nlogs:    {log_dir}", soft_wrap=True)
    return demo_report.exit_code(matches, poses)


def write_objects_file(models: Iterable[ObjectModel], path: Path, unit: str = "mm") -> Path:
    """Write the objects file of models of a unit, millimetres in BOP; symmetries are in metres."""
    entries = []
    for model in models:
        if model.source is None:
            raise InvalidDataset(f"object {model.name} has no file")
        entries.append(ObjectEntry(model.name, model.source.resolve(), unit, model.symmetries))
    objects.write_objects_file(path, entries)
    return path


def run_graph(task: Task, objects_file: Path, log_dir: Path, console: Console) -> PoseEstimates:
    """Start the three nodes, wait for the poses of the image, stop the nodes.

    Returns:
        Poses of the image.

    Raises:
        ChildDied: a node ended by itself.
        Sam6dError: nothing came in time, or a node could not load.
    """
    with own_domain() as domain_id:
        return _run_in_domain(domain_id, task, objects_file, log_dir, console)


def _run_in_domain(
    domain_id: int, task: Task, objects_file: Path, log_dir: Path, console: Console
) -> PoseEstimates:
    environment = graph_environment(domain_id, log_dir)
    os.environ.update(environment)  # the listener below belongs to the same graph
    arguments = [part for old, new in REMAPPINGS.items() for part in ("-r", f"{old}:={new}")]
    with Children(environment, log_dir) as children, Listener(domain_id, READY) as listener:
        # Reliable, because every image counts here and a container may have little shared memory.
        inputs = {f"{name}.reliability": "reliable" for name in INPUTS}
        for name in ("segmentation_node", "pose_node"):
            children.start(name, {"objects_file": objects_file, **inputs}, arguments)
        camera = {"path": task.scene_dir, "image": task.im_id, "wait_for": list(READY)}
        children.start("replay_node", camera, ["-r", f"__ns:={CAMERA_NS}"])
        with console.status("nodes are loading (the first time takes longest)"):
            _wait(listener, children, listener.all_ready, "the nodes to load", READY_TIMEOUT_S)
        with console.status("waiting for the poses"):
            _wait(listener, children, listener.has_result, "a result", RESULT_TIMEOUT_S)
        return listener.best_result()


def _wait(
    listener: Listener,
    children: Children,
    condition: Callable[[], bool],
    what: str,
    timeout_s: float,
) -> None:
    """Spin until the condition holds, as long as every node is well."""

    def check() -> None:
        children.check()
        if problem := listener.load_failure():
            raise Sam6dError(problem)

    if not listener.wait_for(condition, check, timeout_s):
        logs = "\n".join(f"{child.name}: {child.log}" for child in children.running)
        raise Sam6dError(f"no {what} after {timeout_s:.0f} s; see the logs\n{logs}")
