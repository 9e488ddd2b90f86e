"""Settings of the HTTP services: options of the command, then the environment, then defaults.

The only module of the services that knows an environment variable. It imports no web library, so
that ``sam6d serve --help`` lists the settings anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sam6d_ros.apps.http.auth import read_token
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.stages.backends import choose_backend

ISM, PEM, ALL = "ism", "pem", "all"
ROLES = (ISM, PEM, ALL)
SERVICES = {ISM: (ISM,), PEM: (PEM,), ALL: (ISM, PEM)}  # of each role
ENGINE_ROLES = {ISM: "segmentation", PEM: "full", ALL: "full"}
TITLES = {ISM: "ISM Server", PEM: "PEM Server"}
DEFAULT_PORTS = {ISM: 8002, PEM: 8003}
# Services that usually hold these ports, for the message about a port that is taken.
USUAL_HOLDERS = {
    8000: "Triton (HTTP) or Ray Serve",
    8001: "Triton (gRPC)",
    8002: "Triton (metrics) or another ISM server",
    8003: "another PEM server",
}
LOOPBACK = "127.0.0.1"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MODEL_TYPES = ("sam",)


@dataclass(frozen=True)
class Limits:
    """Bounds on what one client can ask for.

    Attributes:
        body_bytes: of one request.
        image_pixels: of one image, read from its header before it is decoded.
        mesh_bytes, mesh_faces: of one CAD file.
        instances: masks in one request.
        objects: CAD files that stay prepared; the one used longest ago is dropped.
        names: objects in one request.
        queue: requests that wait; further ones get 429.
        deadline_s: seconds from the arrival of a request to its answer.
        sessions: tracking sessions at once.
        session_s: seconds after which an unused session ends.
    """

    body_bytes: int = 64 * 2**20
    image_pixels: int = 25_000_000
    mesh_bytes: int = 100 * 2**20
    mesh_faces: int = 2_000_000
    instances: int = 256
    objects: int = 64
    names: int = 64
    queue: int = 16
    deadline_s: float = 120.0
    sessions: int = 16
    session_s: float = 300.0


@dataclass(frozen=True)
class Address:
    """Address of one service: host and port (0 takes a free one)."""

    host: str
    port: int


@dataclass(frozen=True)
class ServerSettings:
    """Settings of one server process.

    Attributes:
        role: "ism", "pem", or "all": both on one engine.
        addresses: of each service of the role.
        config: settings of the pipeline.
        cache_dir: folder of onboarded objects and of the sample.
        data_dir: folder of uploaded objects, which a restart restores.
        objects_file: objects that are loaded at the start, or None.
        log_dir: folder of the log files, or None.
        log_level: of the log.
        token: that clients must send; empty for none.
        roots: folders that clients may name files in, to read and to write.
        read_roots: further folders to read from.
        template_dir, cad_path: for requests that name none; empty for none.
        ism_url: ISM service that ``full_pipeline`` calls; empty to work in this process.
        limits: bounds on requests.
        notes: settings that have no effect here, with the reason.
    """

    role: str = ALL
    addresses: Mapping[str, Address] = field(default_factory=dict)
    config: PipelineConfig = field(default_factory=PipelineConfig)
    cache_dir: Path | None = None
    data_dir: Path | None = None
    objects_file: Path | None = None
    log_dir: Path | None = None
    log_level: str = "INFO"
    token: str = field(default="", repr=False)
    roots: tuple[Path, ...] = ()
    read_roots: tuple[Path, ...] = ()
    template_dir: str = ""
    cad_path: str = ""
    ism_url: str = ""
    limits: Limits = field(default_factory=Limits)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InvalidConfig(f"role is {self.role!r}; expected one of {ROLES}")
        if self.log_level not in LOG_LEVELS:
            raise InvalidConfig(f"log level is {self.log_level!r}; expected one of {LOG_LEVELS}")


@dataclass(frozen=True)
class Variable:
    """One environment variable.

    Attributes:
        name: of the variable.
        service: that reads it.
        setting: what it sets.
        convert: text → value; raises ``ValueError``.
        text: what it means, with its default.
    """

    name: str
    service: str
    setting: str
    convert: Callable[[str], Any]
    text: str


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError("expected a port from 0 to 65535")
    return port


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError("expected a number in [0, 1]")
    return share


def _choice(*choices: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected one of {choices}")
        return text

    return convert


def _address(service: str) -> tuple[Variable, ...]:
    prefix = service.upper()
    return (
        Variable(f"{prefix}_SERVER_HOST", service, "host", str, f"address (default: {LOOPBACK})"),
        Variable(
            f"{prefix}_SERVER_PORT",
            service,
            "port",
            _port,
            f"port (default: {DEFAULT_PORTS[service]})",
        ),
        Variable(
            f"{prefix}_LOG_LEVEL",
            service,
            "log_level",
            lambda text: _choice(*LOG_LEVELS)(text.upper()),
            "DEBUG, INFO (default), WARNING or ERROR",
        ),
    )


# Names and defaults as the services before read them.
VARIABLES: tuple[Variable, ...] = (
    Variable("ISM_MODEL_TYPE", ISM, "model_type", _choice(*MODEL_TYPES), "sam (default)"),
    Variable(
        "ISM_STABILITY_THRESHOLD",
        ISM,
        "stability",
        _share,
        "lowest stability of a mask of SAM, 0 to 1 (default: 0.97); for the backend sam6d",
    ),
    Variable("ISM_TEMPLATE_DIR", ISM, "template_dir", str, "templates, if a request names none"),
    Variable("ISM_CAD_MODEL_PATH", ISM, "cad_path", str, "CAD file, if a request names none"),
    Variable("ISM_CONFIG_DIR", ISM, "config_dir", str, "folder that clients may read"),
    Variable("ISM_CHECKPOINTS_DIR", ISM, "weights", str, "folder of the checkpoints"),
    *_address(ISM),
    Variable("PEM_CONFIG_PATH", PEM, "config_path", str, "folder that clients may read"),
    Variable("PEM_CHECKPOINT_PATH", PEM, "weights", str, "checkpoint, or folder of checkpoints"),
    *_address(PEM),
)


def variables_of(role: str) -> tuple[Variable, ...]:
    """Return the variables that a server of this role reads."""
    return tuple(item for item in VARIABLES if item.service in SERVICES[role])


def read_environment(role: str, environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the settings in the environment, by service and setting.

    Raises:
        InvalidConfig: a value is unusable; names the variable.
    """
    found: dict[str, dict[str, Any]] = {service: {} for service in SERVICES[role]}
    for item in variables_of(role):
        text = environ.get(item.name, "")
        if not text:
            continue
        try:
            found[item.service][item.setting] = item.convert(text)
        except ValueError as error:
            raise InvalidConfig(f"{item.name} is {text!r}; {error}") from error
    return found


