"""The demo's judgement and its care for its processes (the graph itself: test_end_to_end.py)."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from sam6d_ros.apps.ros.demo import report as demo_report
from sam6d_ros.apps.ros.demo import run as demo
from sam6d_ros.apps.ros.demo.scene import read_task
from sam6d_ros.apps.ros.node.graph import ChildDied, Children, graph_environment
from sam6d_ros.cad.model import Symmetries
from sam6d_ros.cad.objects import load_objects
from sam6d_ros.evaluation.bop_truth import GroundTruth
from sam6d_ros.evaluation.synthetic import CAMERA, make_scene, write_bop
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.types import PoseEstimate, PoseEstimates

HERE = se3.exp([0.1, 0.0, 0.8, 0.3, 0.2, 0.1])
THERE = se3.exp([-0.2, 0.1, 0.9, 0.0, 0.5, 0.0])
HALF_TURN = se3.exp([0, 0, 0, 0, 0, np.pi])


@pytest.fixture
def model():
    return replace(box_model(), name="box")


def estimates(*poses):
    return PoseEstimates(tuple(PoseEstimate("box", 0.5, pose) for pose in poses), 0, "cam")


def test_a_true_pose_is_right_and_has_no_error(model):
    (found,) = demo_report.match([GroundTruth(1, HERE)], estimates(HERE), {1: model})
    assert found.right
    assert found.error.translation_m == pytest.approx(0, abs=1e-9)
    assert found.error.rotation_rad == pytest.approx(0, abs=1e-6)


def test_a_turn_counts_unless_the_object_looks_the_same(model):
    truth, turned = [GroundTruth(1, HERE)], estimates(HERE @ HALF_TURN)
    (wrong,) = demo_report.match(truth, turned, {1: model})
    assert not wrong.right
    assert wrong.error.rotation_rad == pytest.approx(np.pi)
    symmetric = replace(model, symmetries=Symmetries(np.stack([np.eye(4), HALF_TURN])))
    (right,) = demo_report.match(truth, turned, {1: symmetric})
    assert right.right
    assert right.error.rotation_rad == pytest.approx(0, abs=1e-6)


def test_each_estimate_explains_one_instance(model):
    truth = [GroundTruth(1, HERE), GroundTruth(1, THERE)]
    both = demo_report.match(truth, estimates(THERE, HERE), {1: model})
    assert [m.right for m in both] == [True, True]
    one = demo_report.match(truth, estimates(HERE), {1: model})
    assert [m.right for m in one] == [True, False]
    assert one[1].error is None


def test_success_needs_a_right_pose_or_any_where_there_is_no_truth(model):
    wrong = demo_report.match([GroundTruth(1, HERE)], estimates(THERE), {1: model})
    assert demo_report.exit_code(wrong, estimates(THERE)) == 1
    assert demo_report.exit_code([], estimates(THERE)) == 0
    assert demo_report.exit_code([], estimates()) == 3


def test_tables_have_a_row_for_each_pose(model):
    matches = demo_report.match([GroundTruth(1, HERE)], estimates(), {1: model})
    assert demo_report.table(matches, estimates()).row_count == 1
    assert demo_report.table([], estimates(HERE, THERE)).row_count == 2


def test_the_objects_file_says_what_the_dataset_says(tmp_path):
    made = make_scene(0, camera=CAMERA.scaled(0.25), targets=["tea_box", "mug"], clutter=0)
    task = read_task(write_bop(made, tmp_path / "set"), 0)
    models = task.models.values()
    back = load_objects(demo.write_objects_file(models, tmp_path / "objects.yaml"))
    for before, after in zip(models, back, strict=True):
        assert (after.name, after.diameter) == (before.name, pytest.approx(before.diameter))
        discrete = before.symmetries.discrete
        np.testing.assert_allclose(after.symmetries.discrete, discrete, atol=1e-6)
        assert after.symmetries.axes.shape == before.symmetries.axes.shape


def test_a_process_that_dies_is_reported_with_its_log(tmp_path):
    program = ("-c", "import sys; print('out of luck'); sys.exit(3)")
    with Children(graph_environment(1, tmp_path), tmp_path) as children:
        child = children.start("node", {}, program=program)
        assert child.wait() == 3
        with pytest.raises(ChildDied, match=r"node ended with status 3(.|\n)*out of luck"):
            children.check()


def test_processes_are_stopped_by_interrupt_even_when_the_block_fails(tmp_path):
    program = (
        "-c",
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *a: (print('bye', flush=True), sys.exit(0)))\n"
        "print('up', flush=True)\n"
        "while True: time.sleep(1)",
    )
    with suppress(ZeroDivisionError), Children({}, tmp_path) as children:
        child = children.start("node", {}, program=program)
        while "up" not in child.output():
            child.check()
        raise ZeroDivisionError
    assert child.wait() == 0
    assert "bye" in child.output()
