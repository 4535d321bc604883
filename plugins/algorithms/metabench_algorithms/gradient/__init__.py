"""Gradient-based learners: adaptation descends the support loss."""
