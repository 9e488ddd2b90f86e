"""Detections and poses ↔ messages: laws and vision_msgs semantics."""

from dataclasses import replace

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.conversions.markers import MAX_MARKER_FACES, coarse_mesh
from sam6d_ros.apps.ros.conversions.rigid import pose_message, transform_from_pose
from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.types import Alternative, Detection, Detections, PoseEstimate, PoseEstimates

HEADER = conversions.header_from(5_000_000_007, "cam_optical_frame")
SHAPE = (24, 32)


def detection(class_id, rows, cols, score=0.9, instance_id=""):
    mask = np.zeros(SHAPE, bool)
    mask[rows, cols] = True
    return Detection(class_id, score, mask, instance_id)


@pytest.fixture
def detections():
    rng = np.random.default_rng(1)
    ragged = Detection("mug", 0.5, rng.random(SHAPE) < 0.3)
    whole = Detection("table", 0.25, np.ones(SHAPE, bool))
    pixel = detection("screw", slice(3, 4), slice(31, 32), 1.0)
    return Detections((pixel, ragged, whole, detection("mug", slice(2, 9), slice(4, 7), 0.125)))


@pytest.fixture
def model():
    """A box whose bounding box is off the CAD origin and turned against it."""
    obj_from_box = se3.exp([0.1, -0.2, 0.3, 0.0, 0.0, np.pi / 2])
    return replace(box_model((0.2, 0.1, 0.05)), name="box", obj_from_box=obj_from_box)


@pytest.fixture
def poses():
    cam_from_obj = se3.exp([0.1, 0.2, 0.8, 0.3, -0.5, 1.0])
    covariance = np.diag([1e-6, 2e-6, 3e-6, 1e-4, 2e-4, 3e-4])
    known = PoseEstimate("box", 0.75, cam_from_obj, covariance)
    unknown = PoseEstimate("box", 0.5, se3.exp([0, 0, 1, 3.1, 0, 0]))
    return PoseEstimates((known, unknown), 5_000_000_007, "cam_optical_frame")


def test_masks_survive_the_message(detections):
    message = conversions.masks_from_detections(detections, HEADER, SHAPE)
    back = conversions.detections_from_masks(message)
    assert message.header == HEADER
    assert (message.height, message.width) == SHAPE
    for before, after in zip(detections.items, back.items, strict=True):
        assert (after.class_id, after.score) == (before.class_id, before.score)
        np.testing.assert_array_equal(after.mask, before.mask)


def test_a_mask_message_carries_the_crop_only(detections):
    message = conversions.masks_from_detections(detections, HEADER, SHAPE)
    assert [len(m.mask) for m in message.instances] == [1, 96, 96, 3]  # 1, 24·32, 24·32, 7·3 bits


def test_an_empty_mask_survives():
    nothing = Detections((Detection("mug", 0.5, np.zeros(SHAPE, bool)),))
    message = conversions.masks_from_detections(nothing, HEADER, SHAPE)
    assert not conversions.detections_from_masks(message).items[0].mask.any()


def test_no_detection_is_an_empty_message_with_the_reason():
    message = conversions.masks_from_detections(Detections.empty("too dark"), HEADER, SHAPE)
    assert (len(message.instances), message.reason, message.header) == (0, "too dark", HEADER)
    assert conversions.detections_from_masks(message) == Detections.empty("too dark")


@pytest.mark.parametrize("change", ["short", "long", "outside"])
def test_masks_that_do_not_fit_are_refused(detections, change):
    message = conversions.masks_from_detections(detections, HEADER, SHAPE)
    broken = message.instances[3]
    if change == "outside":
        broken.roi.x_offset = 30
    else:
        broken.mask = bytes(broken.mask)[:-1] if change == "short" else bytes(broken.mask) + b"\0"
    with pytest.raises(InvalidInput, match="'mug_1'"):
        conversions.detections_from_masks(message)


@pytest.fixture
def hinted():
    rotations = Rotation.random(4, random_state=3).as_matrix()
    positions = np.random.default_rng(3).normal(size=(4, 3))
    hints = se3.from_rotation_translation(rotations, positions)
    known = replace(detection("mug", slice(2, 9), slice(4, 7)), pose_hints=hints)
    return Detections((known, detection("mug", slice(2, 9), slice(9, 12))))


def test_hints_survive_the_message_in_their_order(hinted):
    message = conversions.masks_from_detections(hinted, HEADER, SHAPE)
    assert [len(m.pose_hints) for m in message.instances] == [4, 0]
    back = deserialize_message(serialize_message(message), type(message))
    known, unknown = conversions.detections_from_masks(back).items
    np.testing.assert_allclose(known.pose_hints, hinted.items[0].pose_hints, atol=1e-12)
    assert unknown.pose_hints.shape == (0, 4, 4)