def assemble(
    role: str,
    options: Mapping[str, Any],
    found: Mapping[str, Mapping[str, Any]],
    config: PipelineConfig,
) -> ServerSettings:
    """Return the settings of options and environment; an option goes before its variable.

    Args:
        role: of the server.
        options: of the command by name; None where not given.
        found: settings of ``read_environment``.
        config: settings of the pipeline by the options.

    Raises:
        InvalidConfig: a value is unusable.
    """
    flat = {key: value for values in found.values() for key, value in values.items()}
    notes: list[str] = []
    config = _with_weights(_with_stability(config, flat, notes), flat)
    cache_dir = options["cache_dir"]
    token_file = options.get("token_file")
    return ServerSettings(
        role=role,
        addresses={service: _address_of(service, options, found) for service in SERVICES[role]},
        config=config,
        cache_dir=cache_dir,
        data_dir=options.get("data_dir") or cache_dir / "served",
        objects_file=options.get("objects"),
        log_dir=options.get("log_dir"),
        log_level=flat.get("log_level", "INFO"),
        token=read_token(token_file) if token_file else "",
        roots=tuple(options.get("allow_root") or ()),
        read_roots=_read_roots(flat, notes),
        template_dir=flat.get("template_dir", ""),
        cad_path=flat.get("cad_path", ""),
        ism_url=options.get("ism_url") or "",
        limits=Limits(deadline_s=options["deadline"], queue=options["queue"]),
        notes=tuple(notes),
    )


def _address_of(
    service: str, options: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]
) -> Address:
    stated = found[service]
    host, port = options.get("host"), options.get(f"{service}_port")
    if port is not None and not 0 <= port <= 65535:
        raise InvalidConfig(f"the port of {service} is {port}; expected 0 to 65535")
    return Address(
        stated.get("host", LOOPBACK) if host is None else host,
        stated.get("port", DEFAULT_PORTS[service]) if port is None else port,
    )


def _with_stability(
    config: PipelineConfig, flat: Mapping[str, Any], notes: list[str]
) -> PipelineConfig:
    """Give SAM's threshold to the backend that has one."""
    stability = flat.get("stability")
    if stability is None:
        return config
    if choose_backend(config).name != "sam6d":
        notes.append("ISM_STABILITY_THRESHOLD has no effect: it is for the backend sam6d")
        return config
    options = f"{config.backend_options} min_stability={stability}".strip()
    return replace(config, backend="sam6d", backend_options=options)


def _with_weights(config: PipelineConfig, flat: Mapping[str, Any]) -> PipelineConfig:
    """Take the folder of checkpoints; a checkpoint file stands for its folder."""
    if "weights" not in flat:
        return config
    path = Path(flat["weights"])
    return replace(config, weights_dir=path.parent if path.is_file() else path)


def _read_roots(flat: Mapping[str, Any], notes: list[str]) -> tuple[Path, ...]:
    """Return the folders of the variables; those that set nothing else are noted."""
    roots = []
    for key in ("template_dir", "cad_path", "config_dir", "weights", "config_path"):
        if key not in flat:
            continue
        path = Path(flat[key])
        roots.append(path.parent if path.is_file() else path)
        if key.startswith("config"):
            notes.append(f"{flat[key]} sets nothing: this server has no configuration files")
    return tuple(roots)
