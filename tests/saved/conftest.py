import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "runs"))

from run_cases import toy_site
from saved_cases import _toy_here, learner, saved, trained

__all__ = ["_toy_here", "learner", "saved", "toy_site", "trained"]
