"""The task sources."""
