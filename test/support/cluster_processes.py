"""Processes of a Ray cluster that a test started on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def actor_processes(cluster: Any, name: str = "ray::Actor") -> list[int]:
    """Return the processes on the nodes of a cluster whose title has a name in it."""
    raylets = {
        node.all_processes["raylet"][0].process.pid
        for node in (cluster.head_node, *cluster.worker_nodes)
    }
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):  # it ended meanwhile
            continue
        if name.encode() in title and parent in raylets:
            found.append(int(folder.name))
    return found
