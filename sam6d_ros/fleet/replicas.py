"""Replicas of an HTTP application on Ray Serve: one engine each, as many as the load needs.

The application is the shell's; it is made anew in every replica.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from sam6d_ros.errors import BackendUnavailable, NotReady, install_extra
from sam6d_ros.fleet.connect import import_ray

APPLICATION, DEPLOYMENT = "sam6d", "Poses"
SYNCHRONISE_S = 60.0  # for all replicas to take a change of the objects
HEALTH_S = 2.0  # between two looks at a replica
LATE_S = 10.0  # after the deadline of a request until the proxy gives it up
# Variable of the proxies' processes: function that gives their middlewares (Ray Serve 2.60).
PROXY_CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"


class Served(Protocol):
    """Application of one replica.

    Attributes:
        app: ASGI application.
    """

    app: Any

    async def start(self) -> None:
        """Load everything that requests need; raise if that is impossible."""

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Take the part of the configuration that may change while requests are served."""

    async def synchronise(self) -> None:
        """Take changes that other replicas have made."""

    def obstacle(self) -> str:
        """Return why the replica is to be replaced; empty if it is well."""


class Replica:
    """One replica; Ray Serve makes a deployment of it.

    Args:
        make: makes the application, in the process of the replica.
    """

    # Ray Serve awaits it.
    async def __init__(self, make: Callable[[], Served]) -> None:  # type: ignore[misc]
        self._served = make()
        await self._served.start()

    def __serve_build_asgi_app__(self) -> Any:
        return self._served.app

    async def reconfigure(self, user_config: Mapping[str, Any] | None) -> None:
        """Take a new ``user_config``; Ray Serve calls it for one replica after another."""
        await self._served.reconfigure(user_config or {})

    async def synchronise(self) -> None:
        """Take changes that other replicas have made."""
        await self._served.synchronise()

    async def check_health(self) -> None:
        """Raise if the replica is to be replaced."""
        if obstacle := self._served.obstacle():
            raise RuntimeError(obstacle)
        with suppress(NotReady):  # a reason to wait, not to be replaced
            await self._served.synchronise()  # a change of another replica


@dataclass(frozen=True)
class Scaling:
    """Number of replicas, and demands of each.

    Attributes:
        least, most: replicas; the load decides between them.
        ongoing: requests that one replica has at once; one is worked on.
        waiting: requests that wait for a replica; further ones are refused.
        cpus, gpus: of each.
        environment: variables of the replicas' processes.
    """

    least: int = 1
    most: int = 1
    ongoing: int = 4
    waiting: int = 16
    cpus: float = 1.0
    gpus: float = 0.0
    environment: Mapping[str, str] | None = None

    def options(self) -> dict[str, Any]:
        """Return the options of a deployment of Ray Serve."""
        threads = str(max(1, int(self.cpus)))
        variables = {"NUMBA_NUM_THREADS": threads, **(self.environment or {})}
        number: dict[str, Any] = {"num_replicas": self.least}
        if self.most > self.least:
            load = {"target_ongoing_requests": max(1.0, self.ongoing / 2)}
            bounds = {"min_replicas": self.least, "max_replicas": self.most}
            number = {"autoscaling_config": {**bounds, **load}}
        return {
            **number,
            "max_ongoing_requests": self.ongoing,
            "max_queued_requests": self.waiting,
            "health_check_period_s": HEALTH_S,
            "ray_actor_options": {
                "num_cpus": self.cpus,
                "num_gpus": self.gpus,
                "runtime_env": {"env_vars": variables},
            },
        }


def import_serve() -> ModuleType:
    """Return the module ``ray.serve``.

    Raises:
        BackendUnavailable: it is not installed.
    """
    import_ray()
    try:
        from ray import serve
    except ImportError as error:
        raise BackendUnavailable(
            f"services on a fleet need Ray Serve ({error}); {install_extra('fleet')}"
        ) from error
    return serve


def application(
    make: Callable[[], Served],
    scaling: Scaling | None = None,
    user_config: Mapping[str, Any] | None = None,
) -> Any:
    """Return an application of Ray Serve.

    Args:
        make: makes the application of a replica; it must be importable there.
        scaling: None leaves it to a configuration file.
        user_config: of ``Served.reconfigure``.
    """
    serve = import_serve()
    options: dict[str, Any] = {"name": DEPLOYMENT, "user_config": dict(user_config or {})}
    if scaling is not None:
        # Without a version every deployment replaces the replicas; so a new objects file does not.
        made = import_ray().cloudpickle.dumps(make)
        options |= {"version": hashlib.sha256(made).hexdigest()[:16], "_internal": True}
        options |= scaling.options()
    return serve.deployment(serve.ingress()(Replica)).options(**options).bind(make)


def deploy(app: Any, host: str, port: int, deadline_s: float) -> None:
    """Deploy an application, or update it: replicas change one after another.

    Args:
        app: of ``application``.
        host: address on which every machine listens.
        port: its port.
        deadline_s: longest time of a request; the proxy gives it up a little later.

    Raises:
        BackendUnavailable: no replica starts.
    """
    serve = import_serve()
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    timeout_s = deadline_s + LATE_S
    http = {"host": host, "port": port, "request_timeout_s": timeout_s}
    try:
        serve.start(proxy_location="EveryNode", http_options=http)
        serve.run(app, name=APPLICATION, route_prefix="/")
    except (RuntimeError, ValueError, import_ray().exceptions.RayError) as error:
        raise BackendUnavailable(f"the services cannot be deployed: {error}") from error


def job_options(middlewares: str) -> dict[str, Any]:
    """Return options of ``ray.init`` for a job that may start the proxies of the cluster.

    Args:
        middlewares: MODULE:FUNCTION with the middlewares of the proxies; proxies that run already
            keep theirs.
    """
    return {"runtime_env": {"env_vars": {PROXY_CALLBACK: middlewares}}}


def end() -> None:
    """End the services of the cluster."""
    import_serve().shutdown()


async def synchronise_all() -> None:
    """Pass the changes that this replica has made on to all replicas.

    A replica that does not answer takes them at its next check of health.
    """
    handle = import_serve().get_deployment_handle(DEPLOYMENT, APPLICATION)
    answers = handle.broadcast("synchronise")
    await answers.results_async(timeout_s=SYNCHRONISE_S, return_exceptions=True)


def replica_states() -> dict[str, int]:
    """Return the number of replicas in each state, such as RUNNING and STARTING."""
    found = import_serve().status().applications.get(APPLICATION)
    if found is None or DEPLOYMENT not in found.deployments:
        return {}
    states = found.deployments[DEPLOYMENT].replica_states
    return {str(getattr(state, "value", state)): int(count) for state, count in states.items()}
