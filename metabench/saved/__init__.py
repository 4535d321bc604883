"""Trained learners saved as folders, and used again on new classes in another process."""
