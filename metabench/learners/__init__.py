"""Learners: the encoder and algorithm contracts, meta-training, and evaluation."""
