"""Settings of the model server, of its command's options and the environment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam6d_ros.apps.http.auth import read_token
from sam6d_ros.apps.http.environment import address_of
from sam6d_ros.apps.http.settings import MODELS, Address, Limits
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.runtime.build import EngineSpec
from sam6d_ros.runtime.model_server.slot import RegistryOptions
from sam6d_ros.runtime.model_server.spec import ModelSpec
from sam6d_ros.runtime.streams import Network, parse_networks

MEGA = 1 << 20
MAX_BATCH_IMAGES = 64  # of one request


@dataclass(frozen=True)
class ModelServerSettings:
    """Settings of one model server.

    Attributes:
        addresses: of the service.
        models: that are loaded at the start, unless the restored ones have their names.
        default_model: that answers requests which name none; empty for the only one.
        poses: engine of the model that estimates poses on streams with depth, or None.
        registry: limits of all models.
        use_cuda_stream: for models that do not state it.
        data_dir: folder of the models file, or None to keep nothing.
        roots: folders that clients may name model files and videos in.
        networks: networks whose cameras clients may name, beside public addresses.
        devices: whether clients may name cameras of this machine.
        token: that clients must send; empty for none.
        limits: bounds on requests.
        batch_images: most images of one request.
        log_dir, log_level: as ``ServerSettings``.
        notes: settings that have no effect here, with the reason.
        role: for the name of the log file.
    """

    addresses: Mapping[str, Address] = field(default_factory=dict)
    models: tuple[ModelSpec, ...] = ()
    default_model: str = ""
    poses: EngineSpec | None = None
    registry: RegistryOptions = field(default_factory=RegistryOptions)
    use_cuda_stream: bool = False
    data_dir: Path | None = None
    roots: tuple[Path, ...] = ()
    networks: tuple[Network, ...] = ()
    devices: bool = False
    token: str = field(default="", repr=False)
    limits: Limits = field(default_factory=Limits)
    batch_images: int = MAX_BATCH_IMAGES
    log_dir: Path | None = None
    log_level: str = "INFO"
    notes: tuple[str, ...] = ()
    role: str = MODELS


def assemble(
    options: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]
) -> ModelServerSettings:
    """Return the settings of options and environment; an option goes before its variable.

    Args:
        options: of the command by name; None where not given.
        found: settings of ``environment.read_environment``.

    Raises:
        InvalidConfig: a value is unusable.
    """
    stated = found[MODELS]
    stream = bool(options.get("use_cuda_stream") or stated.get("use_cuda_stream"))
    models, poses = _models(options, stated, stream), _poses(options)
    token_file, limit_mb = options.get("token_file"), options.get("memory_mb")
    return ModelServerSettings(
        addresses={MODELS: address_of(MODELS, options, found)},
        models=models,
        default_model=models[0].name if models else "",
        poses=poses,
        registry=RegistryOptions(
            memory_bytes=None if limit_mb is None else limit_mb * MEGA,
            evict=bool(options.get("evict")),
        ),
        use_cuda_stream=stream,
        data_dir=options["data_dir"],
        networks=parse_networks(options.get("allow_network") or ()),
        devices=bool(options.get("allow_devices")),
        roots=(*(options.get("allow_root") or ()), *_folders(stated)),
        token=read_token(token_file) if token_file else "",
        limits=Limits(deadline_s=options["deadline"], queue=options["queue"]),
        log_dir=options.get("log_dir"),
    )


def _models(
    options: Mapping[str, Any], stated: Mapping[str, Any], stream: bool
) -> tuple[ModelSpec, ...]:
    """Return the models of `--model NAME=SOURCE` and of the variable."""
    named = [_named(text) for text in options.get("model") or ()]
    sources = dict(named)
    if len(sources) < len(named):
        name = Counter(name for name, _ in named).most_common(1)[0][0]
        raise InvalidConfig(f"--model names {name!r} twice; expected NAME=SOURCE with other names")
    if path := stated.get("model_path"):
        sources.setdefault(name_of(path), path)
    limits = {
        "capacity": options["queue"],
        "timeout_s": options["deadline"],
        "isolated": bool(options.get("isolate")),
    }
    device = options.get("device") or "cpu"
    return tuple(
        ModelSpec(name, _absolute(source), device=device, use_cuda_stream=stream, **limits)
        for name, source in sources.items()
    )


def _poses(options: Mapping[str, Any]) -> EngineSpec | None:
    """Return the engine of `--objects`."""
    file = options.get("objects")
    if file is None:
        return None
    config = PipelineConfig(backend=options["backend"], device=options.get("device") or "cpu")
    return EngineSpec(config, options["cache_dir"], objects_file=file)


def _named(text: str) -> tuple[str, str]:
    name, separator, source = text.partition("=")
    return (name, source) if separator else (name_of(text), text)


def name_of(source: str) -> str:
    """Return a model name for a file or address: its last part, other characters as ``_``."""
    stem = re.sub(r"\.(pt|onnx|engine|trt)$", "", source.rstrip("/").rpartition("/")[2])
    return re.sub(r"[^A-Za-z0-9_.-]", "_", stem).lstrip("_.-")[:64]


def _absolute(source: str) -> str:
    """Return the source as the models file keeps it, whatever folder the next start is in."""
    path = Path(source)
    return str(path.absolute()) if path.exists() else source


def _folders(stated: Mapping[str, Any]) -> Sequence[Path]:
    """Return the folder of the variable's model: clients may name its neighbours."""
    path = Path(stated.get("model_path", ""))
    return [path.parent] if path.is_file() else []
