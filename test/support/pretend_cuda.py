"""Semantics of CUDA without a GPU: a tensor class that holds CPU data and reports another device.

Every operator runs on the CPU with real values, so that whole stages run with their real control
flow. Events are recorded with the file and line of the package that caused them:

* ``launch``: an operator that starts a kernel; views do not. A decomposition starts more than one.
* ``wait``: the host waits for the device: ``.item()``, ``bool()``, ``nonzero``, boolean indexing,
  copies to the host, decompositions that read their status.
* ``pageable``: a copy to the device from memory that is not pinned; it waits for the stream too.
* ``pinned``: a copy to the device that waits for nothing.
* ``mixed``: operands on both devices, which raises, as on a GPU. Scalars and index tensors of the
  CPU are accepted there and copied; index tensors count as ``pageable``.

The device is named ``meta``, because a torch without CUDA has no guard for ``cuda``. Not covered:
autocast, streams, Triton. Patched by :func:`support.device_counts.pretend`.
"""

from __future__ import annotations

import traceback
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

CPU, DEVICE = torch.device("cpu"), torch.device("meta")
WAITS = {  # operators whose result, or its size, the host reads
    "_local_scalar_dense",
    "nonzero",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "equal",
    "masked_select",
    "linalg_svd",
    "_linalg_svd",
    "linalg_eigh",
}
_VIEWS = (
    "view _unsafe_view reshape expand permute transpose t slice select unsqueeze squeeze "
    "detach alias unbind split as_strided unflatten numpy_T _reshape_alias split_with_sizes "
    "diagonal lift_fresh _local_scalar_dense flatten empty empty_like new_empty empty_strided "
    "new_empty_strided numel item is_nonzero sym_size sym_stride size stride is_contiguous "
    "expand_as view_as chunk movedim resolve_conj resolve_neg mT swapaxes narrow set_"
)
VIEWS = frozenset(_VIEWS.split())


