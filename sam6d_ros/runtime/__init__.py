"""Engines, hosts and tracks: the state between frames, for every shell."""
