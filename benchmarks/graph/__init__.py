"""Measurements of the running ROS 2 graph: latency beside the inference, and endurance."""
