"""Compressed camera messages: laws of the codes, known bytes, and data that is damaged."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sensor_msgs.msg import CompressedImage

from sam6d_ros.apps.ros import conversions
from sam6d_ros.errors import InvalidFrame
from sam6d_ros.frames.messages import rvl
from sam6d_ros.frames.messages.compressed import metres_from_compressed, rgb_from_compressed
from sam6d_ros.types import CameraIntrinsics

HEADER = conversions.header_from(42, "cam_optical_frame")
CAMERA = CameraIntrinsics(60.0, 61.0, 15.5, 11.5, 32, 24)
DEPTH_KINDS = [(e, c) for e in ("16UC1", "32FC1") for c in ("png", "rvl")]


@pytest.fixture
def rgb():
    rows, cols = np.mgrid[:24, :32]
    return np.stack([8 * cols, 10 * rows, 255 - 8 * cols], axis=-1).astype(np.uint8)


@pytest.fixture
def depth():
    """From 0.2 to 5 m, with holes."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.2, 5.0, (24, 32)).astype(np.float32)
    depth[rng.random((24, 32)) < 0.3] = 0
    return np.round(depth, 3)


def message(text, data):
    result = CompressedImage(header=HEADER, format=text)
    result.data.frombytes(data)
    return result


# --- colour


def test_png_keeps_every_pixel_and_jpeg_keeps_the_colours(rgb):
    png = conversions.compressed_image_from_rgb(rgb, HEADER, "png")
    np.testing.assert_array_equal(rgb_from_compressed(png), rgb)
    jpeg = conversions.compressed_image_from_rgb(rgb, HEADER, "jpeg")
    assert np.abs(rgb_from_compressed(jpeg).astype(int) - rgb).mean() < 5
    assert (png.header, png.format) == (HEADER, "rgb8; png compressed bgr8")


@pytest.mark.parametrize("encoding", ["rgba16", "bayer_rggb8", "yuv422"])
def test_an_encoding_that_is_refused_raw_is_refused_compressed(rgb, encoding):
    _, data = cv2.imencode(".png", rgb[..., 0])
    sent = message(f"{encoding}; png compressed {encoding}", data.tobytes())
    with pytest.raises(InvalidFrame, match=f"rgb encoding is '{encoding}'"):
        rgb_from_compressed(sent)


@pytest.mark.parametrize("text", ["16UC1; png compressed ", "png"])
def test_depth_as_a_plain_png_of_16_bits_is_read(text):
    """As image_transport's plugin `compressed` sends it, without the header of compressedDepth."""
    millimetres = np.full((24, 32), 700, np.uint16)
    data = cv2.imencode(".png", millimetres)[1].tobytes()
    np.testing.assert_allclose(metres_from_compressed(message(text, data)), 0.7, rtol=1e-6)
    grey = cv2.imencode(".png", np.zeros((24, 32), np.uint8))[1].tobytes()
    with pytest.raises(InvalidFrame, match="16 bits"):
        metres_from_compressed(message(text, grey))


