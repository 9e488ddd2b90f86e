"""Camera messages → Frame: laws, and every row of docs/bad_input.md that a message can show."""

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image

from sam6d_ros.apps.ros import conversions
from sam6d_ros.errors import InvalidCamera, InvalidFrame
from sam6d_ros.types import CameraIntrinsics, Frame

CAMERA = CameraIntrinsics(60.0, 61.0, 15.5, 11.5, 32, 24)
STAMP_NS = 1_700_000_000_123_456_789
HEADER = conversions.header_from(STAMP_NS, "cam_optical_frame")


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    depth = rng.integers(0, 3000, (24, 32)).astype(np.float32) / np.float32(1000)
    rgb = rng.integers(0, 256, (24, 32, 3)).astype(np.uint8)
    return Frame(rgb, depth, CAMERA, STAMP_NS, "cam_optical_frame")


@pytest.fixture
def messages(frame):
    return [
        conversions.image_from_rgb(frame.rgb, HEADER),
        conversions.depth_image_from_metres(frame.depth, HEADER),
        conversions.camera_info_from_intrinsics(frame.camera, HEADER),
    ]


def image(array, encoding, row_padding=0):
    """A message written out by hand, with bytes of padding at the end of each row."""
    rows = np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, row_padding)), constant_values=0xAB)
    return Image(
        header=HEADER,
        height=array.shape[0],
        width=array.shape[1],
        encoding=encoding,
        step=rows.shape[1],
        data=rows.tobytes(),
    )


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_frame_survives_the_way_through_messages(frame, encoding):
    back = conversions.frame_from_messages(
        conversions.image_from_rgb(frame.rgb, HEADER),
        conversions.depth_image_from_metres(frame.depth, HEADER, encoding),
        conversions.camera_info_from_intrinsics(frame.camera, HEADER),
    )
    np.testing.assert_array_equal(back.rgb, frame.rgb)
    np.testing.assert_allclose(back.depth, frame.depth, atol=1e-6)
    np.testing.assert_array_equal(back.depth == 0, frame.depth == 0)
    assert back.camera == frame.camera
    assert (back.stamp_ns, back.frame_id) == (STAMP_NS, "cam_optical_frame")


@pytest.mark.parametrize("stamp_ns", [0, 1, 999_999_999, 1_000_000_000, STAMP_NS])
def test_stamp_survives_the_header(stamp_ns):
    header = conversions.header_from(stamp_ns, "f")
    assert conversions.stamp_ns_of(header) == stamp_ns
    assert 0 <= header.stamp.nanosec < 1_000_000_000


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_colour_orders_give_the_same_rgb(frame, messages, encoding, padding):
    order = {"r": 0, "g": 1, "b": 2}
    channels = [frame.rgb[..., order[c]] for c in encoding.rstrip("a8")]
    if encoding.endswith("a8"):
        channels.append(np.full(frame.depth.shape, 7, np.uint8))
    messages[0] = image(np.stack(channels, axis=-1), encoding, padding)
    np.testing.assert_array_equal(conversions.frame_from_messages(*messages).rgb, frame.rgb)


def test_grey_becomes_three_equal_channels(frame, messages):
    messages[0] = image(frame.rgb[..., 0], "mono8")
    rgb = conversions.frame_from_messages(*messages).rgb
    np.testing.assert_array_equal(rgb, np.repeat(frame.rgb[..., :1], 3, axis=2))


def test_16uc1_is_millimetres_and_zero_stays_invalid(messages):
    depth_mm = np.full((24, 32), 1234, np.uint16)
    depth_mm[0, 0] = 0
    messages[1] = image(depth_mm, "16UC1", row_padding=6)
    depth = conversions.frame_from_messages(*messages).depth
    assert depth.dtype == np.float32
    assert depth[0, 0] == 0
    assert depth[1, 1] == pytest.approx(1.234)


def test_big_endian_depth_is_read(messages):
    messages[1] = image(np.full((24, 32), 1234, ">u2"), "16UC1")
    messages[1].is_bigendian = 1
    assert conversions.frame_from_messages(*messages).depth.max() == pytest.approx(1.234)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_32fc1_without_measurement_becomes_zero(messages, value):
    depth = np.full((24, 32), 0.7, np.float32)
    depth[2, 3] = value
    messages[1] = image(depth, "32FC1")
    back = conversions.frame_from_messages(*messages).depth
    assert back[2, 3] == 0
    assert back[0, 0] == np.float32(0.7)


def test_too_far_for_16_bits_is_invalid_not_wrapped():
    depth = np.array([[1.0, 65.535, 65.6, 70.0]], np.float32)
    message = conversions.depth_image_from_metres(depth, HEADER)
    assert np.frombuffer(message.data, np.uint16).tolist() == [1000, 65535, 0, 0]


