"""Camera topics of a node: synchronised input, transports, watch, launch files."""
