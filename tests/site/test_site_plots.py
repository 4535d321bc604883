"""The figures: what they are made of, and what becomes of them in a page and in a file."""

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from site_cases import HOSTILE, hostile, many, ordinary, scored

from metabench.errors import UsageError
from metabench.leaderboard.overall import build_overall
from metabench.leaderboard.tables import build_tables
from metabench.site.plots.cost import Point, pareto_front
from metabench.site.plots.difficulty import normalized_scores, variance_shares
from metabench.site.plots.every import every_plot
from metabench.site.plots.inline import inline_svg, svg_text
from metabench.site.plots.plot import CLASSES, free_places, heat_step, spread_out
from metabench.site.plots.ranks import tie_groups
from metabench.site.report import write_figures

SVG = "{http://www.w3.org/2000/svg}"


def plots_of(records):
    tables = build_tables(records)
    return list(every_plot(tables, build_overall(tables)))


@pytest.fixture(scope="module")
def plots():
    return plots_of(ordinary())


def test_every_kind_of_figure_is_drawn(plots):
    names = [plot.name for plot in plots]
    assert len(names) == len(set(names))
    for name in ("critical-difference-frozen", "heat-trainable", "train-time", "adapt-time-nlp",
                 "shots-intents-pixels-quick-5w", "episodes-sinusoid-quick-10s"):  # fmt: skip
        assert name in names
    assert {plot.domain for plot in plots} == {None, "vision", "nlp", "control"}


def test_figures_in_pages_have_text_classes_and_no_style(plots):
    identities = []
    for plot in plots:
        text = inline_svg(plot)
        root = ET.fromstring(text)  # noqa: S314
        assert not re.search(r"\bstyle=|<style|<script|font-family", text)
        assert root.get("role") == "img"
        labels = root.get("aria-labelledby")
        assert root.find(f".//*[@id='{labels}']").text == plot.title
        identities += [element.get("id") for element in root.iter() if element.get("id")]
        for element in root.iter():
            for name in ("fill", "stroke"):
                assert element.get(name, "none") == "none", element.attrib
        for reference in re.findall(r"url\(#([^)]+)\)", text):
            assert reference in identities
    assert len(identities) == len(set(identities))


def test_every_class_is_in_the_style_sheet(plots):
    from importlib import resources

    css = (resources.files("metabench.site") / "static" / "site.css").read_text("utf-8")
    used = {
        name
        for plot in plots
        for classes in re.findall(r'class="([^"]+)"', inline_svg(plot))
        for name in classes.split()
    }
    for name in used:
        assert f".{name} " in css, name
    for colour, name in CLASSES.items():
        if name != "on-high":  # white, but for a figure it must differ from the paper
            assert colour in css, name


def test_equal_tables_make_equal_figures(plots):
    again = plots_of(list(ordinary())[::-1])
    assert [svg_text(plot) for plot in plots] == [svg_text(plot) for plot in again]


def test_names_are_text_in_figures():
    for plot in plots_of(hostile()):
        root = ET.fromstring(inline_svg(plot))  # noqa: S314
        assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
            "svg", "g", "path", "defs", "use", "text", "title", "clipPath", "rect", "tspan",
        }  # fmt: skip
        texts = "".join(root.itertext())
        if plot.name.startswith("heat"):
            assert "$x_1$ %s {{ 1 }}" in texts
            assert HOSTILE[4] in texts


@pytest.mark.parametrize(
    "records",
    [
        [],
        [scored([0.5])],
        [scored(None)],
        [scored([0.5, float("nan")]), scored([float("nan")] * 2, algorithm="maml")],
        [scored([0.2] * 8, algorithm=name) for name in "abc"],
        [scored([0.9] * 8, algorithm=name, best=0.2) for name in "abc"],
        [scored([-1e9] * 8, algorithm=name) for name in "abc"],
        [scored(np.linspace(0, 1, 8), algorithm=name, shot=shot, protocol=f"q-5w{shot}s")
         for name in "abc" for shot in ("1", "uneven")],
    ],
)  # fmt: skip
def test_odd_tables_draw_or_leave_out(records):
    for plot in plots_of(records):
        text = inline_svg(plot)
        assert not re.search(r"\b(nan|inf)\b", text)


