"""The static site and the figures: leaderboards for people to look at."""
