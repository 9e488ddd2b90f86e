"""Processes of a Ray cluster that a test started on this machine, and their records."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from sam6d_ros.fleet.results import read_line


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


def stored(shards: Path) -> Counter[str]:
    """Return the number of records of each frame, also while shards are written and renamed."""
    while True:
        try:
            texts = [path.read_text() for path in shards.glob("shard-*")]
        except FileNotFoundError:
            continue
        return Counter(read_line(line).key for text in texts for line in text.splitlines())
