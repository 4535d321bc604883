"""MLflow and Weights & Biases watch the runs of metabench."""
