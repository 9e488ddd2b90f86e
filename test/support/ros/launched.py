"""Launch files whose programs and included files only note how they were started."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import launch
import yaml

REPO = Path(__file__).resolve().parents[3]
PROGRAMS = (
    "segmentation_node", "pose_node", "tracking_node", "grasp_node", "planning_scene_node",
    "replay_node", "pipeline", "detector_node", "supervisor_node",
)  # fmt: skip
NOTE_WHAT_IT_WAS_TOLD = f"""#!{sys.executable}
import json, pathlib, sys
files = [pathlib.Path(b) for a, b in zip(sys.argv, sys.argv[1:]) if a == "--params-file"]
here = pathlib.Path(__file__)
note = {{"arguments": sys.argv[1:], "parameters": [f.read_text() for f in files]}}
here.with_suffix(".json").write_text(json.dumps(note))
"""
DRIVER = """
import json, pathlib
from launch import LaunchDescription
from launch.actions import OpaqueFunction

def note(context):
    started = dict(context.launch_configurations) | {"profile": "FASTDDS_DEFAULT_PROFILES_FILE" in
                                                 context.environment}
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(started))

def generate_launch_description():
    return LaunchDescription([OpaqueFunction(function=note)])
"""


class Ground:
    """A prefix of packages whose programs and launch files only note how they were started."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        for name in PROGRAMS:
            self.program("sam6d_ros", name)
        self.program("rviz2", "rviz2")

    def package(self, name):
        index = self.prefix / "share/ament_index/resource_index/packages"
        index.mkdir(parents=True, exist_ok=True)
        (index / name).touch()
        return self.prefix / "share" / name

    def program(self, package, name):
        self.package(package)
        path = self.prefix / "lib" / package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(NOTE_WHAT_IT_WAS_TOLD)
        path.chmod(0o755)

    def driver(self, package, file):
        path = self.package(package) / "launch" / file
        path.parent.mkdir(parents=True)
        path.write_text(DRIVER)
        return path.with_suffix(".json")

    def start(self, name, **arguments):
        """Run a launch file until all has ended; return each program's arguments, by name."""
        started = self.run(name, **arguments)
        assert self.status == 0
        return started

    def run(self, name, **arguments):
        """The same, however it ends; its exit status is in ``status``."""
        arguments["respawn"] = "false"  # the programs end by themselves
        source = launch.launch_description_sources.PythonLaunchDescriptionSource
        (service := launch.LaunchService(noninteractive=True)).include_launch_description(
            launch.LaunchDescription(
                [
                    launch.actions.IncludeLaunchDescription(
                        source(str(REPO / "launch" / name)), launch_arguments=arguments.items()
                    )
                ]
            )
        )
        self.status = service.run()
        return {path.stem: Told(**json.loads(path.read_text())) for path in self.notes()}

    def notes(self):
        return sorted((self.prefix / "lib").glob("*/*.json"))


class Told:
    """The arguments of one program, read as rclpy reads them."""

    def __init__(self, arguments, parameters):
        rules = [b for a, b in pairwise(arguments) if a in ("-r", "-f")]
        self.remapped = dict(rule.split(":=") for rule in rules if ":=" in rule)
        self.arguments, self.parameters = arguments, {}
        for file in parameters:  # later ones win; launch_ros writes tuples
            for node, section in yaml.load(file, yaml.FullLoader).items():
                self.parameters.update(
                    {(node, k): v for k, v in section["ros__parameters"].items()}
                )

    def parameter(self, name):
        """The value given last, whichever name of the node it was given for."""
        return [value for (_, key), value in self.parameters.items() if key == name][-1]
