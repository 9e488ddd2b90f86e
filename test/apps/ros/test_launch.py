"""The launch files, started where a ROS distribution brings `launch`; one named skip elsewhere.

What they would start is put aside by packages of the same names, whose programs note what they
received as arguments.
"""

import json
import os
from pathlib import Path

import pytest

pytest.importorskip(  # not "launch" itself: our folder of that name passes for a package
    "launch.actions",
    reason="`launch` comes with a ROS 2 distribution only; the package index has none",
)
import launch

REPO = Path(__file__).resolve().parents[3]
FILES = sorted(path.name for path in (REPO / "launch").glob("*.launch.py"))
EXPECTED = {
    "camera_ns", "objects_file", "backend", "device", "rviz", "use_sim_time", "log_level",
    "namespace",
}  # fmt: skip


def declared(name):
    source = launch.launch_description_sources.PythonLaunchDescriptionSource
    description = source(str(REPO / "launch" / name)).get_launch_description(launch.LaunchContext())
    return {argument.name: argument for argument in description.get_launch_arguments()}


@pytest.mark.parametrize("name", FILES)
def test_every_launch_file_has_the_promised_arguments(name):
    assert set(declared(name)) >= EXPECTED


@pytest.mark.parametrize("name", FILES)
def test_every_argument_has_a_default_so_that_nothing_is_required_but_files(name):
    required = [n for n, argument in declared(name).items() if argument.default_value is None]
    assert required == (["path"] if name == "replay.launch.py" else [])


@pytest.mark.parametrize(
    ("name", "arguments", "programs"),
    [
        ("pipeline.launch.py", {}, {"segmentation_node", "pose_node"}),
        ("pipeline.launch.py", {"one_process": "true"}, {"pipeline"}),
        ("pipeline.launch.py", {"rviz": "true"}, {"segmentation_node", "pose_node", "rviz2"}),
        ("tracking.launch.py", {}, {"segmentation_node", "pose_node", "tracking_node"}),
        ("tracking.launch.py", {"one_process": "true"}, {"pipeline", "tracking_node"}),
        ("zed.launch.py", {"tracking": "1"}, {"segmentation_node", "pose_node", "tracking_node"}),
        ("replay.launch.py", {"path": "/data"}, {"segmentation_node", "pose_node", "replay_node"}),
    ],
)
def test_each_program_is_a_process_of_its_own(ground, name, arguments, programs):
    assert set(ground.start(name, **arguments)) == programs | {"supervisor_node"}


def test_arguments_become_parameters_over_those_of_the_file(ground):
    started = ground.start(
        "pipeline.launch.py", objects_file="/o.yaml", backend="geometric", max_rate_hz="2",
        use_sim_time="true", log_level="debug", namespace="left", depth_transport="compressedDepth",
    )  # fmt: skip
    for name, node in started.items():
        assert node.parameter("objects_file") == "/o.yaml"
        assert node.parameter("backend") == "geometric"
        assert node.parameter("max_rate_hz") == 2.0
        assert node.parameter("use_sim_time") is True
        assert node.parameter("depth.image_transport") == "compressedDepth"
        assert node.parameter("rgb.image_transport") == "raw"
        assert node.parameter("max_instances") == 3, "of config/pipeline.yaml"
        assert node.remapped["__ns"] == "/left"
        assert node.remapped["__node"] == name
        assert "debug" in node.arguments
    assert started["pose_node"].remapped["~/masks"] == "segmentation_node/masks"
    assert started["pose_node"].remapped["~/follow_objects"] == "segmentation_node/objects"
    assert started["pose_node"].parameter("publish_tf") is True


def test_the_tracking_node_hears_the_pose_node_and_publishes_the_frames_in_its_place(ground):
    started = ground.start("tracking.launch.py")
    assert started["tracking_node"].remapped["~/estimates"] == "pose_node/detections"
    assert started["tracking_node"].remapped["~/follow_objects"] == "segmentation_node/objects"
    assert started["pose_node"].parameter("publish_tf") is False
    assert started["tracking_node"].parameter("publish_tf") is True
    assert started["segmentation_node"].parameter("max_rate_hz") == 1.0
    both = ground.start("tracking.launch.py", one_process="true", max_rate_hz="0.5")
    assert both["pipeline"].parameter("publish_tf") is False
    assert both["pipeline"].parameter("max_rate_hz") == 0.5


def test_boxes_come_from_the_node_itself_or_from_a_detector_node(ground):
    started = ground.start("pipeline.launch.py", detector="m", detector_node="true")
    assert started["detector_node"].parameter("detector") == "m"
    assert started["segmentation_node"].remapped["~/boxes"] == "detector_node/detections"


