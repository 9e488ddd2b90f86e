"""Arguments that several subcommands share, and what is built from them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import BackendUnavailable
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.stages.backends import AUTO

# People read stderr; stdout carries only results.
CONSOLE = Console(stderr=True)
FILE_WIDTH = 120  # of tables that go to a file or a pipe


def default_weights_dir() -> Path:
    """Return the folder in which `sam6d weights fetch` stores the released checkpoints."""
    return default_cache_dir() / "weights"


def result_console() -> Console:
    """Return the console of results; tables keep their columns if stdout is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=FILE_WIDTH)


def add_command(
    commands: argparse._SubParsersAction, name: str, summary: str, description: str
) -> argparse.ArgumentParser:
    """A subcommand whose help keeps the line breaks of its examples."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


@contextmanager
def ros_modules(command: str, remedy: str = "") -> Iterator[None]:
    """Around imports that need ROS 2, or a package that only some commands need.

    Raises:
        BackendUnavailable: one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"`sam6d {command}` needs ROS 2 and {error.name} is not installed; run `make setup` or "
            f"source your ROS 2 distribution (bags also need `pip install rosbags`){remedy}"
        ) from error


def add_rejection_options(parser: argparse._ActionsContainer) -> None:
    """Add options of acceptance."""
    parser.add_argument(
        "--min-score",
        type=float,
        help="reject poses with a lower score, 0 to 1; an object may state its own in the objects "
        "file (default: the backend's, 0.5 for geometric, 0.2 for sam6d without final_icp)",
    )
    parser.add_argument(
        "--max-instances",
        type=int,
        default=PipelineConfig.max_instances,
        help="most instances per object (default: %(default)s)",
    )


def add_backend_options(parser: argparse.ArgumentParser) -> None:
    """Add options of the backend."""
    group = parser.add_argument_group("method")
    group.add_argument(
        "--backend",
        default=AUTO,
        metavar="NAME",
        help="sam6d needs the released checkpoints and torch; geometric needs neither; auto "
        "(default) takes sam6d when its checkpoints are there; or an installed one "
        "(docs/backends.md)",
    )
    group.add_argument(
        "--budget-s",
        type=float,
        metavar="S",
        help="seconds of one frame after which no search for a further object begins; the most "
        "likely objects come first, and the result names the others (default: no limit; geometric)",
    )
    group.add_argument(
        "--weights",
        type=Path,
        default=default_weights_dir(),
        metavar="DIR",
        help="folder of the released checkpoints (default: %(default)s; see sam6d weights)",
    )
    group.add_argument(
        "--device", default="auto", help="of the networks: auto (default), cpu or cuda[:N]"
    )
    group.add_argument(
        "--backend-options",
        default="",
        metavar="OPTIONS",
        help="options of the backend; of sam6d: name=value words, such as 'sam_variant=vit_b "
        "compat=legacy' (docs/sam6d.md)",
    )
    add_cache_option(group)


def add_cache_option(parser: argparse._ActionsContainer) -> None:
    """Add the option of the cache folder."""
    parser.add_argument(
        "--cache-dir",
        type=Path,
        default=default_cache_dir(),
        metavar="DIR",
        help="where onboarded objects are kept (default: %(default)s)",
    )


def config_of(
    args: argparse.Namespace, min_score: float | None, max_instances: int
) -> PipelineConfig:
    """Return the settings of the arguments of ``add_backend_options``."""
    return PipelineConfig(
        backend=args.backend,
        backend_options=args.backend_options,
        device=args.device,
        weights_dir=args.weights,
        min_score=min_score,
        max_instances=max_instances,
        budget_s=getattr(args, "budget_s", None),
    )


def load_engine(
    args: argparse.Namespace,
    models: Sequence[ObjectModel],
    min_score: float | None,
    max_instances: int,
    settings: Mapping[str, ObjectSettings] | None = None,
) -> Engine:
    """Build the engine of the arguments around objects with their settings; show progress."""
    config = config_of(args, min_score, max_instances)
    objects = ObjectSet({model.name: model for model in models}, settings=settings or {})
    with CONSOLE.status("") as status:
        return build_engine(EngineSpec(config, args.cache_dir, objects=objects), status.update)
