"""Table of backends: two of this package, others by the entry point group ``sam6d_ros.backends``.

An entry point names an instance of a subclass of ``Backend`` and has its name::

    [project.entry-points."sam6d_ros.backends"]
    example = "backend_example:BACKEND"

Modules are imported when a backend is asked for, so that a broken one harms no other.
"""

from __future__ import annotations

import importlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import BackendUnavailable, InvalidConfig, InvariantError
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.stages.protocols import Estimator, Proposer, Refiner, Scorer

_LOG = logging.getLogger(__name__)

GROUP = "sam6d_ros.backends"
AUTO, NO_BACKEND = "auto", "none"
BUILT_IN: Mapping[str, str] = {
    "geometric": "sam6d_ros.stages.geometric.backend",
    "sam6d": "sam6d_ros.stages.sam6d.backend",
}
BUILT_IN_ATTRIBUTE = "BACKEND"


@dataclass(frozen=True)
class PoseStages:
    """Stages of the second half, with the scale of their scores.

    Attributes:
        estimator, refiner: the stages.
        default_min_score: threshold for callers that state none, in [0, 1].
        exclusive_pixels: whether a pose most of whose pixels belong to better poses is rejected.

    Raises:
        InvariantError: the threshold is out of its range, by a defect of the backend.
    """

    estimator: Estimator
    refiner: Refiner
    default_min_score: float = 0.0
    exclusive_pixels: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.default_min_score <= 1:
            raise InvariantError(
                f"default_min_score of the backend is {self.default_min_score}; "
                "expected a number in [0, 1]"
            )


class Backend(ABC):
    """Implementation of all stages.

    Attributes:
        name: value of the setting ``backend``.
        auto_rank: ``auto`` takes the backend of the lowest rank that can run; None excludes it.
            The ranks of this package are 10 (sam6d) and 100 (geometric).
        reads_templates: whether the stages use the template files of an object
            (``ObjectModel.templates``).
    """

    name: str
    auto_rank: int | None = None
    reads_templates: bool = False

    def obstacle(self, config: PipelineConfig) -> str:
        """Return the reason why the backend cannot run here, with the remedy; "" if it can.

        Args:
            config: settings of the pipeline.
        """
        return ""

    def parse_options(self, text: str) -> object:
        """Parse the setting ``backend_options`` into a value of a type of the backend.

        Args:
            text: value of the setting.

        Returns:
            The options.

        Raises:
            InvalidConfig: the text is no option of this backend.
        """
        if text.strip():
            raise InvalidConfig(f"backend_options is {text!r}; the backend {self.name} has none")
        return None

    def device(self, config: PipelineConfig) -> str:
        """Return the device that the stages use, such as "cpu" or "cuda:0".

        Args:
            config: settings of the pipeline.
        """
        return "cpu"

    def views(self, config: PipelineConfig) -> int:
        """Return the number of rendered views of each object, for status pages; 0 without any.

        Args:
            config: settings of the pipeline.
        """
        return 0

    @abstractmethod
    def segmentation(self, context: BuildContext) -> tuple[Proposer, Scorer]:
        """Build the stages of the first half; load weights once.

        Args:
            context: settings, options and shared resources.

        Returns:
            Proposer and scorer.

        Raises:
            CheckpointError: weights are damaged.
        """

    @abstractmethod
    def pose(self, context: BuildContext) -> PoseStages:
        """Build the stages of the second half; raise as ``segmentation``.

        Args:
            context: settings, options and shared resources.

        Returns:
            Estimator, refiner and tracker.
        """


def backend_names() -> tuple[str, ...]:
    """Return the names of all backends; nothing is imported for it."""
    return (*BUILT_IN, *sorted(_installed()))


def check_name(name: str) -> None:
    """Check that a name is ``auto`` or that of a backend; nothing is imported for it.

    Args:
        name: of a backend, or "auto".

    Raises:
        InvalidConfig: it is not.
    """
    if name not in (AUTO, *backend_names()):
        raise InvalidConfig(_unknown(name))


