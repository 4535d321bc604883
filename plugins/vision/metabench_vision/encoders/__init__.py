"""Encoders of images, one per module."""
