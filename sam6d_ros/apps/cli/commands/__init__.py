"""Subcommands of `sam6d`, one module each, with ``add_parser`` and ``run``."""
