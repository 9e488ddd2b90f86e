"""Python environment of a Triton server that runs from the package index, on CPU.

The wheel `nvidia-pytriton` holds a real `tritonserver` and its Python backend. That backend is
built against NumPy 1: with NumPy 2 tensors arrive with one value everywhere, without any error. So
it gets an environment of its own, which borrows torch and ONNX Runtime from the calling Python.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sam6d_ros.errors import BackendUnavailable

PACKAGES = ("nvidia-pytriton>=0.7,<0.8", "numpy>=1.26,<2")
SETUP_COMMAND = "sam6d triton setup"
SETUP_TIMEOUT_S = 900.0
PROBE_TIMEOUT_S = 60.0
BACKENDS = ("pytorch", "onnxruntime")  # folders that Triton looks for, by platform
BACKEND_SOURCES = ("triton/backend/model.py", "torchvision_ops.py")  # in this package
STUB = "triton_python_backend_stub"
# Run by the environment's Python; prints facts without importing the wheel's package.
PROBE = """
import importlib.util as u, json, os, sys, sysconfig
import numpy
spec = u.find_spec("pytriton")
print(json.dumps({
    "numpy": numpy.__version__,
    "wheel": os.path.dirname(spec.origin) if spec else "",
    "libdir": sysconfig.get_config_var("LIBDIR") or "",
    "minor": "%d.%d" % sys.version_info[:2],
}))
"""


@dataclass(frozen=True)
class TritonEnvironment:
    """A Python environment that can run Triton.

    Attributes:
        python: its interpreter; the model processes take their packages from it.
        wheel: folder of the package `pytriton`.
        library_dir: folder of the interpreter's shared library.
        python_minor: such as `3.11`.
    """

    python: Path
    wheel: Path
    library_dir: Path
    python_minor: str

    @property
    def server(self) -> Path:
        """The server's executable."""
        return self.wheel / "tritonserver/bin/tritonserver"

    def variables(self, inherited: dict[str, str]) -> dict[str, str]:
        """Return the environment variables of the server process."""
        libraries = [str(self.library_dir), str(self.wheel.parent / "nvidia_pytriton.libs")]
        kept = {k: v for k, v in inherited.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        return {
            **kept,
            # the model processes run the first python3 of PATH
            "PATH": f"{self.python.parent}:{inherited.get('PATH', '')}",
            "LD_LIBRARY_PATH": ":".join(libraries),
        }

    def write_backends(self, folder: Path) -> None:
        """Write the backend folders: Triton's Python backend, and ours that build on it."""
        source = self.wheel / "tritonserver"
        stub = source / "python_backend_stubs" / self.python_minor / STUB
        if not stub.is_file():
            raise BackendUnavailable(
                f"this Triton has no Python backend for Python {self.python_minor}"
            )
        shutil.copytree(source / "backends/python", folder / "python")
        shutil.copy2(stub, folder / "python" / STUB)
        package = Path(__file__).parents[1]
        for name in BACKENDS:
            (folder / name).mkdir()
            for file in BACKEND_SOURCES:
                shutil.copy2(package / file, folder / name / Path(file).name)


def find(python: Path) -> TritonEnvironment:
    """Return the environment of an interpreter.

    Raises:
        BackendUnavailable: the interpreter, the wheel or a fitting NumPy is missing.
    """
    try:
        found = subprocess.run(
            [str(python), "-c", PROBE],
            capture_output=True, text=True, check=True, timeout=PROBE_TIMEOUT_S,
        )  # fmt: skip
        facts = json.loads(found.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise BackendUnavailable(
            f"no Python environment for Triton at {python}; make one: {SETUP_COMMAND}"
        ) from error
    if not facts["wheel"]:
        raise BackendUnavailable(
            f"{python} has no Triton (nvidia-pytriton); make an environment: {SETUP_COMMAND}"
        )
    if int(facts["numpy"].partition(".")[0]) > 1:
        raise BackendUnavailable(
            f"{python} has NumPy {facts['numpy']}, with which this Triton loses the values of "
            f"tensors; make an environment with numpy<2: {SETUP_COMMAND}"
        )
    return TritonEnvironment(python, Path(facts["wheel"]), Path(facts["libdir"]), facts["minor"])


def set_up(folder: Path) -> TritonEnvironment:
    """Create the environment in a folder, or complete it.

    Returns:
        The environment.

    Raises:
        BackendUnavailable: a step failed; its output is in the text.
    """
    python = folder / "bin/python3"
    try:
        return find(python)
    except BackendUnavailable:
        pass  # not there, or not complete
    _step([sys.executable, "-m", "venv", "--without-pip", "--clear", str(folder)])
    pip = [sys.executable, "-m", "pip", "--python", str(folder), "--disable-pip-version-check"]
    # without its dependencies: they are those of the package's own Python API
    _step([*pip, "install", "--quiet", "--no-deps", *PACKAGES])
    site = next((folder / "lib").glob("python3*/site-packages"))
    borrowed = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "borrowed.pth").write_text("\n".join(borrowed) + "\n")  # searched after its own
    return find(python)


def _step(command: list[str]) -> None:
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=SETUP_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines()[-3:]
        raise BackendUnavailable(f"`{' '.join(command)}` failed: {' '.join(lines)}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendUnavailable(f"`{' '.join(command)}` failed: {error}") from error
