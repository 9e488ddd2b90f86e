"""Two cameras with a pipeline each, in namespaces: topics and TF frames stay apart."""

from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool
from support.ros.probe import DOUBLE, scene
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros.node.qos import LATCHED

SIDES = {"left": (255, 0, 0), "right": (0, 255, 0)}
INPUTS = (("rgb", Image), ("depth", Image), ("camera_info", CameraInfo))


class Side:
    """A camera, and a pipeline of two nodes in its namespace."""

    def __init__(self, probe, name):
        self.probe, self.name, self.results, self.ready = probe, name, [], []
        node = probe.node
        self.publishers = [node.create_publisher(kind, f"/{name}/{i}", 5) for i, kind in INPUTS]
        remappings = [
            *("-r", f"__ns:=/{name}"),
            *("-r", "pose_node:~/masks:=segmentation_node/masks"),
            *("-r", "pose_node:~/follow_objects:=segmentation_node/objects"),
        ]
        for topic, _ in INPUTS:
            remappings += ["-r", f"~/{topic}:=/{name}/{topic}"]
        given = {"objects_file": "unused", "tf_prefix": f"{name}/"}
        for executable in ("segmentation_node", "pose_node"):
            probe.children.start(executable, given, remappings, (str(DOUBLE), executable))
            ready = f"/{name}/{executable}/ready"
            node.create_subscription(
                Bool, ready, lambda m: m.data and self.ready.append(m), LATCHED
            )
        topic = f"/{name}/pose_node/detections"
        node.create_subscription(Detection3DArray, topic, self.results.append, 10)

    def send(self):
        """Show the box of this side."""
        messages = self.probe.messages(*scene([SIDES[self.name]]))
        for publisher, message in zip(self.publishers, messages, strict=True):
            message.header.frame_id = f"{self.name}_optical_frame"
            publisher.publish(message)


def test_each_camera_has_its_own_topics_and_tf_frames(probe):
    probe.listen("/tf")
    sides = [Side(probe, name) for name in SIDES]
    probe.wait_for(lambda: all(len(side.ready) >= 2 for side in sides), "four nodes", 60.0)

    def frames():
        sent = [t for message in probe.received["/tf"] for t in message.transforms]
        return {(t.header.frame_id, t.child_frame_id) for t in sent}

    expected = {
        ("left_optical_frame", "left/red_box_0"),
        ("right_optical_frame", "right/green_box_0"),
    }
    probe.wait_for(
        lambda: frames() >= expected and all(side.results for side in sides),
        "results of both",
        every=lambda: [side.send() for side in sides],
    )
    assert frames() == expected
    for side, name in zip(sides, ("red_box_0", "green_box_0"), strict=True):
        assert {d.id for message in side.results for d in message.detections} == {name}
