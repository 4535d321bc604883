"""A sample plugin whose dependency conflicts with what others need."""
