"""Thin shells around the pure core: ROS 2 nodes, the command line."""
