"""RVL, a lossless code for depth images: runs of zeros, and small steps between the rest.

A. D. Wilson, "Fast Lossless Depth Image Compression", ISS 2017; the layout is that of
compressed_depth_image_transport. A number is written in nibbles, lowest three bits first, the
fourth bit set while more follow; eight nibbles fill a little-endian 32-bit word, the first one in
the highest bits. The image, row by row, is a repetition of: count of zeros, count n of non-zeros,
n differences to the last non-zero value (zigzag: 0, -1, 1, -2, … are 0, 1, 2, 3, …).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidFrame

BITS = 3  # of a number in one nibble
MORE = 8  # the nibble's bit that is set when the number goes on
NIBBLE_SHIFTS = np.arange(28, -1, -4, dtype=np.uint32)
# The longest number: 32 bits. More nibbles than that are not of this code.
MAX_NIBBLES = 11


def decode(data: bytes, count: int) -> NDArray[np.uint16]:
    """Decode the ``count`` values of an image, as a vector.

    Returns:
        (count,) uint16.

    Raises:
        InvalidFrame: the data is no RVL code of so many values.
    """
    numbers = _numbers(np.frombuffer(data, "<u4", count=len(data) // 4))
    listed = [*numbers.tolist(), 0, count]  # a run that never fits follows the last number
    nonzero = np.zeros(count, bool)
    is_step = np.zeros(len(numbers), bool)
    pixel = position = 0
    while pixel < count:
        zeros, steps = (
            listed[position : position + 2] if position + 2 <= len(listed) else (0, count)
        )
        pixel, position = pixel + zeros, position + 2
        if pixel + steps > count or position + steps > len(numbers):
            raise InvalidFrame(
                f"compressed depth: the RVL code does not end with the last of {count} pixels: it "
                "is damaged"
            )
        nonzero[pixel : pixel + steps] = True
        is_step[position : position + steps] = True
        pixel, position = pixel + steps, position + steps
    zigzag = numbers[is_step]
    values = np.zeros(count, np.uint16)
    values[nonzero] = np.cumsum((zigzag >> 1) ^ -(zigzag & 1)) & 0xFFFF
    return values


def encode(values: NDArray[np.uint16]) -> bytes:
    """The code of a vector of values."""
    nonzero = values != 0
    edges = np.flatnonzero(np.diff(nonzero, prepend=False))
    runs = np.diff(np.concatenate([[0], edges, [len(values)]]))
    if len(runs) % 2:  # the image ends with zeros
        runs = np.append(runs, 0)
    zeros, steps = runs[::2], runs[1::2]
    difference = np.diff(values[nonzero].astype(np.int64), prepend=0)
    starts = np.cumsum(steps + 2) - (steps + 2)
    numbers = np.empty(2 * len(steps) + len(difference), np.int64)
    is_step = np.ones(len(numbers), bool)
    is_step[starts] = is_step[starts + 1] = False
    numbers[starts], numbers[starts + 1] = zeros, steps
    numbers[is_step] = (difference << 1) ^ (difference >> 63)
    return _words(numbers).tobytes()


def _numbers(words: NDArray[np.uint32]) -> NDArray[np.int64]:
    """All numbers in the words; the filling at the end reads as zeros."""
    nibbles = ((words[:, None] >> NIBBLE_SHIFTS) & 0xF).ravel().astype(np.int64)
    ends = np.flatnonzero(nibbles < MORE)
    if len(ends) == 0:
        return np.zeros(0, np.int64)
    starts = np.append(0, ends[:-1] + 1)
    lengths = ends - starts + 1
    if lengths.max() > MAX_NIBBLES:
        raise InvalidFrame("compressed depth: the RVL code has an endless number: it is damaged")
    place = np.arange(ends[-1] + 1) - np.repeat(starts, lengths)
    bits = (nibbles[: ends[-1] + 1] & ~MORE) << (BITS * place)
    return np.add.reduceat(bits, starts)


def _words(numbers: NDArray[np.int64]) -> NDArray[np.uint32]:
    """The nibbles of all numbers, packed."""
    lengths = np.ones(len(numbers), np.int64)
    for digit in range(1, MAX_NIBBLES):
        lengths += numbers >= 1 << (BITS * digit)
    starts = np.cumsum(lengths) - lengths
    place = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    nibbles = (np.repeat(numbers, lengths) >> (BITS * place)) & ~MORE & 0xF
    nibbles[place < np.repeat(lengths, lengths) - 1] |= MORE
    nibbles = np.pad(nibbles, (0, -len(nibbles) % 8)).astype(np.uint32)
    return (nibbles.reshape(-1, 8) << NIBBLE_SHIFTS).sum(1).astype("<u4")
