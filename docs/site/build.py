"""``make docs``: stage the pages with their results, and build the site of them.

    python -m docs.site.build OUT            the whole site, OUT/index.html
    python -m docs.site.build OUT --tutorials    the tutorials only, as pages of their own

Staging runs every Python block of every page, the tutorials and the gallery; Sphinx makes HTML of
what comes out. Nothing is fetched, and the pages fetch nothing.
"""

import re
import shutil
import sys
import time
from pathlib import Path

import matplotlib

from docs.site.blocks import blocks_of, with_results
from docs.site.findings import findings_index
from docs.site.notebooks import notebook_page
from docs.site.shown import Pictures

ROOT = Path(__file__).resolve().parents[2]
DOCS, SITE = ROOT / "docs", ROOT / "docs" / "site"
NOT_RUN = ("adding",)  # a test of each runs its code, beside what the page takes for granted
TUTORIALS_TOP = """\
# Tutorials

Each answers one question with real data. They are notebooks of the folder `tutorials`, shown here
with what their cells gave; `marimo edit tutorials/01_the_lecture.py` opens one to play with.

"""
BENCHMARKS = (
    "README", "RESULTS", "calibration", "design_study", "documented_glmms", "interval_coverage",
)  # fmt: skip
TITLE = re.compile(r"^# (.*)$", re.MULTILINE)


def pages() -> list[Path]:
    """Return the pages of the site that stand in the repository, relative to ``docs``."""
    return sorted(p.relative_to(DOCS) for p in DOCS.rglob("*.md") if SITE not in p.parents)


def stage_pages(source: Path) -> None:
    """Copy every page, with what its blocks give below them."""
    for page in pages():
        text = (DOCS / page).read_text(encoding="utf-8")
        if blocks_of(text) and page.parts[0] not in NOT_RUN:
            started = time.perf_counter()
            pictures = Pictures((source / page).parent / "_pictures", "_pictures", page.stem)
            text = with_results(text, pictures, str(page))
            print(f"{time.perf_counter() - started:6.1f} s  {page}", flush=True)
        text = text.replace("<!-- findings -->", findings_index(DOCS / "findings"))
        written(source / page, text)
    stage_benchmarks(source / "benchmarks")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    written(source / "changes.md", with_site_links(changes))


def stage_benchmarks(folder: Path) -> None:
    """Copy what the benchmarks found, with the pictures of how time grows."""
    for name in BENCHMARKS:
        text = (ROOT / "benchmarks" / f"{name}.md").read_text(encoding="utf-8")
        written(folder / f"{name}.md", with_site_links(text))
    for picture in sorted((ROOT / "benchmarks" / "scaling").glob("*.png")):
        path = folder / "scaling" / picture.name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, path)


def with_site_links(text: str) -> str:
    """Let links of files outside of ``docs`` reach their pages in the site."""
    text = text.replace("](../docs/", "](../").replace("](docs/", "](")
    return re.sub(r"\[([^\]]*)\]\([^)#:]*\.(?:py|R|json|lock|toml)\)", r"\1", text)


def stage_tutorials(source: Path) -> None:
    """Run every notebook and write its page."""
    names = []
    for path in sorted((ROOT / "tutorials").glob("*.py")):
        started = time.perf_counter()
        pictures = Pictures(source / "_pictures", "_pictures", path.stem)
        written(source / f"{path.stem}.md", notebook_page(path, pictures))
        print(f"{time.perf_counter() - started:6.1f} s  tutorials/{path.name}", flush=True)
        names.append(path.stem)
    toc = "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```\n"
    written(source / "index.md", TUTORIALS_TOP + toc)


def written(path: Path, text: str) -> None:
    """Write one file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def build(source: Path, out: Path) -> int:
    """Let Sphinx make HTML of the staged pages; warnings are errors."""
    from sphinx.cmd.build import main as sphinx

    doctrees = source.parent / "doctrees"
    options = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(SITE), "-d", str(doctrees)]
    return int(sphinx([*options, str(source), str(out)]))


def main(arguments: list[str]) -> int:
    """Build the site into a folder; return what a shell wants."""
    matplotlib.use("agg")
    out = Path(arguments[0]).resolve()
    stage = out.parent / f"{out.name}.stage"
    shutil.rmtree(stage, ignore_errors=True)
    shutil.rmtree(out, ignore_errors=True)
    source = stage / "source"
    if "--tutorials" in arguments:
        stage_tutorials(source)
    else:
        from docs.site.gallery import gallery_pages
        from docs.site.reference import reference_pages

        stage_pages(source)
        stage_tutorials(source / "tutorials")
        gallery_pages(source / "gallery")
        reference_pages(source / "reference")
    code = build(source, out)
    if code == 0:
        shutil.rmtree(stage)
        print(out / "index.html")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
