"""Model server: registry, hosts, batches, buffers and statistics of models."""
