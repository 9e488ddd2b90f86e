"""Transitions and changes of the objects while a camera publishes at full rate."""

import threading

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from support.ros.probe import scene

from sam6d_ros.srv import AddObject, RemoveObject

ROUNDS = 8
DOWN = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)


class Camera:
    """Publishes frames as fast as it can, in a thread of its own."""

    def __init__(self, world):
        self._world, self._stop = world, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        picture = scene(((255, 0, 0), (0, 255, 0)))
        while not self._stop.wait(0.002):
            self._world.probe.send(self._world.probe.messages(*picture))

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()


def call(world, client, request):
    world.probe.wait_for(client.service_is_ready, client.service_name)
    future = client.call_async(request)
    world.probe.wait_for(future.done, f"the answer of {client.service_name}", 60.0)
    return future.result()


def test_nodes_go_through_their_states_under_full_camera_rate(world):
    clients = [
        world.probe.node.create_client(ChangeState, f"/{name}/change_state") for name in world.nodes
    ]
    with Camera(world):
        for number in range(ROUNDS):
            # every second time without a cleanup
            steps = (*DOWN, *UP) if number % 2 else (DOWN[0], UP[1])
            for step in steps:
                for client in clients:
                    request = ChangeState.Request(transition=Transition(id=step))
                    assert call(world, client, request).success
    world.poses_come()


def test_objects_come_and_go_under_full_camera_rate(world, tmp_path):
    import trimesh

    trimesh.creation.box((0.1, 0.1, 0.1)).export(tmp_path / "more.ply")
    node = world.probe.node
    add = node.create_client(AddObject, "/pose_node/add_object")
    remove = node.create_client(RemoveObject, "/pose_node/remove_object")
    with Camera(world):
        for number in range(ROUNDS):
            name = f"more_{number}"
            wanted = AddObject.Request(name=name, mesh=str(tmp_path / "more.ply"), unit="m")
            answer = call(world, add, wanted)
            assert answer.success, answer.message
            assert call(world, remove, RemoveObject.Request(name=name)).success
    world.poses_come()
