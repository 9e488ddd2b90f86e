"""Ends of a search between its steps: deadline and cancellation inside a stage."""

import numpy as np
import pytest
from support.still_life import CAMERA, bracket, carton, mask_of, photograph, standing

from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import DeadlineExceeded
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.stages.geometric.evidence import evidence
from sam6d_ros.stages.geometric.flow import Search
from sam6d_ros.stages.geometric.kit import kit_of
from sam6d_ros.stages.geometric.seeds import seeds_in
from sam6d_ros.types import Scene

LEAST_POINTS = 10  # in the search of one object


class Countdown:
    """A checkpoint that raises at its n-th call, and from then on."""

    def __init__(self, allowed):
        self.allowed, self.calls = allowed, 0

    def __call__(self):
        self.calls += 1
        if self.calls > self.allowed:
            raise DeadlineExceeded("too late")


@pytest.fixture(scope="module")
def pose():
    return standing(bracket(), -0.08, 0, 30)


@pytest.fixture(scope="module")
def frame(pose):
    return photograph([(bracket(), pose)])


@pytest.fixture(scope="module")
def engine(views_cache):
    objects = ObjectSet({model.name: model for model in (bracket(), carton())})
    config = PipelineConfig(backend="geometric")
    return build_engine(EngineSpec(config, views_cache, objects=objects))


def test_a_search_of_one_object_ends_at_each_of_its_steps(frame, pose, context):
    labels = np.zeros((CAMERA.height, CAMERA.width), np.int32)
    labels[mask_of(bracket(), pose)] = 1
    view, kit = Scene(frame).derived(evidence), kit_of(bracket(), context)
    seeds = seeds_in(view.scene, labels, kit)

    def search(checkpoint):
        Search(view, view.maps(labels), kit, checkpoint=checkpoint).run(seeds)

    every = Countdown(10**6)
    search(every)
    assert every.calls >= LEAST_POINTS
    for allowed in range(every.calls):
        countdown = Countdown(allowed)
        with pytest.raises(DeadlineExceeded):
            search(countdown)
        assert countdown.calls == allowed + 1


@pytest.mark.parametrize("stage", ["score", "estimate", "refine"])
def test_a_frame_ends_inside_a_stage(engine, frame, stage):
    """Only between the stages was the deadline looked at before."""
    begun = []

    def checkpoint():
        if stage in begun:
            raise DeadlineExceeded("too late")

    ctx = RunContext(checkpoint=checkpoint, on_stage=begun.append)
    with pytest.raises(DeadlineExceeded):
        engine.run(frame, ctx=ctx)
    assert begun[-1] == stage


def test_a_scene_with_a_checkpoint_shares_what_is_derived(frame):
    scene = Scene(frame)
    built = scene.derived(evidence)
    assert scene.with_checkpoint(Countdown(0)).derived(evidence) is built
    scene.checkpoint()
