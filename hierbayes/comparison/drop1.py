"""Single-term deletions: what is lost by leaving one term out of the fixed part.

Only terms that no other term's variables include are left out (an interaction before its main
effects). Rows stay those of the fit, missing values elsewhere or not.

Source: Chambers & Hastie (1992), Statistical Models in S, section 4.3.2.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from hierbayes.arrays import record
from hierbayes.calls import checked_call
from hierbayes.comparison.f_tests import deletion_table
from hierbayes.comparison.hypotheses import term_deletions
from hierbayes.design.design import Design
from hierbayes.errors import OptionError
from hierbayes.gaussian.kernel import kernel_of
from hierbayes.likelihood.lmm import fit_lmm
from hierbayes.likelihood.residual_search import search_design
from hierbayes.options import Ddf, DeletionTest, check_option
from hierbayes.results.f_table import DELETION_COLUMNS, DeletionTable, FTable
from hierbayes.results.fit_tables import own_ddf
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.specification.fitted_values import unknown_fitted_sds


@checked_call("hb.drop1")
def drop1(
    fit: LikelihoodFit, test: DeletionTest | None = None, *, ddf: Ddf | None = None
) -> FTable | DeletionTable:
    """Test each term of the fixed part that can be left out on its own.

    Parameters
    ----------
    fit : LikelihoodFit
    test : {"F", "Chisq"}
        F tests in the fit as it is (the default), or likelihood-ratio tests against fits without
        the term (that of other families). For the latter a REML fit is fitted again with ML.
    ddf : {"satterthwaite", "kenward-roger", "normal", "none"}
        Denominator degrees of freedom of the F tests, "satterthwaite" unless said;
        "kenward-roger" is for REML fits.

    Returns
    -------
    FTable
        For ``test="F"``, one row a term.
    DeletionTable
        For ``test="Chisq"``: the model as it is, then one row a term, with the number of
        parameters lost, the AIC of the smaller model and the test.

    Raises
    ------
    NotSupportedError
        For ``ddf="kenward-roger"`` of an ML fit.

    Examples
    --------
    >>> import hierbayes as hb
    >>> cake = hb.load_dataset("cake")
    >>> fit = hb.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    >>> hb.drop1(fit).to_frame().round(3)["f_value"].to_dict()
    {'recipe:temperature': 1.006}
    """
    if not isinstance(fit, LikelihoodFit):
        raise OptionError(f"drop1 takes a fit by REML or ML; it got {fit.__class__.__name__}.")
    if test is None:
        test = "F" if isinstance(fit, LinearFit) else "Chisq"
    check_option("test", test, DeletionTest)
    if ddf is not None:
        check_option("ddf", ddf, Ddf)
    if test == "F":
        return deletion_table(fit, ddf=ddf or own_ddf(fit))
    if ddf is not None:
        raise OptionError("ddf= is for F tests; test='Chisq' has no denominator. Leave it out.")
    if fit.spec.has_fitted_sds:  # the smaller model has others
        raise unknown_fitted_sds("drop1(test='Chisq')")
    return _likelihood_ratios(fit)


def _likelihood_ratios(fit: LikelihoodFit) -> DeletionTable:
    whole = fit.with_method("ml")
    rows: dict[str, tuple[Any, ...]] = {"<none>": (np.nan, whole.aic, np.nan, np.nan)}
    for deletion in term_deletions(fit.design, fit.kept):
        without = _without(whole, deletion.design)
        lost = fit.beta.size - without.n_coefficients
        lrt = max(without.criterion - whole.criterion, 0.0)
        p_value = float(chdtrc(lost, lrt)) if lost and without.is_comparable else np.nan
        aic = without.criterion + 2 * (whole.n_params - lost)
        rows[deletion.label] = (lost, aic, lrt, p_value)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(DELETION_COLUMNS))
    return DeletionTable(
        table=table.astype(float),
        formula_text=fit.formula_text,
        refitted=fit.method == "reml",
    )


@record(kw_only=False)
class _Without:
    """A fit without a term: its criterion, and whether the data determine as much of it."""

    criterion: float
    n_coefficients: int
    is_comparable: bool


def _without(whole: LikelihoodFit, design: Design) -> _Without:
    """Fit a smaller design by maximum likelihood."""
    if isinstance(whole, LinearFit) and whole.residual is not None:
        best = search_design(design, "ml").found
        kept = best.kernel.products.anchor.kept
        return _Without(float(best.at.criterion[0]), kept.size, True)
    if isinstance(whole, LinearFit):
        kernel = kernel_of(design, weights=whole.weights, method="ml")
        criterion = float(fit_lmm(design, kernel).at.criterion[0])
        determined = kernel.n_undetermined == whole.kernel.n_undetermined
        return _Without(criterion, kernel.products.xy.size, determined)
    assert isinstance(whole, GeneralisedFit)
    from hierbayes.likelihood.glmm import fit_glmm

    found = fit_glmm(whole.spec.with_other_design(design), whole.n_quadrature)
    return _Without(-2 * found.loglik, found.beta.size, found.converged)
