"""Datasets in BOP format, pose errors, scores and their report."""
