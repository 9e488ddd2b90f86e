"""The stages of the pipeline: one protocol each, with a geometric and a sam6d implementation."""
