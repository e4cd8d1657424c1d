"""Every Python block of the pages runs, and so does every call in the tables of other programs."""

import ast
import re
import warnings

import pytest
from matplotlib import pyplot

import hierbayes as hb
from docs.site.blocks import blocks_of, cells_of_tables, run, run_page, scratch_folder
from docs.site.build import DOCS, NOT_RUN, ROOT, pages

PAGES = {
    **{
        str(page): (DOCS / page).read_text(encoding="utf-8")
        for page in pages()
        if page.parts[0] not in NOT_RUN
    },
    "README.md": (ROOT / "README.md").read_text(encoding="utf-8"),
}
WITH_CODE = sorted(name for name, text in PAGES.items() if blocks_of(text))
PATTERNS = {"from/index.md", "from/marginaleffects.md"}  # whose calls are of names in general
TABLES = sorted(name for name in PAGES if name.startswith("from/") and name not in PATTERNS)
# pages whose blocks take a few hundredths of a second: together a second or two
QUICK = (
    "findings/errors.md",
    "findings/few_levels.md",
    "findings/index.md",
    "findings/not_identified.md",
    "findings/one_sided.md",
    "findings/other-warnings.md",
    "findings/profiled_by_ml.md",
    "findings/rank_deficient.md",
    "findings/rows_dropped.md",
    "howto/equation.md",
    "howto/formula-bars.md",
    "howto/missing-values.md",
    "howto/new-groups.md",
    "howto/p-values.md",
    "howto/random-effects-too-many.md",
    "howto/reference-level.md",
    "howto/save-and-load.md",
    "howto/scaling.md",
    "howto/test-a-factor.md",
    "howto/csv-files.md",
    "howto/weights.md",
    "internals/priors.md",
)
GENERATED = ("reference/", "gallery/", "tutorials/", "benchmarks/", "changes.md")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("name", QUICK)
def test_blocks_run(name):
    assert run_page(PAGES[name], name)
    pyplot.close("all")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(WITH_CODE) - set(QUICK)))
def test_blocks_of_longer_pages_run(name):
    assert run_page(PAGES[name], name)
    pyplot.close("all")


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_calls_of_the_tables_run(name):
    names = {"__name__": "__main__", "other": None}
    with scratch_folder(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in blocks_of(PAGES[name]):
            run(block.code, names, name)
        for code in runnable(PAGES[name]):
            run(code, names, f"{name}: {code}")
    pyplot.close("all")


def runnable(text):
    """Return the calls of a table that stand for themselves: not part of one, nor of two fits."""
    return [code for code in cells_of_tables(text) if not re.search(r"\bother\b|^\(|^C\(", code)]


@pytest.mark.parametrize("name", TABLES)
def test_names_in_the_tables_are_public(name):
    codes = runnable(PAGES[name])
    assert len(codes) > 10
    for code in codes:
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("hb", "hb.plot"):
                owner = hb if ast.unparse(node.value) == "hb" else hb.plot
                assert node.attr in owner.__all__, code


@pytest.mark.parametrize("name", sorted(PAGES))
def test_links_lead_somewhere(name):
    folder = (ROOT if name == "README.md" else DOCS / name).resolve()
    folder = folder if folder.is_dir() else folder.parent
    for target in LINK.findall(re.sub(r"```.*?```|`[^`\n]*`", "", PAGES[name], flags=re.DOTALL)):
        if target.startswith(("http", "#")):
            continue
        path = (folder / target.split("#")[0]).resolve()
        inside = str(path.relative_to(ROOT / "docs")) if (ROOT / "docs") in path.parents else ""
        assert path.exists() or inside.startswith(GENERATED), target


def test_every_page_is_reached_by_a_list_of_pages():
    reached = {"index.md", *(f"findings/{path.name}" for path in (DOCS / "findings").glob("*.md"))}
    for page in pages():
        text = (DOCS / page).read_text(encoding="utf-8")
        for toc in re.findall(r"```\{toctree\}\n(.*?)```", text, flags=re.DOTALL):
            entries = [line for line in toc.splitlines() if line and not line.startswith(":")]
            reached |= {str(page.parent / f"{entry}.md") for entry in entries}
    assert {str(page) for page in pages()} <= reached


def test_no_page_fetches_anything():
    for name, text in PAGES.items():
        assert not re.search(r"!\[[^]]*\]\(http|src=\"http|@import", text), name
