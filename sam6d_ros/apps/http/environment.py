"""Settings of a server from the options of its command, then the environment, then defaults.

The only module of the services that reads environment variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sam6d_ros.apps.http.auth import read_token
from sam6d_ros.apps.http.settings import (
    DEFAULT_PORTS,
    ISM,
    LOG_LEVELS,
    LOOPBACK,
    MODELS,
    PEM,
    SERVICES,
    Address,
    Limits,
    ServerSettings,
)
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.stages.backends import AUTO, choose_backend

MODEL_TYPES = ("sam",)


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


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError("expected true or false")
    return text.lower() in ("true", "1")


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
    Variable("TRT_MODEL_PATH", MODELS, "model_path", str, "model file that is loaded at the start"),
    Variable(
        "USE_CUDA_STREAM",
        MODELS,
        "use_cuda_stream",
        _flag,
        "whether each model has a CUDA stream of its own: true or false (default)",
    ),
    Variable("PORT", MODELS, "port", _port, f"port (default: {DEFAULT_PORTS[MODELS]})"),
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
    config = _with_stability(_with_weights(config, flat), flat, notes)
    cache_dir = options["cache_dir"]
    token_file = options.get("token_file")
    return ServerSettings(
        role=role,
        addresses={service: address_of(service, options, found) for service in SERVICES[role]},
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
        limits=Limits(
            deadline_s=options["deadline"],
            queue=options["queue"],
            sessions=options.get("sessions", Limits.sessions),
            session_s=options.get("session_s", Limits.session_s),
        ),
        notes=tuple(notes),
    )


def address_of(
    service: str, options: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]
) -> Address:
    """Return the address of a service: the option ``SERVICE_port`` goes before its variable.

    Raises:
        InvalidConfig: the port is out of its range.
    """
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
    name = choose_backend(config).name if config.backend == AUTO else config.backend
    if name != "sam6d":
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
