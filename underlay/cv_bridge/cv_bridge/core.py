"""Conversion between ROS image messages and NumPy images as OpenCV uses them."""

from __future__ import annotations

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cv_bridge.conversion import convert
from cv_bridge.encodings import NUMPY_DEPTHS, Encoding, lookup

CHANNEL_BITS = 3  # an OpenCV type is depth + ((channels - 1) << 3)


class CvBridgeError(TypeError):
    """A conversion was impossible: unknown encoding, wrong sizes or incompatible types."""


class CvBridge:
    """Converts image messages to arrays and back.

    Images of one channel have the shape (H, W), others (H, W, C). With the encoding
    "passthrough" (or an empty one) values are never changed.
    """

    def __init__(self) -> None:
        self.numpy_type_to_cvtype = {v: k for k, v in NUMPY_DEPTHS.items()} | NUMPY_DEPTHS
        self.cvdepth_to_numpy_depth = {
            getattr(cv2, f"CV_{depth}"): dtype for depth, dtype in NUMPY_DEPTHS.items()
        }
        self.cvtype_to_name = {
            getattr(cv2, f"CV_{depth}C{channels}"): f"{depth}C{channels}"
            for depth in NUMPY_DEPTHS
            for channels in (1, 2, 3, 4)
        }

    def dtype_with_channels_to_cvtype2(self, dtype: np.dtype, n_channels: int) -> str:
        """OpenCV's name of a type, such as "8UC3" for uint8 and 3."""
        if dtype.name not in self.numpy_type_to_cvtype:
            raise CvBridgeError(f"OpenCV has no image type for values of type {dtype.name}")
        return f"{self.numpy_type_to_cvtype[dtype.name]}C{n_channels}"

    def cvtype2_to_dtype_with_channels(self, cvtype: int) -> tuple[str, int]:
        """NumPy type name and number of channels of an OpenCV type number."""
        depth = cvtype & ((1 << CHANNEL_BITS) - 1)
        return self.cvdepth_to_numpy_depth[depth], (cvtype >> CHANNEL_BITS) + 1

    def encoding_to_cvtype2(self, encoding: str) -> int:
        """OpenCV type number of an encoding; CvBridgeError for an unknown one."""
        known = _encoding(encoding)
        depth = getattr(cv2, f"CV_{self.numpy_type_to_cvtype[known.dtype]}")
        return int(depth) + ((known.channels - 1) << CHANNEL_BITS)

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """NumPy type name and number of channels of an encoding."""
        known = _encoding(encoding)
        return known.dtype, known.channels

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> np.ndarray:
        """Image of a message in the machine's byte order, without row padding.

        With "passthrough" and neither padding nor swapped bytes the array shares the message's
        memory; otherwise it is a new one, in `desired_encoding`. Raises CvBridgeError for unknown
        encodings, impossible conversions, and (where the original misreads the data) for sizes
        that contradict each other.
        """
        source = _encoding(img_msg.encoding)
        image = _pixels(img_msg, source)
        if desired_encoding == "passthrough":
            return image
        return _convert(image, source, desired_encoding)

    def cv2_to_imgmsg(
        self, cvim: np.ndarray, encoding: str = "passthrough", header: Header | None = None
    ) -> Image:
        """Message with a copy of `cvim` ((H, W) or (H, W, C)), named `encoding`.

        With "passthrough" the encoding is OpenCV's type name. Raises TypeError when `cvim` is no
        array and CvBridgeError when its type does not fit the encoding.
        """
        if not isinstance(cvim, np.ndarray | np.generic):
            raise TypeError("Your input type is not a numpy array")
        channels = 1 if cvim.ndim < 3 else cvim.shape[2]
        cv_type = self.dtype_with_channels_to_cvtype2(cvim.dtype, channels)
        message = Image(height=cvim.shape[0], width=cvim.shape[1])
        message.encoding = cv_type if encoding == "passthrough" else encoding
        if header is not None:
            message.header = header
        known = _encoding(message.encoding)
        if (known.dtype, known.channels) != (cvim.dtype.name, channels):
            raise CvBridgeError(
                f"encoding specified as {encoding}, but image has incompatible type {cv_type}"
            )
        message.is_bigendian = int(cvim.dtype.byteorder == ">")
        message.data.frombytes(cvim.tobytes())  # assigning a list would loop in Python
        message.step = len(message.data) // max(message.height, 1)
        return message

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = "passthrough"
    ) -> np.ndarray | None:
        """Decoded image of a compressed message, or None when OpenCV cannot decode it.

        Like the original, a conversion to another encoding takes the decoded image for `bgr8`.
        """
        buffer = np.frombuffer(cmprs_img_msg.data, dtype=np.uint8)
        image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED) if buffer.size else None
        if desired_encoding == "passthrough":
            return image
        if image is None:
            raise CvBridgeError(f"cannot decode an image of format '{cmprs_img_msg.format}'")
        return _convert(image, _encoding("bgr8"), desired_encoding)

    def cv2_to_compressed_imgmsg(
        self, cvim: np.ndarray, dst_format: str = "jpg"
    ) -> CompressedImage:
        """Message with `cvim` (BGR or one channel) encoded as `dst_format` ("jpg", "png", …).

        Raises TypeError when `cvim` is no array; what OpenCV cannot encode is a cv2.error.
        """
        if not isinstance(cvim, np.ndarray | np.generic):
            raise TypeError("Your input type is not a numpy array")
        message = CompressedImage(format=dst_format)
        message.data.frombytes(cv2.imencode(f".{dst_format}", cvim)[1].tobytes())
        return message


def _encoding(name: str) -> Encoding:
    known = lookup(name)
    if known is None:
        raise CvBridgeError(f"Unrecognized image encoding [{name}]")
    return known


def _pixels(message: Image, encoding: Encoding) -> np.ndarray:
    """View of the message's pixels, or a copy when rows are padded or bytes swapped."""
    order = ">" if message.is_bigendian else "<"
    dtype = np.dtype(encoding.dtype).newbyteorder(order)
    row_bytes = message.width * encoding.channels * dtype.itemsize
    if message.step < row_bytes:
        raise CvBridgeError(
            f"Image is wrongly formed: step is {message.step}, but a row of {message.width} "
            f"pixels in {encoding.name} has {row_bytes} bytes"
        )
    data = np.frombuffer(message.data, dtype=np.uint8)
    if data.size < message.height * message.step:
        raise CvBridgeError(
            f"Image is wrongly formed: {message.height} rows of {message.step} bytes do not fit "
            f"into {data.size}"
        )
    rows = data[: message.height * message.step].reshape(message.height, message.step)
    packed = np.ascontiguousarray(rows[:, :row_bytes]).view(dtype)
    shape = (message.height, message.width, encoding.channels)
    image = packed.reshape(shape[:2] if encoding.channels == 1 else shape)
    return image.astype(dtype.newbyteorder("="), copy=False)


def _convert(image: np.ndarray, source: Encoding, desired_encoding: str) -> np.ndarray:
    if desired_encoding in ("", source.name):
        return image.copy()
    try:
        return convert(image, source, _encoding(desired_encoding))
    except (ValueError, cv2.error) as error:
        raise CvBridgeError(str(error)) from error
