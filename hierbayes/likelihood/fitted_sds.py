"""Fits whose residual sds follow from their fitted values: repeated until these stay.

While a model is fitted the fitted values f in the formula of sigma are a covariate; the next fit
has those of this one (``specification/fitted_values.py``). Where that ends, theta, phi and beta are
the optimum of the criterion at f, and f are their fitted values, conditional on the random effects:
what nlme's ``gls`` and ``lme`` give for ``varPower(form = ~ fitted(.))``. The criterion is that at
f, and no optimum over f.
"""

from collections.abc import Callable

import numpy as np

from hierbayes.errors import DataError
from hierbayes.results.linear_fit import LinearFit
from hierbayes.specification.build import with_fitted_values
from hierbayes.specification.fitted_values import FITTED
from hierbayes.specification.specification import Specification

# Largest move of a fitted value, in residual sds, at which they stay. The criterion is no optimum
# over them, so it moves by as much; a search ends with fitted values wrong by less than a tenth.
STAYS = 1e-8
MOST_FITS = 100


def fit_to_fitted(spec: Specification, fit: Callable[[Specification], LinearFit]) -> LinearFit:
    """Fit again and again, ``fit`` at given fitted values, until the fitted values stay.

    Raises
    ------
    DataError
        If they do not.
    """
    moved = np.inf
    for _ in range(MOST_FITS):
        found = fit(spec)
        column = found.spec.table.column(FITTED)
        assert isinstance(column, np.ndarray)
        before = column[found.design.rows.positions]
        rest = float(np.sqrt(np.mean((found.design.y - found.fitted_values) ** 2)))
        moved = float(np.abs(found.fitted_values - before).max()) / rest
        if moved <= STAYS:
            return found
        spec = with_fitted_values(spec, found.fitted_values)
    raise DataError(
        f"sigma={spec.arguments.sigma!r}: the fitted values did not settle in {MOST_FITS} fits, "
        f"each with those of the last; one still moves by {moved:.1g} residual sds. Put a "
        "predictor in their place."
    )
