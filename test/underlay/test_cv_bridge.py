"""Laws of the image conversions: what goes in comes out, and colours keep their meaning."""

import array

import cv2
import numpy as np
import pytest
from cv_bridge import CvBridge, CvBridgeError
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

BRIDGE = CvBridge()
DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64")
NAMED = {
    "mono8": ("uint8", 1),
    "mono16": ("uint16", 1),
    "rgb8": ("uint8", 3),
    "bgr8": ("uint8", 3),
    "rgba8": ("uint8", 4),
    "bgra8": ("uint8", 4),
    "rgb16": ("uint16", 3),
    "bgra16": ("uint16", 4),
    "16UC1": ("uint16", 1),
    "16U": ("uint16", 1),
    "32FC1": ("float32", 1),
    "32FC3": ("float32", 3),
    "64FC1": ("float64", 1),
    "8UC1": ("uint8", 1),
    "8UC7": ("uint8", 7),
    "bayer_rggb8": ("uint8", 1),
    "yuv422": ("uint8", 2),
}


def image(dtype: str, channels: int, shape: tuple[int, int] = (6, 10)) -> np.ndarray:
    """Random pixels over the whole range of an integer type, or around zero."""
    rng = np.random.default_rng(0)
    full = shape if channels == 1 else (*shape, channels)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=full).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, full, dtype, endpoint=True)


def pad_rows(message: Image, extra: int) -> Image:
    """The same image with `extra` bytes of rubbish behind each row."""
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    padded = np.pad(rows, ((0, 0), (0, extra)), constant_values=0xAB)
    message.data = array.array("B", padded.tobytes())
    message.step += extra
    return message


@pytest.mark.parametrize("encoding", NAMED)
def test_round_trip_in_every_encoding(encoding: str) -> None:
    original = image(*NAMED[encoding])
    header = Header(frame_id="camera")
    message = BRIDGE.cv2_to_imgmsg(original, encoding, header)
    assert (message.height, message.width, message.encoding) == (6, 10, encoding)
    assert message.step == original.strides[0]
    assert message.header.frame_id == "camera"
    back = BRIDGE.imgmsg_to_cv2(message)
    assert back.dtype == original.dtype
    np.testing.assert_array_equal(back, original)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_passthrough_names_opencvs_type(dtype: str, channels: int) -> None:
    original = image(dtype, channels)
    message = BRIDGE.cv2_to_imgmsg(original)
    assert message.encoding.endswith(f"C{channels}")
    assert BRIDGE.encoding_to_dtype_with_channels(message.encoding) == (dtype, channels)
    cvtype = BRIDGE.encoding_to_cvtype2(message.encoding)
    assert cvtype == getattr(cv2, f"CV_{message.encoding}")
    assert BRIDGE.cvtype2_to_dtype_with_channels(cvtype) == (dtype, channels)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message), original)


@pytest.mark.parametrize("encoding", ["mono8", "rgb8", "16UC1", "32FC1", "32FC3"])
@pytest.mark.parametrize("extra", [1, 2, 5, 64])
def test_row_padding_is_left_out(encoding: str, extra: int) -> None:
    original = image(*NAMED[encoding])
    message = pad_rows(BRIDGE.cv2_to_imgmsg(original, encoding), extra)
    back = BRIDGE.imgmsg_to_cv2(message)
    np.testing.assert_array_equal(back, original)
    assert back.flags.c_contiguous


@pytest.mark.parametrize("encoding", ["mono16", "16UC1", "32FC1", "32FC3", "64FC1", "rgb8"])
@pytest.mark.parametrize("extra", [0, 3])
def test_big_endian_messages_come_out_in_native_order(encoding: str, extra: int) -> None:
    original = image(*NAMED[encoding])
    swapped = original.astype(original.dtype.newbyteorder(">"))
    message = BRIDGE.cv2_to_imgmsg(swapped, encoding)
    assert message.is_bigendian == (original.dtype.itemsize > 1)
    back = BRIDGE.imgmsg_to_cv2(pad_rows(message, extra))
    assert back.dtype == original.dtype
    assert back.dtype.isnative
    np.testing.assert_array_equal(back, original)


def test_non_contiguous_images_are_sent_as_they_look() -> None:
    flipped = image("uint8", 3)[::-1, ::2]
    message = BRIDGE.cv2_to_imgmsg(flipped, "bgr8")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message), flipped)


@pytest.mark.parametrize(
    ("source", "target", "pixel", "expected"),
    [
        ("rgb8", "bgr8", [10, 20, 30], [30, 20, 10]),
        ("rgba8", "bgr8", [10, 20, 30, 40], [30, 20, 10]),
        ("bgr8", "rgba8", [10, 20, 30], [30, 20, 10, 255]),
        ("mono8", "rgb8", 9, [9, 9, 9]),
        ("rgb8", "mono8", [255, 0, 0], 76),
        ("bgr8", "mono8", [255, 0, 0], 29),
        ("mono8", "mono16", 255, 65535),
        ("mono16", "mono8", 65535, 255),
        ("rgb8", "bgr16", [1, 2, 3], [771, 514, 257]),
        ("rgb8", "8UC3", [1, 2, 3], [1, 2, 3]),
        ("mono16", "16UC1", 1234, 1234),
        ("16UC1", "32FC1", 1234, 1234.0),
        ("32FC1", "16UC1", 2.5, 2),
        ("32FC1", "16UC1", -7.0, 0),
        ("32FC1", "16UC1", 1e9, 65535),
        ("32FC1", "64FC1", 0.25, 0.25),
        ("rgb8", "", [1, 2, 3], [1, 2, 3]),
    ],
)
def test_conversion_of_one_pixel(source: str, target: str, pixel, expected) -> None:
    dtype, channels = BRIDGE.encoding_to_dtype_with_channels(source)
    shape = (2, 2) if channels == 1 else (2, 2, channels)
    message = BRIDGE.cv2_to_imgmsg(np.broadcast_to(np.array(pixel, dtype), shape), source)
    converted = BRIDGE.imgmsg_to_cv2(message, target)
    wanted_dtype, wanted_channels = BRIDGE.encoding_to_dtype_with_channels(target or source)
    assert converted.dtype == wanted_dtype
    assert converted.shape == ((2, 2) if wanted_channels == 1 else (2, 2, wanted_channels))
    np.testing.assert_array_equal(converted[0, 0], np.array(expected, wanted_dtype))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_mosaic_gives_its_colour_back(pattern: str) -> None:
    color = {"r": 200, "g": 100, "b": 50}
    tile = np.array([color[c] for c in pattern], np.uint8).reshape(2, 2)
    message = BRIDGE.cv2_to_imgmsg(np.tile(tile, (8, 8)), f"bayer_{pattern}8")
    inner = (slice(4, -4), slice(4, -4))
    assert (BRIDGE.imgmsg_to_cv2(message, "rgb8")[inner] == [200, 100, 50]).all()
    assert (BRIDGE.imgmsg_to_cv2(message, "bgr8")[inner] == [50, 100, 200]).all()


