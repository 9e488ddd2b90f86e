"""Tracking of instances through time: association, motion, catch-up, track set."""
