"""Model server over HTTP: state, settings, metrics, live answers."""
