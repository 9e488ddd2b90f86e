"""What is installed where: package.xml, CMakeLists.txt, Dockerfile and compose.yaml agree."""

import ast
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from catkin_pkg.package import parse_package

from sam6d_ros.apps.cli.main import build_parser
from sam6d_ros.apps.http.gate import OPEN_PATHS
from sam6d_ros.apps.http.settings import DEFAULT_PORTS
from sam6d_ros.apps.ros.node.graph import MODULES

REPO = Path(__file__).resolve().parents[1]
# Modules that are no ROS packages, and their rosdep keys (ros/rosdistro, rosdep/python.yaml).
ROSDEP_KEYS = {
    "PIL": "python3-pil",
    "cv2": "python3-opencv",
    "numba": "python3-numba",
    "numpy": "python3-numpy",
    "rich": "python3-rich",
    "rosbags": "python3-rosbags-pip",
    "scipy": "python3-scipy",
    "trimesh": "python3-trimesh-pip",
    "yaml": "python3-yaml",
}
INDIRECT = {"python3-networkx"}  # trimesh imports it without requiring it
KEYLESS = {
    "embreex": "embreex",
    "fast_simplification": "fast-simplification",
    "pycocotools": "pycocotools",
}
OPTIONAL = {
    *("moveit_msgs", "onnxruntime", "safetensors", "segment_anything", "torch", "torchvision"),
    *("gevent", "tensorrt", "triton", "tritonclient"),
    # of the HTTP services, which run without ROS
    *("av", "fastapi", "h11", "httpx", "prometheus_client", "pydantic", "starlette", "uvicorn"),
    "open3d",  # of scans
    "shtab",  # of `sam6d completion`
    "ray",  # of a fleet
    *("rerun", "viser"),  # viewers of `sam6d estimate`
    # in Triton's model processes only
    *("torchvision_ops", "triton_python_backend_utils"),
}


def imported_modules():
    """Top-level names that the package imports from elsewhere."""
    names = set()
    files = [*(REPO / "sam6d_ros").rglob("*.py"), *(REPO / "launch").glob("*.py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"sam6d_ros"}


def executables():
    text = (REPO / "CMakeLists.txt").read_text()
    return set(re.search(r"foreach\(executable\s+([^)]*)\)", text)[1].split())


@pytest.fixture(scope="module")
def package():
    return parse_package(REPO / "package.xml")


def test_package_xml_is_valid_and_has_the_version_of_the_python_package(package):
    package.validate()
    assert f'version = "{package.version}"' in (REPO / "pyproject.toml").read_text()


def test_everything_that_is_imported_is_a_dependency(package):
    stated = {dependency.name for dependency in package.exec_depends}
    wanted = {ROSDEP_KEYS.get(name, name) for name in imported_modules() - set(KEYLESS) - OPTIONAL}
    assert wanted <= stated, f"package.xml lacks {wanted - stated}"


def test_every_python_dependency_is_imported(package):
    stated = {d.name for d in package.exec_depends if d.name.startswith("python3-")}
    assert stated == set(ROSDEP_KEYS.values()) | INDIRECT


@pytest.mark.parametrize("file", ["package.xml", "Dockerfile", "README.md", "docs/install.md"])
def test_what_has_no_rosdep_key_is_named_for_pip(file):
    lines = [line for line in (REPO / file).read_text().splitlines() if "pip install" in line]
    assert any(all(name in line for name in KEYLESS.values()) for line in lines)


def test_every_node_is_an_executable():
    modules = (REPO / "sam6d_ros/apps/ros").glob("*.py")
    names = {module: name for name, module in MODULES.items()}
    with_main = {
        names.get(file.stem, file.stem) for file in modules if "\ndef main(" in file.read_text()
    }
    assert with_main == executables()


def test_launch_files_start_what_is_installed():
    texts = [file.read_text() for file in (REPO / "launch").glob("*.py")]
    named = {name for text in texts for name in re.findall(r'"(\w+_node|pipeline)"', text)}
    assert named <= executables()
    assert {"segmentation_node", "pose_node", "tracking_node", "pipeline", "replay_node"} <= named


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((REPO / "compose.yaml").read_text())


def test_the_compose_file_builds_what_the_dockerfile_has(compose):
    """Each service builds a stage of the Dockerfile with arguments of that stage."""
    parts = re.split(r"^FROM .* AS (\w+)$", (REPO / "Dockerfile").read_text(), flags=re.MULTILINE)
    stages = dict(zip(parts[1::2], parts[2::2], strict=True))
    built = {k: v for k, v in compose["services"].items() if "build" in v}
    assert compose["services"].keys() - built.keys() == {"triton"}  # NVIDIA's image as it is
    for name, service in built.items():
        build = service["build"]
        assert build["target"] in stages, name
        arguments = set(re.findall(r"^ARG (\w+)", stages[build["target"]], re.MULTILINE))
        assert set(build.get("args", {})) <= arguments, name


def test_the_nodes_in_containers_share_network_and_memory_with_the_host(compose):
    services = compose["services"].items()
    nodes = {k: v for k, v in services if v.get("build", {}).get("target") == "ros"}
    assert set(nodes) == {"cpu", "gpu", "realsense"}
    for name, service in nodes.items():
        assert service["network_mode"] == service["ipc"] == "host", name
        (launched,) = re.findall(r"(\S+)\.launch\.py", service["command"])
        launched = launched.replace("${LAUNCH:-pipeline}", "pipeline")
        assert (REPO / f"launch/{launched}.launch.py").is_file(), name
    (gpu,) = compose["services"]["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert gpu["capabilities"] == ["gpu"]


@pytest.mark.parametrize("name", ["ism", "pem"])
def test_the_http_services_in_containers_are_guarded_and_watched(compose, name):
    """Command, ports, healthcheck, secret and volumes agree."""
    service = compose["services"][name]
    defaults = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", yaml.safe_dump(service))
    service = yaml.safe_load(defaults)
    args = build_parser().parse_args(shlex.split(service["command"]))
    port = DEFAULT_PORTS[name]
    assert (args.role, args.host, getattr(args, f"{name}_port")) == (name, "0.0.0.0", port)
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"http://127.0.0.1:{port}/health" in service["healthcheck"]["test"][-1]
    compile(service["healthcheck"]["test"][-1], "healthcheck", "exec")
    assert "/health" in OPEN_PATHS

    (secret,) = service["secrets"]
    assert secret in compose["secrets"]
    assert args.token_file == Path("/run/secrets") / secret
    mounts = [entry.split(":")[1] for entry in service["volumes"]]
    named = [args.objects, args.data_dir, args.log_dir, *args.allow_root]
    for path in named:
        assert any(path.is_relative_to(mount) for mount in mounts), path
    extras = service["build"]["args"]["EXTRAS"].split(",")
    assert "http" in extras
    for extra in extras:
        assert f"\n{extra} = [" in (REPO / "pyproject.toml").read_text()
    volumes = {entry.split(":")[0] for entry in service["volumes"] if entry[0] not in "./"}
    assert volumes <= set(compose["volumes"])
