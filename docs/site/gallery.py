"""The gallery's pages: a thumbnail for each picture of ``hb.plot``, and each with its code."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import hierbayes as hb
from docs.site.shown import Pictures, as_picture
from hierbayes.studies.gallery import fit_gallery
from hierbayes.studies.gallery_page import ENTRIES, WIDTHS_MM, Entry, GallerySource, draw

WIDE = max(WIDTHS_MM)
TOP = """\
# Gallery

Every picture of `hb.plot`, with the code that draws it. Pictures take a fit, or a table that a
function of the library made of one, and return matplotlib's figure and axes. Each is drawn as wide
as a page (160 mm) here; all of them fit a journal's column as well.

"""


def gallery_pages(folder: Path) -> None:
    """Draw everything, and write ``gallery/index.md`` and a page a picture."""
    sources = {source.name: source for source in fit_gallery()}
    of_picture: dict[str, list[Entry]] = defaultdict(list)
    for entry in ENTRIES:
        of_picture[entry.picture].append(entry)
    folder.mkdir(parents=True, exist_ok=True)
    thumbnails = []
    for name, entries in of_picture.items():
        pictures = Pictures(folder / "_pictures", "_pictures", f"gallery-{name}")
        (folder / f"{name}.md").write_text(_page(name, entries, sources, pictures), "utf-8")
        thumbnails.append(_thumbnail(name, pictures))
    listed = "\n".join(f"{name} <{name}>" for name in of_picture)
    grid = markup('<div class="thumbnails">\n' + "\n".join(thumbnails) + "\n</div>\n")
    toc = f"```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    (folder / "index.md").write_text(f"{TOP}{grid}\n\n{toc}", "utf-8")


def _page(
    name: str, entries: list[Entry], sources: dict[str, GallerySource], pictures: Pictures
) -> str:
    first = (getattr(hb.plot, name).__doc__ or "").strip().splitlines()[0]
    parts = [f"# hb.plot.{name}", first, f"All arguments: {{py:func}}`hierbayes.plot.{name}`."]
    for entry in entries:
        source = sources[entry.source]
        setup = f"import hierbayes as hb\n\n{source.setup}"
        parts += [
            f"## {entry.source}: {source.heading}",
            f"```python\n{entry.code}\n```",
            _drawn(entry, source, pictures),
            markup("<details><summary>The code before it</summary>"),
            f"```python\n{setup}\n```",
            markup("</details>"),
        ]
    return "\n\n".join(parts) + "\n"


def _drawn(entry: Entry, source: GallerySource, pictures: Pictures) -> str:
    def again() -> Any:
        return draw(entry, source, WIDE)

    return as_picture(again(), pictures, again)


def markup(page: str) -> str:
    """Write a piece of HTML as it is."""
    return f"```{{raw}} html\n{page}\n```"


def _thumbnail(name: str, pictures: Pictures) -> str:
    light, dark = pictures.written[:2]
    images = f'<img src="../_images/{light}" alt="" class="{"light-thumb" if dark else ""}">'
    if dark:
        images += f'<img src="../_images/{dark}" alt="" class="dark dark-thumb">'
    return f'<a href="{name}.html">{images}<code>{name}</code></a>'
