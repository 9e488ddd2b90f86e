"""Routes of the HTTP services, one module per subject."""
