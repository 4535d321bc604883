"""Bodies simulated in MuJoCo, built from numbers alone."""
