"""Topics that carry results: poses, classes, markers and overlay."""
