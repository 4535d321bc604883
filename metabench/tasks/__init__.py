"""Tasks: the source contract, splits, and the deterministic episode sampler."""
