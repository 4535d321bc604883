"""Tables as the pages read them: scripts, for a page on disk may fetch nothing."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from metabench.leaderboard.audits import Audited
from metabench.leaderboard.overall import overall_columns
from metabench.leaderboard.row import normalize
from metabench.site.names import Place, file_stem, place_of
from metabench.site.texts import shown

if TYPE_CHECKING:
    from metabench.leaderboard.overall import OverallRow
    from metabench.leaderboard.tables import Entry

Json = dict[str, Any]

SIGNIFICANT = 7
AUDIT_STATES = ("not audited", "passed", "violated")

_POLICIES = {
    "trainable": "Trainable encoders",
    "frozen": "Frozen encoders",
    "none": "No encoder",
}

_WORST_SHOWN = -0.5
"""Where the axis of a section's intervals ends at the latest, as a normalised score."""


def javascript(function: str, value: Any) -> str:
    """Return a script that hands a value to a function of the site's own script.

    Everything outside ASCII is escaped, and so is ``<``: whatever a name holds, it stays text.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f"metabench.{function}({text});\n"


def packed(rows: Sequence[Mapping[str, Any]], columns: Iterable[str]) -> Json:
    """Turn rows into columns; text is kept once per value.

    Args:
        rows: Values by column.
        columns: Which columns.

    Returns:
        Per column a list of numbers, or ``{"values": texts, "index": numbers}``.
    """
    return {name: _column([row.get(name) for row in rows]) for name in columns}


def _column(values: Sequence[Any]) -> Any:
    if any(isinstance(value, str) for value in values):
        texts = ["" if value is None else shown(str(value)) for value in values]
        known = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        return {"values": list(known), "index": [known[text] for text in texts]}
    return [_number(value) for value in values]


def _number(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT}g}") if math.isfinite(value) else None
    return value


def domain_part(
    entries: Sequence[Entry], places: Mapping[Place, str], audited: Audited, columns: Iterable[str]
) -> Json:
    """Return the rows of one domain with the sections they stand in."""
    rows: list[Json] = []
    sections: list[Json] = []
    numbers: dict[Place, int] = {}
    for place, members in _sections(entries).items():
        numbers[place] = len(sections)
        section = _section(members)
        if places[place].endswith(f"@{place[3][:8]}"):
            section["facts"].append(f"protocol digest {place[3][:8]}")
        sections.append({"name": places[place], **section})
    for entry in entries:
        row = asdict(entry.row)
        row["audited"] = audit_state(entry, audited)
        row["section"] = numbers[place_of(entry.row)]
        rows.append(row)
    columns = [*columns, "audited", "section"]
    return {
        "domain": shown(entries[0].row.domain) if entries else "",
        "page": f"{file_stem(entries[0].row.domain)}.html" if entries else "",
        "length": len(rows),
        "columns": packed(rows, columns),
        "sections": sections,
    }


def overall_part(rows: Sequence[OverallRow], domains: Sequence[str]) -> Json:
    """Return the overall table, whatever columns it has; references come last."""
    rows = sorted(rows, key=lambda row: row.encoder_policy == "none")
    numbers: dict[str, int] = {}
    values = []
    for row in rows:
        number = numbers.setdefault(row.encoder_policy, len(numbers))
        values.append({**row.values(), "section": number})
    counts = Counter(row.encoder_policy for row in rows)
    sections = [
        {
            "name": policy,
            "source": _POLICIES.get(policy, policy),
            "protocol": "",
            "facts": [f"{counts[policy]} learner{'s' * (counts[policy] != 1)}"],
            "groups": max((_group(v) for v in values if v["encoder_policy"] == policy), default=0),
        }
        for policy in numbers
    ]
    columns = [*overall_columns(domains), "section"]
    return {"length": len(rows), "columns": packed(values, columns), "sections": sections}


def _group(values: Mapping[str, Any]) -> int:
    return int(values.get("group_high") or 0)


def audit_state(entry: Entry, audited: Audited) -> str:
    """Say whether an audit of exactly the code of a row's records passed."""
    outcomes = {
        finding.outcome
        for audit in audited.of(entry.evidence.records)
        for finding in audit.findings
    }
    if not outcomes:
        return AUDIT_STATES[0]
    return AUDIT_STATES[2 if "violated" in outcomes else 1]


def _sections(entries: Iterable[Entry]) -> dict[Place, list[Entry]]:
    found: dict[Place, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[place_of(entry.row)].append(entry)
    return dict(found)


def _section(members: Sequence[Entry]) -> Json:
    """What the heading of a section says, and the ends of the axis of its intervals."""
    ranked = [entry for entry in members if entry.row.mean is not None]
    first = ranked[0] if ranked else members[0]
    row = first.row
    low, high = _axis(ranked)
    return {
        "source": shown(row.source),
        "protocol": shown(row.protocol),
        "digest": row.protocol_digest,
        "facts": _facts(first),
        "metric": shown(row.metric),
        "percent": row.metric.endswith("accuracy"),
        "higher": first.evidence.higher_is_better,
        "chance": _number(row.chance),
        "low": _number(low),
        "high": _number(high),
        "ranked": len(ranked),
        "blocks": len({entry.block for entry in ranked}),
    }


def _facts(entry: Entry) -> list[str]:
    row = entry.row
    facts = [f"{row.way}-way {row.shot}-shot"]
    if row.task_kind != "classification":
        facts = [row.task_kind, f"support {row.shot}"]
    if row.mean is not None:
        unit = "episodes" if entry.evidence.unit == "episodes" else "episodes of fixed tasks"
        facts.append(f"{row.episodes} {unit}")
    facts.append(f"{row.seeds} seed{'s' * (row.seeds != 1)}")
    return [shown(fact) for fact in facts]


def _axis(ranked: Sequence[Entry]) -> tuple[float, float]:
    """The worst and the best value that the axis shows; it always holds chance."""
    ends = [(0.0, 0.0)]
    for entry in ranked:
        chance, best = entry.evidence.chance, entry.evidence.best
        values = (entry.row.ci95_low, entry.row.mean, entry.row.ci95_high)
        found = [normalize(v, chance, best) for v in values if v is not None]
        known = [value for value in found if value is not None]
        if known:
            ends.append((min(known), max(known)))
    low = max(min(end for end, _ in ends), _WORST_SHOWN)
    high = max(*(end for _, end in ends), low + 0.01)
    if not ranked:
        return 0.0, 1.0
    chance, best = ranked[0].evidence.chance, ranked[0].evidence.best
    return chance + low * (best - chance), chance + high * (best - chance)
