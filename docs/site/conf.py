"""How Sphinx builds the site from the staged pages (``docs/site/build.py`` stages and calls it)."""

import sys
from pathlib import Path
from typing import Any

import hierbayes
from docs.site.docstrings import readable
from docs.site.reference import methods
from docs.site.search import TaskSearch

sys.modules["hierbayes.plot"] = hierbayes.plot  # the public name of what autodoc imports

project = "hierbayes"
author = "the hierbayes authors"
copyright = author
version = release = hierbayes.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "docs.site.mathml",
]
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

autodoc_typehints = "none"
autodoc_member_order = "bysource"
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
default_role = "code"
smartquotes = False

html_theme = "furo"
html_title = f"hierbayes {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_search_summary = False  # a page opened from a file may not read its neighbours
html_last_updated_fmt = None
html_search_language = "en"
html_search_scorer = str(Path(__file__).with_name("scorer.js"))
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".output"
copybutton_selector = "div:not(.output) > div.highlight > pre"
nitpicky = False
suppress_warnings = ["ref.python"]  # an attribute of many results has one name


def setup(app: Any) -> None:
    """Take our own search, and read docstrings as they are written here."""
    app.add_search_language(TaskSearch)
    app.connect("autodoc-process-docstring", as_written)
    app.connect("autodoc-process-signature", without_constructor)


def as_written(app: Any, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Turn a docstring into reStructuredText, in place."""
    is_fit = what == "class" and name in ("hierbayes.LikelihoodFit", "hierbayes.PosteriorFit")
    public = {attribute for names in methods().values() for attribute in names}
    lines[:] = readable(lines, public if is_fit else None)


def without_constructor(
    app: Any, what: str, name: str, item: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Leave out how a result is made: nobody but the library makes one."""
    is_result = what == "class" and item.__module__.startswith("hierbayes.results.")
    return ("", "") if is_result else None
