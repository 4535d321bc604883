"""Learners whose network reads the support set: memories, processes, attention."""
