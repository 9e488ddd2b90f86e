"""Released weights files: read safely, load strictly, complain clearly."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sam6d_ros.errors import CheckpointError

WRAPPERS = ("model", "state_dict")  # keys under which a file may hold its weights
PARALLEL_PREFIX = "module."  # of weights saved from a data-parallel model
COUNTER = "num_batches_tracked"  # of batch norms; without influence, absent in old files
_SHOWN = 6  # names in a message


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a .pth or .safetensors file, on the CPU.

    Pickles are read with ``weights_only``, so a file cannot run code. The weights may be wrapped
    in ``model`` or ``state_dict``.

    Returns:
        Tensors by name.

    Raises:
        CheckpointError: the file is missing, damaged or holds no weights.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path} does not exist; run `sam6d weights fetch` or put the released file there"
        )
    found = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    for wrapper in WRAPPERS:
        if isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
            break
    weights = {
        key.removeprefix(PARALLEL_PREFIX): value
        for key, value in found.items()
        if isinstance(value, Tensor)
    }
    if not weights:
        raise CheckpointError(
            f"{path} holds no tensors (keys: {_some(list(found))}); it is not a weights file"
        )
    return weights


def _read_pickle(path: Path) -> Mapping[str, Any]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than weights and was not opened ({str(error).splitlines()[0]}); "
            "use the released file"
        ) from error
    except (RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        raise _damaged(path, error) from error
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{path} holds a {type(found).__name__}, expected a dict of weights")
    return found


def _is_zip(path: Path) -> bool:
    """Whether the file has torch's zip format, which can be mapped instead of read."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> CheckpointError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return CheckpointError(
        f"{path} ({path.stat().st_size} bytes) cannot be read: {reason}; it is truncated or no "
        "weights file. Delete it and run `sam6d weights fetch`"
    )


def load_into(module: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Load strictly: every key must be there with its shape, and no other.

    Raises:
        CheckpointError: names what is missing, unexpected or of another shape.
    """
    wanted = module.state_dict()
    given = {**{k: v for k, v in wanted.items() if k.endswith(COUNTER)}, **weights}
    missing = [key for key in wanted if key not in given]
    unexpected = [key for key in given if key not in wanted]
    wrong = [
        f"{key} {tuple(given[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in given and given[key].shape != wanted[key].shape
    ]
    problems = [
        f"{len(keys)} {name}: {_some(keys)}"
        for name, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", wrong),
        )
        if keys
    ]
    if problems:
        raise CheckpointError(
            f"{source} is not a {type(module).__name__} checkpoint; {'; '.join(problems)}. "
            "Is the file renamed, or of another variant?"
        )
    module.load_state_dict(given, strict=True, assign=True)


def _some(keys: list[str]) -> str:
    more = f", … ({len(keys)} in all)" if len(keys) > _SHOWN else ""
    return ", ".join(map(str, keys[:_SHOWN])) + more


def load_checkpoint(module: nn.Module, path: Path, device: torch.device | str = "cpu") -> nn.Module:
    """Load a file strictly and make the module ready for inference on the device.

    Returns:
        The module, in evaluation mode.

    Raises:
        CheckpointError: see :func:`read_weights` and :func:`load_into`.
    """
    load_into(module, read_weights(path), path)
    return module.float().to(device).eval().requires_grad_(False)
