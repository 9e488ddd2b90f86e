"""The ROS 2 shell: nodes, parameters and conversions around the pure core."""
