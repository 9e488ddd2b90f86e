"""Compiled loops, and where their machine code is kept."""
