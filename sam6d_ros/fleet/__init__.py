"""The same work on many machines, on Ray: batches of frames, and replicas of the HTTP services.

The only package that imports ``ray``; it does so when a cluster is used, not before. The frames of
a batch are ``tasks``, worked on by the engines of a ``pool``; ``batch`` runs them and ``shards``
keeps the results. Without a cluster the same batch runs in this process.
"""
