"""Likelihood-ratio table of nested fits.

For models with k_1 < k_2 parameters, 2 (loglik_2 - loglik_1) is about chi-squared with k_2 - k_1
degrees of freedom. REML likelihoods of different fixed parts do not compare, so REML fits are
fitted again with ML, and the table says so. Where one variance is set to zero the chi-squared is
too wide; the mixture of ``boundary_mixture`` stands beside it.

Source: Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 2.4.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from hierbayes.arrays import FloatArray
from hierbayes.comparison.boundary_mixture import Mixture, mixture_p, why_not_nested
from hierbayes.comparison.same_data import aligned, check_families, same_columns
from hierbayes.errors import DataError, OptionError
from hierbayes.results.anova_table import ANOVA_COLUMNS, AnovaTable
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.wording import shown

PURPOSE = "their likelihoods do not compare"


def likelihood_ratio_table(
    fits: tuple[LikelihoodFit, ...], *, refit: bool = True, names: Any = None
) -> AnovaTable:
    """Test each of two or more fits against the one with fewer parameters before it.

    Parameters
    ----------
    fits : fitted to the same rows and the same response, in any order
    refit : fit REML fits again with ML first
    names : names of the models in the order given; "m.1", "m.2" ... unless said

    Raises
    ------
    DataError
        If the fits have different rows or responses, or likelihoods that do not compare.
    """
    labels = _checked_names(names, len(fits))
    fits = aligned(fits, purpose=PURPOSE)
    check_families(fits, purpose=PURPOSE)
    refitted = refit and any(fit.method == "reml" for fit in fits)
    if not refitted:
        _check_likelihoods(fits)
    used = [fit.with_method("ml") if refitted else fit for fit in fits]
    used = list(aligned(used, purpose=PURPOSE))
    pairs = sorted(zip(labels, used, strict=True), key=lambda pair: pair[1].n_params)
    table = _table(pairs)
    notes = _not_nested(pairs) | _undetermined(pairs)
    table.loc[list(notes), "p_value"] = np.nan
    mixtures = _mixtures(pairs, table["chisq"].to_numpy())
    table["p_mixture"] = [
        mixtures[name].p_value if name in mixtures else np.nan for name, _ in pairs
    ]
    return AnovaTable(
        table=table,
        models={name: fit.formula_text for name, fit in pairs},
        data_name=fits[0].data_name,
        refitted=refitted,
        mixtures={name: found.words for name, found in mixtures.items()},
        notes=tuple(notes.values()),
    )


def _undetermined(pairs: list[tuple[str, LikelihoodFit]]) -> dict[str, str]:
    """Sentences on tests of parameters that the data do not determine."""
    found = {}
    for (before, small), (name, large) in pairwise(pairs):
        if large.n_undetermined != small.n_undetermined:
            note = large.undetermined_note or small.undetermined_note
            found[name] = f"No test of {name} against {before}. {note}"
    return found


def _not_nested(pairs: list[tuple[str, LikelihoodFit]]) -> dict[str, str]:
    """Sentences on the models that do not hold the one before them as a special case."""
    found = {}
    for (before, small), (name, large) in pairwise(pairs):
        why = ""
        if large.n_params > small.n_params:
            why = why_not_nested(small, large) or _other_residuals(small, large)
        if why:
            found[name] = (
                f"{before} is not a special case of {name}: {why}. Their difference is not "
                "chi-squared, so there is no p; AIC and BIC compare them all the same."
            )
    return found


def _other_residuals(small: LikelihoodFit, large: LikelihoodFit) -> str:
    """Say why residuals of one model are no special case of the other's; empty where they are."""
    lacks = set(small.residual_names) - set(large.residual_names)
    one, other = small.design.residual, large.design.residual
    if one is not None and other is not None and one.group == other.group and other.word == "us":
        lacks = {name for name in lacks if name.startswith("sigma_")}  # any correlations are us
    if not lacks:
        return ""
    a = small.spec.arguments
    given = [f"{name}={v!r}" for name, v in (("residual", a.residual), ("sigma", a.sigma)) if v]
    return f"its residuals have {' and '.join(given)}, and those of the other have not"


def _mixtures(pairs: list[tuple[str, LikelihoodFit]], chisq: FloatArray) -> dict[str, Mixture]:
    """Find the chi-bar-squared mixtures of tests that set one variance to zero, where known."""
    found = {}
    for (_, small), (name, large), statistic in zip(pairs[:-1], pairs[1:], chisq[1:], strict=True):
        same = small.residual_names == large.residual_names
        if large.n_params > small.n_params and same:
            mixture = mixture_p(small, large, float(statistic))
            if mixture.kind == "mixture":
                found[name] = mixture
    return found


def _checked_names(names: Any, count: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"m.{i + 1}" for i in range(count))
    if not isinstance(names, str) and isinstance(names, Iterable):
        labels = tuple(names)
        text = all(isinstance(label, str) for label in labels)
        if text and len(labels) == count == len(set(labels)):
            return labels
    raise OptionError(f"names={shown(names)} must be {count} different names, one a fit.")


def _check_likelihoods(fits: tuple[LikelihoodFit, ...]) -> None:
    """Raise DataError if likelihoods as they are do not compare: those of REML mostly don't."""
    advice = "Leave refit=True, which fits them again with ML."
    methods = {fit.method for fit in fits}
    if len(methods) > 1:
        raise DataError(f"Some fits are by REML, others by ML, which do not compare. {advice}")
    if methods == {"reml"} and any(not same_columns(fit.design, fits[0].design) for fit in fits):
        raise DataError(
            "The REML criteria of models with different fixed parts do not compare: each is the "
            f"likelihood of what its own fixed part leaves. {advice}"
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
