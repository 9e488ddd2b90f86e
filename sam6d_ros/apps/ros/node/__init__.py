"""Parts that every node of this package shares."""
