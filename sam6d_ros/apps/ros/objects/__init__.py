"""Objects of a node: objects file, services at run time, entries as messages."""
