"""`sam6d serve all --ray`: options, and the services until a signal."""

from __future__ import annotations

import argparse
import hashlib
import queue
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sam6d_ros.apps.cli.options import CONSOLE
from sam6d_ros.apps.cli.serve_options import check_least, web_libraries
from sam6d_ros.apps.environment import prepare_ray
from sam6d_ros.apps.http.settings import FLEET, FLEET_PORT, LOOPBACK, Address, ServerSettings
from sam6d_ros.cad.objects import load_objects
from sam6d_ros.errors import InvalidConfig, Sam6dError
from sam6d_ros.fleet.connect import LOCAL
from sam6d_ros.fleet.replicas import Scaling, end

NEW_OBJECTS = signal.SIGHUP


def add_replica_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("many machines (docs/fleet.md)")
    group.add_argument(
        "--ray",
        nargs="?",
        const=LOCAL,
        metavar="ADDRESS",
        help="deploy both services, at one address, on a Ray cluster: HOST:PORT of its head "
        "node, auto for the one on this machine, and end; again with other options updates them. "
        "Without ADDRESS, Ray is started on this machine until a signal",
    )
    group.add_argument(
        "--ray-port",
        type=int,
        default=FLEET_PORT,
        metavar="N",
        help="with --ray: port of every machine (default: %(default)s)",
    )
    group.add_argument(
        "--replicas", type=int, default=1, metavar="N", help="engines (default: %(default)s)"
    )
    group.add_argument(
        "--max-replicas",
        type=int,
        metavar="N",
        help="most engines; the load decides on their number (default: --replicas)",
    )
    group.add_argument(
        "--replica-cpus",
        type=float,
        default=1.0,
        metavar="N",
        help="processor cores of each engine (default: %(default)g)",
    )
    group.add_argument(
        "--replica-gpus",
        type=float,
        default=0.0,
        metavar="N",
        help="GPUs of each engine; a fraction shares one (default: %(default)g)",
    )


def run_on_ray(args: argparse.Namespace, settings: ServerSettings) -> int:
    """Deploy the services; on a Ray of our own, serve until a signal.

    Returns:
        Exit code.

    Raises:
        InvalidConfig: an option is unusable.
        InvalidObjects, InvalidMesh: the objects file or a mesh is unusable.
        BackendUnavailable: there is no such cluster, or no replica starts.
    """
    scaling = scaling_of(args)
    address = Address(args.host or LOOPBACK, args.ray_port)
    settings = replace(
        settings, addresses={FLEET: address}, data_dir=None, objects_file=None, log_dir=None
    )
    prepare_ray()
    with web_libraries():
        from sam6d_ros.apps.http import serve_ray
        from sam6d_ros.apps.http.serve import bound
    if args.ray == LOCAL:
        bound(address).close()  # a taken port is named at once
    scaling = replace(scaling, environment=serve_ray.environment())
    with CONSOLE.status("connecting to Ray") as status, serve_ray.connected_services(args.ray):
        status.update("starting the replicas")
        objects = user_config(args.objects, settings.cache_dir)
        serve_ray.deploy(settings, scaling, objects)
        status.stop()
        print(f"poses: http://{address.host}:{address.port} (docs: /docs)", flush=True)
        if args.ray != LOCAL:
            return 0
        try:
            for _ in new_objects():
                with shown():
                    objects = user_config(args.objects, settings.cache_dir)
                    serve_ray.deploy(settings, scaling, objects)
        finally:
            end()
    return 0


def scaling_of(args: argparse.Namespace) -> Scaling:
    """Return number and demands of the replicas.

    Raises:
        InvalidConfig: a value is out of its range.
    """
    most = args.replicas if args.max_replicas is None else args.max_replicas
    check_least(vars(args), {"replicas": 1, "replica_cpus": 0.01, "replica_gpus": 0})
    if most < args.replicas:
        raise InvalidConfig(f"--max-replicas is {most}; expected at least {args.replicas}")
    return Scaling(args.replicas, most, cpus=args.replica_cpus, gpus=args.replica_gpus)


def user_config(objects: Path | None, cache_dir: Path | None = None) -> dict[str, Any]:
    """Return the part of the configuration that changes while requests are served.

    Args:
        objects: objects file; its meshes are onboarded, to find one that is damaged before a
            replica does.
        cache_dir: folder of onboarded objects.

    Raises:
        InvalidObjects, InvalidMesh: the file or a mesh is unusable; the replicas keep what they
            have then.
    """
    if objects is None:
        return {}
    load_objects(objects, cache_dir=cache_dir)
    content = hashlib.sha256(objects.read_bytes()).hexdigest()
    return {"objects": str(objects.resolve()), "revision": content[:16]}


@contextmanager
def shown() -> Iterator[None]:
    """Print an error of the objects, after which the services go on with those they have."""
    try:
        yield
    except Sam6dError as error:
        CONSOLE.print(f"kept the present objects: {error}", markup=False, soft_wrap=True)


def new_objects() -> Iterator[None]:
    """Yield at each SIGHUP; end at SIGINT or SIGTERM."""
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM, NEW_OBJECTS):
        signal.signal(number, lambda received, _: signals.put(received))
    while signals.get() == NEW_OBJECTS:
        yield
