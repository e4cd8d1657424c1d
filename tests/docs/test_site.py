"""The built site, opened from its files without a network: it is found, read and fits a phone."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from tests.docs.questions import AMONG, QUESTIONS

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PHONE = {"width": 375, "height": 700}
FOUND = "#search-results ul.search li a"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the whole site; of one built before where HIERBAYES_SITE names it."""
    if "HIERBAYES_SITE" in os.environ:
        return Path(os.environ["HIERBAYES_SITE"]).resolve()
    pytest.importorskip("sphinx", reason="make docs installs what builds the site")
    out = tmp_path_factory.mktemp("site") / "docs"
    done = subprocess.run(
        [sys.executable, "-m", "docs.site.build", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser):
    """Return a function that makes a page, and the list of all that went wrong in pages."""
    wrong, contexts = [], []

    def page(**settings):
        context = browser.new_context(offline=True, **settings)
        contexts.append(context)
        made = context.new_page()
        made.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else "")
        made.on("pageerror", lambda error: wrong.append(str(error)))
        made.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
        made.on(
            "request",
            lambda r: None if r.url.startswith(("file:", "data:")) else wrong.append(r.url),
        )
        return made

    yield page, wrong
    for context in contexts:
        context.close()


def found_by(page, site, question):
    """Return the pages that the search finds, best first."""
    page.goto(f"file://{site}/search.html?q={quote_plus(question)}")
    page.wait_for_selector(FOUND, timeout=10_000)
    page.wait_for_timeout(200)  # the list is filled one by one
    addresses = page.eval_on_selector_all(FOUND, "links => links.map(link => link.href)")
    names = [address.split(f"{site}/")[1].split(".html")[0] for address in addresses]
    return list(dict.fromkeys(names))


def test_the_search_answers_questions_from_a_file(site, opened):
    make, wrong = opened
    page = make()
    missed = {}
    for question, answer in QUESTIONS.items():
        found = found_by(page, site, question)[:AMONG]
        if answer not in found:
            missed[question] = found
    assert not missed
    assert not wrong
    assert len(QUESTIONS) >= 20


def test_every_page_opens_without_an_error_or_a_request(site, opened):
    make, wrong = opened
    page = make(viewport=PHONE, color_scheme="dark")
    too_wide = []
    for path in sorted(site.rglob("*.html")):
        page.goto(f"file://{path}")
        if page.evaluate("document.documentElement.scrollWidth") > PHONE["width"]:
            too_wide.append(path.name)
    assert not wrong
    assert not too_wide


def test_dark_pages_are_light_on_dark(site, opened):
    make, _ = opened
    page = make(viewport=PHONE, color_scheme="dark")
    page.goto(f"file://{site}/howto/singular-fit.html")
    ground, ink = (
        page.evaluate(f"getComputedStyle(document.body).{name}")
        for name in ("backgroundColor", "color")
    )
    lightness = [
        sum(map(int, text.split("(")[1].split(")")[0].split(",")[:3])) for text in (ground, ink)
    ]
    assert lightness[0] < 150 < 450 < lightness[1]
    shown = "images => images.filter(image => getComputedStyle(image).display != 'none').length"
    assert page.eval_on_selector_all("img.only-dark", shown) > 0
    assert page.eval_on_selector_all("img.only-light", shown) == 0


def test_every_link_inside_of_the_site_leads_to_a_file(site):
    missing = []
    for path in site.rglob("*.html"):
        for target in re.findall(r'(?:href|src)="([^"#?]+)', path.read_text(encoding="utf-8")):
            outside = target.startswith(("http:", "https:", "mailto:", "data:"))
            if not outside and not (path.parent / target).exists():
                missing.append(f"{path.name}: {target}")
    assert not missing
