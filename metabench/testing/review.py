"""What the conformance kit found, told as a reviewer would. Needs no torch."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metabench.testing.advice import ADVICE, Advice
from metabench.testing.names import ALL, Subject

if TYPE_CHECKING:
    from metabench.leaderboard.audits import Finding

WIDTH = 100
INDENT = " " * 11
_ORDER = ("passed", "violated", "declared", "measured", "inapplicable")
_WORDS = {
    "passed": "passed",
    "violated": "FAILED",
    "declared": "declared",
    "measured": "noted",
    "inapplicable": "not applicable",
}


@dataclass(frozen=True)
class Remark:
    """One finding and what it is about.

    Attributes:
        subject: The kind of thing that was examined.
        name: Its name.
        on: On what: a kind of task or a modality; empty where there is but one way.
        finding: What was found.
    """

    subject: Subject
    name: str
    on: str
    finding: Finding

    @property
    def title(self) -> str:
        """What was checked of what."""
        what = f"{self.subject} {self.name}" + (f" on {self.on}" if self.on else "")
        return f"{what}: {self.finding.check}"

    @property
    def violated(self) -> bool:
        """Whether it is not as it should be."""
        return self.finding.outcome == "violated"

    @property
    def establishes(self) -> str:
        """What the check establishes."""
        return ALL[self.subject].get(self.finding.check, "")

    @property
    def advice(self) -> Advice:
        """Why it matters and what to do."""
        return ADVICE[self.subject][self.finding.check]

    def lines(self) -> Iterator[str]:
        """Yield the finding as a reviewer would tell it."""
        yield self.title
        yield f"  should   {self.establishes}"
        for word, text in (
            ("found", self.finding.detail),
            ("why", self.advice.why),
            ("mend", self.advice.mend),
        ):
            yield textwrap.fill(
                text, WIDTH, initial_indent=f"  {word:9}", subsequent_indent=INDENT,
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip


@dataclass(frozen=True)
class Review:
    """Everything that was found on one plugin.

    Attributes:
        plugin: Its distribution.
        version: The version of that.
        module: Its entry point.
        remarks: One for each check and way.
    """

    plugin: str
    version: str
    module: str
    remarks: tuple[Remark, ...]

    @property
    def violations(self) -> tuple[Remark, ...]:
        """What is not as it should be."""
        return tuple(remark for remark in self.remarks if remark.violated)

    @property
    def summary(self) -> str:
        """How many checks there were, and how many failed."""
        failed, count = len(self.violations), len(self.remarks)
        checks = f"{count} {'check' if count == 1 else 'checks'}"
        return f"{checks}, {failed or 'none'} failed"

    def lines(self) -> Iterator[str]:
        """Yield the review: an overview, what was noted, and each violation with what to do."""
        yield f"{self.plugin} {self.version} ({self.module})"
        parts = dict.fromkeys((remark.subject, remark.name) for remark in self.remarks)
        width = max((len(f"{subject} {name}") for subject, name in parts), default=0)
        for subject, name in parts:
            own = [r for r in self.remarks if (r.subject, r.name) == (subject, name)]
            yield f"  {f'{subject} {name}':{width}}  {_counted(own)}"
        for remark in self.remarks:
            if (
                remark.finding.outcome == "measured"
                and remark.finding.check in ADVICE[remark.subject]
            ):
                yield f"  note: {remark.title}: {remark.finding.detail}"
        for number, remark in enumerate(self.violations, 1):
            yield ""
            first, *rest = remark.lines()
            yield f"{number}. {first}"
            yield from (f"   {line}".replace("\n", "\n   ") for line in rest)
        yield self.summary


def _counted(remarks: Iterable[Remark]) -> str:
    counts: Counter[str] = Counter(remark.finding.outcome for remark in remarks)
    return ", ".join(f"{counts[o]} {_WORDS[o]}" for o in _ORDER if counts[o])


def complaint(remarks: Iterable[Remark]) -> str:
    """Return the text of an assertion: each violation as a reviewer would tell it."""
    return "\n\n".join("\n".join(remark.lines()) for remark in remarks if remark.violated)
