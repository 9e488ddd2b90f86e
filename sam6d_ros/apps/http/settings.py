"""Settings of the HTTP services; ``environment.py`` makes them of options and variables.

Imports no web library, so that ``sam6d serve --help`` lists the settings anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidConfig

ISM, PEM, ALL, MODELS = "ism", "pem", "all", "models"
FLEET = "fleet"  # both on one engine and at one address, on Ray Serve
FLEET_PORT = 8000  # as of Ray Serve
ROLES = (ISM, PEM, ALL)  # that have an engine
SERVICES = {ISM: (ISM,), PEM: (PEM,), ALL: (ISM, PEM), MODELS: (MODELS,)}  # of each role
ENGINE_ROLES = {ISM: "segmentation", PEM: "service", ALL: "service"}
TITLES = {ISM: "ISM Server", PEM: "PEM Server", FLEET: "Pose Server", MODELS: "Model Server"}
DEFAULT_PORTS = {ISM: 8002, PEM: 8003, MODELS: 5000}
# Services that usually hold these ports, for the message about a port that is taken.
USUAL_HOLDERS = {
    5000: "another model server, a container registry or AirPlay",
    8000: "Triton (HTTP) or Ray Serve",
    8001: "Triton (gRPC)",
    8002: "Triton (metrics) or another ISM server",
    8003: "another PEM server",
}
LOOPBACK = "127.0.0.1"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True)
class Limits:
    """Bounds on what one client can ask for.

    Attributes:
        body_bytes: of one request.
        image_pixels: of one image, read from its header before it is decoded.
        mesh_bytes, mesh_faces: of one CAD file.
        instances: masks in one request.
        uploads, upload_bytes: uploaded objects, and all their files, that are kept.
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
    uploads: int = 256
    upload_bytes: int = 4 * 2**30
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
