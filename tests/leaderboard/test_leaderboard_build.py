import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from metabench.errors import MetabenchError
from metabench.leaderboard.build import write_leaderboards
from metabench.leaderboard.csvfile import read_csv
from metabench.leaderboard.diff import describe_difference
from metabench.leaderboard.row import COLUMNS
from metabench.leaderboard.terminal import render_tables
from metabench.runs.record import Cost

HOSTILE = [
    "=cmd|'/C calc'!A0",
    "<script>alert(1)</script>",
    "[red]x[/red]",
    'q"u,o;te',
    "\u202eabc",
]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def scored(make, rng):
    found = []
    for domain, policy, encoder in (
        ("vision", "trainable", "conv4"),
        ("nlp", "frozen", "hf-text:sentence-transformers/all-MiniLM-L6-v2"),
    ):
        for algorithm, level in (("protonet", 0.7), ("maml", 0.6), ("tim", 0.8)):
            cell = {"domain": domain, "source": f"{domain}-source", "encoder": encoder}
            cell |= {"encoder_policy": policy, "algorithm": algorithm}
            if domain == "nlp" and algorithm == "maml":
                reason = "needs gradients through the encoder; " * 4
                found.append(make(status="inapplicable", reason=reason, **cell))
                continue
            scores = level + rng.normal(0, 0.1, 50)
            found.append(make(scores, inductive=algorithm != "tim", **cell))
    return found


def printed(tables, width):
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(render_tables(tables))
    return capture.get()


