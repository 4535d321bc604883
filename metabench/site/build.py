"""The site: one folder of pages that needs nothing else, neither a server nor a network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metabench.atomic import write_text
from metabench.leaderboard.audits import Audited
from metabench.leaderboard.csvfile import write_csv
from metabench.leaderboard.overall import overall_columns
from metabench.leaderboard.row import COLUMNS
from metabench.site.cells import cell_page, plain
from metabench.site.columns import overall_table, results_table
from metabench.site.data import audit_state, domain_part, javascript, overall_part
from metabench.site.names import file_stem, place_names, place_of
from metabench.site.needed import import_needed
from metabench.site.texts import date_line, messages_of, summary

if TYPE_CHECKING:
    from metabench.leaderboard.audits import Audit
    from metabench.leaderboard.overall import OverallRow
    from metabench.leaderboard.tables import Entry, Tables

LIST_OF_FILES = "files.txt"
"""Names what was written, so that the next build can remove what it no longer writes."""

_SCRIPT, _STYLE, _CELLS = "site.js", "site.css", "data/cells.js"


def write_site(
    tables: Tables,
    overall_rows: Sequence[OverallRow],
    out: Path,
    audits: Iterable[Audit] = (),
) -> Path:
    """Write the site.

    Every file is written whole or not at all; what an earlier build wrote and this one does not is
    removed, and nothing else in the folder is touched.

    Args:
        tables: What `metabench.leaderboard.tables.build_tables` made.
        overall_rows: What `metabench.leaderboard.overall.build_overall` made of it.
        out: The folder; it is made if need be.
        audits: Audits of algorithms; rows say whether there is one of exactly their code.

    Returns:
        The first page.

    Raises:
        MetabenchError: If a file cannot be written, or jinja2 or matplotlib is missing.
    """
    site = _Site(tables, tuple(overall_rows), out, Audited(audits))
    site.write()
    return out / "index.html"


class _Site:
    def __init__(
        self, tables: Tables, overall: tuple[OverallRow, ...], out: Path, audited: Audited
    ) -> None:
        self.tables, self.overall, self.out, self.audited = tables, overall, out, audited
        self.places = place_names(tables.rows)
        self.written: dict[str, None] = {}
        self.by_domain: dict[str, list[Entry]] = defaultdict(list)
        for entry in tables.entries:
            self.by_domain[entry.row.domain].append(entry)
        self.figures = _figures(tables, overall)
        self.pages = _templates()
        self.links = [
            {"page": "index.html", "name": "Overview"},
            *({"page": f"{file_stem(name)}.html", "name": name} for name in tables.domains),
            {"page": "results.html", "name": "All results"},
        ]

    def write(self) -> None:
        before = self._files_of_last_build()
        static = resources.files("metabench.site") / "static"
        for name in (_STYLE, _SCRIPT):
            self._put(name, (static / name).read_text("utf-8"))
        self._write_cells()
        for domain, entries in self.by_domain.items():
            self._write_domain(domain, entries)
        self._write_results()
        self._write_overview()
        self._page("cell.html", "cell.html", [_CELLS], title="One row")
        for name in before - set(self.written):
            (self.out / name).unlink(missing_ok=True)
        write_text(self.out / LIST_OF_FILES, "".join(f"{name}\n" for name in sorted(self.written)))

    def _write_domain(self, domain: str, entries: Sequence[Entry]) -> None:
        stem = file_stem(domain)
        columns = [*COLUMNS]
        part = domain_part(entries, self.places, self.audited, columns)
        self._put(f"data/{stem}.js", javascript("part", part))
        self._csv(f"tables/{stem}.csv", COLUMNS, [asdict(entry.row) for entry in entries])
        self._put(f"data/{stem}-table.js", javascript("table", results_table(several=False)))
        self._page(
            f"{stem}.html",
            "domain.html",
            [f"data/{stem}.js", f"data/{stem}-table.js"],
            title=domain,
            heading=domain,
            summary=summary(entries),
            messages=messages_of(self.tables.messages, entries),
            csv=[(f"{stem}.csv", f"tables/{stem}.csv")],
            figures=self.figures.get(domain, []),
        )

    def _write_results(self) -> None:
        stems = [file_stem(domain) for domain in self.tables.domains]
        self._put("data/results.js", javascript("table", results_table(several=True)))
        self._page(
            "results.html",
            "domain.html",
            [*(f"data/{stem}.js" for stem in stems), "data/results.js"],
            title="All results",
            heading="All results",
            summary=summary(self.tables.entries),
            messages=[],
            csv=[(f"{stem}.csv", f"tables/{stem}.csv") for stem in stems],
            figures=[],
        )

    def _write_overview(self) -> None:
        domains = self.tables.domains
        self._put("data/overall.js", javascript("part", overall_part(self.overall, domains)))
        self._put("data/overall-table.js", javascript("table", overall_table(domains)))
        values = [row.values() for row in self.overall]
        self._csv("tables/overall.csv", overall_columns(domains), values)
        self._page(
            "index.html",
            "overview.html",
            ["data/overall.js", "data/overall-table.js"],
            title="Overview",
            summary=summary(self.tables.entries),
            messages=self.tables.messages,
            figures=self.figures.get(None, []),
        )

    def _write_cells(self) -> None:
        index, sections = [], defaultdict(list)
        for entry in self.tables.entries:
            sections[place_of(entry.row)].append(entry)
        for number, (place, entries) in enumerate(sections.items()):
            name, row = self.places[place], entries[0].row
            readable = file_stem(f"{row.source}-{row.protocol}")
            file = f"data/cells/{number:04d}-{readable}.js"
            rows = {
                f"{name}/{one.row.encoder}/{one.row.algorithm}": {
                    "values": {**plain(asdict(one.row)), "audited": audit_state(one, self.audited)},
                    **cell_page(one),
                }
                for one in entries
            }
            self._put(file, javascript("cells", {"name": name, "rows": rows}))
            index.append(
                {
                    "name": name,
                    "file": file,
                    "page": f"{file_stem(row.domain)}.html",
                    "percent": row.metric.endswith("accuracy"),
                }
            )
        self._put(_CELLS, javascript("index", index))

    def _page(self, name: str, template: str, data: Sequence[str], **values: Any) -> None:
        page = self.pages.get_template(template).render(
            page=name,
            links=self.links,
            scripts=[_SCRIPT, *data],
            footer=date_line(self.tables.entries),
            **values,
        )
        self._put(name, page + "\n")

    def _put(self, name: str, text: str) -> None:
        write_text(self.out / name, text)
        self.written[name] = None

    def _csv(self, name: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        write_csv(self.out / name, columns, rows)
        self.written[name] = None

    def _files_of_last_build(self) -> set[str]:
        try:
            names = (self.out / LIST_OF_FILES).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return set()
        inside = self.out.resolve()
        return {name for name in names if (self.out / name).resolve().is_relative_to(inside)}


def _templates() -> Any:
    jinja2 = import_needed("jinja2")
    return jinja2.Environment(
        loader=jinja2.PackageLoader("metabench.site"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _figures(
    tables: Tables, overall: Sequence[OverallRow]
) -> dict[str | None, list[tuple[str, list[Mapping[str, str]]]]]:
    """Draw every figure; per page the groups of figures under their titles."""
    import_needed("matplotlib")
    markup = import_needed("markupsafe").Markup
    from metabench.site.plots.every import every_plot  # noqa: PLC0415 - matplotlib takes a second
    from metabench.site.plots.inline import inline_svg  # noqa: PLC0415

    found: dict[str | None, dict[str, list[Mapping[str, str]]]] = defaultdict(dict)
    for plot in every_plot(tables, overall):
        shown = {
            "name": f"figure-{plot.name}",
            "title": plot.title,
            "caption": plot.caption,
            "svg": markup(inline_svg(plot)),
        }
        found[plot.domain].setdefault(plot.group, []).append(shown)
    return {domain: list(groups.items()) for domain, groups in found.items()}
