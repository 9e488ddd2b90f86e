"""Grasps of an object for a two-finger gripper, in the object's own frame."""
