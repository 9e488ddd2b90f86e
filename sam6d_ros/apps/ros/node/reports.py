"""Messages of a node's state: the row in ``/diagnostics``, and ``~/stats``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from sam6d_ros.geometry.units import BYTES_PER_MB, MS_PER_S
from sam6d_ros.msg import NodeStats, StageTiming
from sam6d_ros.runtime.memory import device_bytes, resident_bytes
from sam6d_ros.runtime.states import State
from sam6d_ros.runtime.stats import Snapshot
from sam6d_ros.runtime.status import HostStatus, StatusSnapshot

# A moving object is elsewhere by then.
OLD_RESULT_S = 5.0

LEVELS = {
    State.UNCONFIGURED: DiagnosticStatus.WARN,
    State.INACTIVE: DiagnosticStatus.OK,
    State.LOADING: DiagnosticStatus.WARN,
    State.LOAD_FAILED: DiagnosticStatus.ERROR,
    State.WAITING: DiagnosticStatus.WARN,
    State.IDLE: DiagnosticStatus.OK,
    State.RUNNING: DiagnosticStatus.OK,
    State.BAD_INPUT: DiagnosticStatus.ERROR,
    State.STUCK: DiagnosticStatus.ERROR,
    State.FAILED: DiagnosticStatus.ERROR,
    State.DRAINING: DiagnosticStatus.OK,
}


def diagnostic_status(
    status: HostStatus, dropped: int, lifecycle: str = "", peers: Sequence[str] = ()
) -> DiagnosticStatus:
    """Return the row of a node for ``/diagnostics``.

    Args:
        status: of the node.
        dropped: frames that were replaced by newer ones while they waited.
        lifecycle: the node's lifecycle state.
        peers: sentences about other nodes that are missing or stuck.
    """
    now = status.snapshot()
    level, state = LEVELS[now.state], now.state.value
    summary = f"{state}: {now.last_error}" if now.last_error else state
    others = "; ".join(peers)
    if old := _old_result(now):
        summary = f"{state}: {old}"
    if now.last_error or now.input_problem or old or others:
        level = max(level, DiagnosticStatus.WARN)
    if now.input_problem:
        summary = f"{state}: {now.input_problem}"
    elif others and not now.last_error and not old:
        summary = f"{state}: {others}"
    values = {
        "state": state,
        "lifecycle": lifecycle,
        "last_error": now.last_error,
        "input_problem": now.input_problem,
        "peer_problem": others,
        "empty_result_reason": now.empty_reason,
        "found": now.found,
        "found_s_ago": _seconds(now.found_s_ago),
        "result_age_s": _seconds(now.figures.result_age_s),
        "backend": now.backend,
        "device": now.device,
        "tracked_objects": str(now.tracked_objects),
        "frames_dropped": str(dropped),
        **_shown(now.figures),
        "memory_mb": f"{resident_bytes() / BYTES_PER_MB:.0f}",
        "device_memory_mb": f"{device_bytes() / BYTES_PER_MB:.0f}",
    }
    rows = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=status.name, message=summary, values=rows)


def _old_result(now: StatusSnapshot) -> str:
    """Return a warning of a result that is too old to act upon; else nothing."""
    age_s = now.figures.result_age_s
    if now.state is not State.RUNNING or now.on_demand or not OLD_RESULT_S < age_s < math.inf:
        return ""
    return (
        f"the newest result is {age_s:.0f} s old; up to {OLD_RESULT_S:.0f} s are expected: search "
        "fewer objects, in the boxes of a detector or on a faster device, or follow the objects "
        "with tracking_node"
    )


def _seconds(value: float) -> str:
    """Return seconds as diagnostics show them; "nan" when there is none."""
    return f"{value:.1f}" if math.isfinite(value) else "nan"


def _shown(figures: Snapshot) -> dict[str, str]:
    """The figures as diagnostics show them; times in milliseconds, "nan" when there is none."""
    values = {
        "input_rate_hz": f"{figures.input_rate_hz:.2f}",
        "rate_hz": f"{figures.output_rate_hz:.2f}",
        "frames_received": str(figures.received),
        "frames_processed": str(figures.processed),
        "frames_skipped": str(figures.skipped),
        "frames_failed": str(figures.failed),
    }
    for name, spread in {"age": figures.age, **figures.stages}.items():
        values[f"{name}_ms"] = f"{MS_PER_S * spread.median:.1f}"
        values[f"{name}_p95_ms"] = f"{MS_PER_S * spread.p95:.1f}"
    return values


def node_stats(status: HostStatus, header: Header, dropped: int) -> NodeStats:
    """The message for ``~/stats``; see ``diagnostic_status``."""
    now = status.snapshot()
    figures = now.figures
    return NodeStats(
        header=header,
        node=status.name,
        state=now.state.value,
        backend=now.backend,
        device=now.device,
        input_rate_hz=figures.input_rate_hz,
        output_rate_hz=figures.output_rate_hz,
        age_median_ms=MS_PER_S * figures.age.median,
        age_p95_ms=MS_PER_S * figures.age.p95,
        received=figures.received,
        processed=figures.processed,
        dropped=dropped,
        skipped=figures.skipped,
        failed=figures.failed,
        stages=[
            StageTiming(
                stage=name,
                median_ms=MS_PER_S * spread.median,
                p95_ms=MS_PER_S * spread.p95,
                count=spread.count,
            )
            for name, spread in figures.stages.items()
        ],
        memory_bytes=resident_bytes(),
        device_memory_bytes=device_bytes(),
        tracked_objects=now.tracked_objects,
        last_error=now.last_error,
    )
