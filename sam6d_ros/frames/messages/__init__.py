"""Fields of ROS camera messages → pixels, intrinsics and frames, without ROS.

The messages may be of any library (rclpy, rosbags): only their fields are read. ``frames`` sets of
messages; ``images``, ``compressed``, ``rvl`` pixels.
"""
