"""The wheels' start of Python, which runs itself again with library paths, and our share of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GUARD, LIBRARIES = "_ROS_WHEELS_BOOTSTRAP_COMPLETE", "LD_LIBRARY_PATH"
USE_RCLPY = """
import os, sys
import rclpy, sam6d_ros.msg, vision_msgs.msg
from rclpy.serialization import serialize_message
serialize_message(sam6d_ros.msg.InstanceMask())
print(os.getpid(), *sys.argv[1:])
"""


def environment(*dropped: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in dropped}


@pytest.mark.parametrize("dropped", [(), (GUARD, LIBRARIES), (GUARD,)])
def test_child_starts_with_all_or_none_of_the_wheels_variables(dropped: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", USE_RCLPY, "an argument", "--flag"]
    child = subprocess.Popen(
        command, env=environment(*dropped), cwd="/", stdout=subprocess.PIPE, text=True
    )
    output, _ = child.communicate(timeout=60)
    # The same process: signals sent to Popen's pid reach the program.
    assert output.strip() == f"{child.pid} an argument --flag"


def test_program_on_standard_input_survives_the_second_start() -> None:
    done = subprocess.run(
        [sys.executable, "-", "argument"],
        input=USE_RCLPY,
        env=environment(GUARD, LIBRARIES),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1:] == ["argument"]


def test_sources_and_generated_messages_are_one_package() -> None:
    import sam6d_ros
    import sam6d_ros.msg

    repo = Path(__file__).resolve().parents[2]
    assert Path(sam6d_ros.__file__) == repo / "sam6d_ros/__init__.py"
    assert Path(sam6d_ros.msg.__file__).is_relative_to(sys.prefix)


def test_ament_index_knows_the_package_and_its_files() -> None:
    from ament_index_python.packages import get_package_share_directory

    share = Path(get_package_share_directory("sam6d_ros"))
    assert (share / "config/fastdds.xml").is_file()
    assert (share / "package.xml").is_file()


def test_version_is_stated_alike_everywhere() -> None:
    from importlib.metadata import version
    from xml.etree import ElementTree

    import sam6d_ros

    manifest = ElementTree.parse(Path(__file__).resolve().parents[2] / "package.xml")
    assert manifest.findtext("version") == sam6d_ros.__version__ == version("sam6d_ros")
