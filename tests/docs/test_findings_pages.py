"""Every finding that the package can give has a page, and every page is of one."""

import re

import pytest

from docs.site.build import DOCS
from docs.site.findings import codes_in_source, findings_index
from hierbayes.results.finding import WARNING_OF

FOLDER = DOCS / "findings"
OTHERS = {"index", "errors", "other-warnings"}
CODES = sorted(codes_in_source())


def test_every_code_has_its_page_and_every_page_a_code():
    assert {path.stem for path in FOLDER.glob("*.md")} - OTHERS == set(CODES)


def test_every_warning_class_belongs_to_a_code():
    assert WARNING_OF.keys() <= set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_page_says_what_it_means_when_it_matters_and_what_to_do(code):
    text = (FOLDER / f"{code}.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert headings == ["What it means", "When it matters", "What to do"]


def test_the_index_has_a_row_for_each():
    index = findings_index(FOLDER)
    assert all(f"| [`{code}`]({code}.md) |" in index for code in CODES)
