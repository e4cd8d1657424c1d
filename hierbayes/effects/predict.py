"""Predictions of a REML or ML fit for the rows used or for new data.

The prediction of a row is X beta + offset + the conditional modes of the chosen grouping factors.
Which factors count (``groups``) and what happens at a level the model has not seen (``new_levels``)
are two separate choices. Rows in = rows out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.design.design import MISSING_LEVEL, NEW_LEVEL, GroupingFactor, NewRows
from hierbayes.design.new_data import new_rows
from hierbayes.errors import NewLevelError, NotSupportedError, OptionError
from hierbayes.options import NewLevels, PredictionType, check_option, nearest
from hierbayes.results.likelihood_fit import LikelihoodFit

FloatArray = npt.NDArray[np.float64]

SHOWN_LEVELS = 5


def predict(
    fit: LikelihoodFit,
    newdata: Any = None,
    *,
    groups: str | Sequence[str] = "all",
    new_levels: NewLevels = "error",
    interval: Any = None,
    level: float = 0.95,
    type: PredictionType = "response",
    random_seed: Any = None,
) -> pd.Series:
    """Predict; the arguments are those of ``LikelihoodFit.predict``."""
    del level
    check_option("new_levels", new_levels, NewLevels)
    check_option("type", type, PredictionType)
    if interval is not None:
        raise NotSupportedError(
            f"interval={interval!r}: prediction intervals are not available in this version."
        )
    chosen = chosen_groups(fit, groups)
    if newdata is None:
        rows = _rows_used(fit)
    else:
        rows = new_rows(fit.design, newdata, need_groups=chosen)
    kept = fit.kernel.products.anchor.kept
    total = rows.X[:, kept] @ fit.beta
    if rows.offset is not None:
        total = total + rows.offset
    rng = np.random.default_rng(random_seed)
    for position, factor in enumerate(rows.factors):
        if factor.name in chosen:
            total = total + _group_part(
                fit, position, factor, new_levels, labels=rows.new_labels.get(factor.name), rng=rng
            )
    return pd.Series(total, index=rows.row_labels, name="prediction")


def chosen_groups(fit: LikelihoodFit, groups: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of the grouping factors whose effects a prediction includes."""
    names = tuple(factor.name for factor in fit.design.factors)
    if isinstance(groups, str):
        if groups == "all":
            return names
        if groups == "none":
            return ()
        groups = [groups]
    for name in groups:
        if name not in names:
            known = ", ".join(repr(known) for known in names) or "none, it has no groups"
            guess = nearest(str(name), (*names, "all", "none"))
            hint = f"; did you mean {guess!r}?" if guess else "."
            raise OptionError(
                f"groups={name!r} is not a grouping factor of this model (it has {known}) nor "
                f"'all' or 'none'{hint}"
            )
    return tuple(groups)


def _rows_used(fit: LikelihoodFit) -> NewRows:
    design = fit.design
    return NewRows(
        X=design.X, factors=design.factors, offset=design.offset, new_labels={},
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
        raise NewLevelError(_new_level_sentence(fit, factor, list(dict.fromkeys(labels[new]))))
    b = fit.modes[position][np.where(factor.codes < 0, 0, factor.codes)]
    b = np.where((factor.codes < 0)[:, None], 0.0, b)
    if new_levels != "population":
        b[missing] = np.nan
    if new_levels == "missing":
        b[new] = np.nan
    if new_levels == "sample" and new.any():
        index, _ = pd.factorize(labels[new])
        basis = fit.kernel.products.anchor.z_bases[position]
        root = fit.sigma * basis @ fit.at.Lambdas[position][0]
        draws = rng.standard_normal((int(index.max()) + 1, root.shape[1])) @ root.T
        b[new] = draws[index]
    used = np.where(b == 0, 0.0, b * factor.z)   # an unused missing covariate stays out
    return np.asarray(used.sum(axis=1))


def _new_level_sentence(fit: LikelihoodFit, factor: GroupingFactor, found: list[Any]) -> str:
    shown = ", ".join(repr(str(label)) for label in found[:SHOWN_LEVELS])
    more = f" and {len(found) - SHOWN_LEVELS} more" if len(found) > SHOWN_LEVELS else ""
    return (
        f"The new data hold {len(found)} level{'s' if len(found) > 1 else ''} of {factor.name} "
        f"that the model was not fitted to: {shown}{more}. Say what to predict for them: "
        'new_levels="population" (the typical group), "sample" (a draw of a new group) or '
        '"missing" (NaN).'
    )
