"""The compared libraries, used as their own samples use them: one object at a time.

Runs in the environment of ``benchmarks.environment``.
"""
