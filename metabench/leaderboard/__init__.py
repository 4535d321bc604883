"""Leaderboards: records reduced to tables. Nothing here imports torch."""
