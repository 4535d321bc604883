"""The static site and the figures: tables made by `metabench.leaderboard`, for people to look at."""