def test_deep_colour_is_scaled_and_grey_is_taken(rgb):
    deep = cv2.imencode(".png", rgb[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
    np.testing.assert_array_equal(rgb_from_compressed(message("png", deep)), rgb)
    grey = cv2.imencode(".png", rgb[..., 0])[1].tobytes()
    decoded = rgb_from_compressed(message("mono8; png compressed mono8", grey))
    assert np.array_equal(decoded, np.repeat(rgb[..., :1], 3, axis=2))


@pytest.mark.parametrize("size", [(12_000, 12_000), (60_000, 60_000)])
@pytest.mark.parametrize("depth", [False, True])
def test_an_image_of_too_many_pixels_is_refused_by_its_header(monkeypatch, size, depth):
    """A few kilobytes of PNG may ask for gigabytes."""
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    kind = bytes([16 if depth else 8, 0 if depth else 2, 0, 0, 0])
    png = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", struct.pack(">II", *size) + kind), (b"IDAT", bytes(40))):
        png += struct.pack(">I", len(body)) + name + body
        png += struct.pack(">I", zlib.crc32(name + body))
    read = metres_from_compressed if depth else rgb_from_compressed
    data = bytes(12) + png if depth else png
    sent = message("16UC1; compressedDepth png" if depth else "png", data)
    with pytest.raises(InvalidFrame, match=r"at most .* pixels are decoded"):
        read(sent)


@pytest.mark.parametrize("text", ["jpeg", "png", "bgr8; jpeg compressed bgr8", ""])
def test_the_file_says_what_it_is_whatever_the_format_says(rgb, text):
    _, data = cv2.imencode(".png", rgb[..., ::-1])
    np.testing.assert_array_equal(rgb_from_compressed(message(text, data.tobytes())), rgb)


def test_channels_that_were_stored_as_rgb_are_not_swapped(rgb):
    _, data = cv2.imencode(".png", rgb)
    old = message("rgb8; png compressed rgb8", data.tobytes())
    np.testing.assert_array_equal(rgb_from_compressed(old), rgb)


def test_grey_becomes_three_equal_channels(rgb):
    _, data = cv2.imencode(".png", rgb[..., 0])
    grey = rgb_from_compressed(message("mono8; png compressed ", data.tobytes()))
    np.testing.assert_array_equal(grey, np.repeat(rgb[..., :1], 3, axis=2))


# --- depth


@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_millimetres_survive_exactly(depth, codec):
    sent = conversions.compressed_depth_from_metres(depth, HEADER, "16UC1", codec)
    np.testing.assert_allclose(metres_from_compressed(sent), depth, atol=1e-6)
    assert sent.format == f"16UC1; compressedDepth {codec}"


@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_metres_survive_within_a_step_of_inverse_depth(depth, codec):
    sent = conversions.compressed_depth_from_metres(depth, HEADER, "32FC1", codec)
    back = metres_from_compressed(sent)
    np.testing.assert_array_equal(back == 0, depth == 0)
    assert (np.abs(back - depth) <= 1.001 * depth**2 / 10100 + 1e-6).all()


def test_depth_that_inverse_coding_cannot_hold_becomes_invalid():
    depth = np.array([[0.1, 1.0, 9.9, 10.5, 0]], np.float32)
    sent = conversions.compressed_depth_from_metres(depth, HEADER, "32FC1")
    back = metres_from_compressed(sent)
    np.testing.assert_array_equal(back > 0, [[False, True, True, False, False]])


def test_a_message_without_the_codecs_name_is_png(depth):
    """As senders before ROS 1 Noetic wrote it, and old bags hold it."""
    sent = conversions.compressed_depth_from_metres(depth, HEADER)
    for text in ("16UC1; compressedDepth", "16UC1"):
        sent.format = text
        np.testing.assert_allclose(metres_from_compressed(sent), depth, atol=1e-6)


def test_the_bytes_of_a_message_are_those_of_the_plugin():
    """Written out by hand: header (format 0, two floats), inverse depth 101 of A = 50, B = 1."""
    inverse = np.array([[101, 0]], np.uint16)
    data = struct.pack("<iff", 0, 50.0, 1.0) + cv2.imencode(".png", inverse)[1].tobytes()
    back = metres_from_compressed(message("32FC1; compressedDepth png", data))
    np.testing.assert_allclose(back, [[0.5, 0.0]])


def test_the_bytes_of_the_rvl_code_are_those_of_its_paper():
    """Two zeros, three values 5, 6, 4: numbers 2, 3, 10, 2, 3; 10 is nibbles 2 | 8, then 1."""
    code = struct.pack("<I", 0x23A12300)
    values = np.array([0, 0, 5, 6, 4], np.uint16)
    np.testing.assert_array_equal(rvl.decode(code, 5), values)
    assert rvl.encode(values) == code


@given(
    arrays(np.uint16, st.integers(1, 200), elements=st.sampled_from([0, 0, 1, 7, 8, 900, 65535]))
)
def test_any_image_survives_the_rvl_code(values):
    code = rvl.encode(values)
    assert len(code) % 4 == 0
    np.testing.assert_array_equal(rvl.decode(code, len(values)), values)


# --- as a frame


@pytest.mark.parametrize(("encoding", "codec"), DEPTH_KINDS)
def test_a_frame_is_made_of_compressed_messages(rgb, depth, encoding, codec):
    frame = conversions.frame_from_messages(
        conversions.compressed_image_from_rgb(rgb, HEADER, "png"),
        conversions.compressed_depth_from_metres(depth, HEADER, encoding, codec),
        conversions.camera_info_from_intrinsics(CAMERA, HEADER),
    )
    np.testing.assert_array_equal(frame.rgb, rgb)
    np.testing.assert_allclose(frame.depth, depth, atol=3e-3)
    assert (frame.stamp_ns, frame.frame_id) == (42, "cam_optical_frame")


# --- damaged


@pytest.mark.parametrize("keep", [0, 1, 40, -1])
def test_damaged_colour_is_refused(rgb, keep):
    sent = conversions.compressed_image_from_rgb(rgb, HEADER, "png")
    with pytest.raises(InvalidFrame, match="cannot be decoded: it is damaged or of another"):
        rgb_from_compressed(message(sent.format, bytes(sent.data)[:keep]))


@pytest.mark.parametrize("keep", [0, 12, 13, 20, 60])
@pytest.mark.parametrize(("encoding", "codec"), DEPTH_KINDS)
def test_damaged_depth_is_refused(depth, encoding, codec, keep):
    sent = conversions.compressed_depth_from_metres(depth, HEADER, encoding, codec)
    with pytest.raises(InvalidFrame, match=r"damaged|cut off"):
        metres_from_compressed(message(sent.format, bytes(sent.data)[:keep]))


@pytest.mark.parametrize(
    ("text", "data", "said"),
    [
        ("16UC1; compressedDepth zstd", b"", "expected '16UC1; compressedDepth png'"),
        ("8UC1; compressedDepth png", b"", "has format '8UC1; compressedDepth png'"),
        ("rgb8; jpeg compressed bgr8", b"", "set to its kind"),
        ("32FC1; compressedDepth rvl", struct.pack("<iffII", 0, 1, 0, 2**31, 2**31), "damaged"),
        ("32FC1; compressedDepth rvl", struct.pack("<iffII", 0, 1, 0, 0, 5), "is 0×5"),
    ],
)
def test_other_formats_and_impossible_sizes_are_refused(text, data, said):
    with pytest.raises(InvalidFrame, match=said):
        metres_from_compressed(message(text, data))


@pytest.mark.parametrize("parameters", [(np.nan, 0), (1, np.inf), (0, 0), (-1, 0)])
def test_impossible_quantization_is_refused(depth, parameters):
    sent = conversions.compressed_depth_from_metres(depth, HEADER, "32FC1")
    data = struct.pack("<iff", 0, *parameters) + bytes(sent.data)[12:]
    with pytest.raises(InvalidFrame, match="quantization parameters"):
        metres_from_compressed(message(sent.format, data))


def test_an_image_of_another_kind_is_told_from_depth(rgb, depth):
    _, data = cv2.imencode(".png", rgb)
    with pytest.raises(InvalidFrame, match=r"decodes to \(24, 32, 3\) uint8; expected one channel"):
        metres_from_compressed(message("16UC1; compressedDepth", bytes(12) + data.tobytes()))
    with pytest.raises(InvalidFrame, match="that is a depth image"):
        rgb_from_compressed(conversions.compressed_depth_from_metres(depth, HEADER))


def outcome(read, sent):
    """The pixels, or the reason why there are none."""
    try:
        return read(sent)
    except InvalidFrame as error:
        return str(error)


KNOWN_FORMATS = st.sampled_from([f"{e}; compressedDepth {c}" for e, c in DEPTH_KINDS])


@settings(deadline=None)
@given(text=KNOWN_FORMATS | st.text(max_size=9), data=st.binary(max_size=60))
def test_no_bytes_break_the_reader(text, data):
    for read in (metres_from_compressed, rgb_from_compressed):
        result = outcome(read, message(text, data))
        assert result if isinstance(result, str) else result.size


@settings(deadline=None)
@given(place=st.integers(0, 2000), byte=st.integers(0, 255), kind=st.sampled_from(DEPTH_KINDS))
def test_a_changed_byte_gives_an_image_or_a_reason(place, byte, kind):
    depth = np.random.default_rng(1).uniform(0.2, 5, (24, 32)).astype(np.float32)
    depth[:, ::5] = 0
    sent = conversions.compressed_depth_from_metres(depth, HEADER, *kind)
    sent.data[place % len(sent.data)] = byte
    result = outcome(metres_from_compressed, sent)
    if isinstance(result, str):
        assert "damaged" in result or "expected" in result
    else:
        assert (result.dtype, result.ndim) == (np.float32, 2)
        assert np.isfinite(result).all()
