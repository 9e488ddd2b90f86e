"""A compiled loop for the tests of the compilation ahead of time."""

from typing import NamedTuple

from numba import njit


class Pair(NamedTuple):
    """Argument of a loop."""

    a: float
    b: float


@njit(cache=True)
def total(values):
    out = 0.0
    for value in values:
        out += value
    return out
