"""Accuracy and time on the same frames, beside other libraries: ``make bench``."""
