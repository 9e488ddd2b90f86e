"""The camera side of a node in the test's own process, and a camera for it."""

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.camera import input as camera_input
from sam6d_ros.apps.ros.camera.input import CameraInput
from sam6d_ros.apps.ros.node.parameters import declare
from sam6d_ros.runtime.status import HostStatus


class Eyes:
    """The camera side alone, in a node of the test's own process, and a camera for it."""

    def __init__(self, ros, *arguments):
        self.node = ros.node("eyes", cli_args=["--ros-args", *arguments])
        declare(self.node, camera_input.PARAMETERS)
        camera = ros.node("camera")
        self.publishers = [
            camera.create_publisher(kind, f"/eyes/{name}", 5)
            for name, kind in camera_input.INPUTS.items()
        ]
        self.status = HostStatus("/eyes")
        self.frames = []

    def open(self):
        return CameraInput(self.node, self.status, self.frames.append)

    def hearers(self):
        return [p.get_subscription_count() for p in self.publishers]

    def send(self, stamp_ns):
        for publisher in self.publishers:
            self.send_one(publisher, stamp_ns)
        return self

    def send_one(self, publisher, stamp_ns):
        header = conversions.header_from(stamp_ns, "cam")
        publisher.publish(publisher.msg_type(header=header))
