"""The `sam6d` command; ``commands`` has one module per subcommand."""