def find_backend(name: str) -> Backend:
    """Return the backend of a name.

    Args:
        name: of a backend.

    Raises:
        InvalidConfig: there is none.
        BackendUnavailable: the package that should provide it is broken.
    """
    if name in BUILT_IN:
        module = importlib.import_module(BUILT_IN[name])
        backend: Backend = getattr(module, BUILT_IN_ATTRIBUTE)
        return backend
    found = _installed().get(name, [])
    if not found:
        raise InvalidConfig(_unknown(name))
    if len(found) > 1:
        packages = " and ".join(map(_package, found))
        raise BackendUnavailable(f"the packages {packages} both name a backend {name!r}")
    return _loaded(found[0])


def choose_backend(config: PipelineConfig) -> Backend:
    """Return the backend that the settings mean on this machine; log which, and why.

    Args:
        config: settings of the pipeline.

    Raises:
        InvalidConfig: the name is unknown, or the options are not the backend's.
        BackendUnavailable: the backend cannot run here.
    """
    if config.backend != AUTO:
        backend = find_backend(config.backend)
        backend.parse_options(config.backend_options)
        if reason := backend.obstacle(config):
            raise BackendUnavailable(f"the {backend.name} backend cannot run: {reason}")
        _LOG.info("backend %s, as configured", backend.name)
        return backend
    reasons: list[str] = []
    for backend in _ranked():
        reason = _obstacle(backend, config)
        if not reason:
            why = "; ".join(reasons) or "the first in the order of auto"
            _LOG.info("backend %s: %s", backend.name, why)
            return backend
        reasons.append(f"{backend.name} cannot run: {reason}")
    raise BackendUnavailable(f"no backend can run here: {'; '.join(reasons)}")


def _unknown(name: str) -> str:
    known = ", ".join((AUTO, *backend_names()))
    return f"backend is {name!r}; expected one of {known}"


def _ranked() -> list[Backend]:
    """Return the backends that ``auto`` considers, in its order; broken ones are logged."""
    ranked = []
    for name in backend_names():
        try:
            backend = find_backend(name)
        except BackendUnavailable as error:
            _LOG.warning("%s", error)
            continue
        if backend.auto_rank is not None:
            ranked.append((backend.auto_rank, name, backend))
    return [backend for _, _, backend in sorted(ranked, key=lambda row: row[:2])]


def _obstacle(backend: Backend, config: PipelineConfig) -> str:
    try:
        backend.parse_options(config.backend_options)
        return backend.obstacle(config)
    except InvalidConfig as error:
        return str(error)
    except Exception as error:  # of foreign code: it must not keep "auto" from the others
        return f"{type(error).__name__}: {error}"


def _installed() -> dict[str, list[EntryPoint]]:
    """Return the entry points by name; one that takes a name of this package is left out."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        if entry.name in (*BUILT_IN, AUTO, NO_BACKEND):
            _LOG.warning(
                "the backend %s of the package %s is ignored: the name belongs to sam6d_ros",
                entry.name,
                _package(entry),
            )
        else:
            found.setdefault(entry.name, []).append(entry)
    return found


def _loaded(entry: EntryPoint) -> Backend:
    where = f"the backend {entry.name} of the package {_package(entry)}"
    try:
        backend = entry.load()
    except Exception as error:  # of foreign code, of which nothing is known here
        text = f"{where} cannot be loaded: {type(error).__name__}: {error}"
        raise BackendUnavailable(text) from error
    if not isinstance(backend, Backend):
        kind = f"a {type(backend).__name__}, not an instance of sam6d_ros.stages.backends.Backend"
        raise BackendUnavailable(f"{where} is {kind}")
    if backend.name != entry.name:
        raise BackendUnavailable(f"{where} is called {backend.name!r} by itself")
    return backend


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
