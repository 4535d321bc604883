"""Task sources of images, one per module."""
