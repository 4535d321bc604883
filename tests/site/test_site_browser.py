"""The site in Chromium: what a reader does with it, and what axe finds."""

import os
import re
from pathlib import Path

import pytest
from site_cases import HOSTILE, hostile, many, ordinary, write

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path(os.environ.get("METABENCH_CHROMIUM", "/usr/bin/chromium"))
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")

PAGES = ("index.html", "vision.html", "results.html", "cell.html")
CELL = "cell.html#vision/glyphs/quick-5w5s/conv4/protonet"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--font-render-hinting=none"]
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    write(ordinary(), out)
    return out


@pytest.fixture
def visit(browser, site):
    """Open a page of the site from disk; fail if it complains or asks for anything outside."""
    contexts, complaints = [], []

    def visit(address, *, folder=site, width=1280, scheme="light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type != "log" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda r: None if r.url.startswith(("file:", "data:")) else complaints.append(r.url),
        )
        page.goto(f"{folder.as_uri()}/{address}")
        page.wait_for_selector("[data-ready]")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


def column(page, kind):
    return page.locator(f"tbody td.as-{kind}, tbody th.as-{kind}").all_inner_texts()


def learners(page):
    rows = page.locator("tbody tr[data-row]")
    return rows.locator("a:first-child bdi").all_inner_texts()


def test_sections_stand_in_order_with_their_facts(visit):
    page = visit("vision.html")
    headings = page.locator("tr.section").all_inner_texts()
    assert len(headings) == 2
    assert re.search(r"glyphs\s+quick-5w1s.*5-way 1-shot.*2 seeds.*accuracy %.*chance 20.00",
                     headings[0])  # fmt: skip
    assert page.locator("[data-status]").inner_text() == "16 of 16 rows"
    ranks = [int(text.split("\N{EN DASH}")[0]) for text in column(page, "ties")]
    assert ranks[:8] == sorted(ranks[:8])


def test_sorting_stays_within_sections_until_told_otherwise(visit):
    page = visit("vision.html")
    page.get_by_role("button", name="Train s").click()
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("Train s")
    assert learners(page)[:2] == ["tim", "tim"]
    assert page.locator("tr.section").count() == 2
    page.get_by_label("Keep sections together").uncheck()
    assert page.locator("tr.section").count() == 0
    assert learners(page)[:4] == ["tim"] * 4
    page.get_by_role("button", name="Train s").click()
    assert learners(page)[0] == "ridge-probe"
    assert "sort=-train_seconds" in page.url
    page.get_by_role("button", name="Train s").click()
    assert page.locator("th[aria-sort]").count() == 0


def test_best_first_also_where_small_errors_are_good(visit):
    page = visit("control.html#sort=-mean")
    scores = [float(text.split(" ")[0]) for text in column(page, "score")]
    assert scores == sorted(scores)
    assert "smaller is better" in page.locator("tr.section").inner_text()


def test_filters_narrow_and_say_so(visit):
    page = visit("results.html")
    every = page.locator("tbody tr[data-row]").count()
    page.locator("[data-filter=domain]").select_option("nlp")
    page.locator("[data-filter=encoder]").select_option("conv4")
    page.locator("[data-filter=inductive]").select_option("false")
    assert set(learners(page)) == {"protonet", "ridge-probe"}
    status = page.locator("[data-status]").inner_text()
    assert re.match(r"4 of \d+ rows, \d+ hidden by filters", status)
    page.get_by_role("button", name="Clear").click()
    assert page.locator("tbody tr[data-row]").count() == every
    page.locator("[data-filter=status]").select_option("inapplicable")
    assert learners(page) == ["gp"]
    page.locator("[data-filter=status]").select_option("failed")
    assert "it broke: broken" in page.locator("tbody").inner_text()
    page.get_by_label("Status").select_option("")
    page.locator("[data-filter=audited]").select_option("passed")
    assert learners(page) == []
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Find").fill("RIDGE pixels")
    assert set(learners(page)) == {"ridge-probe"}
    page.locator("[data-filter=task_kind]").select_option("regression")
    assert page.locator("[data-status]").inner_text().startswith("0 of")


def test_a_filtered_view_can_be_linked_to(visit):
    page = visit("results.html")
    page.locator("[data-filter=source]").select_option("intents")
    page.get_by_label("Find").fill("maml")
    page.get_by_label("Sort by").select_option("-mean")
    again = visit(page.url.rsplit("/", 1)[1])
    assert learners(again) == learners(page) != []
    assert again.get_by_label("Find").input_value() == "maml"
    assert again.locator("[data-filter=source]").input_value() == "intents"


def test_rows_are_deep_links_and_lead_to_their_cells(visit):
    page = visit("vision.html")
    row = page.locator("tbody tr[data-row]").nth(3)
    name = row.locator("a:first-child bdi").inner_text()
    address = row.locator("a.permalink").get_attribute("href")
    linked = visit(address)
    target = linked.locator("tr.target")
    assert target.locator("a:first-child bdi").inner_text() == name
    assert target.evaluate("row => row === document.activeElement")
    target.locator("a:first-child").click()
    linked.wait_for_selector("[data-cell][data-ready]")
    assert linked.locator("h1").inner_text().startswith(name)
    linked.get_by_role("link", name="row in its table").click()
    linked.wait_for_selector("[data-table][data-ready]")
    assert linked.locator("tr.target a:first-child bdi").inner_text() == name


def test_a_row_that_filters_hide_is_shown_when_it_is_linked_to(visit):
    page = visit("nlp.html#row=nlp/intents/quick-5w1s/conv4/gp")
    assert page.locator("tr.target").inner_text().startswith("\N{EN DASH}")
    page = visit("nlp.html#row=nlp/intents/quick-5w1s/conv4/nobody")
    assert "No row of this table" in page.locator("[data-status]").inner_text()


