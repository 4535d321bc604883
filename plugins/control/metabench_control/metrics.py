"""``reacher-success``: an adapted policy, scored in the simulator."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metabench.learners.metrics import Answered
from metabench_control.physics.reaching import (
    ACTIONS,
    SETTINGS,
    Floats,
    expert,
    run_trials,
    start_angles,
)

TRIALS = 10
"""Start states of each task; none of them is one of a demonstration."""


def reacher_success(answered: Answered) -> Tensor:
    """Share of the trials in which the policy brings the fingertip to the goal.

    Args:
        answered: Episodes of ``reacher-imitation``. Scores and targets are not looked at: the
            adapted predictors are called once per control step, with the observations of all
            trials.

    Returns:
        ``[B]`` float64.

    Raises:
        ValueError: If the episodes have no settings or the predictions are not actions.
    """
    if answered.settings is None or answered.settings.shape[-1] != len(SETTINGS):
        raise ValueError(
            f"reacher-success scores tasks whose settings are {', '.join(SETTINGS)}; "
            "these have none or others"
        )
    settings = answered.settings.cpu().double().numpy()

    def policy(observations: Floats) -> Floats:
        actions = answered.predict({"x": torch.from_numpy(observations.astype(np.float32))})
        if actions.shape != (*observations.shape[:2], ACTIONS):
            raise ValueError(
                f"the predictor returned actions of shape {tuple(actions.shape)}; "
                f"{(*observations.shape[:2], ACTIONS)} was expected"
            )
        return actions.detach().cpu().double().numpy()

    starts = np.stack([start_angles(row, TRIALS, "trial") for row in settings])
    return torch.from_numpy(run_trials(settings, starts, policy).success.mean(-1))


def expert_success(settings: Floats) -> Floats:
    """Return the expert's own rate on tasks ``[B, 10]``, from the same starts: the ceiling."""
    starts = np.stack([start_angles(row, TRIALS, "trial") for row in settings])
    rates: Floats = run_trials(settings, starts, expert(settings)).success.mean(-1)
    return rates
