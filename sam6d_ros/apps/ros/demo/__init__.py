"""Demo over a running ROS 2 graph: scene, node processes, report."""
