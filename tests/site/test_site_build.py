"""The files of the site, without a browser."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from site_cases import HOSTILE, hostile, many, ordinary, scored, write

from metabench.errors import MetabenchError, UnavailableError
from metabench.leaderboard.audits import Audit, Finding
from metabench.leaderboard.csvfile import read_csv
from metabench.leaderboard.overall import build_overall, overall_columns
from metabench.leaderboard.row import COLUMNS
from metabench.leaderboard.tables import build_tables
from metabench.site import build, columns, needed
from metabench.site.cells import histogram
from metabench.site.command import reproduce, suite_of
from metabench.site.data import javascript, packed
from metabench.site.names import file_stem, shortened

ROOT = Path(__file__).parents[2]
_CALL = re.compile(r"metabench\.(\w+)\((.*)\);\n", re.DOTALL)


def held(path):
    """The value that a data file hands to the page."""
    _, value = _CALL.fullmatch(path.read_text("utf-8")).groups()
    return json.loads(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    tables = write(ordinary(), out)
    return out, tables


def test_every_page_and_every_row_is_there(site):
    out, tables = site
    pages = {path.name for path in out.glob("*.html")}
    assert pages == {
        "index.html", "results.html", "cell.html", "vision.html", "nlp.html", "control.html",
    }  # fmt: skip
    rows = sum(held(out / "data" / f"{domain}.js")["length"] for domain in tables.domains)
    assert rows == len(tables.entries)
    cells = {}
    for section in held(out / "data" / "cells.js"):
        chunk = held(out / section["file"])
        assert chunk["name"] == section["name"]
        assert (out / section["page"]).exists()
        cells |= chunk["rows"]
    assert len(cells) == len(tables.entries)
    one = cells["vision/glyphs/quick-5w5s/conv4/protonet"]
    assert one["command"] == (
        "metabench run --suite quick --sources glyphs --encoders conv4 --algorithms protonet "
        "--shots 5 --seeds 0,1"
    )
    assert [seed["seed"] for seed in one["seeds"]] == [0, 1]
    assert one["seeds"][0]["curve"] == [[100, 1.2, 0.4], [200, 0.8, 0.5]]
    assert sum(one["histogram"]["counts"]) == 40
    broken = cells["nlp/intents/quick-5w1s/conv4/broken"]
    assert broken["histogram"] is None
    assert broken["seeds"][0]["reason"] == "it broke: broken"


def test_the_tables_beside_the_pages_are_the_leaderboards(site):
    out, tables = site
    overall = read_csv(out / "tables" / "overall.csv")
    assert tuple(overall[0]) == overall_columns(tables.domains)
    assert len(overall) == len(build_overall(tables))
    rows = read_csv(out / "tables" / "nlp.csv")
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(tables.of_domain("nlp"))


def test_nothing_outside_the_folder_is_needed(site):
    out, _ = site
    for path in [*out.glob("*.html"), out / "site.css", out / "site.js"]:
        text = path.read_text("utf-8")
        addresses = re.findall(r"""(?:src|href)=["']([^"']*)""", text)
        for address in addresses:
            if address.startswith(("#", "data:,")) or "${" in address:
                continue
            assert (out / address.split("#")[0]).exists(), (path.name, address)
        links = re.findall(r"https?://[^\s\"'<)]+", text)
        assert {link.split("#")[0] for link in links} <= {
            "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink",
        }  # fmt: skip
        assert "fetch(" not in text
        assert "@import" not in text


def test_pages_have_a_policy_and_no_style_of_their_own(site):
    out, _ = site
    for path in out.glob("*.html"):
        text = path.read_text("utf-8")
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in text
        assert " style=" not in text
        assert "<style" not in text
        assert not re.search(r"<script(?![^>]* src=)", text)
        assert not re.search(r"\son\w+=", text)
        identities = re.findall(r'\bid="([^"]+)"', text)
        assert len(identities) == len(set(identities))


def test_equal_records_make_equal_sites(site, tmp_path):
    out, _ = site
    write(list(ordinary())[::-1], tmp_path)
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    for name in files:
        assert (out / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_a_later_build_removes_only_what_an_earlier_one_wrote(tmp_path):
    (tmp_path / "CNAME").write_text("example.org")
    (tmp_path / "kept.html").write_text("mine")
    write(ordinary(), tmp_path)
    assert (tmp_path / "nlp.html").exists()
    write(many(("protonet", "maml")), tmp_path)
    assert not (tmp_path / "nlp.html").exists()
    assert not (tmp_path / "data" / "nlp.js").exists()
    assert (tmp_path / "kept.html").read_text() == "mine"
    assert (tmp_path / "CNAME").exists()


def test_the_list_of_files_cannot_point_outside(tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("mine")
    out = tmp_path / "site"
    out.mkdir()
    (out / build.LIST_OF_FILES).write_text(f"../other.txt\n{other}\n")
    write(many(("protonet", "maml"), shots=(1,)), out)
    assert other.exists()


def test_hostile_names_are_text(tmp_path):
    write(hostile(), tmp_path)
    for path in tmp_path.rglob("*"):
        if path.suffix in {".html", ".js"} and path.name != "site.js":
            text = path.read_text("utf-8")
            assert "<script>document" not in text
            assert "<img" not in text
            assert "\u202e" not in text
    names = {row["algorithm"] for row in read_csv(tmp_path / "tables" / "vision.csv")}
    assert {"protonet", HOSTILE[0], HOSTILE[1], "abcdef", HOSTILE[4]} <= names
    raw = (tmp_path / "tables" / "vision.csv").read_text("utf-8")
    assert ",=cmd" not in raw


def test_a_domain_with_an_odd_name_gets_a_safe_file(tmp_path):
    records = many(("protonet", "maml"), sources=(("../<b>", "glyphs"), ("index", "glyphs")))
    write(records, tmp_path / "site")
    pages = {path.name for path in (tmp_path / "site").glob("*.html")}
    assert len(pages) == 5
    assert all(re.fullmatch(r"[a-z0-9.-]+\.html", page) for page in pages)
    assert {path.name for path in tmp_path.iterdir()} == {"site"}


def test_an_empty_store_makes_pages(tmp_path):
    write([], tmp_path)
    assert "No cells yet" in (tmp_path / "index.html").read_text("utf-8")


def test_audits_mark_rows_of_their_code(tmp_path):
    parts = {"name": "protonet", "code": "c0de"}
    audits = [
        Audit(
            algorithm=parts, source="glyphs", source_digest="d", task_kind="classification",
            encoder="conv4", protocol="quick-5w1s", protocol_digest="p", seed=0, plugin="p",
            plugin_version="1", findings=(Finding(check="determinism", outcome="passed"),),
        )
    ]  # fmt: skip
    write(many(("protonet", "maml")), tmp_path, audits)
    part = held(tmp_path / "data" / "vision.js")["columns"]
    states = [part["audited"]["values"][i] for i in part["audited"]["index"]]
    names = [part["algorithm"]["values"][i] for i in part["algorithm"]["index"]]
    assert {*zip(names, states, strict=True)} == {("protonet", "passed"), ("maml", "not audited")}


def test_columns_that_nobody_thought_of_are_shown(monkeypatch):
    monkeypatch.setattr(columns, "COLUMNS", (*COLUMNS, "carbon_grams"))
    shown = columns.results_table(several=False)["columns"]
    assert {"key": "carbon_grams", "as": "any", "label": "Carbon grams", "from": "wider"} in shown


def test_a_missing_library_is_named(monkeypatch):
    with pytest.raises(UnavailableError, match=r"need nonesuch.*pip install 'metabench\[site\]'"):
        needed.import_needed("nonesuch")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MetabenchError, match="cannot write"):
        write(many(("protonet", "maml"), shots=(1,)), tmp_path / "file")


def test_the_package_is_light_until_it_is_used():
    code = (
        "import sys, metabench.site.build, metabench.site.report, metabench.cli.report\n"
        "print(*{m.partition('.')[0] for m in sys.modules})"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=True
    )
    assert not {"torch", "matplotlib", "jinja2"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("protocol", "way", "shot", "suite"),
    [
        ("quick-5w1s", "5", "1", "quick"),
        ("my-5w1s-5w5s-custom", "5", "5", "my-5w1s"),
        ("standard-5-50wunevens", "5-50", "uneven", "standard"),
        ("quick-16s", "2", "16", "quick"),
        ("odd", "5", "1", "odd"),
    ],
)
def test_the_suite_in_a_protocols_name(protocol, way, shot, suite):
    assert suite_of(protocol, way, shot) == suite


def test_the_command_quotes_and_names_what_departs_from_the_suite():
    record = scored(
        [0.5, 0.6], algorithm="a b;rm -rf ~", encoder="hf:o/m", protocol="quick-5w1s-custom"
    ).record
    settings = {"way": 5, "query": 10, "episodes": 50, "budget": 100}
    provenance = {"protocol": settings, "precision": "bf16"}
    command = reproduce([record.model_copy(update={"provenance": provenance})])
    assert command == (
        "metabench run --suite quick --sources glyphs --encoders hf:o/m --algorithms "
        "'a b;rm -rf ~' --shots 1 --seeds 0 --way 5 --episodes 50 --queries 10 --budget 100 "
        "--precision bf16"
    )


@given(st.lists(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=30),
                min_size=1, max_size=3))  # fmt: skip
def test_every_score_is_counted_once(scores):
    import numpy as np

    width = max(map(len, scores))
    padded = np.array([row + [float("nan")] * (width - len(row)) for row in scores])
    found = histogram(padded)
    defined = int((~np.isnan(padded)).sum())
    if found is None:
        assert defined == 0
    else:
        assert sum(found["counts"]) + found["below"] + found["above"] == defined
        assert found["low"] < found["high"]


@given(st.text(min_size=1, max_size=100))
def test_file_names_are_safe_and_tell_names_apart(name):
    stem = file_stem(name)
    assert re.fullmatch(r"[a-z0-9][a-z0-9._+-]*", stem)
    assert len(stem) <= 90
    assert stem == file_stem(name)
    assert stem != file_stem(name + "x")


@given(st.text(max_size=60), st.integers(3, 30))
def test_shortened_names_fit(name, length):
    assert len(shortened(name, length)) <= length


@settings(max_examples=50)
@given(st.lists(st.none() | st.text(max_size=8), max_size=8), st.lists(st.floats(), max_size=8))
def test_data_files_hold_what_they_were_given(texts, numbers):
    from metabench.leaderboard.text import one_line

    rows = [{"t": t, "n": n} for t, n in zip(texts, numbers, strict=False)]
    text = javascript("part", packed(rows, ["t", "n"]))
    assert text.isascii()
    assert "<" not in text
    columns = json.loads(_CALL.fullmatch(text)[2])
    if any(row["t"] is not None for row in rows):
        found = [columns["t"]["values"][i] for i in columns["t"]["index"]]
        assert found == [one_line(row["t"] or "") for row in rows]


def test_messages_stand_on_the_page_of_their_domain(tmp_path):
    records = [
        *many(("protonet", "maml"), shots=(1,)),
        *(scored([0.5, 0.6, 0.7], algorithm=name, protocol_digest="q" * 64) for name in ("a", "b")),
    ]
    tables = build_tables(records)
    assert tables.messages
    write(records, tmp_path)
    assert "2 protocol digests" in (tmp_path / "vision.html").read_text("utf-8")
    sections = [section["name"] for section in held(tmp_path / "data" / "vision.js")["sections"]]
    assert len(sections) == len(set(sections)) == 2
    assert all("@" in name for name in sections)
