"""Build the message packages into the virtual environment that runs this script.

The order is underlay/tf2_msgs, underlay/vision_msgs, then this package's own msg/. Installing
into the environment's prefix makes them importable without any environment variable, because
the ROS wheels already put `<prefix>/lib` on the loader's path. A package is built again only
when its definitions, this script or the installed generators change.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
PREFIX = Path(sys.prefix)
SITE = Path(sysconfig.get_path("platlib"))
BUILD = PREFIX / "build"
STAMPS = PREFIX / "stamps"
# name -> (source folder, extra CMake arguments)
PACKAGES = {
    "tf2_msgs": (REPO / "underlay/tf2_msgs", []),
    "vision_msgs": (REPO / "underlay/vision_msgs", []),
    "sam6d_ros": (REPO, ["-DSAM6D_ROS_INTERFACES_ONLY=ON"]),
}


def point_wheels_at_this_python() -> None:
    """Replace the wheels' build-time Python and NumPy include folders by the installed ones.

    The CMake files of the message wheels name folders of the container they were built in,
    and CMake refuses imported targets with include folders that do not exist.
    """
    import numpy

    python_include = sysconfig.get_path("include")
    for cmake_file in (PREFIX / "share").glob("*/cmake/export_*__rosidl_generator_pyExport.cmake"):
        text = cmake_file.read_text()
        fixed = re.sub(r'/opt/python/[^;"]*/numpy/_?core/include', numpy.get_include(), text)
        fixed = re.sub(r'/opt/python/[^;"]*/include/python3\.\d+', python_include, fixed)
        if fixed != text:
            cmake_file.write_text(fixed)


def fingerprint(source: Path) -> str:
    """Hash of everything that decides the build of `source`: inputs, recipe and generators."""
    inputs = [source / "CMakeLists.txt", source / "package.xml", Path(__file__)]
    for kind in ("msg", "srv", "action"):
        inputs += sorted(source.glob(f"{kind}/*.{kind}"))
    digest = hashlib.sha256(sys.version.encode())
    for path in inputs:
        digest.update(path.name.encode() + path.read_bytes())
    names = {f"{d.name} {d.version}" for d in distributions() if d.name.startswith("ros-")}
    digest.update("\n".join(sorted(names)).encode())
    return digest.hexdigest()


def run(command: list[str | Path], log: Path) -> None:
    """Run one build step quietly; show its output and stop when it fails."""
    env = {**os.environ, "AMENT_PREFIX_PATH": str(PREFIX), "CMAKE_PREFIX_PATH": str(PREFIX)}
    env["PATH"] = f"{PREFIX / 'bin'}{os.pathsep}{env['PATH']}"
    with log.open("a") as out:
        code = subprocess.run(command, env=env, stdout=out, stderr=subprocess.STDOUT).returncode
    if code:
        sys.stderr.write(log.read_text()[-6000:])
        sys.exit(f"Building messages failed; the whole output is in {log}")


def build(name: str, source: Path, options: list[str]) -> None:
    """Configure, build and install one message package into the environment's prefix."""
    tree = BUILD / name
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    log = tree / "build.log"
    cmake = PREFIX / "bin/cmake"
    arguments = [
        "-GNinja",
        "-DCMAKE_BUILD_TYPE=None",
        "-DCMAKE_C_FLAGS=-O1",
        "-DCMAKE_CXX_FLAGS=-O1",
        f"-DCMAKE_INSTALL_PREFIX={PREFIX}",
        f"-DPython3_EXECUTABLE={PREFIX / 'bin/python'}",
        "-DBUILD_TESTING=OFF",
        "-Wno-dev",
        *options,
    ]
    run([cmake, "-S", source, "-B", tree, *arguments], log)
    run([cmake, "--build", tree, "--parallel", str(min(os.cpu_count() or 1, 8))], log)
    run([cmake, "--install", tree], log)
    shutil.rmtree(tree)


def leave_sources_in_charge() -> None:
    """Remove what would make the generated `sam6d_ros` hide the package's own sources.

    Without its `__init__.py` the generated folder is only a namespace portion, so Python takes
    the regular package (the editable sources) and `extend_path` there adds the generated part.
    The generated egg-info would look to pip like an installation that it cannot remove.
    """
    source_init = (REPO / "sam6d_ros/__init__.py").read_bytes()
    installed_init = SITE / "sam6d_ros/__init__.py"
    if installed_init.exists() and installed_init.read_bytes() != source_init:
        installed_init.unlink()
    for metadata in SITE.glob("sam6d_ros-*.egg-info"):
        shutil.rmtree(metadata)


def main() -> None:
    """Build every package whose fingerprint changed, in order of dependency."""
    STAMPS.mkdir(exist_ok=True)
    point_wheels_at_this_python()
    upstream = ""
    for name, (source, options) in PACKAGES.items():
        stamp = STAMPS / f"interfaces-{name}"
        upstream = hashlib.sha256((upstream + fingerprint(source)).encode()).hexdigest()
        if stamp.exists() and stamp.read_text() == upstream:
            continue
        print(f"building the messages of {name} …", flush=True)
        build(name, source, options)
        if name == "sam6d_ros":
            leave_sources_in_charge()
        stamp.write_text(upstream)


if __name__ == "__main__":
    main()
