"""The networks of the ``sam6d`` backend: torch modules, their checkpoints and their inputs.

Importing this package does not import torch; its modules do (extra ``.[sam6d]``).
"""
