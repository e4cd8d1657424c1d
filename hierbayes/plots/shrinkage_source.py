"""What the shrinkage pictures share: which rows they draw, how axes and levels are called."""

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.options import ShrinkageType
from hierbayes.plots.labels import LETTER, bundled_unit
from hierbayes.plots.letters import MM_PER_POINT
from hierbayes.plots.sheet import Sheet
from hierbayes.plots.style import letter_size
from hierbayes.pooling.generalised_shrinkage import RESPONSE
from hierbayes.pooling.level_covariances import check_shrinks
from hierbayes.pooling.shrinkage import shrinkage
from hierbayes.results.fit import Fit
from hierbayes.results.shrinkage_table import ShrinkageTable
from hierbayes.wording import meant, shown

INTERCEPT = "(Intercept)"
DOTS = "\N{HORIZONTAL ELLIPSIS}"
NAME = 0.77  # size of the letters of names beside points, in those of the others
NAME_SHARE = 6  # part of a picture's width that a name may take
LONGEST_NAME = 16  # letters of a level's name that are shown
ESTIMATOR = {"reml": "REML", "ml": "ML", "posterior": "posterior mean"}


def table_of(source: Fit | ShrinkageTable, scale: ShrinkageType = "link") -> ShrinkageTable:
    """Return the shrinkage table of a fit, or the table itself where one is given."""
    if isinstance(source, ShrinkageTable) and source.details is not None:
        return source
    return shrinkage(
        check_shrinks(source, "hb.shrinkage", of_families=True, of_related=True), type=scale
    )


def expected_label(table: ShrinkageTable, page: Sheet) -> str:
    """Label of an axis that shows expected responses."""
    assert table.details is not None
    name = table.details.response
    share = name.startswith("cbind(")
    return page.label(name, "expected share of successes" if share else f"expected {name}")


def rows_of(table: ShrinkageTable, group: str | None, term: str | None) -> pd.DataFrame:
    """Rows of one grouping factor and term, the first ones where not named; index is the level."""
    assert table.details is not None
    name = chosen("group", group, tuple(table.details.factors))
    terms = table.details.factors[name].terms
    on_response = table.details.scale == "response"
    picked = RESPONSE if on_response else chosen("term", term, terms)
    rows = pd.DataFrame(table)
    rows = rows[(rows["group"] == name) & (rows["term"] == picked)].set_index("level")
    rows.attrs = {"group": name, "term": picked}
    return rows


def chosen(argument: str, given: str | None, known: tuple[str, ...]) -> str:
    """Return the name given if it is known, the first known one if none was given."""
    if given is None:
        return known[0]
    if given in known:
        return given
    hint = meant(given, known, "")
    listed = ", ".join(map(repr, known))
    raise OptionError(f"{argument}={shown(given)} is not one of {listed}{hint}")


def unit_of(source: Fit | ShrinkageTable) -> str:
    """Return the unit of the response where a bundled data set tells it."""
    if isinstance(source, ShrinkageTable) or source.design.y.ndim != 1:
        return ""
    design = source.design
    return bundled_unit(source.data_name, design.formula.response_label, design.y)


def term_label(source: Fit | ShrinkageTable, term: str, page: Sheet) -> str:
    """Label of an axis that shows coefficients of a term: its name and unit."""
    unit = term_unit(source, term)
    return page.label(term, f"{term} ({unit})" if unit else term)


def term_unit(source: Fit | ShrinkageTable, term: str) -> str:
    """Return the unit of a coefficient, empty where that of the response is not known."""
    link = _link_of(source)
    if link:
        return link if term == INTERCEPT or _is_dummy(source, term) else f"{link} per unit"
    unit = unit_of(source)
    if not unit or term == INTERCEPT or _is_dummy(source, term):
        return unit
    return f"{unit} per unit"


def _link_of(source: Fit | ShrinkageTable) -> str:
    """Name of the link on whose scale coefficients are; empty where that is the response's."""
    if isinstance(source, ShrinkageTable):
        known = source.details
        return "" if known is None or known.is_linear else known.link
    return "" if source.link == "identity" else source.link


def _is_dummy(source: Fit | ShrinkageTable, term: str) -> bool:
    """Whether a term's column says of each row whether it belongs to a category."""
    if isinstance(source, ShrinkageTable):
        return False
    for factor in source.design.factors:
        if term in factor.columns:
            return bool(np.isin(factor.z[:, factor.columns.index(term)], (0.0, 1.0)).all())
    return False


def names_beside(page: Sheet, levels: Sequence[Any]) -> list[str]:
    """Names of levels to stand beside points, in at most a sixth of the picture's width."""
    letter = LETTER * NAME * letter_size() * MM_PER_POINT
    most = min(int(page.width_mm / NAME_SHARE / letter), LONGEST_NAME)
    return short_names([page.label(str(level)) for level in levels], most=most)


def short_names(levels: Sequence[Any], *, most: int = LONGEST_NAME) -> list[str]:
    """Names of levels that fit: what all have in common is left out, then the middle.

    Parameters
    ----------
    levels : labels
    most : letters there is room for
    """
    names = [str(level) for level in levels]
    if max(map(len, names)) <= most:
        return names
    if len(names) > 1:
        head = _common_words(names)
        rest = [name[head:] for name in names]
        tail = len(re.sub(r"^\w*", "", _common_start([name[::-1] for name in rest])[::-1]))
        marks = DOTS if head else "", DOTS if tail else ""
        names = [f"{marks[0]}{name[: len(name) - tail]}{marks[1]}" for name in rest]
    most = max(most, 3)
    shorter = [_cut(name, most) for name in names]
    if len(set(shorter)) < len(set(names)):  # of nested levels the last part tells them apart
        return [_cut_nested(name, most) for name in names]
    return shorter


def _common_words(names: Sequence[str]) -> int:
    """Letters of the words that all names begin with; a word ends before a number."""
    common = re.sub(r"\d+$", "", _common_start(names))
    if common and common[-1].isalpha() and all(name[len(common) :][:1].isdigit() for name in names):
        return len(common)
    return len(re.sub(r"\w*$", "", common))


def _common_start(names: Sequence[str]) -> str:
    """Letters that all names begin with."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same)


def _cut(name: str, most: int) -> str:
    """Leave the middle of a name out where it is long."""
    if len(name) <= most:
        return name
    head = most // 2
    return f"{name[:head]}{DOTS}{name[len(name) - (most - 1 - head) :]}"


def _cut_nested(name: str, most: int) -> str:
    """Shorten the first part of a nested level, ``Victory:III`` to ``Vic:III``."""
    first, colon, rest = name.partition(":")
    kept = max(most - len(colon + rest), 1)
    return f"{first[:kept]}{colon}{rest}" if colon else _cut(name, most)


def whole_numbers() -> Any:
    """Ticks at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator("auto", integer=True)
