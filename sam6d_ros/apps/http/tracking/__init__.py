"""Tracking over HTTP: sessions and their work in the compute thread."""
