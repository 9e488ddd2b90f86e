"""Reading of ROS 2 bags (MCAP and SQLite) without ROS, by ``rosbags``.

``storage`` the files; ``reader`` their topics and messages; ``topics`` which of them are the
camera; ``pairs`` messages → frames.
"""