def test_the_page_of_a_row(visit):
    page = visit(CELL)
    text = page.locator("main").inner_text()
    for part in ("protonet", "glyphs · quick-5w5s · conv4", "95 % interval, over seeds,episodes",
                 "--sources glyphs --encoders conv4 --algorithms protonet --shots 5 --seeds 0,1",
                 "Score of each of the episodes", "one line per seed", "metabench-algorithms 0.1.0",
                 "episodes digest", "recipe"):  # fmt: skip
        assert part in text
    assert page.locator("svg.chart").count() == 3
    assert page.locator("svg.chart rect.bar").count() == 24
    assert page.locator("svg.chart").nth(1).locator("polyline").count() == 2
    page.evaluate("location.hash = 'control/sinusoid/quick-10s/mlp/cnp'")
    sync_api.expect(page.locator("h1")).to_have_text("cnp")
    assert "nmse (inside)" in page.locator("main").inner_text()
    page.evaluate("location.hash = 'nlp/intents/quick-5w1s/conv4/broken'")
    sync_api.expect(page.locator("h1")).to_have_text("broken")
    assert "it broke: broken" in page.locator("main").inner_text()


@pytest.mark.parametrize("address", ["", "#", "#vision/nothing", "#%E0%A4%A", "#a/b/c/d"])
def test_a_row_that_does_not_exist_is_named(visit, address):
    page = visit(f"cell.html{address}")
    assert page.locator("h1").inner_text() == "Row not found"
    assert page.get_by_role("link", name="All results", exact=True).count() == 2


def test_a_view_that_does_not_exist_shows_everything(visit):
    page = visit("vision.html#source=none&sort=-nothing&row=")
    assert page.locator("[data-status]").inner_text() == "16 of 16 rows"


def test_hostile_names_show_as_text(visit, tmp_path):
    write(hostile(), tmp_path)
    page = visit("vision.html", folder=tmp_path)
    shown = set(learners(page))
    assert shown == {name.replace("\u202e", "") for name in HOSTILE} | {"protonet"}
    assert page.title() == "vision · metabench"
    assert page.locator("main img, main script").count() == 0
    for name in HOSTILE:
        page.goto(f"{tmp_path.as_uri()}/vision.html")
        visible = name.replace("\u202e", "")
        page.locator("tbody a:first-child", has_text=visible).first.click()
        page.wait_for_selector("[data-cell][data-ready]")
        assert page.locator("h1 bdi").inner_text() == visible
        assert page.locator("main img, main script").count() == 0
    page.goto(f"{tmp_path.as_uri()}/index.html")
    assert "&lt;script&gt;" in page.locator("svg.plot").first.inner_html()
    assert page.locator("main img, main script").count() == 0


def test_everything_is_reached_with_the_keyboard(visit):
    page = visit("vision.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.tagName + document.activeElement.className"))
    assert {"INPUT", "SELECT", "BUTTON", "DIVscroll", "A"} <= seen
    page.get_by_role("button", name="Algorithm").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.key") == "algorithm"
    assert learners(page)[0] == "maml"


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_no_page_is_wider_than_the_window(visit, width):
    for address in (*PAGES[:3], "control.html", CELL):
        page = visit(address, width=width)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, (address, wide)
        if "data-table" in page.content():
            table = page.locator(".table .scroll")
            assert table.evaluate("box => box.scrollWidth - box.clientWidth") <= 0, address


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_axe_finds_nothing(visit, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
             "preload": False}  # fmt: skip
    for address in (*PAGES[:2], CELL):
        # axe is put into the page, which the pages' own policy forbids.
        page = visit(address, width=width, scheme=scheme, bypass_csp=True)
        found = axe.Axe().run(page, options=rules).response["violations"]
        told = [(v["id"], [node["html"][:200] for node in v["nodes"][:3]]) for v in found]
        assert told == [], (address, told)


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    out = tmp_path_factory.mktemp("long")
    write(many([f"learner-{i}" for i in range(80)], shots=(1,), episodes=4), out)
    return out


def test_print_has_every_row(visit, long):
    page = visit("vision.html", folder=long)
    assert page.locator("tbody tr[data-row]").count() < 160
    page.pdf()
    assert page.locator("tbody tr[data-row]").count() == 160
    page.emulate_media(media="print")
    assert not page.locator(".filters").is_visible()


def test_more_rows_come_while_scrolling(visit, long):
    page = visit("vision.html", folder=long)
    before = page.locator("tbody tr[data-row]").count()
    page.mouse.wheel(0, 20_000)
    sync_api.expect(page.locator("tbody tr[data-row]")).not_to_have_count(before)
    last = page.locator("tbody tr[data-row]").last
    again = visit(last.locator("a.permalink").get_attribute("href"), folder=long)
    assert again.locator("tr.target").count() == 1


@pytest.mark.slow
def test_ten_thousand_rows_load_and_sort_quickly(visit, tmp_path):
    sources = [("vision", f"source-{i}") for i in range(50)]
    learned = [f"learner-{i}" for i in range(100)]
    tables = write(many(learned, sources=sources, shots=(1,), episodes=6), tmp_path)
    assert len(tables.rows) == 10_000
    page = visit("vision.html", folder=tmp_path)
    loaded = page.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart")
    assert loaded < 2000
    for key in ("algorithm", "-mean", "train_seconds"):
        for together in ("true", "false"):
            taken = page.evaluate(
                f"""() => new Promise((done) => {{
                    const table = metabench.shown;
                    table.together.checked = {together};
                    const start = performance.now();
                    table.sortBy("{key}");
                    table.changed();
                    document.body.offsetHeight;
                    done(performance.now() - start);
                }})"""
            )
            assert taken < 200, (key, together)
