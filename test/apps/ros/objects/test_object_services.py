"""Objects that come and go while the nodes run: by service, by file, from node to node."""

from types import SimpleNamespace

import pytest
import trimesh
import yaml
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter
from support.ros.probe import DOUBLE, INPUT_REMAPPINGS, scene
from vision_msgs.msg import VisionInfo

from sam6d_ros.apps.ros.node.qos import LATCHED
from sam6d_ros.msg import ObjectList
from sam6d_ros.srv import AddObject, ListObjects, RemoveObject

POSES, MASKS = "/pose_node/detections", "/segmentation_node/masks"
BOTH = ("segmentation_node", "pose_node")
RED, GREEN = (255, 0, 0), (0, 255, 0)


@pytest.fixture
def files(tmp_path):
    """A red and a green box, 12 × 8 × 6 cm; an objects file for each, and for both."""
    box(tmp_path / "red.ply", RED)
    box(tmp_path / "green.ply", GREEN)
    (tmp_path / "broken.ply").write_bytes(b"ply\nthis is no mesh\n")
    for name, objects in {"both": ["red", "green"], "red": ["red"], "green": ["green"]}.items():
        write(tmp_path / f"{name}.yaml", [{"name": o, "mesh": f"{o}.ply"} for o in objects])
    write(tmp_path / "bad.yaml", [{"name": n, "mesh": f"{n}.ply"} for n in ("red", "broken")])
    return SimpleNamespace(folder=tmp_path, cache=tmp_path / "cache")


def box(path, colour, size=(0.12, 0.08, 0.06)):
    mesh = trimesh.creation.box(size)
    mesh.visual.vertex_colors = [*colour, 255]
    mesh.export(path)


def write(path, entries):
    path.write_text(yaml.safe_dump({"objects": [{**e, "unit": "m"} for e in entries]}))


class Graph:
    """Both nodes, with what a user asks of them."""

    def __init__(self, probe, files, objects="red", nodes=BOTH, arguments=()):
        self.probe, self.files, self.lists = probe, files, {}
        probe.listen(POSES, MASKS)
        self.children = probe.start_double(
            *nodes,
            parameters={"objects_file": files.folder / f"{objects}.yaml", "cache_dir": files.cache},
            arguments=arguments,
        )
        for node in BOTH:
            probe.node.create_subscription(
                ObjectList,
                f"/{node}/objects",
                lambda m, n=node: self.lists.__setitem__(n, m.objects),
                LATCHED,
            )

    def call(self, kind, service, **request):
        client = self.probe.node.create_client(kind, service)
        self.probe.wait_for(client.service_is_ready, service)
        future = client.call_async(kind.Request(**request))
        self.probe.wait_for(future.done, f"the answer of {service}")
        return future.result()

    def add(self, name, mesh, node="segmentation_node", **more):
        mesh = str(self.files.folder / mesh)
        return self.call(AddObject, f"/{node}/add_object", name=name, mesh=mesh, **more)

    def listed(self, node):
        return {o.name: o for o in self.call(ListObjects, f"/{node}/list_objects").objects}

    def wait_listed(self, *names, nodes=BOTH):
        for node in nodes:
            self.probe.wait_for(
                lambda n=node: {o.name for o in self.lists.get(n, [])} == set(names),
                f"{node} to list {names}",
            )
            assert set(self.listed(node)) == set(names)

    def wait_seen(self, *names):
        """Show both boxes until exactly these are found, by the pose node too."""
        for topic in (MASKS, POSES):
            self.probe.received[topic].clear()

        def seen(topic):
            message = (self.probe.received[topic] or [None])[-1]
            if message is None:
                return None
            items = message.instances if topic == MASKS else message.detections
            found = [i.class_id if topic == MASKS else i.id.rpartition("_")[0] for i in items]
            return set(found) == set(names)

        self.probe.wait_for(
            lambda: seen(MASKS) and seen(POSES),
            f"{names} to be seen",
            every=lambda: self.probe.send(self.probe.messages(*scene([RED, GREEN]))),
        )
        return self.probe.received[POSES][-1]


@pytest.mark.parametrize("nodes", [BOTH, ("pipeline",)], ids=["two processes", "one process"])
def test_an_object_is_added_and_removed_with_one_call_for_the_whole_graph(probe, files, nodes):
    graph = Graph(probe, files, nodes=nodes)
    graph.wait_seen("red")
    answer = graph.add("green", "green.ply", unit="m", options="{symmetries: none}")
    assert answer.success
    assert "green: 0.120 × 0.080 × 0.060 m, not symmetric" in answer.message
    assert (answer.object.name, answer.object.unit) == ("green", "m")
    assert answer.object.options == "symmetries: none\n"
    assert answer.object.diameter == pytest.approx(0.156, abs=1e-3)
    graph.wait_listed("red", "green")
    graph.wait_seen("red", "green")
    assert graph.listed("pose_node") == graph.listed("segmentation_node")
    gone = graph.call(RemoveObject, "/segmentation_node/remove_object", name="red")
    assert gone.success
    graph.wait_listed("green")
    graph.wait_seen("green")
    again = graph.call(RemoveObject, "/segmentation_node/remove_object", name="red")
    assert not again.success
    assert again.message.endswith("no object is named 'red'; there are ['green']")


def test_nodes_of_one_process_with_engines_of_their_own_follow_each_other_too(probe, files):
    arguments = ["-p", "pose_node:max_instances:=5"]
    graph = Graph(probe, files, nodes=("pipeline",), arguments=arguments)
    assert graph.add("green", "green.ply").success
    graph.wait_listed("red", "green")
    graph.wait_seen("red", "green")


