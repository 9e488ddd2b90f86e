"""Search in the boxes of a 2D detector."""

from dataclasses import replace

import numpy as np
import pytest
from support.still_life import CAMERA, carton, errors, mask_of, photograph, standing

from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.config import PipelineConfig
from sam6d_ros.geometry.region import Region
from sam6d_ros.pipeline import Record, RunContext
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.stages.areas import Area, SearchAreas, areas_of
from sam6d_ros.stages.regions import detections_in_areas, proposals_in_areas
from sam6d_ros.types import Boxes, Detection, Detections, Proposals

CARTON = carton()
POSES = [standing(CARTON, -0.1, 0, 20), standing(CARTON, 0.12, 0.03, -50)]
FRAME = photograph([(CARTON, pose) for pose in POSES])
SHAPE = (CAMERA.height, CAMERA.width)
WHOLE = (0.0, 0.0, 320.0, 240.0)


def boxes(*rows, **more) -> Boxes:
    """Boxes of (label, left, top, right, bottom)."""
    xyxy = np.array([row[1:] for row in rows], np.float32).reshape(-1, 4)
    labels = tuple(row[0] for row in rows)
    return Boxes(xyxy, labels, np.full(len(rows), 0.9, np.float32), **more)


def box_of(pose) -> tuple[float, float, float, float]:
    """Edges of the tight box around a carton."""
    x, y, width, height = Detection("carton", 1.0, mask_of(CARTON, pose)).bbox_xywh
    return (x, y, x + width, y + height)


def settings(**classes) -> dict[str, ObjectSettings]:
    return {name: ObjectSettings(detector_classes=tuple(own)) for name, own in classes.items()}


def test_a_class_stands_for_every_object_that_states_it_and_a_name_for_itself():
    given = boxes(("cup", 10, 20, 30, 40), ("can", 0, 0, 9, 9))
    areas = areas_of(given, FRAME, settings(red=["cup", "mug"], blue=["cup"], can=[]))
    assert [area.class_ids for area in areas.items] == [{"red", "blue"}, {"can"}]
    assert areas.items[0].region == Region(10, 20, 20, 20)
    assert not areas.everywhere
    assert not areas.left_out


@pytest.mark.parametrize(
    ("classes", "everywhere"),
    [
        (None, {"bolt"}),  # nothing is stated for it, and no box has its name
        (("cup", "bolt"), {"tin"}),  # the detector can report the bolt, and did not
        (("cup",), {"bolt", "tin"}),  # of the classes of the tin the detector has none
    ],
)
def test_an_object_that_the_detector_does_not_report_is_searched_everywhere(classes, everywhere):
    given = boxes(("cup", *WHOLE), classes=classes)
    areas = areas_of(given, FRAME, settings(red=["cup"], bolt=[], tin=["can", "tin"]))
    assert areas.everywhere == everywhere
    reason = ("the detector has no class 'can', 'tin': the object 'tin' is searched in the whole",)
    assert tuple(text.removesuffix(" frame") for text in areas.warnings) == reason * bool(classes)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("cat", 0, 0, 9, 9), "1 box of class 'cat', which no object has"),
        (("carton", -9, 0, 0, 9), "1 box of class 'carton' outside the image"),
        (("carton", 320, 10, 330, 20), "1 box of class 'carton' outside the image"),
        (("carton", 50, 50, 50, 60), "1 box of class 'carton' outside the image"),
        (("carton", 0, 0, 8, 8), "1 box of class 'carton' without depth"),
    ],
)
def test_an_unusable_box_is_left_out_and_reported(row, reason):
    depth = FRAME.depth.copy()
    depth[:8, :8] = 0
    frame = replace(FRAME, depth=depth)
    areas = areas_of(boxes(row, ("carton", -5, 4, 12.5, 500)), frame, settings(carton=[]))
    assert areas.left_out == (reason,)
    assert [area.region for area in areas.items] == [Region(0, 4, 13, 236)]
    twice = areas_of(boxes(row, row), frame, settings(carton=["carton"]))
    assert twice.left_out == (reason.replace("1 box", "2 boxes"),)
    assert "reported none of the objects; 2 boxes of class" in twice.reason


def test_boxes_of_another_image_are_left_out_and_the_objects_not_searched():
    given = boxes(("carton", *WHOLE), stamp_ns=FRAME.stamp_ns + 30_000_000)
    areas = areas_of(given, FRAME, settings(carton=["carton"], bolt=[]))
    assert not areas.items
    assert areas.everywhere == {"bolt"}
    assert "+0.030 s off the frame's" in areas.reason
    rounded = boxes(("carton", *WHOLE), stamp_ns=FRAME.stamp_ns + 999)
    assert areas_of(rounded, FRAME, settings(carton=[])).items
    masked = boxes(("carton", *WHOLE), masks=np.ones((1, 24, 32), bool))
    assert "(24, 32), the frame (240, 320)" in areas_of(masked, FRAME, settings(carton=[])).reason


def area(x, y, width, height, *names, mask=None) -> Area:
    return Area(Region(x, y, width, height), frozenset(names), mask)


