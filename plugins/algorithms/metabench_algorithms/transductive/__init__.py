"""Learners that read all unlabelled queries of a task at once."""
