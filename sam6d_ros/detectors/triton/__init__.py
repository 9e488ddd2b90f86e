"""Client, process and model repository of a Triton server."""
