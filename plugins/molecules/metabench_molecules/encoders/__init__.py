"""Molecule encoders: one family per module."""
