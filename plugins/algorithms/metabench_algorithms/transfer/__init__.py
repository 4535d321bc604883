"""Learners that fine-tune what supervised pre-training has learned."""