class Pretended(torch.Tensor):
    """A tensor that reports ``DEVICE``; ``held`` is the one on the CPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Pretended:
        out = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
            requires_grad=False,
        )
        out.held = held
        return out

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Pretended({self.held})"

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def new_tensor(self, data: Any, **named: Any) -> torch.Tensor:
        """Go through the patched ``torch.tensor``, which counts the copy."""
        named.pop("device", None)
        return torch.tensor(data, dtype=named.pop("dtype", self.dtype), device=DEVICE, **named)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} outside of PretendCuda")


def place() -> str:
    """Return file and line of the innermost frame of the package."""
    for frame in reversed(traceback.extract_stack()):
        if "/sam6d_ros/" in frame.filename:
            return f"{frame.filename.rsplit('/sam6d_ros/', 1)[-1]}:{frame.lineno}"
    return "outside"


@dataclass
class Call:
    """One launch of a recorded graph, on tensors of the CPU."""

    work: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any
    view: bool

    def replay(self) -> None:
        """Compute again into the same memory."""
        if self.view:
            return
        new = self.work(*self.args, **self.kwargs)
        for old, value in zip(*map(pytree.tree_leaves, (self.out, new)), strict=True):
            if isinstance(old, torch.Tensor) and old is not value:
                old.copy_(value)


class PretendCuda(TorchDispatchMode):
    """Run operators of :class:`Pretended` tensors on the CPU and record events."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = ""
        self.events: Counter[tuple[str, str, str, str]] = Counter()
        self._pinned: dict[int, torch.Tensor] = {}
        self.recording: list[Call] | None = None
        self.made: list[weakref.ref[Pretended]] = []  # while recording

    def __enter__(self) -> PretendCuda:
        build = self._build = torch.tensor  # makes its values outside of the dispatcher

        def tensor(data: Any, **named: Any) -> torch.Tensor:
            device = torch.device(named.pop("device", None) or CPU)
            out = build(data, **named)
            if device.type == CPU.type:
                return out
            self.note("pageable", "torch.tensor")
            return Pretended(out)

        torch.tensor = tensor
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        torch.tensor = self._build
        super().__exit__(*error)

    def note(self, kind: str, name: str) -> None:
        """Record one event of the present stage."""
        where = "" if kind == "launch" else place()
        self.events[self.stage, kind, name, where] += 1

    def pin(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the tensor in memory from which copies do not wait."""
        out = tensor.clone()
        self._pinned[id(out)] = out
        return out

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Record events under this name meanwhile."""
        self.stage, before = stage, self.stage
        yield
        self.stage = before

    def count(self, stage: str, kind: str) -> int:
        """Return the number of events of a kind."""
        return sum(n for (s, k, _, _), n in self.events.items() if (s, k) == (stage, kind))

    def places(self, stage: str, kind: str) -> list[str]:
        """Return where the events of a kind come from, for the message of a test."""
        found = [(w, f, n) for (s, k, f, w), n in self.events.items() if (s, k) == (stage, kind)]
        return [f"{n} × {where} {name}" for where, name, n in sorted(found)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func._schema.name.split("::")[-1]
        short = name.rstrip("_")
        leaves = [t for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        pretended = [t for t in leaves if isinstance(t, Pretended)]
        wanted = kwargs.get("device")
        for value in args:
            wanted = value if isinstance(value, torch.device) else wanted
        on_device = wanted.type == DEVICE.type if wanted is not None else bool(pretended)
        if short == "copy" and len(leaves) == 2:
            self._copied(leaves[0], leaves[1], args[2] if len(args) > 2 else False)
        elif short == "_to_copy" and wanted is not None:
            target = leaves[0] if on_device == bool(pretended) else None
            if target is None:
                self._moved(leaves[0], on_device, kwargs.get("non_blocking", False))
        elif pretended:
            self._check_operands(name, short, leaves)
        if on_device and short not in VIEWS and not (short == "_to_copy" and not pretended):
            self.note("launch", name)
        bare = pytree.tree_map(_bare, args), pytree.tree_map(_bare, kwargs)
        out = func(*bare[0], **bare[1])
        if self.recording is not None and on_device:
            self.recording.append(Call(func, *bare, out, short in VIEWS))
        if _in_place(func) or "out" in kwargs:
            target = kwargs.get("out", args[0] if args else None)
            if isinstance(target, torch.Tensor):
                return target
        if not on_device:
            return out
        keep = {id(t.held): t for t in pretended}

        def wrapped(value: Any) -> Any:
            if not isinstance(value, torch.Tensor):
                return value
            if id(value) in keep:
                return keep[id(value)]
            made = Pretended(value)
            if self.recording is not None:
                self.made.append(weakref.ref(made))
            return made

        return pytree.tree_map(wrapped, out)

    def external(self, name: str, work: Any, *given: Pretended) -> Pretended:
        """Launch a kernel that is no operator of torch; ``work`` takes tensors of the CPU."""
        self.note("launch", name)
        held = tuple(tensor.held for tensor in given)
        out = work(*held)
        if self.recording is not None:
            self.recording.append(Call(work, held, {}, out, False))
        return Pretended(out)

    def _copied(self, target: torch.Tensor, source: torch.Tensor, free: bool) -> None:
        ours, theirs = isinstance(target, Pretended), isinstance(source, Pretended)
        if ours != theirs and source.dim():
            self._moved(source, ours, free)

    def _moved(self, source: torch.Tensor, up: bool, free: bool) -> None:
        if up:
            self.note("pinned" if free and id(source) in self._pinned else "pageable", "copy")
        elif not free:
            self.note("wait", "copy to the host")

    def _check_operands(self, name: str, short: str, leaves: list[torch.Tensor]) -> None:
        plain = [t for t in leaves if not isinstance(t, Pretended) and t.dim()]
        indexing = short in ("index", "index_put", "_index_put_impl")
        if plain and indexing:
            self.note("pageable", "index tensor on the CPU")
        elif plain:
            self.note("mixed", name)
            raise RuntimeError(f"{name}: operands on both devices")
        flags = any(t.dtype in (torch.bool, torch.uint8) for t in leaves[1:])
        scalar = short == "index_put" and leaves[-1].dim() == 0  # goes through masked_fill
        if name in WAITS or (indexing and flags and not scalar):
            self.note("wait", name)


def _in_place(func: Any) -> bool:
    """Return whether an operator writes to its first operand."""
    operands = func._schema.arguments
    return bool(operands and operands[0].alias_info and operands[0].alias_info.is_write)


def _bare(value: Any) -> Any:
    """Return what an operator of the CPU takes instead."""
    if isinstance(value, Pretended):
        return value.held
    return CPU if isinstance(value, torch.device) else value
