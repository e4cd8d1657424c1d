"""The reference: a page a public name, from ``docs/public.md`` and the docstrings.

The page of public names says what is public and in which groups; autodoc writes signature and
docstring, with the examples that ``tests/test_doctests.py`` holds to be right. Results have a page
of their own with the public methods and properties that their classes document.
"""

import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import hierbayes as hb
from hierbayes.studies.gallery_page import ENTRIES

PUBLIC = Path(__file__).parents[1] / "public.md"
GROUP = re.compile(r"^\*\*([^*]+)\*\*(.*?)\n\n", re.MULTILINE | re.DOTALL)
NOT_OF_RESULTS = frozenset({"blocks"})
OF_FITS = "Of "


def groups() -> dict[str, list[str]]:
    """Return the names ``hb.x`` and ``hb.plot.x`` of the page by the heading they stand under."""
    text = PUBLIC.read_text(encoding="utf-8").split("## What is not")[0]
    found = {}
    for heading, words in GROUP.findall(text):
        names = [n for n in re.findall(r"`hb\.([\w.]+)`", words) if n != "plot"]
        if names:
            found[heading.removesuffix(":")] = list(dict.fromkeys(names))
    return found


def methods() -> dict[str, list[str]]:
    """Return what fits and models answer to, by the heading of the page."""
    text = PUBLIC.read_text(encoding="utf-8").split("## What is not")[0]
    return {
        heading: re.findall(r"`(\w+)(?:\(\))?`", words)
        for heading, words in GROUP.findall(text)
        if heading.startswith(OF_FITS)
    }


def public(name: str) -> Any:
    """Return what a public name stands for."""
    found: Any = hb
    for part in name.split("."):
        found = getattr(found, part)
    return found


def summary(item: Any) -> str:
    """Return the first sentence of a docstring, as one line."""
    first, _, _ = (inspect.getdoc(item) or "").partition("\n\n")
    return " ".join(first.split())


