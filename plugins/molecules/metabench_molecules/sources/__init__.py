"""Task sources: one data set per module."""
