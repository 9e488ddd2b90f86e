"""Symmetries of objects: groups, detection on a mesh, equivalent poses."""
