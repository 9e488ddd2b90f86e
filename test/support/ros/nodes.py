"""Node processes around the engine double, and changes of their lifecycle state."""

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from support.ros.probe import DOUBLE, INPUT_REMAPPINGS


def start(probe, name, parameters=None, remappings=()):
    """Start one node around the engine double with its own remappings; the first rule counts."""
    parameters = {"objects_file": "unused", "pair_timeout_s": 1.0, **(parameters or {})}
    arguments = [*remappings, *INPUT_REMAPPINGS]
    return probe.children.start(name, parameters, arguments, (str(DOUBLE), name))


def change_state(probe, node, transition):
    client = probe.node.create_client(ChangeState, f"/{node}/change_state")
    probe.wait_for(client.service_is_ready, "the service")
    answer = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
    probe.wait_for(answer.done, "the transition")
    assert answer.result().success