@pytest.mark.parametrize(
    ("field", "value"),
    [("orientation.w", np.nan), ("orientation.x", 2.0), ("position.z", np.inf), ("all", 0.0)],
)
def test_hints_that_are_no_poses_are_refused(hinted, field, value):
    message = conversions.masks_from_detections(hinted, HEADER, SHAPE)
    hint = message.instances[0].pose_hints[2]
    if field == "all":
        hint.orientation.w = hint.orientation.x = hint.orientation.y = hint.orientation.z = value
    else:
        part, axis = field.split(".")
        setattr(getattr(hint, part), axis, value)
    with pytest.raises(InvalidInput, match=r"pose hint of 'mug_0'.*quaternion of length 1"):
        conversions.detections_from_masks(message)


def test_boxes_2d_have_centre_and_size_in_pixels(detections):
    message = conversions.detection_2d_array(detections, HEADER)
    entry = message.detections[3]  # rows 2..8, columns 4..6
    assert entry.header == HEADER
    assert (entry.bbox.center.position.x, entry.bbox.center.position.y) == (5.0, 5.0)
    assert (entry.bbox.size_x, entry.bbox.size_y) == (3.0, 7.0)
    assert (entry.results[0].hypothesis.class_id, entry.id) == ("mug", "mug_1")
    assert entry.results[0].hypothesis.score == 0.125
    assert entry.results[0].pose.covariance[0] == -1  # a 2D detection has no pose


IDS = {"table": 7, "mug": 3, "screw": 4}


def pixels(message):
    dtype = {"mono8": np.uint8, "16UC1": np.uint16}[message.encoding]
    return np.frombuffer(message.data, dtype).reshape(message.height, message.width)


def test_labels_name_the_class_of_a_pixel_best_on_top(detections):
    message = conversions.label_image(detections, HEADER, SHAPE, IDS)
    assert (message.encoding, message.header) == ("mono8", HEADER)
    best, second = detections.items[:2]
    assert (pixels(message)[best.mask] == IDS[best.class_id]).all()
    assert (pixels(message)[second.mask & ~best.mask] == IDS[second.class_id]).all()
    nothing = conversions.label_image(Detections.empty("none"), HEADER, SHAPE, IDS)
    assert not pixels(nothing).any()


def test_the_label_info_names_every_number():
    info = conversions.label_info(IDS, HEADER)
    assert {c.class_name: c.class_id for c in info.class_map} == IDS
    assert (info.header, info.threshold) == (HEADER, 0)


def test_a_class_number_above_255_needs_sixteen_bits(detections):
    """Whether it is in the image or not: the encoding stays the same from image to image."""
    message = conversions.label_image(detections, HEADER, SHAPE, {**IDS, "absent": 300})
    assert message.encoding == "16UC1"
    assert pixels(message).max() == 7


def test_instances_are_numbered_best_on_top(detections):
    message = conversions.instance_image(detections, HEADER, SHAPE)
    labels = pixels(message)
    assert message.encoding == "mono8"
    assert labels[3, 31] == 1
    assert set(np.unique(labels)) <= {1, 2, 3}  # the whole image lies over the fourth
    assert (labels[detections.items[1].mask & ~detections.items[0].mask] == 2).all()


