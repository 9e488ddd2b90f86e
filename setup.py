"""For pip; everything is declared in pyproject.toml. ROS builds use CMakeLists.txt."""

from setuptools import setup

setup()
