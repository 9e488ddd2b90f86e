"""Parts of the pose node: estimation on demand, by action and by service."""