def rectangle(x, y, width, height):
    mask = np.zeros(SHAPE, bool)
    mask[y : y + height, x : x + width] = True
    return mask


def given_proposals(*masks, merged=False) -> Proposals:
    return Proposals(np.stack(masks), np.full(len(masks), 0.5, np.float32), merged=merged)


def test_of_regions_of_single_things_those_in_a_box_are_kept_whole():
    inside, half, outside = (rectangle(x, 50, 40, 40) for x in (50, 85, 200))
    areas = SearchAreas(
        (area(50, 50, 40, 40, "a"), area(45, 45, 50, 50, "b"), area(90, 50, 40, 40, "c")),
        frozenset({"d"}),
    )
    found = proposals_in_areas(given_proposals(inside, half, outside), areas, FRAME)
    assert (found.masks == [inside, half, outside]).all()
    assert found.class_ids == (frozenset("abd"), frozenset("cd"), frozenset("d"))
    assert found.allows(0, "a")
    assert not found.allows(0, "c")


def test_merged_regions_keep_their_extent_and_are_searched_in_the_box():
    pile, neighbour = rectangle(50, 50, 200, 40), rectangle(20, 30, 34, 34)
    areas = SearchAreas(
        (area(60, 50, 40, 40, "a"), area(160, 50, 40, 40, "a", "b")), frozenset("b")
    )
    found = proposals_in_areas(given_proposals(pile, neighbour, merged=True), areas, FRAME)
    assert (found.masks == [pile, neighbour]).all()
    assert found.class_ids == (frozenset("ab"), frozenset("b"))  # the neighbour only touches a box
    assert list(found.windows) == ["a"]
    assert (found.windows["a"] == rectangle(56, 46, 48, 48) | rectangle(156, 46, 48, 48)).all()


@pytest.mark.parametrize("merged", [False, True])
def test_a_box_without_any_region_gives_its_rectangle_and_a_mask_itself(merged):
    mask = rectangle(200, 100, 20, 20)
    areas = SearchAreas((area(10, 60, 20, 30, "a"), area(190, 90, 40, 40, "b", mask=mask)), set())
    found = proposals_in_areas(
        given_proposals(rectangle(280, 0, 9, 9), merged=merged), areas, FRAME
    )
    assert (found.masks == [rectangle(10, 60, 20, 30) & (FRAME.depth > 0), mask]).all()
    assert found.class_ids == (frozenset("a"), frozenset("b"))


def test_detections_are_kept_in_the_boxes_of_their_object():
    mask = rectangle(100, 100, 40, 40)
    found = Detections(tuple(Detection(name, 1.0, mask) for name in "abc"))
    areas = SearchAreas((area(105, 95, 40, 40, "a"), area(0, 0, 40, 40, "b")), frozenset("c"))
    assert [d.class_id for d in detections_in_areas(found, areas).items] == ["a", "c"]
    alone = Detections((Detection("b", 1.0, mask),))
    assert "outside the boxes" in detections_in_areas(alone, areas).reason


@pytest.fixture(scope="module")
def engine(views_cache):
    twin = replace(CARTON, name="twin", content_hash="still_life_carton_twin")
    objects = ObjectSet({model.name: model for model in (CARTON, twin)})
    config = PipelineConfig(backend="geometric")
    return build_engine(EngineSpec(config, views_cache, objects=objects))


@pytest.mark.parametrize("number", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("masked", [False, True])
def test_each_object_is_found_in_its_box_alone(engine, number, masked):
    """Two objects that look alike: the boxes decide which is where."""
    record, warnings = Record(), []
    labels = ["carton", "twin"] if number == 0 else ["twin", "carton"]
    masks = np.stack([mask_of(CARTON, pose) for pose in POSES]) if masked else None
    given = boxes(
        *((label, *box_of(pose)) for label, pose in zip(labels, POSES, strict=True)), masks=masks
    )
    poses = engine.run(
        FRAME, ctx=RunContext(record=record, on_warning=warnings.append), boxes=given
    )
    assert sorted(pose.class_id for pose in poses.items) == ["carton", "twin"]
    for pose in poses.items:
        shift, angle = errors(pose.cam_from_obj, POSES[labels.index(pose.class_id)])
        assert shift < 0.002
        assert angle < 1.5
    assert not warnings
    assert len(record.proposals) == 2


def test_the_score_of_the_box_does_not_change_that_of_the_pose(engine):
    first = boxes(("carton", *box_of(POSES[0])))
    faint = replace(first, scores=np.full(1, 0.01, np.float32))
    (a,), (b,) = (engine.run(FRAME, ["carton"], boxes=given).items for given in (first, faint))
    assert a.score == b.score


def test_unusable_boxes_are_warnings_and_the_reason(engine, caplog):
    none = engine.run(FRAME, ["carton"], boxes=boxes(("cat", *WHOLE), classes=("carton", "twin")))
    assert not len(none)
    assert "reported none of the objects; 1 box of class 'cat'" in none.reason
    assert "'cat', which no object has" in caplog.text
    assert len(engine.run(FRAME, ["carton"], boxes=boxes(("cat", *WHOLE)))) == 2
