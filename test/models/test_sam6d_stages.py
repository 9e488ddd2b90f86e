"""The stages of the sam6d backend with tiny networks: shapes, empty cases, chunks, cache."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.contexts import add, context

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from sam6d_ros.config import PipelineConfig  # noqa: E402
from sam6d_ros.errors import InvalidConfig  # noqa: E402
from sam6d_ros.geometry.camera import back_project  # noqa: E402
from sam6d_ros.pipeline import PoseEstimation, Record, RunContext, Segmentation  # noqa: E402
from sam6d_ros.runtime.engine import Engine  # noqa: E402
from sam6d_ros.runtime.warmup import box_model, warm_up_input  # noqa: E402
from sam6d_ros.stages.accept import Acceptance  # noqa: E402
from sam6d_ros.stages.keep_poses import KeepPoses  # noqa: E402
from sam6d_ros.stages.library import BuildContext  # noqa: E402
from sam6d_ros.stages.sam6d import views  # noqa: E402
from sam6d_ros.stages.sam6d.backend import BACKEND  # noqa: E402
from sam6d_ros.stages.sam6d.descriptors import Describer  # noqa: E402
from sam6d_ros.stages.sam6d.estimate import PemEstimator  # noqa: E402
from sam6d_ros.stages.sam6d.propose import SamProposer  # noqa: E402
from sam6d_ros.stages.sam6d.score import DescriptorScorer  # noqa: E402
from sam6d_ros.stages.sam6d.settings import Sam6dConfig  # noqa: E402
from sam6d_ros.types import Boxes, Detection, Detections, Frame, Proposals, Scene  # noqa: E402

MODEL = box_model()


@pytest.fixture(scope="module")
def scene() -> tuple[Frame, Detections]:
    _, frame, detections = warm_up_input(MODEL)
    return frame, detections


def test_whole_pipeline(tiny: Any, scene: tuple[Frame, Detections], tmp_path: Path) -> None:
    scorer = DescriptorScorer(tiny, context(tmp_path))
    estimator = PemEstimator(tiny, context(tmp_path))
    engine = Engine(
        PipelineConfig(),
        segmentation=Segmentation(SamProposer(tiny), scorer),
        pose_estimation=PoseEstimation(estimator, KeepPoses()),
    )
    add(engine, MODEL)
    poses = engine.run(scene[0])
    assert poses.reason or len(poses)
    for pose in poses.items:
        assert pose.class_id == MODEL.name
        assert pose.cam_from_obj[2, 3] > 0


def test_poses_of_given_detections(tiny: Any, scene: tuple[Frame, Detections]) -> None:
    frame, detections = scene
    poses = PemEstimator(tiny, context()).estimate(Scene(frame), detections, [MODEL])
    (item,) = poses.items
    pose = item.best()
    centre = np.linalg.norm(pose.cam_from_obj[:3, 3])
    depth = frame.depth[detections.items[0].mask]
    # arbitrary weights still place the cloud somewhere near the visible points
    assert depth.min() - MODEL.diameter < centre < depth.max() + 2 * MODEL.diameter
    assert pose.score == pytest.approx(pose.agreement["pose"] * detections.items[0].score)
    assert item.instance_id == detections.items[0].instance_id


def test_results_do_not_depend_on_chunks(tiny: Any, scene: tuple[Frame, Detections]) -> None:
    frame, detections = scene
    several = Detections(tuple(replace(d, instance_id="") for d in detections.items) * 3)
    whole = PemEstimator(tiny, context()).estimate(Scene(frame), several, [MODEL])
    parts = PemEstimator(tiny.with_config(detections_per_batch=2), context())
    for a, b in zip(whole.items, parts.estimate(Scene(frame), several, [MODEL]).items, strict=True):
        assert np.allclose(a.cam_from_obj, b.cam_from_obj, atol=1e-3)


def test_the_same_frame_gives_the_same_poses(tiny: Any, scene: tuple[Frame, Detections]) -> None:
    frame, detections = scene
    runs = [
        PemEstimator(tiny, context()).estimate(Scene(frame), detections, [MODEL]).items[0]
        for _ in range(2)
    ]
    assert np.array_equal(runs[0].cam_from_obj, runs[1].cam_from_obj)


def test_templates_are_cached(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PemEstimator(tiny, context(tmp_path)).prepare(MODEL)
    DescriptorScorer(tiny, context(tmp_path)).prepare(MODEL)
    assert len(list(tmp_path.iterdir())) == 2

    def refuse(*_: object) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(views, "template_views", refuse)
    PemEstimator(tiny, context(tmp_path)).prepare(MODEL)
    DescriptorScorer(tiny, context(tmp_path)).prepare(MODEL)
    with pytest.raises(AssertionError, match="again"):
        PemEstimator(tiny.with_config(views=4), context(tmp_path)).prepare(MODEL)


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("compat", ["legacy", "fixed"])
def test_any_number_of_proposals(
    tiny: Any, scene: tuple[Frame, Detections], count: int, compat: str
) -> None:
    """Exactly one proposal crashes the original."""
    frame, detections = scene
    masks = np.repeat(detections.items[0].mask[None], count, 0)
    proposals = Proposals(masks, np.ones(count, np.float32), "" if count else "nothing there")
    scorer = DescriptorScorer(tiny.with_config(compat=compat), context())
    found = scorer.score(Scene(frame), proposals, [MODEL], {MODEL.name: 3})
    if count == 0:
        assert found.reason == "nothing there"
    elif len(found):
        # duplicates stay in legacy mode only
        assert len(found) == (count if compat == "legacy" else 1)
        assert all(0 <= d.score <= 1 for d in found.items)
    else:
        assert "semantic score" in found.reason


def test_a_proposal_shows_only_an_object_that_is_allowed_there(
    tiny: Any, scene: tuple[Frame, Detections]
) -> None:
    frame, detections = scene
    twin = replace(MODEL, name="twin", content_hash=f"{MODEL.content_hash}-twin")
    objects, limits = [MODEL, twin], {MODEL.name: 3, "twin": 3}
    scorer, masks = DescriptorScorer(tiny, context()), detections.items[0].mask[None]
    for names in ({MODEL.name}, {"twin"}, {"other"}):
        given = Proposals(masks, np.ones(1, np.float32), class_ids=(frozenset(names),))
        found = scorer.score(Scene(frame), given, objects, limits)
        assert {d.class_id for d in found.items} == names & set(limits)


def test_boxes_restrict_the_search(tiny: Any, scene: tuple[Frame, Detections]) -> None:
    """The frame shows one box, which the tiny networks take for any object."""
    frame, detections = scene
    engine = Engine(
        PipelineConfig(),
        segmentation=Segmentation(SamProposer(tiny), DescriptorScorer(tiny, context())),
    )
    add(engine, MODEL)
    x, y, width, height = detections.items[0].bbox_xywh
    xyxy = np.array([[x, y, x + width, y + height]], np.float32)
    boxes = Boxes(xyxy, (MODEL.name,), np.ones(1, np.float32), stamp_ns=frame.stamp_ns)
    ctx = RunContext(record=Record())
    (found,) = engine.segment(frame, ctx=ctx, boxes=boxes).items
    assert (found.mask & detections.items[0].mask).sum() > 0.5 * found.mask.sum()
    masked = replace(boxes, masks=detections.items[0].mask[None])
    (same,) = engine.segment(frame, boxes=masked).items
    assert (same.mask == detections.items[0].mask).all()
    elsewhere = replace(boxes, xyxy=np.array([[0, 0, 3, 3]], np.float32))
    engine.segment(frame, ctx=ctx, boxes=elsewhere)
    assert ctx.record is not None
    assert ctx.record.proposals is not None
    assert ctx.record.proposals.masks.sum() <= 9


def test_empty_masks_do_no_harm(tiny: Any, scene: tuple[Frame, Detections]) -> None:
    frame, detections = scene
    masks = np.stack([detections.items[0].mask, np.zeros_like(detections.items[0].mask)])
    for compat in ("legacy", "fixed"):
        scorer = DescriptorScorer(tiny.with_config(compat=compat), context())
        scorer.score(
            Scene(frame), Proposals(masks, np.ones(2, np.float32)), [MODEL], {MODEL.name: 3}
        )


@pytest.mark.parametrize(
    ("score", "pixels", "reason"),
    [
        (0.1, 500, "score 0.20 (min_detection_score) or lower"),
        (0.2, 500, "1 of 1 detections"),
        (0.9, 10, "enough depth"),
        (0.9, 0, "enough depth"),
    ],
)
def test_unusable_detections(
    tiny: Any, scene: tuple[Frame, Detections], score: float, pixels: int, reason: str
) -> None:
    frame, detections = scene
    mask = detections.items[0].mask.copy()
    mask.ravel()[np.flatnonzero(mask)[pixels:]] = False
    poses = PemEstimator(tiny, context()).estimate(
        Scene(frame), Detections((Detection(MODEL.name, score, mask),)), [MODEL]
    )
    assert len(poses) == 0
    assert reason in poses.reason


def test_views_show_the_whole_object() -> None:
    shown = views.render_views(MODEL, 6, seed=1)
    assert len(shown) == 6
    reach = views.reach(MODEL.vertices)
    for view in shown:
        border = np.concatenate([view.mask[0], view.mask[-1], view.mask[:, 0], view.mask[:, -1]])
        assert view.mask.any()
        assert not border.any()
        # points lie on the surface, up to half-precision millimetres
        assert np.linalg.norm(view.points_obj[view.mask], axis=1).max() < reach + 1e-4
        assert (view.rgb[~view.mask] == 0).all()


def test_legacy_templates_are_not_normalised(tiny: Any) -> None:
    shown = views.render_views(MODEL, 2, seed=1)
    describer = Describer(tiny.dino, tiny.device)
    given: list[torch.Tensor] = []
    hook = tiny.dino.register_forward_pre_hook(lambda _m, args: given.append(args[0]))
    try:
        describer.templates(shown, legacy=True)
        describer.templates(shown, legacy=False)
    finally:
        hook.remove()
    raw, normalised = given
    assert raw.min() == 0
    assert raw.max() <= 1
    assert normalised.min() < -1


def test_observed_points_project_back(scene: tuple[Frame, Detections]) -> None:
    from sam6d_ros.geometry.camera import project

    frame, detections = scene
    points = back_project(frame.camera, frame.depth)
    mask = detections.items[0].mask & (frame.depth > 0)
    v, u = np.nonzero(mask)
    pixels = project(frame.camera, points[mask].astype(np.float64))
    assert np.allclose(pixels, np.stack([u, v], 1), atol=1e-3)


def test_geometric_refinement_takes_these_poses(tiny: Any, scene: tuple[Frame, Detections]) -> None:
    from sam6d_ros.stages.geometric import RenderRefiner

    half = PoseEstimation(PemEstimator(tiny, context()), RenderRefiner(context()))
    half.prepare(MODEL)
    poses = half.run(Scene(scene[0]), scene[1], [MODEL], Acceptance(0.0))
    assert len(poses) or poses.reason  # whether seeded weights pass it is not tested here


def test_damaged_weights_stop_the_build(tmp_path: Path) -> None:
    from sam6d_ros.errors import CheckpointError

    for file in ("sam_vit_b_01ec64.pth", "dinov2_vitl14_pretrain.pth", "sam-6d-pem-base.pth"):
        (tmp_path / file).write_bytes(b"not weights")
    config = PipelineConfig("sam6d", "sam_variant=vit_b", device="cpu", weights_dir=tmp_path)
    with pytest.raises(CheckpointError, match=r"sam-6d-pem-base\.pth"):
        BACKEND.pose(BuildContext(config))


@pytest.mark.parametrize(
    "bad",
    [
        {"sam_variant": "vit_x"},
        {"compat": "old"},
        {"precision": "int8"},
        {"memory_budget_mb": 1},
        {"views": 43},
        {"min_stability": 1.5},
    ],
)
def test_settings_are_checked(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(bad))):
        Sam6dConfig(**bad)


def test_settings_from_words() -> None:
    assert Sam6dConfig.parse("") == Sam6dConfig()
    parsed = Sam6dConfig.parse("compat=legacy views=21  min_stability=0.85 final_icp=true")
    assert parsed == Sam6dConfig(compat="legacy", views=21, min_stability=0.85, final_icp=True)
    for bad in ("legacy", "speed=9", "views=many", "compile=perhaps", "views=99"):
        with pytest.raises(InvalidConfig):
            Sam6dConfig.parse(bad)


def test_every_setting_is_documented_with_its_default() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/sam6d.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for field in fields(Sam6dConfig):
        (row,) = [row for row in rows if f"`{field.name}`" in row.split(" | ")[0]]
        shown = str(field.default).lower() if isinstance(field.default, bool) else field.default
        assert f"`{shown}`" in row.split(" | ")[1], field.name


def test_torch_is_imported_only_when_needed() -> None:
    code = (
        "import sys; import sam6d_ros.pipeline, sam6d_ros.models.weights_fetch\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
