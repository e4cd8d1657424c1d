"""Predictions of a REML or ML fit for the rows used or for new data.

The prediction of a row is X beta + offset + the conditional modes of the chosen grouping factors.
Which factors count (``groups``) and what happens at a level the model has not seen (``new_levels``)
are two separate choices. Rows in = rows out.

What the effects of one chosen grouping factor are, by the row's level of it:

============== ============== ================ =========================== ===========
``new_levels`` a fitted level a new level      no level (a missing value)  a missing x
============== ============== ================ =========================== ===========
"error"        its modes      NewLevelError    NaN                         NaN
"population"   its modes      0                0                           NaN
"sample"       its modes      one draw a label NaN                         NaN
"missing"      its modes      NaN              NaN                         NaN
============== ============== ================ =========================== ===========

A missing level is a group whose name is not known: it may be one of the fitted ones, so it is not
drawn as a new one and is no error, and only "population" has an answer that needs no name. Under
"population" a covariate that only the (zero) random effects need may be missing. A factor that was
not chosen is not looked at: with ``groups="none"`` its column may be missing or absent.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.design.design import MISSING_LEVEL, NEW_LEVEL, GroupingFactor, NewRows
from hierbayes.design.new_data import new_rows
from hierbayes.errors import NewLevelError, NotSupportedError, OptionError
from hierbayes.options import (
    Interval,
    NewLevels,
    PredictionType,
    check_option,
    nearest,
    random_generator,
)
from hierbayes.results.fit_tables import FitTables
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.tidy import check_level

FloatArray = npt.NDArray[np.float64]

SHOWN_LEVELS = 5


def predict(
    fit: LikelihoodFit,
    newdata: Any = None,
    *,
    groups: str | Iterable[str] = "all",
    new_levels: NewLevels = "error",
    interval: Any = None,
    level: float = 0.95,
    type: PredictionType = "response",
    random_seed: Any = None,
) -> pd.Series:
    """Predict; the arguments are those of ``LikelihoodFit.predict``."""
    check_option("new_levels", new_levels, NewLevels)
    check_option("type", type, PredictionType)
    check_level(level)
    rng = random_generator(random_seed)
    if interval is not None:
        check_option("interval", interval, Interval)
        raise NotSupportedError(
            f"interval={interval!r}: prediction intervals are not available in this version."
        )
    chosen = chosen_groups(fit, groups)
    used = newdata is None
    rows = rows_used(fit) if used else new_rows(fit.design, newdata, need_groups=chosen)
    kept = fit.kernel.products.anchor.kept
    total = rows.X[:, kept] @ fit.beta
    if rows.offset is not None:
        total = total + rows.offset
    for position, factor in enumerate(rows.factors):
        if factor.name in chosen:
            total = total + _group_part(
                fit, position, factor, new_levels, labels=rows.new_labels.get(factor.name), rng=rng
            )
    return pd.Series(total, index=rows.row_labels, name="prediction")


def chosen_groups(fit: FitTables, groups: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names of the grouping factors whose effects a prediction includes."""
    names = tuple(factor.name for factor in fit.design.factors)
    if isinstance(groups, str):
        if groups == "all":
            return names
        if groups == "none":
            return ()
        groups = [groups]
    if not isinstance(groups, Iterable):
        raise OptionError(
            f"groups={groups!r} must be 'all', 'none' or a list of grouping factors; to leave the "
            "random effects out write groups='none'."
        )
    chosen = tuple(groups)
    for name in chosen:
        if name not in names:
            known = ", ".join(repr(known) for known in names) or "none, it has no groups"
            guess = nearest(str(name), (*names, "all", "none"))
            hint = f"; did you mean {guess!r}?" if guess else "."
            raise OptionError(
                f"groups={name!r} is not a grouping factor of this model (it has {known}) nor "
                f"'all' or 'none'{hint}"
            )
    return chosen


def rows_used(fit: FitTables) -> NewRows:
    """Return the rows the model was fitted to, as new data would come."""
    design = fit.design
    return NewRows(
        X=design.X,
        factors=design.factors,
        offset=design.offset,
        new_labels={},
        row_labels=design.row_labels,
    )


def _group_part(
    fit: LikelihoodFit,
    position: int,
    factor: GroupingFactor,
    new_levels: NewLevels,
    *,
    labels: Any,
    rng: np.random.Generator,
) -> FloatArray:
    """Return z b of one grouping factor, shape (m,)."""
    new = factor.codes == NEW_LEVEL
    missing = factor.codes == MISSING_LEVEL
    if new.any() and new_levels == "error":
        raise NewLevelError(new_level_sentence(factor, list(dict.fromkeys(labels[new]))))
    b = fit.modes[position][np.maximum(factor.codes, 0)]
    if new_levels == "sample" and new.any():
        # by sorted label: the order of the rows does not matter
        found, index = np.unique(labels[new].astype(str), return_inverse=True)
        # by theta, not by the factor the search ended with: a loaded fit draws the same numbers
        root = fit.sigma * fit.kernel.shape.unpack(fit.theta[None])[position][0]
        b[new] = (rng.standard_normal((found.size, root.shape[1])) @ root.T)[index]
    part = np.asarray((b * factor.z).sum(axis=1))
    population = new_levels == "population"
    part[missing] = 0.0 if population else np.nan
    if new_levels != "sample":
        part[new] = 0.0 if population else np.nan
    return part


def new_level_sentence(factor: GroupingFactor, found: list[Any]) -> str:
    """Say that the new data hold levels the model was not fitted to, and what can be done."""
    shown = ", ".join(repr(str(label)) for label in found[:SHOWN_LEVELS])
    more = f" and {len(found) - SHOWN_LEVELS} more" if len(found) > SHOWN_LEVELS else ""
    return (
        f"The new data hold {len(found)} level{'s' if len(found) > 1 else ''} of {factor.name} "
        f"that the model was not fitted to: {shown}{more}. Say what to predict for them: "
        'new_levels="population" (the typical group), "sample" (a draw of a new group) or '
        '"missing" (NaN).'
    )
