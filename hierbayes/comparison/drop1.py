"""Single-term deletions: what is lost by leaving one term out of the fixed part.

Only terms that no other term's variables include are left out (an interaction before its main
effects). Rows stay those of the fit, missing values elsewhere or not.

Source: Chambers & Hastie (1992), Statistical Models in S, section 4.3.2.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from hierbayes.calls import checked_call
from hierbayes.comparison.f_tests import deletion_table
from hierbayes.comparison.hypotheses import term_deletions
from hierbayes.errors import OptionError
from hierbayes.gaussian.kernel import kernel_of
from hierbayes.likelihood.lmm import fit_lmm
from hierbayes.options import Ddf, DeletionTest, check_option
from hierbayes.results.f_table import DELETION_COLUMNS, DeletionTable, FTable
from hierbayes.results.likelihood_fit import LikelihoodFit


@checked_call("hb.drop1")
def drop1(
    fit: LikelihoodFit, test: DeletionTest = "F", *, ddf: Ddf | None = None
) -> FTable | DeletionTable:
    """Test each term of the fixed part that can be left out on its own.

    Parameters
    ----------
    fit : LikelihoodFit
    test : {"F", "Chisq"}
        F tests in the fit as it is, or likelihood-ratio tests against fits without the term. For
        the latter a REML fit is fitted again with ML.
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
    check_option("test", test, DeletionTest)
    if ddf is not None:
        check_option("ddf", ddf, Ddf)
    if test == "F":
        return deletion_table(fit, ddf=ddf or "satterthwaite")
    if ddf is not None:
        raise OptionError("ddf= is for F tests; test='Chisq' has no denominator. Leave it out.")
    return _likelihood_ratios(fit)


def _likelihood_ratios(fit: LikelihoodFit) -> DeletionTable:
    whole = fit.with_method("ml")
    rows: dict[str, tuple[Any, ...]] = {"<none>": (np.nan, whole.aic, np.nan, np.nan)}
    for deletion in term_deletions(fit.design, fit.kept):
        kernel = kernel_of(deletion.design, weights=fit.weights, method="ml")
        criterion = float(fit_lmm(deletion.design, kernel).at.criterion[0])
        lost = fit.beta.size - kernel.products.xy.size
        lrt = max(criterion - whole.criterion, 0.0)
        tested = lost and kernel.n_undetermined == whole.kernel.n_undetermined
        p_value = float(chdtrc(lost, lrt)) if tested else np.nan
        rows[deletion.label] = (lost, criterion + 2 * (whole.n_params - lost), lrt, p_value)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(DELETION_COLUMNS))
    return DeletionTable(
        table=table.astype(float),
        formula_text=fit.formula_text,
        refitted=fit.method == "reml",
    )
