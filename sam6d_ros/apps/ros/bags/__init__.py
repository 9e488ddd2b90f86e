"""ROS 2 bags (MCAP and SQLite) without a ROS installation, by ``rosbags`` and the real messages.

``definitions`` type names → message classes and their definitions; ``qos`` recorded ↔ live QoS;
``reader``, ``writer`` the files; ``schedule`` bag time on a clock; ``player`` with
``endpoints``, ``recorder`` the graph; ``topics``, ``frames``, ``process`` a bag through the engine;
``signals`` how Ctrl-C ends them.
"""