def reference_pages(folder: Path) -> None:
    """Write ``reference/index.rst``, a page a name, and a page a result."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [_title("Reference", "="), TOP]
    for heading, names in groups().items():
        parts.append(_title(heading, "-"))
        parts.append(_listed((f"hb.{n}", n, summary(public(n))) for n in names))
        for name in names:
            (folder / f"{name}.rst").write_text(_page(name), "utf-8")
    results = result_classes()
    parts += [_title("Results", "-"), RESULTS]
    parts.append(_listed((cls.__name__, f"result.{cls.__name__}", summary(cls)) for cls in results))
    for cls in results:
        (folder / f"result.{cls.__name__}.rst").write_text(_class_page(cls), "utf-8")
    stems = [n for names in groups().values() for n in names]
    stems += [f"result.{cls.__name__}" for cls in results]
    toc = "\n".join(f"   {stem}" for stem in stems)
    parts.append(f".. toctree::\n   :hidden:\n   :maxdepth: 1\n\n{toc}\n")
    (folder / "index.rst").write_text("\n\n".join(parts), "utf-8")


TOP = """\
Every public name, with ``import hierbayes as hb``. The examples are run by the tests. What each
name promises over versions is on the page :doc:`../public`.
"""
RESULTS = """\
What the functions above return. Attributes and methods that stand here are public, and so are the
columns of the tables (``to_frame()``).
"""


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def _listed(rows: Iterable[tuple[str, str, str]]) -> str:
    lines = [".. list-table::", "   :widths: 30 70", ""]
    for shown, stem, words in rows:
        lines += [f"   * - :doc:`{shown} <{stem}>`", f"     - {words}"]
    return "\n".join(lines) + "\n"


def _page(name: str) -> str:
    item = public(name)
    title = _title(f"hb.{name}", "=")
    if isinstance(item, type):
        return title + "\n" + _class(f"hierbayes.{name}", _members(name, item))
    page = f"{title}\n.. autofunction:: hierbayes.{name}\n"
    if name.removeprefix("plot.") in {entry.picture for entry in ENTRIES}:
        picture = name.removeprefix("plot.")
        page += "".join(_shown(picture, ground) for ground in ("light", "dark"))
        page += f"\nMore pictures, with their code: :doc:`../gallery/{picture}`.\n"
    returned = [cls for cls in _returned(item) if cls in result_classes()]
    if returned:
        links = ", ".join(f":doc:`{cls.__name__} <result.{cls.__name__}>`" for cls in returned)
        page += f"\nReturns {links}.\n"
    return page


def _shown(picture: str, ground: str) -> str:
    file = f"../gallery/_pictures/gallery-{picture}-1-{ground}.png"
    words = f"{picture} of the first model of the gallery"
    return f"\n.. image:: {file}\n   :class: picture only-{ground}\n   :alt: {words}\n"


def _members(name: str, cls: type) -> list[str]:
    told = methods()
    of = {
        "LikelihoodFit": ("Of either fit", "Of a fit by REML or ML"),
        "PosteriorFit": ("Of either fit", "Of a posterior"),
        "Model": ("Of a model",),
    }
    if name not in of:
        return _own_members(cls)
    names = [
        n for start in of[name] for head, ns in told.items() if head.startswith(start) for n in ns
    ]
    return [n for n in dict.fromkeys(names) if inspect.getdoc(_member(cls, n))]


def _member(cls: type, name: str) -> Any:
    return inspect.getattr_static(cls, name, None)


def _own_members(cls: type) -> list[str]:
    """Return the public methods and properties that a class of ours documents."""
    if issubclass(cls, Exception):
        return []
    found = []
    for ancestor in reversed(cls.__mro__):
        if not ancestor.__module__.startswith("hierbayes."):
            continue
        found += [
            name
            for name, value in vars(ancestor).items()
            if not name.startswith("_")
            and name not in NOT_OF_RESULTS
            and (inspect.isfunction(value) or isinstance(value, property))
            and inspect.getdoc(value)
        ]
    return list(dict.fromkeys(found))


def _class(path: str, members: list[str]) -> str:
    cls = public(path.removeprefix("hierbayes.")) if path.count(".") == 1 else None
    lines = [f".. autoclass:: {path}", ""]
    owner = cls if cls is not None else _imported(path)
    for name in members:
        kind = "property" if isinstance(_member(owner, name), property) else "method"
        if not callable(getattr(owner, name, None)) and kind == "method":
            kind = "attribute"
        lines += [f"   .. auto{kind}:: {path}.{name}", ""]
    return "\n".join(lines)


def _imported(path: str) -> Any:
    from importlib import import_module

    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def _class_page(cls: type) -> str:
    path = f"{cls.__module__}.{cls.__name__}"
    return f"{_title(cls.__name__, '=')}\n{_class(path, _own_members(cls))}\n"


def result_classes() -> list[type]:
    """Return the classes of ours that public functions and methods of fits return."""
    told = methods()
    sources = [public(n) for names in groups().values() for n in names]
    for cls in (hb.LikelihoodFit, hb.PosteriorFit, hb.Model):
        for names in told.values():
            sources += [getattr(cls, n) for n in names if inspect.isfunction(_member(cls, n))]
    have = {public(n) for names in groups().values() for n in names}
    found = {cls for source in sources for cls in _returned(source)}
    return sorted((cls for cls in found if cls not in have), key=lambda cls: cls.__name__)


def _returned(item: Any) -> list[type]:
    if not inspect.isfunction(item):
        return []
    try:
        hint = get_type_hints(item).get("return")
    except NameError:  # names of types only, which the function does not import
        return []
    kinds = [kind for kind in get_args(hint) or (hint,) if inspect.isclass(kind)]
    ours = [kind for kind in kinds if kind.__module__.startswith("hierbayes.")]
    return [kind for kind in ours if not issubclass(kind, str)]  # text needs no page of its own