def test_files(tmp_path):
    tables = build_tables(many(("protonet", "maml"), shots=(1,)))
    written = write_figures(tables, build_overall(tables), tmp_path / "deep" / "out")
    assert {path.suffix for path in written} == {".svg", ".png", ".pdf"}
    starts = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}
    for path in written:
        assert path.read_bytes().startswith(starts[path.suffix])
    again = write_figures(tables, build_overall(tables), tmp_path / "again")
    for one, other in zip(written, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
    with pytest.raises(UsageError, match="unknown format 'jpg'"):
        write_figures(tables, (), tmp_path, ["jpg"])


points = st.lists(
    st.builds(
        Point, st.just("frozen"), st.text(max_size=3), st.floats(0.1, 100), st.floats(-1, 1),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


@given(points)
def test_the_front_is_what_nobody_beats(found):
    front = pareto_front(found)
    for point in found:
        beaten = any(
            (other.cost <= point.cost and other.score > point.score)
            or (other.cost < point.cost and other.score >= point.score)
            for other in found
        )
        assert beaten != any((p.cost, p.score) == (point.cost, point.score) for p in front)
    assert [p.cost for p in front] == sorted(p.cost for p in front)


@given(st.lists(st.floats(0, 200), min_size=1, max_size=10))
def test_labels_move_apart_and_keep_their_order(wanted):
    places = spread_out(wanted, 12, 0, 200)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    for one, other in pairwise(order):
        assert places[other] - places[one] >= 12 - 1e-6
    assert min(places) >= -1e-6
    assert max(places) <= 200 + 1e-6


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 200)), max_size=8))
def test_names_of_points_never_cover_each_other(found):
    places = free_places(found, ["name"] * len(found), 300, 200)
    boxes = [place for place in places if place is not None]
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            assert abs(one[0] - other[0]) >= 24 - 1e-6 or abs(one[1] - other[1]) >= 12 - 1e-6


scores = st_numpy.arrays(
    np.float64, st.tuples(st.integers(2, 5), st.integers(2, 6)), elements=st.floats(-0.5, 1)
)


@settings(max_examples=60)
@given(scores)
def test_shares_of_variance_sum_to_one_and_match_a_linear_model(found):
    shares = variance_shares(found)
    if shares is None:
        return
    assert sum(shares) == pytest.approx(1)
    # The oracle: least squares on indicators of the rows, then of the episodes.
    rows, episodes = found.shape
    centred = (found - found.mean()).ravel()
    total = (centred**2).sum()
    for share, groups in (
        (shares[0], np.repeat(np.arange(rows), episodes)),
        (shares[1], np.tile(np.arange(episodes), rows)),
    ):
        design = np.eye(groups.max() + 1)[groups]
        fitted = design @ np.linalg.lstsq(design, centred, rcond=None)[0]
        assert share == pytest.approx((fitted**2).sum() / total, abs=1e-6)


def test_scores_are_cut_and_undefined_episodes_left_out():
    tables = build_tables(
        [scored([0.2, 1.0, float("nan"), -9.0]), scored([1.0, 0.6, 0.5, 0.2], algorithm="maml")]
    )
    found = normalized_scores(tables.entries)
    assert sorted(map(tuple, found.round(6).tolist())) == [(0.0, 1.0, -0.5), (1.0, 0.5, 0.0)]


@pytest.mark.parametrize(
    ("value", "step"),
    [(-3, "n3"), (-0.1, "n2"), (-0.01, "n1"), (-0.004, "0"), (0, "0"), (0.3, "3"), (1, "9"),
     (1.2, "9")],
)  # fmt: skip
def test_steps_of_the_heat_map(value, step):
    assert heat_step(value) == step


class _Row:
    def __init__(self, low, high):
        self._values = {"group_low": low, "group_high": high}

    def values(self):
        return self._values


def test_tie_groups():
    rows = [_Row(1, 1), _Row(1, 2), _Row(2, 2), _Row(3, 3), _Row(None, None)]
    assert tie_groups(rows) == [(0, 1), (1, 2)]
    assert tie_groups([_Row(1, 1), _Row(1, 1)]) == [(0, 1)]
    assert tie_groups([_Row(None, None)] * 3) == []