def test_an_object_of_the_same_name_is_replaced_everywhere(probe, files):
    graph = Graph(probe, files)
    size = graph.wait_seen("red").detections[0].bbox.size
    assert sorted((size.x, size.y, size.z)) == pytest.approx([0.06, 0.08, 0.12])
    box(files.folder / "large.ply", RED, (0.24, 0.16, 0.12))
    old = graph.listed("pose_node")["red"].content_hash
    assert graph.add("red", "large.ply", unit="m").success
    probe.wait_for(
        lambda: graph.lists["pose_node"][0].content_hash != old, "the pose node to follow"
    )
    size = graph.wait_seen("red").detections[0].bbox.size
    assert sorted((size.x, size.y, size.z)) == pytest.approx([0.12, 0.16, 0.24])


BAD_REQUESTS = [
    ({"name": "x", "mesh": "broken.ply"}, "object 'x'"),
    ({"name": "x", "mesh": "nowhere.ply"}, "nowhere.ply"),
    ({"name": "", "mesh": "green.ply"}, "name"),
    ({"name": "x", "mesh": "green.ply", "unit": "mile"}, "unit (x): is 'mile'; expected"),
    ({"name": "x", "mesh": "green.ply", "options": "{colour: red}"}, "colour (x): is unknown"),
    ({"name": "x", "mesh": "green.ply", "options": "[1]"}, "options is '[1]'; expected a map"),
]


def test_a_bad_object_is_refused_with_the_reason_and_the_nodes_go_on(probe, files):
    graph = Graph(probe, files)
    before = graph.listed("segmentation_node")
    for request, said in BAD_REQUESTS:
        answer = graph.add(**request)
        assert not answer.success, request
        assert said in answer.message
    assert graph.listed("segmentation_node") == before
    graph.wait_seen("red")


def test_another_objects_file_is_taken_and_a_bad_one_is_refused(probe, files):
    graph = Graph(probe, files, "both")
    graph.wait_seen("red", "green")

    def set_file(name):
        value = Parameter("objects_file", value=str(files.folder / name)).to_parameter_msg()
        service = "/segmentation_node/set_parameters"
        return graph.call(SetParameters, service, parameters=[value]).results[0]

    answer = set_file("bad.yaml")
    assert not answer.successful
    assert "object 'broken'" in answer.reason
    assert "cannot be read" in set_file("nowhere.yaml").reason
    graph.wait_seen("red", "green")
    assert set_file("green.yaml").successful
    graph.wait_listed("green")
    graph.wait_seen("green")
    names = ["objects_file"]
    kept = graph.call(GetParameters, "/segmentation_node/get_parameters", names=names)
    assert kept.values[0].string_value == str(files.folder / "green.yaml")


def test_the_database_named_to_subscribers_is_the_file_in_force(probe, files):
    """Latched, and changed together with the objects, never before."""
    named = []
    probe.node.create_subscription(
        VisionInfo, "/pose_node/vision_info", lambda m: named.append(m.database_location), LATCHED
    )
    graph = Graph(probe, files, nodes=("pose_node",))
    paths = [str(files.folder / f"{name}.yaml") for name in ("red", "bad", "green")]
    for path in paths[1:]:
        value = Parameter("objects_file", value=path).to_parameter_msg()
        graph.call(SetParameters, "/pose_node/set_parameters", parameters=[value])
    probe.wait_for(lambda: len(named) > 1, "the database of the second file")
    assert named == [paths[0], paths[2]]
    assert set(graph.listed("pose_node")) == {"green"}


def test_a_pose_node_that_starts_later_follows_what_was_added_before(probe, files):
    probe.listen(POSES)
    parameters = {"objects_file": files.folder / "red.yaml", "cache_dir": files.cache}
    graph = Graph(probe, files, nodes=("segmentation_node",))
    assert graph.add("green", "green.ply").success
    program = (str(DOUBLE), "pose_node")
    probe.children.start("pose_node", parameters, INPUT_REMAPPINGS, program)
    graph.wait_listed("red", "green")
    graph.wait_seen("red", "green")


def test_masks_of_an_object_that_is_not_loaded_do_not_harm_the_others(probe, files):
    """The pose node follows no other node here."""
    graph = Graph(probe, files, arguments=["-r", "pose_node:~/follow_objects:=/absent"])
    pose_node = graph.children[1]
    assert graph.add("green", "green.ply").success

    def green_is_masked():
        masks = probe.received[MASKS]
        return masks and {i.class_id for i in masks[-1].instances} == {"red", "green"}

    def send():
        probe.send(probe.messages(*scene([RED, GREEN])))

    probe.wait_for(green_is_masked, "masks of both", every=send)
    probe.received[POSES].clear()
    probe.wait_for(lambda: len(probe.received[POSES]) > 3, "poses", every=send)
    assert all([d.id for d in m.detections] == ["red_0"] for m in probe.received[POSES])
    assert pose_node.output().count("objects that are not loaded here: green") == 1
    assert graph.add("green", "green.ply", node="pose_node").success
    graph.wait_seen("red", "green")


def test_an_unconfigured_node_has_no_objects_and_says_so(probe, files):
    parameters = {"objects_file": files.folder / "red.yaml", "autostart": False}
    probe.children.start("pose_node", parameters, INPUT_REMAPPINGS, (str(DOUBLE), "pose_node"))
    graph = Graph(probe, files, nodes=())
    answer = graph.add("green", "green.ply", node="pose_node")
    assert not answer.success
    assert answer.message == "/pose_node is unconfigured: configure it first"
    assert graph.listed("pose_node") == {}
