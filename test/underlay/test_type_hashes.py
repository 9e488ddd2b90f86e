"""Our stand-in interfaces are, for DDS, the same types as the originals."""

import json
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_share_directory

# First eight digits of the RIHS01 hashes of the originals (Jazzy and Kilted are alike).
ORIGINALS = {
    "vision_msgs/msg/Point2D": "eab0e83f",
    "vision_msgs/msg/Pose2D": "b0b5d1d7",
    "vision_msgs/msg/BoundingBox2D": "008eacbb",
    "vision_msgs/msg/BoundingBox2DArray": "2464e828",
    "vision_msgs/msg/BoundingBox3D": "bbb73a65",
    "vision_msgs/msg/BoundingBox3DArray": "a81938db",
    "vision_msgs/msg/ObjectHypothesis": "51da43ce",
    "vision_msgs/msg/ObjectHypothesisWithPose": "41c12344",
    "vision_msgs/msg/Classification": "f74db28d",
    "vision_msgs/msg/Detection2D": "0d12b69d",
    "vision_msgs/msg/Detection2DArray": "21427412",
    "vision_msgs/msg/Detection3D": "ddd703be",
    "vision_msgs/msg/Detection3DArray": "793f5eab",
    "vision_msgs/msg/VisionClass": "1e4a11f0",
    "vision_msgs/msg/LabelInfo": "3d37df40",
    "vision_msgs/msg/VisionInfo": "95d3116a",
    "tf2_msgs/msg/TFMessage": "e369d0f0",
}


@pytest.mark.parametrize("type_name", ORIGINALS)
def test_type_hash_is_that_of_the_original(type_name: str) -> None:
    package, _, name = type_name.split("/")
    described = Path(get_package_share_directory(package)) / f"msg/{name}.json"
    hashes = {
        entry["type_name"]: entry["hash_string"]
        for entry in json.loads(described.read_text())["type_hashes"]
    }
    assert hashes[type_name].removeprefix("RIHS01_").startswith(ORIGINALS[type_name])


def test_running_graph_announces_that_hash(ros) -> None:
    from vision_msgs.msg import Detection3DArray

    node = ros.node("announcer")
    node.create_publisher(Detection3DArray, "poses", 1)
    ros.wait_for(lambda: node.get_publishers_info_by_topic("/poses"), "the publisher's discovery")
    announced = node.get_publishers_info_by_topic("/poses")[0].topic_type_hash
    assert announced.value.hex().startswith(ORIGINALS["vision_msgs/msg/Detection3DArray"])
