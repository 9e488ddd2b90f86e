"""Speed and drift of tracking on sequences that the project renders itself."""
