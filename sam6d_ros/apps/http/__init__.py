"""HTTP services over the core: convert, hand over to ``runtime``, convert back."""
