"""Launches, host waits and copies of one frame, bounded per stage without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from models.conftest import TinyNetworks, seed
from support.contexts import context

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from support.device_counts import on_device, pretend  # noqa: E402
from support.pretend_cuda import DEVICE, PretendCuda, Pretended  # noqa: E402

from sam6d_ros.config import PipelineConfig  # noqa: E402
from sam6d_ros.geometry.region import Region  # noqa: E402
from sam6d_ros.models.dinov2 import DinoV2  # noqa: E402
from sam6d_ros.models.pem import PemConfig, PoseEstimationModel  # noqa: E402
from sam6d_ros.models.sam import SamSegmenter  # noqa: E402
from sam6d_ros.models.sam_cut import Cut  # noqa: E402
from sam6d_ros.models.sam_network import SamShape, build_sam  # noqa: E402
from sam6d_ros.models.transfer import to_device, to_host  # noqa: E402
from sam6d_ros.models.vit import VitConfig  # noqa: E402
from sam6d_ros.pipeline import PoseEstimation, Segmentation  # noqa: E402
from sam6d_ros.runtime.engine import Engine  # noqa: E402
from sam6d_ros.runtime.warmup import box_model, warm_up_input  # noqa: E402
from sam6d_ros.stages.areas import Area, SearchAreas  # noqa: E402
from sam6d_ros.stages.keep_poses import KeepPoses  # noqa: E402
from sam6d_ros.stages.sam6d import descriptors, pem_inputs  # noqa: E402
from sam6d_ros.stages.sam6d.estimate import PemEstimator  # noqa: E402
from sam6d_ros.stages.sam6d.propose import SamProposer  # noqa: E402
from sam6d_ros.stages.sam6d.regions_on_device import DeviceProposals, Regions  # noqa: E402
from sam6d_ros.stages.sam6d.score import DescriptorScorer  # noqa: E402
from sam6d_ros.stages.sam6d.settings import Sam6dConfig  # noqa: E402
from sam6d_ros.types import Candidates, Detection, Detections, Proposals, Scene  # noqa: E402

MODEL = box_model()
_, FRAME, FOUND = warm_up_input(MODEL)
MASK = FOUND.items[0].mask
AREAS = SearchAreas(
    tuple(Area(Region(40 + n, 40, 60, 50), frozenset({MODEL.name})) for n in range(16)), frozenset()
)
OBJECTS = [MODEL, *(replace(MODEL, name=f"box_{n}") for n in range(15))]


def tiny_networks(**changes: int) -> TinyNetworks:
    """Small networks with four chunks of prompts, on the CPU."""
    config = Sam6dConfig(
        points_per_side=8,
        points_per_batch=16,
        min_predicted_iou=0.0,
        min_stability=0.0,
        segment_width=160,
        views=3,
        **changes,  # type: ignore[arg-type]
    )
    base = VitConfig(width=48, depth=4, heads=4, patch=16, grid=14)
    large = VitConfig(width=32, depth=2, heads=2, patch=14, grid=37, layer_scale=True)
    pem = PoseEstimationModel(PemConfig(64, 20, 60, 20, base, (0, 1, 2, 3)))
    sam = build_sam(SamShape(width=32, depth=2, heads=2, global_blocks=(1,), image_size=128))
    segmenter = SamSegmenter(seed(sam, 1), config)
    cpu = torch.device("cpu")
    return TinyNetworks(config, segmenter, seed(DinoV2(large), 2), seed(pem, 3), cpu)


@dataclass
class Counted:
    """Events of one frame and what the stages found."""

    seen: PretendCuda
    proposals: int
    detections: int
    poses: list[Candidates]
    shapes: list[int]
    objects: int


@pytest.fixture(scope="module", autouse=True)
def small_inputs() -> Iterator[None]:
    """Small clouds and batches: no count depends on their sizes, time and memory do."""
    torch.set_num_threads(1)  # threads that outnumber free cores wait for one another
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pem_inputs, "OBSERVED_POINTS", 64)
        patch.setattr(pem_inputs, "TEMPLATE_POINTS", 200)
        yield


@pytest.fixture(scope="module")
def counted(small_inputs: None, tmp_path_factory: pytest.TempPathFactory) -> Counted:
    """Run all stages once, poses for 1 detection and for 16 of 16 objects."""
    built = context(tmp_path_factory.mktemp("cache"))  # one file for the objects: they look alike
    with pretend() as seen:
        nets = on_device(tiny_networks())
        scorer, estimator = DescriptorScorer(nets, built), PemEstimator(nets, built)
        with seen.at("prepare"):
            scorer.prepare(MODEL)
            for model in OBJECTS:
                estimator.prepare(model)
        scene, proposer = Scene(FRAME), SamProposer(nets)
        detected = {n: several(n) for n in (16, 1)}
        with seen.at("warm-up"):
            proposer.propose(scene)
            for number, items in detected.items():
                estimator.estimate(scene, items, OBJECTS[:number])
        shapes = [estimator._graphs.shapes]
        with seen.at("proposals"):
            proposals = proposer.propose(scene)
            count = len(proposals)
        with seen.at("boxes"):
            in_boxes = proposer.propose_in_boxes(scene, AREAS)
        with seen.at("scores of boxes"):
            scorer.score(scene, in_boxes, [MODEL], {MODEL.name: 5})
        given = regions(20)
        with seen.at("scores"):
            found = scorer.score(scene, given, [MODEL], {MODEL.name: 5})
        resized = SamSegmenter(nets.sam.sam, replace(nets.config, segment_width=80))
        for stage in ("warm-up", "resized proposals"):
            with seen.at(stage):
                resized.segment(FRAME.rgb)
        for model in OBJECTS:
            scorer.prepare(model)
        named = tuple(frozenset({OBJECTS[n % 16].name}) for n in range(20))
        each = DeviceProposals(Regions.of(given, DEVICE), given.scores, named)
        with seen.at("scores of 16 objects"):
            of_all = scorer.score(scene, each, OBJECTS, {model.name: 5 for model in OBJECTS})
        with seen.at("whole scores"):
            scorer.score(scene, proposals, [MODEL], {MODEL.name: 5})
        poses = []
        for number, items in detected.items():
            with seen.at(f"poses {number}"):
                poses.append(estimator.estimate(scene, items, OBJECTS[:number]))
        estimator.estimate(scene, several(11), OBJECTS[:11])
        shapes.append(estimator._graphs.shapes)
    return Counted(
        seen, count, len(found), poses, shapes, len({item.class_id for item in of_all.items})
    )


def regions(count: int) -> Proposals:
    """Return parts of the box that differ."""
    masks = np.repeat(MASK[None], count, 0)
    for number, mask in enumerate(masks):
        mask[: number + 30] = False
    return Proposals(masks, np.ones(count, np.float32))


def several(count: int) -> Detections:
    """Return one detection of each of some objects."""
    return Detections(tuple(Detection(model.name, 0.9, MASK) for model in OBJECTS[:count]))


pytestmark = pytest.mark.timeout(900)

# Upper bounds for these networks; the released ones are deeper and launch more kernels.
BOUNDS = {
    "proposals": {"launch": 960, "wait": 2, "pageable": 0},
    "boxes": {"launch": 290, "wait": 1, "pageable": 0},  # 16 of them
    "scores": {"launch": 199, "wait": 3, "pageable": 0},  # one wait more: masks of the host
    "resized proposals": {"launch": 980, "wait": 3, "pageable": 0},
    "scores of 16 objects": {"launch": 194, "wait": 2, "pageable": 0},
    "poses 1": {"launch": 17, "wait": 3, "pageable": 0},
    "poses 16": {"launch": 24, "wait": 3, "pageable": 0},
}
MOST_WAITS = 8  # of a frame


@pytest.mark.parametrize("stage", sorted(BOUNDS))
@pytest.mark.parametrize("kind", ["launch", "wait", "pageable"])
def test_events_of_a_stage_are_bounded(counted: Counted, stage: str, kind: str) -> None:
    assert counted.seen.count(stage, "launch") > 0
    places = "\n".join(counted.seen.places(stage, kind))
    assert counted.seen.count(stage, kind) <= BOUNDS[stage][kind], places


@pytest.mark.parametrize("scores", ["whole scores", "scores of 16 objects"])
def test_a_frame_waits_seldom(counted: Counted, scores: str) -> None:
    """A frame that is resized for SAM waits once more, and each object once waited five times."""
    assert counted.objects == 16
    stages = ("resized proposals", scores, "poses 16")
    assert sum(counted.seen.count(stage, "wait") for stage in stages) <= MOST_WAITS


def test_the_released_grid_is_decoded_in_one_group() -> None:
    """The host waits once for a group; in float32 there are two."""
    with torch.device("meta"):
        sam = build_sam(SamShape(32, 1, 2, (0,)))
        features = torch.empty(1, 256, 64, 64)
    cut = Cut(sam, (768, 1024), (480, 640), 0.97)
    groups = {
        kind: SamSegmenter(sam, Sam6dConfig(), kind)._batches(features, cut)
        for kind in (torch.bfloat16, None)
    }
    assert groups == {torch.bfloat16: (57, 1024), None: (57, 512)}


def test_boxes_wait_and_launch_less_than_the_grid(counted: Counted) -> None:
    for kind in ("wait", "launch"):
        assert counted.seen.count("boxes", kind) < counted.seen.count("proposals", kind)
    frames = [("proposals", "whole scores"), ("boxes", "scores of boxes")]
    whole, boxes = (sum(counted.seen.count(stage, "wait") for stage in s) for s in frames)
    assert boxes < whole


def test_the_stages_find_something(counted: Counted) -> None:
    """Without regions and detections the counts would hold for no reason."""
    assert counted.proposals
    assert counted.detections
    assert [len(found) for found in counted.poses] == [16, 1]


def test_boxes_are_padded_and_images_of_all_shapes_share_a_graph() -> None:
    """A box of the padding must not appear, and another camera must not record again."""
    rgb, boxes = FRAME.rgb, np.array([[3, 4, 90, 80], [0, 0, 159, 119], [5, 5, 6, 6]], np.float32)
    expected, likely = tiny_networks().sam.segment_boxes(rgb, boxes)
    with pretend():
        segmenter = on_device(tiny_networks()).sam
        for image in (rgb[:90], rgb[:, :100], rgb):
            found = to_host(*segmenter.segment_boxes(image, boxes))
        assert segmenter._encoder.shapes == 1
    assert [len(t) for t in found] == [3, 3]
    assert torch.allclose(found[1], likely, atol=1e-4)
    assert (found[0] == expected).float().mean() > 0.999


def test_padding_needs_no_further_recording(counted: Counted) -> None:
    assert counted.shapes == [2, 2]


def test_the_warm_up_runs_every_size_with_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first frame with two detections compiles kernels and records graphs."""
    monkeypatch.setattr(descriptors, "CROPS_AT_ONCE", 4)
    steps: list[str] = []
    with pretend():
        nets = on_device(tiny_networks(detections_per_batch=2))
        scorer, estimator = (
            stage(nets, context(tmp_path)) for stage in (DescriptorScorer, PemEstimator)
        )
        halves = Segmentation(SamProposer(nets), scorer), PoseEstimation(estimator, KeepPoses())
        engine = Engine(PipelineConfig(), segmentation=halves[0], pose_estimation=halves[1])
        engine.warm_up(steps.append)
        assert estimator._graphs.shapes == 2
        estimator.estimate(Scene(FRAME), several(3), OBJECTS[:3])
        assert estimator._graphs.shapes == 2
    boxes = [f"warming up: {n} boxes at once" for n in (16, 8, 4, 2, 1)]
    regions = [f"warming up: {n} regions at once" for n in (4, 2, 1)]
    assert steps == [*boxes, *regions, *(f"warming up: {n} detections at once" for n in (2, 1))]


