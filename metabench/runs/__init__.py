"""Runs: protocol, suite, plan, cell worker, executors, store."""