def test_many_instances_need_sixteen_bits():
    many = Detections(tuple(detection("a", i // 32, i % 32) for i in range(300)))
    message = conversions.instance_image(many, HEADER, SHAPE)
    assert message.encoding == "16UC1"
    assert pixels(message).ravel()[:300].tolist() == list(range(1, 301))


@pytest.mark.parametrize("seed", range(5))
def test_transforms_survive_the_pose_message(seed):
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=seed).as_matrix()
    cam_from_obj = se3.from_rotation_translation(rotation, rng.normal(size=3))
    np.testing.assert_allclose(transform_from_pose(pose_message(cam_from_obj)), cam_from_obj)


def test_poses_survive_the_3d_detections(poses, model):
    message = conversions.detection_3d_array(poses, HEADER, {"box": model})
    back = conversions.poses_from_detection_3d_array(message)
    assert (back.stamp_ns, back.frame_id) == (poses.stamp_ns, poses.frame_id)
    for before, after in zip(poses.items, back.items, strict=True):
        assert (after.class_id, after.score) == (before.class_id, before.score)
        np.testing.assert_allclose(after.cam_from_obj, before.cam_from_obj, atol=1e-12)
    np.testing.assert_allclose(back.items[0].covariance, poses.items[0].covariance)
    assert back.items[1].covariance is None


def test_alternatives_are_further_results_in_the_frame_of_the_message(poses, model):
    turned = se3.exp([0.1, 0.2, 0.8, 0.3, -0.5, -2.0])
    pose = replace(poses.items[0], alternatives=(Alternative("box", turned, 0.2),))
    base_from_cam = se3.exp([1.0, 0.0, 0.5, 0.0, 0.4, 0.0])
    found = PoseEstimates((pose,), poses.stamp_ns, poses.frame_id)
    message = conversions.detection_3d_array(found, HEADER, {"box": model}, base_from_cam)
    (first, second) = message.detections[0].results
    assert (first.hypothesis.score, second.hypothesis.score) == (0.75, 0.2)
    assert np.allclose(transform_from_pose(second.pose.pose), base_from_cam @ turned)
    assert second.pose.covariance[0] == -1
    (back,) = conversions.poses_from_detection_3d_array(message).items
    assert np.allclose(back.alternatives[0].cam_from_obj, base_from_cam @ turned)
    assert back.alternatives[0].probability == 0.2


def test_result_pose_is_the_cad_origin_and_bbox_the_box_centre(poses, model):
    entry = conversions.detection_3d_array(poses, HEADER, {"box": model}).detections[0]
    cam_from_obj = poses.items[0].cam_from_obj
    result = entry.results[0].pose.pose
    np.testing.assert_allclose(transform_from_pose(result), cam_from_obj, atol=1e-12)
    cam_from_box = transform_from_pose(entry.bbox.center)
    centre_obj = np.array([[0.1, -0.2, 0.3]])
    np.testing.assert_allclose(cam_from_box[:3, 3], se3.transform(cam_from_obj, centre_obj)[0])
    np.testing.assert_allclose(cam_from_box, cam_from_obj @ model.obj_from_box, atol=1e-12)
    assert (entry.bbox.size.x, entry.bbox.size.y, entry.bbox.size.z) == (0.2, 0.1, 0.05)
    assert entry.header == HEADER
    assert entry.id == "box_0"


def test_no_pose_is_an_empty_array_with_the_header(model):
    nothing = PoseEstimates((), 5_000_000_007, "cam_optical_frame", "no object in view")
    message = conversions.detection_3d_array(nothing, HEADER, {"box": model})
    assert (message.header, list(message.detections)) == (HEADER, [])
    assert conversions.transforms_from_poses(nothing, HEADER) == []


def test_transforms_lead_from_the_camera_to_each_instance(poses):
    transforms = conversions.transforms_from_poses(poses, HEADER, "cell/")
    assert [t.child_frame_id for t in transforms] == ["cell/box_0", "cell/box_1"]
    assert all(t.header == HEADER for t in transforms)
    translation = transforms[0].transform.translation
    xyz = [translation.x, translation.y, translation.z]
    np.testing.assert_allclose(xyz, poses.items[0].cam_from_obj[:3, 3])


def test_markers_start_afresh_and_carry_the_mesh(poses, model):
    markers = conversions.MeshMarkers({"box": model}).message(poses, HEADER).markers
    assert [m.action for m in markers] == [Marker.DELETEALL, Marker.ADD, Marker.ADD]
    mesh = markers[1]
    assert mesh.type == Marker.TRIANGLE_LIST
    assert len(mesh.points) == len(mesh.colors) == 3 * len(model.faces)
    corner = [mesh.points[0].x, mesh.points[0].y, mesh.points[0].z]
    np.testing.assert_allclose(corner, model.vertices[model.faces[0, 0]], atol=1e-6)
    assert len({(m.ns, m.id) for m in markers[1:]}) == 2
    assert mesh.lifetime.sec > 0


def test_markers_of_nothing_delete_what_was_shown(model):
    nothing = PoseEstimates((), 0, "cam")
    markers = conversions.MeshMarkers({"box": model}).message(nothing, Header()).markers
    assert [m.action for m in markers] == [Marker.DELETEALL]


def test_a_dense_mesh_is_thinned_but_keeps_its_extent(model):
    steps = np.linspace(0, 1, 120)
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    vertices = np.c_[grid, np.sin(3 * grid[:, 0])].astype(np.float32)
    corner = (np.arange(119)[:, None] * 120 + np.arange(119)).reshape(-1, 1)
    faces = np.r_[corner + np.array([0, 1, 120]), corner + np.array([1, 121, 120])]
    faces = faces.astype(np.int32)
    dense = replace(model, vertices=vertices, faces=faces, colors=None)
    thin_vertices, thin_faces, colors = coarse_mesh(dense, MAX_MARKER_FACES)
    assert 200 < len(thin_faces) <= MAX_MARKER_FACES
    assert colors is None
    used = thin_vertices[thin_faces.ravel()]
    np.testing.assert_allclose(np.ptp(used, axis=0), np.ptp(vertices, axis=0), atol=0.05)
