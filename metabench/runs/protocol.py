"""The protocol: everything that makes two numbers comparable, named, frozen and hashed."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from metabench.runs.record import digest_of
from metabench.tasks.sampling import Sampling, SupportRule

ENGINE_REVISION = 1
"""Raised by one whenever a change of the core moves a score; part of every protocol digest."""


class Protocol(BaseModel):
    """How learners are trained, selected and tested.

    Attributes:
        name: Such as ``quick-5w1s``.
        version: Raised when a published protocol changes.
        way: Classes per episode: a number, or ``"5-50"`` for a way drawn per episode as in
            Triantafillou et al. (2020), Meta-Dataset, section 3.2. 2 in binary tasks, 1 in
            regression.
        shot: Support examples per class, or ``"uneven"`` for Meta-Dataset's imbalanced shots. In
            task pools the support size.
        query: Query examples per class; ``"rest"`` is every other example (task pools).
        episodes: Test episodes per seed, sampled from class pools; 1 where the kind of task says
            that tasks are fixed.
        draws: Support draws per test task, in task pools.
        support: How a task pool's support is drawn: ``stratified`` keeps each class's share,
            ``balanced`` takes equally many of each class, ``random`` looks at no target, and
            ``groups`` takes all examples of ``shot`` groups.
        group_disjoint: Whether no group (drawer, speaker) is on both sides of an episode.
        budget: Meta-training examples that a recipe may see.
        seconds: Optional limit of meta-training time.
        val_episodes: Meta-val episodes in each selection.
        selections: How often the weights are validated, evenly over the budget.
        patience: Validations without a better score before training stops; 0 never stops early.
        metric: The metric's name.
        engine: Revision of the core's arithmetic.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int = Field(default=1, ge=1)
    way: int | str = 5
    shot: int | str = 1
    query: Annotated[int, Field(ge=1)] | Literal["rest"] = 15
    episodes: int = Field(default=600, ge=1)
    draws: int = Field(default=10, ge=1)
    support: SupportRule = "stratified"
    group_disjoint: bool = False
    budget: int = Field(default=100_000, ge=0)
    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    val_episodes: int = Field(default=100, ge=1)
    selections: int = Field(default=10, ge=1)
    patience: int = Field(default=0, ge=0)
    metric: str = "accuracy"
    engine: int = ENGINE_REVISION

    @field_validator("way")
    @classmethod
    def _check_way(cls, way: int | str) -> int | str:
        if isinstance(way, int):
            if way < 1:
                raise ValueError("way must be at least 2, and is 1 in regression")
        elif not (m := re.fullmatch(r"(\d+)-(\d+)", way)) or not 2 <= int(m[1]) <= int(m[2]):  # noqa: PLR2004
            raise ValueError(f"way {way!r} is neither a number nor a range such as '5-50'")
        return way

    @field_validator("shot")
    @classmethod
    def _check_shot(cls, shot: int | str) -> int | str:
        if isinstance(shot, int):
            if shot < 1:
                raise ValueError("shot must be at least 1")
        elif shot != "uneven":
            raise ValueError(f"shot {shot!r} is neither a number nor 'uneven'")
        return shot

    @model_validator(mode="after")
    def _check_uneven(self) -> Protocol:
        if isinstance(self.way, str) != isinstance(self.shot, str):
            raise ValueError(
                f"way {self.way!r} does not go with shot {self.shot!r}: a range of ways, such as "
                "'5-50', goes with shot 'uneven', and a number with a number"
            )
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of every setting but the name."""
        return digest_of(self.model_dump(mode="json", exclude={"name"}))

    @property
    def sampling(self) -> Sampling:
        """The shape of a test episode."""
        low_high = [int(n) for n in str(self.way).split("-")]
        return Sampling(
            way=low_high[0] if len(low_high) == 1 else (low_high[0], low_high[1]),
            shot=None if isinstance(self.shot, str) else self.shot,
            query=None if isinstance(self.query, str) else self.query,
            support=self.support,
            draws=self.draws,
            group_disjoint=self.group_disjoint,
        )
