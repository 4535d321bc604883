"""Few-shot learning benchmarked: one harness, one frozen protocol, every kind of data."""

__version__ = "0.1.0"
