"""Surroundings of a synthetic scene: table top, floor, wall."""

from __future__ import annotations

import numpy as np

from sam6d_ros.evaluation.synthetic import prints
from sam6d_ros.evaluation.synthetic.render import Board


def room(rng: np.random.Generator) -> list[Board]:
    """Return a table top, a floor and a wall behind."""
    table = prints.wood((900, 1300), int(rng.integers(1000)), _tone(rng))
    floor = prints.blank(0.2, 0.2, (112, 108, 104))
    wall = np.linspace(206, 182, 200)[:, None, None] + np.zeros((200, 200, 3)) - (0, 4, 12)
    return [
        Board(np.array([-0.6, 0.42, 0]), np.array([1.2, 0, 0]), np.array([0, -0.84, 0]), table),
        Board(np.array([-3, 2.2, -0.75]), np.array([6.0, 0, 0]), np.array([0, -5.0, 0]), floor),
        Board(
            np.array([-3, 2.2, 2]),
            np.array([6.0, 0, 0]),
            np.array([0, 0, -2.75]),
            wall.astype(np.uint8),
        ),
    ]


def _tone(rng: np.random.Generator) -> tuple[int, int, int]:
    tones = ((176, 134, 92), (146, 104, 70), (198, 170, 132))
    return tones[rng.integers(len(tones))]
