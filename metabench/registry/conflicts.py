"""Names that several plugins claim.

One rule for the names of plugins and of what they provide, independent of the order of loading: a
name that a first-party distribution claims stays with it, so installing a plugin never changes what
an existing name means; any other name that is claimed twice goes to nobody until the user says
whom to turn off, so that no result changes its meaning unnoticed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from metabench.hookspecs import Descriptor
from metabench.registry.candidates import Candidate, first_party, normalised
from metabench.registry.catalogue import Kind, Problem
from metabench.registry.loading import Provision


@dataclass
class Settlement:
    """Who gets which name.

    Attributes:
        granted: The descriptor and its plugin, by kind and name.
        problems: One line for each group of plugins that claim the same names.
        withheld: The line for each name that nobody got.
    """

    granted: dict[tuple[Kind, str], tuple[Descriptor, Candidate]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    withheld: dict[tuple[Kind, str], Problem] = field(default_factory=dict)


def distinct_plugins(candidates: Iterable[Candidate]) -> tuple[list[Candidate], list[Problem]]:
    """Leave out plugins whose entry points have the same name.

    Args:
        candidates: Entry points, at most one of each name and value in a distribution.

    Returns:
        Those that can be loaded, and one line for each name that is claimed more than once.
    """
    by_name: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_name[normalised(candidate.name)].append(candidate)
    kept: list[Candidate] = []
    problems: list[Problem] = []
    for claimants in by_name.values():
        winner = _winner(claimants)
        if winner is not None:
            kept.append(winner)
        if len(claimants) > 1:
            what = f"the plugin name {claimants[0].name!r}"
            problems.append(_clash(what, claimants, winner, by="distribution"))
    return sorted(kept, key=lambda c: (normalised(c.distribution), c.name)), problems


def settle(provisions: Iterable[Provision]) -> Settlement:
    """Give every name to at most one plugin.

    Args:
        provisions: What the plugins provide.

    Returns:
        Who gets which name, and what is left out.
    """
    claims: dict[tuple[Kind, str], list[tuple[Descriptor, Candidate]]] = defaultdict(list)
    for provision in provisions:
        for kind, infos in provision.descriptors.items():
            for info in infos:
                claims[kind, info.name].append((info, provision.candidate))
    settlement = Settlement()
    clashes: dict[tuple[Kind, tuple[Candidate, ...]], list[str]] = defaultdict(list)
    for (kind, name), claimed in sorted(claims.items(), key=lambda item: item[0]):
        claimants = tuple(candidate for _, candidate in claimed)
        winner = _winner(claimants)
        if winner is not None:
            settlement.granted[kind, name] = claimed[claimants.index(winner)]
        if len(claimed) > 1:
            clashes[kind, claimants].append(name)
    for (kind, claimants), names in clashes.items():
        what = f"the {kind} name{'s' * (len(names) > 1)} {', '.join(map(repr, names))}"
        winner = _winner(claimants)
        problem = _clash(what, claimants, winner, by="name")
        settlement.problems.append(problem)
        if winner is None:
            settlement.withheld.update(((kind, name), problem) for name in names)
    return settlement


def _winner(claimants: Sequence[Candidate]) -> Candidate | None:
    if len(claimants) == 1:
        return claimants[0]
    ours = first_party()
    own = [candidate for candidate in claimants if normalised(candidate.distribution) in ours]
    return own[0] if len(own) == 1 else None


def _clash(what: str, claimants: Sequence[Candidate], winner: Candidate | None, by: str) -> Problem:
    def switch(candidate: Candidate) -> str:
        return f"-p no:{candidate.distribution if by == 'distribution' else candidate.name}"

    first, *others = [candidate for candidate in claimants if candidate is not winner]
    claim = f"it claims {what}"
    if others:
        claim += (
            f", as {'does' if len(others) == 1 else 'do'} {' and '.join(c.label for c in others)}"
        )
    verdict = f"it stays with {winner.label}" if winner else "none of them gets it"
    switches = " or ".join(dict.fromkeys(switch(candidate) for candidate in claimants))
    return first.problem(f"{claim}; {verdict}: rename it, or turn one off with {switches}")