def test_poses_of_graphs_are_those_of_the_cpu(counted: Counted, tmp_path: Path) -> None:
    """The second frame replays what the first one recorded."""
    estimator = PemEstimator(tiny_networks(), context(tmp_path))
    (expected,) = estimator.estimate(Scene(FRAME), several(1), OBJECTS[:1]).items
    for found in counted.poses:
        for item in found.items:
            assert np.allclose(item.cam_from_obj, expected.cam_from_obj, atol=1e-4)
            assert item.score == pytest.approx(expected.score, abs=1e-4)


def test_many_objects_share_the_launches(counted: Counted) -> None:
    pairs = [("poses 16", "poses 1"), ("scores of 16 objects", "scores")]
    for many, one in pairs:
        assert counted.seen.count(many, "launch") <= 2 * counted.seen.count(one, "launch"), many


def test_the_recorder_sees_waits_and_pageable_copies() -> None:
    with pretend() as seen:
        on = Pretended(torch.arange(6.0))
        on[on > 2]
        float(on.sum())
        on.cpu()
        on[torch.tensor([0, 1])]
        on.new_tensor([1.0])
        to_device(np.ones(3), DEVICE)
        to_host(on, on)
        (on + 1).add_(2).view(2, 3)
        with pytest.raises(RuntimeError, match="both devices"):
            on + torch.ones(6)
    assert seen.count("", "wait") == 4
    assert seen.count("", "pageable") == 2
    assert seen.count("", "pinned") == 1
    assert seen.count("", "mixed") == 1
    assert seen.count("", "launch") == 6