def test_grasps_and_the_planning_scene_come_from_the_node_that_has_the_poses(ground):
    started = ground.start("pipeline.launch.py", grasps="true", base_frame="base_link")
    assert set(started) == {"segmentation_node", "pose_node", "grasp_node", "supervisor_node"}
    assert started["grasp_node"].remapped["~/detections"] == "pose_node/detections"
    assert started["grasp_node"].parameter("base_frame") == "base_link"
    started = ground.start("tracking.launch.py", planning_scene="true", grasp_file="/g.yaml")
    scene = started["planning_scene_node"]
    assert scene.remapped["~/detections"] == "tracking_node/detections"
    assert scene.remapped["~/follow_objects"] == "segmentation_node/objects"
    assert scene.parameter("grasp_file") == "/g.yaml"


def test_the_replay_waits_for_every_node_that_listens(ground):
    started = ground.start("replay.launch.py", path="/data", namespace="cell", rate_hz="2")
    replay = started["replay_node"]
    ready = ["/cell/segmentation_node/ready", "/cell/pose_node/ready"]
    assert list(replay.parameter("wait_for")) == ready
    assert (replay.parameter("path"), replay.parameter("rate_hz")) == ("/data", 2.0)
    assert replay.remapped["__ns"] == "/camera"
    replay = ground.start("replay.launch.py", path="/data", tracking="true")["replay_node"]
    assert "/tracking_node/ready" in replay.parameter("wait_for")


@pytest.mark.parametrize(
    ("name", "topics"),
    [
        (
            "realsense.launch.py",
            ["/camera/camera/color/image_raw", "/camera/camera/aligned_depth_to_color/image_raw",
             "/camera/camera/color/camera_info"],
        ),
        (
            "zed.launch.py",
            ["/zed/zed_node/rgb/color/rect/image", "/zed/zed_node/depth/depth_registered",
             "/zed/zed_node/rgb/color/rect/camera_info"],
        ),
        (
            "orbbec.launch.py",
            ["/camera/color/image_raw", "/camera/depth/image_raw", "/camera/color/camera_info"],
        ),
    ],
)  # fmt: skip
def test_the_nodes_hear_the_camera_by_the_names_of_its_driver(ground, name, topics):
    for node in ground.start(name, tracking="true").values():
        assert [node.remapped[f"~/{t}"] for t in ("rgb", "depth", "camera_info")] == topics


@pytest.mark.parametrize(
    ("name", "package", "file", "arguments", "expected"),
    [
        (
            "realsense.launch.py", "realsense2_camera", "rs_launch.py",
            {"camera_ns": "/left_arm/d435", "serial_no": "_1234"},
            {"camera_namespace": "left_arm", "camera_name": "d435", "align_depth.enable": "true",
             "enable_sync": "true", "serial_no": "_1234"},
        ),
        (
            "zed.launch.py", "zed_wrapper", "zed_camera.launch.py", {"namespace": "cell"},
            {"camera_name": "zed", "node_name": "zed_node", "camera_model": "zed2i",
             "namespace": ""},
        ),
        (
            "orbbec.launch.py", "orbbec_camera", "femto_bolt.launch.py",
            {"camera_model": "femto_bolt"},
            {"camera_name": "camera", "depth_registration": "true", "enable_frame_sync": "true"},
        ),
    ],
)  # fmt: skip
def test_the_driver_is_started_as_the_topics_need_it(
    ground, name, package, file, arguments, expected
):
    note = ground.driver(package, file)
    ground.start(name, **arguments)
    assert not note.exists(), "only when asked"
    started = ground.start(name, driver="true", **arguments)
    driver = json.loads(note.read_text())
    assert {key: driver[key] for key in expected} == expected
    assert driver["profile"], "the Fast DDS profile reaches the driver's process"
    namespace = arguments.get("namespace", "")
    assert started["pose_node"].remapped.get("__ns", "/").strip("/") == namespace


def test_rviz_shows_the_node_that_has_the_poses(ground):
    started = ground.start("tracking.launch.py", rviz="true", namespace="cell")["rviz2"]
    assert started.remapped["/pose_node/markers"] == "tracking_node/markers"
    assert ground.start("pipeline.launch.py", rviz="true")["rviz2"].remapped["/pose_node/overlay"]


def test_a_switch_that_is_neither_true_nor_false_is_refused(ground):
    assert not ground.run("pipeline.launch.py", tracking="perhaps")
    assert ground.status == 1


def test_the_fast_dds_profile_is_set_unless_the_user_has_one(ground, monkeypatch):
    ground.start("pipeline.launch.py")
    assert Path(os.environ["FASTDDS_DEFAULT_PROFILES_FILE"]).is_file()
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "/my/own.xml")
    ground.start("pipeline.launch.py")
    assert os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] == "/my/own.xml"