@pytest.mark.parametrize("encoding", ["8UC1", "mono16", "16SC1", "64FC1", "rgb8", ""])
def test_other_depth_encodings_are_refused(messages, encoding):
    messages[1].encoding = encoding
    with pytest.raises(InvalidFrame, match=rf"depth encoding is '{encoding}'.*16UC1.*32FC1"):
        conversions.frame_from_messages(*messages)


@pytest.mark.parametrize("encoding", ["yuv422", "bayer_rggb8", "8UC3", "rgba16", "16UC1"])
def test_other_colour_encodings_are_refused(messages, encoding):
    messages[0].encoding = encoding
    with pytest.raises(InvalidFrame, match=rf"rgb encoding is '{encoding}'.*rgb8"):
        conversions.frame_from_messages(*messages)


def test_metres_in_32fc1_that_are_millimetres_are_refused(messages):
    messages[1] = image(np.full((24, 32), 700, np.float32), "32FC1")
    with pytest.raises(InvalidFrame, match="700 m; is the image in millimetres"):
        conversions.frame_from_messages(*messages)


def test_depth_of_another_size_is_refused(messages):
    messages[1] = image(np.ones((12, 16), np.uint16), "16UC1")
    with pytest.raises(InvalidFrame, match=r"depth is \(12, 16\) but rgb is \(24, 32, 3\)"):
        conversions.frame_from_messages(*messages)


def test_intrinsics_of_another_size_are_refused(messages):
    messages[2].width, messages[2].height = 64, 48
    messages[2].k[2], messages[2].k[5] = 31.5, 23.5
    with pytest.raises(InvalidFrame, match="intrinsics are for"):
        conversions.frame_from_messages(*messages)


@pytest.mark.parametrize(("name", "index"), [("rgb", 0), ("depth", 1)])
def test_truncated_and_empty_images_are_refused(messages, name, index):
    whole = messages[index]
    cut = Image(
        header=HEADER,
        height=24,
        width=32,
        encoding=whole.encoding,
        step=whole.step,
        data=bytes(whole.data)[:-1],
    )
    messages[index] = cut
    with pytest.raises(InvalidFrame, match=f"{name} has step .* truncated"):
        conversions.frame_from_messages(*messages)
    messages[index] = Image(header=HEADER, encoding=whole.encoding)
    with pytest.raises(InvalidFrame, match=f"{name} is 0×0"):
        conversions.frame_from_messages(*messages)


def test_a_step_shorter_than_a_row_is_refused(messages):
    messages[1].step = 3
    with pytest.raises(InvalidFrame, match="step 3"):
        conversions.frame_from_messages(*messages)


def test_negative_and_far_depth_is_no_measurement(messages):
    depth = np.full((24, 32), 0.7, np.float32)
    depth[3, 4], depth[3, 5], depth[3, 6] = -1, 1e10, -np.inf
    messages[1] = image(depth, "32FC1")
    measured = conversions.frame_from_messages(*messages).depth
    assert (measured == 0).sum() == 3
    assert not measured[3, 4:7].any()


def test_the_largest_value_of_16_bits_is_no_measurement(messages):
    depth = np.full((24, 32), 700, np.uint16)
    depth[3, 4] = 65535
    messages[1] = image(depth, "16UC1")
    measured = conversions.frame_from_messages(*messages).depth
    assert (measured == 0).sum() == 1


@pytest.mark.parametrize("encoding", ["rgb16", "bgr16", "mono16"])
def test_colour_of_16_bits_is_scaled_to_8(messages, encoding):
    shape = (24, 32) if encoding == "mono16" else (24, 32, 3)
    values = np.full(shape, 128 * 257, np.uint16)
    messages[0] = image(values, encoding)
    assert (conversions.frame_from_messages(*messages).rgb == 128).all()


@pytest.mark.parametrize("value", [0.0, np.nan, -5.0])
def test_unusable_intrinsics_are_refused(messages, value):
    messages[2].k[0] = value
    with pytest.raises(InvalidCamera, match="camera_info"):
        conversions.frame_from_messages(*messages)


def test_an_uncalibrated_driver_is_told_so(messages):
    messages[2] = CameraInfo(header=HEADER, width=32, height=24)
    with pytest.raises(InvalidCamera, match="uncalibrated driver publishes zeros"):
        conversions.frame_from_messages(*messages)


def test_distortion_is_warned_about_and_takes_the_rectified_matrix(messages):
    info = messages[2]
    assert conversions.distortion_warning(info) == ""
    info.d = [0.1, -0.2, 0.0, 0.0, 0.0]
    info.p[0], info.p[5] = 70.0, 71.0
    assert "image_rect_color" in conversions.distortion_warning(info)
    camera = conversions.intrinsics_from_camera_info(info)
    assert (camera.fx, camera.fy) == (70.0, 71.0)


def test_distortion_without_a_rectified_matrix_keeps_k(messages):
    info = messages[2]
    info.d, info.p = [0.1], [0.0] * 12
    assert conversions.intrinsics_from_camera_info(info) == CAMERA
