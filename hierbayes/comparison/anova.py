"""Likelihood-ratio table of nested fits.

For models with k_1 < k_2 parameters, 2 (loglik_2 - loglik_1) is about chi-squared with k_2 - k_1
degrees of freedom. REML likelihoods of different fixed parts do not compare, so REML fits are
fitted again with ML, and the table says so.

Source: Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 2.4.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from hierbayes.errors import DataError, NotSupportedError, OptionError
from hierbayes.results.anova_table import ANOVA_COLUMNS, AnovaTable
from hierbayes.results.likelihood_fit import LikelihoodFit


def anova(
    *fits: LikelihoodFit,
    refit: bool = True,
    names: tuple[str, ...] | None = None,
    type: Any = None,
    ddf: Any = None,
) -> AnovaTable:
    """Compare two or more nested fits by likelihood-ratio tests.

    Parameters
    ----------
    *fits : LikelihoodFit
        Fitted to the same rows and the same response, in any order.
    refit : bool
        Fit REML fits again with ML first, as lme4 does.
    names : names of the models in the table, in the order given; "m.1", "m.2" ... unless said

    Returns
    -------
    AnovaTable
        By increasing number of parameters, each model tested against the one before it.

    Raises
    ------
    DataError
        If the fits have different rows or responses.

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> small = hb.lmer("Reaction ~ Days + (Days || Subject)", sleep)
    >>> large = hb.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> round(hb.anova(large, small).to_frame()["p_value"].iloc[1], 4)
    np.float64(0.8004)
    """
    if type is not None or ddf is not None or len(fits) == 1:
        raise NotSupportedError(
            "F-tables of one fit (type=, ddf=) are not available in this version; give two or "
            "more fits for likelihood-ratio tests."
        )
    for fit in fits:
        if not isinstance(fit, LikelihoodFit):
            raise OptionError(f"anova compares fits; it got {fit.__class__.__name__}.")
    if len(fits) < 2:
        raise OptionError("anova needs two or more fits.")
    labels = names or tuple(f"m.{i + 1}" for i in range(len(fits)))
    if len(labels) != len(fits) or len(set(labels)) != len(labels):
        raise OptionError(f"names must be {len(fits)} different names, one a fit; got {labels!r}.")
    _check_comparable(fits)
    refitted = refit and any(fit.method == "reml" for fit in fits)
    used = [fit.with_method("ml") if refitted else fit for fit in fits]
    pairs = sorted(zip(labels, used, strict=True), key=lambda pair: pair[1].n_params)
    return AnovaTable(
        table=_table(pairs),
        models={name: fit.formula_text for name, fit in pairs},
        data_name=fits[0].data_name,
        refitted=refitted,
    )


def _check_comparable(fits: tuple[LikelihoodFit, ...]) -> None:
    first = fits[0]
    for fit in fits[1:]:
        if fit.nobs != first.nobs:
            raise DataError(
                f"The fits used different rows ({first.nobs} and {fit.nobs}), so their "
                "likelihoods do not compare. Fit both to the rows that are complete for both."
            )
        if not np.array_equal(fit.design.y, first.design.y):
            raise DataError(
                "The fits have different responses "
                f"({first.design.formula.response_label} and {fit.design.formula.response_label}), "
                "so their likelihoods do not compare."
            )


def _table(pairs: list[tuple[str, LikelihoodFit]]) -> pd.DataFrame:
    n_params = np.array([fit.n_params for _, fit in pairs])
    loglik = np.array([fit.loglik for _, fit in pairs])
    chisq = np.append(np.nan, np.maximum(2 * np.diff(loglik), 0.0))
    df = np.append(np.nan, np.diff(n_params))
    with np.errstate(invalid="ignore"):
        p_value = np.where(df > 0, chdtrc(np.where(df > 0, df, 1), chisq), np.nan)
    columns = (
        n_params,
        [fit.aic for _, fit in pairs],
        [fit.bic for _, fit in pairs],
        loglik,
        -2 * loglik,
        chisq,
        df,
        p_value,
    )
    index = [name for name, _ in pairs]
    return pd.DataFrame(dict(zip(ANOVA_COLUMNS, columns, strict=True)), index=index)