def test_one_file_per_domain_and_overall(scored, tmp_path):
    written = write_leaderboards(scored, tmp_path / "deep" / "out")
    assert sorted(path.name for path in written.paths) == ["nlp.csv", "overall.csv", "vision.csv"]
    assert set((tmp_path / "deep" / "out").iterdir()) == set(written.paths)
    rows = read_csv(written.domains["vision"])
    assert tuple(rows[0]) == COLUMNS
    assert [row["algorithm"] for row in rows] == ["tim", "protonet", "maml"]
    assert [row["rank_low"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["inductive"] == "false"
    assert rows[0]["train_seconds"] == "12.346"
    assert rows[0]["peak_memory_mb"] == ""
    overall = read_csv(written.overall)
    assert overall[0]["normalized_nlp"]
    assert len(overall) == 5


def test_files_do_not_depend_on_the_order_of_records(scored, tmp_path):
    first = write_leaderboards(scored, tmp_path / "a")
    second = write_leaderboards(scored[::-1], tmp_path / "b")
    for one, other in zip(first.paths, second.paths, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_costs(make):
    from metabench.leaderboard.tables import build_tables

    costs = [
        Cost(train_seconds=1, adapt_ms_per_task=2, peak_memory_mb=100, parameters=7),
        Cost(train_seconds=3, peak_memory_mb=300, parameters=7),
    ]
    (row,) = build_tables([make([1, 1], seed=i, cost=c) for i, c in enumerate(costs)]).rows
    assert (row.train_seconds, row.adapt_ms_per_task) == (2, None)
    assert (row.peak_memory_mb, row.parameters) == (300, 7)


def test_nothing_ran(tmp_path):
    written = write_leaderboards([], tmp_path)
    assert written.paths == (tmp_path / "overall.csv",)
    assert read_csv(written.overall) == []


@pytest.mark.parametrize("domain", ["overall", "../escape", "a/b", "", "=x"])
def test_a_domain_that_cannot_name_a_file(make, tmp_path, domain):
    with pytest.raises(MetabenchError, match="cannot name a table"):
        write_leaderboards([make([0.5, 0.6], domain=domain)], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_hostile_names_show_as_text(make, tmp_path):
    scored = [make([0.5, 0.6, 0.7], algorithm=name, plugin=name) for name in HOSTILE]
    scored.append(make(status="failed", reason="=1+1\n\x1b[31mred", algorithm="x"))
    written = write_leaderboards(scored, tmp_path)
    with written.domains["vision"].open(encoding="utf-8", newline="") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert not any(cell[:1] in "=+@\t\r" for cell in cells if cell)
    shown = printed(written.tables, 120)
    assert "[red]x[/red]" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_table_fits(scored, tmp_path, width):
    shown = printed(write_leaderboards(scored, tmp_path).tables, width)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= width
    assert "accuracy %" in shown
    assert "tim †" in shown
    assert "† transductive" in shown
    assert "inapplicable" in shown
    best = next(line for line in lines if "tim" in line)
    assert best.split()[0] == "1"
    assert "±" in best
    assert shown.index("vision-source") < shown.index("conv4")


def test_a_long_block_is_cut_and_chance_stays(make, rng, tmp_path):
    scored = [
        make(0.4 + n / 100 + rng.normal(0, 0.01, 50), algorithm=f"learner-{n}") for n in range(40)
    ]
    scored.append(make([0.2] * 50, algorithm="chance", encoder="none", encoder_policy="none"))
    scored += [
        make(status="inapplicable", reason="needs a map", algorithm=f"local-{n}") for n in range(9)
    ]
    shown = printed(write_leaderboards(scored, tmp_path).tables, 100)
    ranked = [line for line in shown.splitlines() if "±" in line]
    assert [line.split()[1] for line in ranked[:20]] == [f"learner-{n}" for n in range(39, 19, -1)]
    assert len(ranked) == 21
    assert "chance" in ranked[-1]
    assert "20 more rows in vision.csv" in shown
    assert "local-5 and 3 others (conv4): needs a map" in " ".join(shown.split())


def test_a_terminal_without_utf8(scored, tmp_path):
    tables = write_leaderboards(scored, tmp_path).tables
    path = tmp_path / "shown.txt"
    with path.open("w", encoding="ascii") as file:
        Console(width=80, file=file, color_system=None).print(render_tables(tables))
    assert "+-" in path.read_text(encoding="ascii")


def test_other_metrics_keep_their_unit(make, rng, tmp_path):
    scale = {"metric": "rmse", "chance": 3.0, "best": 0.0, "task_kind": "regression"}
    scored = [make(rng.uniform(1, 2, 40), **scale), make([1.0], algorithm="one", **scale)]
    shown = printed(write_leaderboards(scored, tmp_path).tables, 80)
    assert "rmse" in shown
    assert "%" not in shown
    assert "note: " in shown


def test_names_of_settings_that_differ():
    a = {"name": "x", "way": 5, "shot": 1, "extra": {"deep": 1, "same": 2}}
    b = {"name": "y", "way": 5, "shot": 5, "extra": {"deep": True, "same": 2}, "more": None}
    assert describe_difference(a, b) == [
        "shot: 1 or 5",
        "extra.deep: 1 or true",
        "more: absent or null",
    ]
    assert describe_difference(a, a | {"name": "z"}) == []


def test_nothing_here_imports_torch_or_pandas():
    code = (
        "import sys, pkgutil, importlib, metabench.leaderboard as l\n"
        "for m in pkgutil.iter_modules(l.__path__, 'metabench.leaderboard.'):\n"
        "    importlib.import_module(m.name)\n"
        "heavy = {'torch', 'pandas', 'scipy', 'transformers'} & set(sys.modules)\n"
        "print(*sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_many_rows_in_reasonable_time(make, rng, tmp_path):
    import time

    scored = [
        make(rng.uniform(size=600), algorithm=f"a{i:02}", seed=seed, source=f"s{source}")
        for i in range(20)
        for seed in range(3)
        for source in range(5)
    ]
    start = time.process_time()
    written = write_leaderboards(scored, tmp_path)
    assert time.process_time() - start < 20
    assert len(written.tables.rows) == 100
    assert np.isfinite(written.overall_rows[0].ci95_low)
