"""Networks that are exported as detectors."""
