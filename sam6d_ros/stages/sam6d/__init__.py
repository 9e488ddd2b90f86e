"""The ``sam6d`` implementation of the stages: SAM, DINOv2 and the Pose Estimation Model.

Importing this package does not import torch; its modules do (extra ``.[sam6d]``).
"""
