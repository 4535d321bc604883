"""Learners whose adaptation is the exact solution of a small problem."""
