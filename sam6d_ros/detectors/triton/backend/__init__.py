"""Files that run inside Triton's model processes, where this package is not installed."""
