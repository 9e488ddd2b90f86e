"""Settings of one model of a model server, as clients give them and the models file keeps them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sam6d_ros.detectors.model import DEFAULT_THRESHOLD, check_threshold
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.runtime.admission import DEFAULT_CAPACITY

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_KINDS: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (float, int),
}
DEFAULT_BATCH = 8
REMOTE = ("http:", "grpc:")  # a server elsewhere holds the model
# (lowest, highest) of the numbers; the highest ones only catch mistakes.
LIMITS: Mapping[str, tuple[float, float]] = {
    "warm_up_runs": (0, 100),
    "max_batch": (1, 64),
    "max_delay_ms": (0, 1000),
    "capacity": (1, 1000),
    "timeout_s": (0.001, 3600),
}


@dataclass(frozen=True)
class ModelSpec:
    """Settings of one model.

    Attributes:
        name: letters, digits, `_`, `.` and `-`, at most 64.
        source: as `detectors.table.open_detector` takes it, or another one that the server opens.
        threshold: lowest score that is returned, unless a request states another.
        device: `cpu` or a CUDA device.
        warm_up_runs: runs before the model serves.
        metrics: whether the phases of its calls are measured and logged.
        max_batch: most images of one call, of which the model may take fewer; None is 8 on CUDA
            and for addresses, and 1 on the CPU.
        max_delay_ms: for how long an image waits for others; 0 takes those that wait already.
        capacity: most requests that wait; more are refused.
        use_cuda_stream: whether the model runs on a CUDA stream of its own.
        timeout_s: longest time of a request, with its wait.
        isolated: whether the detector runs in a process of its own.

    Raises:
        InvalidConfig: a value out of its range.
    """

    name: str
    source: str
    threshold: float = DEFAULT_THRESHOLD
    device: str = "cpu"
    warm_up_runs: int = 1
    metrics: bool = True
    max_batch: int | None = None
    max_delay_ms: float = 0.0
    capacity: int = DEFAULT_CAPACITY
    use_cuda_stream: bool = False
    timeout_s: float = 30.0
    isolated: bool = False

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.source or "\0" in self.source:
            raise InvalidConfig(f"model '{self.name}' has the source {self.source!r}; expected one")
        if self.is_remote and "@" in self.source:
            raise InvalidConfig(f"the address of model '{self.name}' has a user; leave it out")
        if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", self.device):
            raise InvalidConfig(f"`device` is '{self.device}'; expected cpu, cuda or cuda:N")
        check_threshold(self.threshold)
        for field, (low, high) in LIMITS.items():
            value = getattr(self, field)
            if value is not None and not low <= value <= high:
                raise InvalidConfig(f"`{field}` is {value}; expected a number in [{low}, {high}]")

    @property
    def is_remote(self) -> bool:
        """Whether a server elsewhere holds the model."""
        return self.source.startswith(REMOTE)

    @property
    def batch_limit(self) -> int:
        """Most images of one call."""
        if self.max_batch is not None:
            return self.max_batch
        # 8 clients of a small network on 2 cores: 890 images/s one by one, 520 in batches
        return 1 if self.device == "cpu" and not self.is_remote else DEFAULT_BATCH

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> ModelSpec:
        """Return a spec of JSON values.

        Args:
            values: of :meth:`to_dict`.

        Raises:
            InvalidConfig: no object, an unknown or missing key, or a value of another type.
        """
        if not isinstance(values, dict):
            raise InvalidConfig(f"a model is {values!r}; expected an object with name and source")
        kinds = {field.name: _KINDS[str(field.type)] for field in dataclasses.fields(cls)}
        for key, value in values.items():
            if type(value) not in kinds.get(key, ()):
                raise InvalidConfig(
                    f"model {values.get('name')!r} has {key!r}: {value!r}; expected "
                    + (f"{kinds[key][0].__name__}" if key in kinds else f"only {', '.join(kinds)}")
                )
        missing = [key for key in ("name", "source") if key not in values]
        if missing:
            raise InvalidConfig(f"model {values!r} has no {' and no '.join(missing)}")
        return cls(**values)


def check_name(name: str) -> None:
    """Refuse a name that cannot stand in an address or a metric.

    Args:
        name: of a model.

    Raises:
        InvalidConfig: it has other characters, or is too long.
    """
    if not NAME.fullmatch(name):
        raise InvalidConfig(
            f"model name is {name!r}; expected letters, digits, '_', '.' and '-', first a letter "
            "or digit, at most 64"
        )