@pytest.mark.parametrize(
    ("encoding", "pixels"), [("yuv422", [128, 90]), ("yuv422_yuy2", [90, 128])]
)
def test_packed_yuv_without_chroma_is_grey(encoding: str, pixels: list[int]) -> None:
    message = BRIDGE.cv2_to_imgmsg(np.full((2, 4, 2), pixels, np.uint8), encoding)
    assert (BRIDGE.imgmsg_to_cv2(message, "mono8") == 90).all()
    red, green, blue = BRIDGE.imgmsg_to_cv2(message, "rgb8")[0, 0]
    assert red == green == blue


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("16UC1", "mono8"),  # numbers are no colours
        ("32FC1", "rgb8"),
        ("rgb8", "8UC1"),
        ("32FC1", "32FC3"),
        ("rgb8", "bayer_rggb8"),
        ("rgb8", "yuv422"),
        ("rgb8", "no_such_encoding"),
    ],
)
def test_senseless_conversions_are_refused(source: str, target: str) -> None:
    message = BRIDGE.cv2_to_imgmsg(image(*NAMED[source]), source)
    with pytest.raises(CvBridgeError):
        BRIDGE.imgmsg_to_cv2(message, target)


def test_wrong_messages_are_refused_with_the_numbers() -> None:
    good = BRIDGE.cv2_to_imgmsg(image("uint16", 1), "16UC1")
    good.step = 19
    with pytest.raises(CvBridgeError, match=r"step is 19.* 20 bytes"):
        BRIDGE.imgmsg_to_cv2(good)
    good.step, good.height = 20, 7
    with pytest.raises(CvBridgeError, match="7 rows of 20 bytes do not fit into 120"):
        BRIDGE.imgmsg_to_cv2(good)
    good.encoding = "16UC"
    with pytest.raises(CvBridgeError, match=r"Unrecognized image encoding \[16UC\]"):
        BRIDGE.imgmsg_to_cv2(good)


def test_wrong_images_are_refused() -> None:
    with pytest.raises(CvBridgeError, match="incompatible type 8UC3"):
        BRIDGE.cv2_to_imgmsg(image("uint8", 3), "mono8")
    with pytest.raises(CvBridgeError, match="bool"):
        BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), bool))
    with pytest.raises(TypeError, match="not a numpy array"):
        BRIDGE.cv2_to_imgmsg([[1, 2]])
    with pytest.raises(TypeError, match="not a numpy array"):
        BRIDGE.cv2_to_compressed_imgmsg([[1, 2]])


def test_empty_image_survives() -> None:
    message = BRIDGE.cv2_to_imgmsg(np.zeros((0, 0), np.uint16), "16UC1")
    assert BRIDGE.imgmsg_to_cv2(message).shape == (0, 0)


def test_plain_image_shares_the_messages_memory() -> None:
    message = BRIDGE.cv2_to_imgmsg(image("uint8", 3), "rgb8")
    shared = np.frombuffer(message.data, np.uint8)
    assert np.shares_memory(BRIDGE.imgmsg_to_cv2(message), shared)
    assert not np.shares_memory(BRIDGE.imgmsg_to_cv2(message, "rgb8"), shared)


@pytest.mark.parametrize("shape", [("uint8", 1), ("uint8", 3), ("uint8", 4), ("uint16", 1)])
def test_lossless_compression_round_trip(shape: tuple[str, int]) -> None:
    original = image(*shape)
    message = BRIDGE.cv2_to_compressed_imgmsg(original, dst_format="png")
    assert message.format == "png"
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(message), original)


def test_jpeg_is_the_default_and_decodes_to_the_desired_colours() -> None:
    plain = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    message = BRIDGE.cv2_to_compressed_imgmsg(plain)
    assert message.format == "jpg"
    decoded = BRIDGE.compressed_imgmsg_to_cv2(message, "rgb8")
    np.testing.assert_allclose(decoded[8, 8], (50, 100, 200), atol=3)


def test_undecodable_data_is_none_or_an_error_when_a_conversion_is_asked_for() -> None:
    for data in (b"", b"not an image"):
        message = CompressedImage(format="jpg", data=array.array("B", data))
        assert BRIDGE.compressed_imgmsg_to_cv2(message) is None
        with pytest.raises(CvBridgeError, match="cannot decode"):
            BRIDGE.compressed_imgmsg_to_cv2(message, "rgb8")
