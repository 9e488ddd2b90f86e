"""What is known of a node → its messages: the row in ``/diagnostics``, and ``~/stats``."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from sam6d_ros.apps.ros.status import NodeStatus, State
from sam6d_ros.geometry.units import BYTES_PER_MB, MS_PER_S
from sam6d_ros.msg import NodeStats, StageTiming
from sam6d_ros.runtime.memory import device_bytes, resident_bytes
from sam6d_ros.runtime.stats import Snapshot

LEVELS = {
    State.UNCONFIGURED: DiagnosticStatus.WARN,
    State.INACTIVE: DiagnosticStatus.OK,
    State.LOADING: DiagnosticStatus.WARN,
    State.LOAD_FAILED: DiagnosticStatus.ERROR,
    State.WAITING: DiagnosticStatus.WARN,
    State.IDLE: DiagnosticStatus.OK,
    State.RUNNING: DiagnosticStatus.OK,
    State.BAD_INPUT: DiagnosticStatus.ERROR,
    State.FAILED: DiagnosticStatus.ERROR,
}


def diagnostic_status(status: NodeStatus, dropped: int, lifecycle: str = "") -> DiagnosticStatus:
    """The row of a node for ``/diagnostics``.

    Args:
        status: of the node.
        dropped: frames that were replaced by newer ones while they waited.
        lifecycle: the node's lifecycle state.
    """
    figures = status.stats.snapshot()
    state = status.current_state(figures.idle_s)
    level = LEVELS[state]
    summary = f"{state.value}: {status.last_error}" if status.last_error else state.value
    if status.input_problem:
        level = max(level, DiagnosticStatus.WARN)
        summary = f"{state.value}: {status.input_problem}"
    values = {
        "state": state.value,
        "lifecycle": lifecycle,
        "last_error": status.last_error,
        "input_problem": status.input_problem,
        "empty_result_reason": status.empty_reason,
        "backend": status.backend,
        "device": status.device,
        "tracked_objects": str(status.tracked_objects),
        "frames_dropped": str(dropped),
        **_shown(figures),
        "memory_mb": f"{resident_bytes() / BYTES_PER_MB:.0f}",
        "device_memory_mb": f"{device_bytes() / BYTES_PER_MB:.0f}",
    }
    rows = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=status.name, message=summary, values=rows)


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


def node_stats(status: NodeStatus, header: Header, dropped: int) -> NodeStats:
    """The message for ``~/stats``; see ``diagnostic_status``."""
    figures = status.stats.snapshot()
    return NodeStats(
        header=header,
        node=status.name,
        state=status.current_state(figures.idle_s).value,
        backend=status.backend,
        device=status.device,
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
        tracked_objects=status.tracked_objects,
        last_error=status.last_error,
    )
