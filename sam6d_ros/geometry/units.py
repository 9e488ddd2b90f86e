"""Factors between units, for the edges where data enters and leaves."""

MM_PER_M = 1000.0
NS_PER_S = 1_000_000_000
MS_PER_S = 1000.0
BYTES_PER_MB = 1_000_000
