"""Text encoders: one family per module."""
