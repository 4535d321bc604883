"""The site as a reader has it: built without a warning, complete in itself, readable."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs_blocks import ROOT, pages

pytest.importorskip("mkdocs", reason="mkdocs is not installed")
CHROMIUM = Path(os.environ.get("METABENCH_CHROMIUM", "/usr/bin/chromium"))
LOADED = re.compile(r"<(?:script|img|iframe|link)[^>]*?\s(?:src|href)=\"?([^\"\s>]+)")
SHOWN = (
    "index.html", "tutorial/index.html", "howto/publish.html", "reference/cli.html",
    "reference/python/learners.html", "reference/sources.html", "explanation/traps.html",
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("documentation")
    command = (sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", out)
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return out


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--font-render-hinting=none"]
        )
        yield started
        started.close()


@pytest.fixture
def visit(browser, site):
    """Open a page from disk; fail if it complains or asks for anything outside the site."""
    contexts, complaints = [], []

    def visit(address, width=1280, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type != "log" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda r: None if r.url.startswith(("file:", "data:")) else complaints.append(r.url),
        )
        page.goto(f"{site.as_uri()}/{address}")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


def test_every_page_is_there_and_loads_nothing_from_elsewhere(site):
    for page in (page for page in pages() if page.startswith("docs/")):
        html = (site / page.removeprefix("docs/")).with_suffix(".html").read_text("utf-8")
        loaded = LOADED.findall(html)
        assert loaded
        assert not [address for address in loaded if "//" in address], page
        assert "<!-- include" not in html


def test_the_reference_is_made_from_the_code(site):
    commands = (site / "reference/cli.html").read_text("utf-8")
    assert "--precision" in commands
    assert "metabench leaderboard submit-check" in commands
    assert "label_equivariant" in (site / "reference/python/learners.html").read_text("utf-8")
    assert "omniglot-lake-runs" in (site / "reference/sources.html").read_text("utf-8")
    assert "protonet-mahalanobis" in (site / "reference/algorithms.html").read_text("utf-8")


@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_the_window(visit, site, width):
    page = visit(SHOWN[0], width)
    for address in SHOWN:
        page.goto(f"{site.as_uri()}/{address}")
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, address


def test_search_works_without_a_server(visit):
    page = visit("index.html")
    page.fill("input.md-search__input", "Holm")
    page.wait_for_selector(".md-search-result__item")
    assert "statistics" in page.locator(".md-search-result__link").first.get_attribute("href")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_text(visit, site, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "preload": False}
    page = visit(SHOWN[0], scheme=scheme)
    for address in SHOWN:
        page.goto(f"{site.as_uri()}/{address}")
        found = axe.Axe().run(page, "article", rules).response["violations"]
        told = [(v["id"], [node["html"][:200] for node in v["nodes"][:3]]) for v in found]
        assert told == [], address
