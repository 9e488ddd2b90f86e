"""Camera topics of a bag: given by name, or found by type, encoding and name."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sam6d_ros.errors import InvalidBag, InvalidFrame
from sam6d_ros.frames.bags.reader import BagReader, Topic
from sam6d_ros.frames.messages.images import COLOUR_ENCODINGS, DEPTH_ENCODINGS

IMAGE, CAMERA_INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
IMAGES = (IMAGE, COMPRESSED)
COMPRESSED_DEPTH = "compressedDepth"  # a word in the format of such messages
# Names that drivers give to what we want, tried when the encoding leaves several.
COLOUR_WORDS = ("color", "colour", "rgb")
REGISTERED_WORDS = ("aligned_depth", "registered", "depth_to_")
# Pictures that this package itself publishes are no camera.
OWN_PICTURES = ("overlay", "label_image", "instance_image")


@dataclass(frozen=True)
class CameraTopics:
    """The three topics of one registered RGB-D camera."""

    rgb: Topic
    depth: Topic
    info: Topic

    def all(self) -> tuple[Topic, Topic, Topic]:
        """Colour, depth, intrinsics."""
        return (self.rgb, self.depth, self.info)


TopicNames = tuple[str | None, str | None, str | None]  # colour, depth, CameraInfo; None: search
SEARCHED: TopicNames = (None, None, None)


def camera_topics(
    bag: BagReader, rgb: str | None, depth: str | None, info: str | None
) -> CameraTopics:
    """Find the topics of the camera of a bag; those without a name are searched.

    Returns:
        The three topics.

    Raises:
        InvalidBag: a name is not in the bag, or what is looked for is not there or not unique;
            the message lists the candidates and the option to decide.
    """
    images = [_Image(topic, _encoding(bag, topic)) for topic in bag.topics if _is_image(topic)]
    chosen_rgb = _given(bag, rgb, *IMAGES) if rgb else _find_rgb(bag, images)
    chosen_depth = _given(bag, depth, *IMAGES) if depth else _find_depth(bag, images)
    chosen_info = _given(bag, info, CAMERA_INFO) if info else _find_info(bag, chosen_rgb)
    if chosen_rgb == chosen_depth:
        raise InvalidBag(f"{rgb} cannot be the colour and the depth image; give two topics")
    return CameraTopics(chosen_rgb, chosen_depth, chosen_info)


def _given(bag: BagReader, name: str, *type_names: str) -> Topic:
    """The topic of this name, if it is of a right type."""
    topic = bag.topic(name)
    if topic.type_name not in type_names:
        expected = " or ".join(type_names)
        raise InvalidBag(f"{bag.path}: {name} is a {topic.type_name}; expected {expected}")
    return topic


@dataclass(frozen=True)
class _Image:
    topic: Topic
    encoding: str

    @property
    def is_compressed(self) -> bool:
        return self.topic.type_name == COMPRESSED

    @property
    def is_depth(self) -> bool:
        encoding = self.encoding.partition(";")[0].strip()  # "16UC1; png compressed" is PNG
        return encoding in DEPTH_ENCODINGS or COMPRESSED_DEPTH in self.encoding

    def __str__(self) -> str:
        return f"{self.topic.name} ({self.encoding or 'unreadable'}, {self.topic.count} messages)"


def _is_image(topic: Topic) -> bool:
    own = topic.name.rsplit("/", 1)[-1] in OWN_PICTURES
    return topic.type_name in IMAGES and topic.count > 0 and not own


def _encoding(bag: BagReader, topic: Topic) -> str:
    """The encoding, or the compressed format, of the first image; empty when it is unreadable."""
    for recorded in itertools.islice(bag.messages([topic]), 1):
        try:
            message = recorded.message()
        except InvalidFrame:
            return ""
        return str(message.format if topic.type_name == COMPRESSED else message.encoding)
    return ""


def _find_rgb(bag: BagReader, images: Sequence[_Image]) -> Topic:
    """Plain colour before compressed, and grey, which may be infrared, last."""
    raw = [image for image in images if image.encoding in COLOUR_ENCODINGS]
    coloured = [image for image in raw if image.encoding != "mono8"]
    compressed = [image for image in images if image.is_compressed and not image.is_depth]
    found = coloured or compressed or raw
    return _only(bag, "colour image", "--rgb-topic", found, _named(COLOUR_WORDS))


def _find_depth(bag: BagReader, images: Sequence[_Image]) -> Topic:
    raw = [image for image in images if image.is_depth and not image.is_compressed]
    found = raw or [image for image in images if image.is_depth]
    return _only(bag, "depth image", "--depth-topic", found, _named(REGISTERED_WORDS))


def _find_info(bag: BagReader, rgb: Topic) -> Topic:
    found = [_Image(t, "CameraInfo") for t in bag.topics if t.type_name == CAMERA_INFO and t.count]
    # image_transport's convention: camera_info stands beside the image it belongs to.
    beside = rgb.name.rsplit("/", 1)[0] + "/"
    return _only(
        bag, "CameraInfo", "--info-topic", found, lambda topic: topic.name.startswith(beside)
    )


def _named(words: Sequence[str]) -> Callable[[Topic], bool]:
    return lambda topic: any(word in topic.name for word in words)


def _only(
    bag: BagReader,
    what: str,
    option: str,
    found: Sequence[_Image],
    preferred: Callable[[Topic], bool],
) -> Topic:
    """The only candidate, or the only preferred one."""
    best = [image for image in found if preferred(image.topic)]
    for images in (found, best):
        if len(images) == 1:
            return images[0].topic
    if found:
        listed = "\n  ".join(str(image) for image in found)
        raise InvalidBag(
            f"{bag.path} has {len(found)} topics that may be the {what}; choose one by {option}:"
            f"\n  {listed}"
        )
    listed = ", ".join(f"{t.name} ({t.type_name})" for t in bag.topics) or "none at all"
    raise InvalidBag(
        f"{bag.path} has no topic that can be the {what}; its topics are {listed}. Name one by "
        f"{option} if it is there"
    )
