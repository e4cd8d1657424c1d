"""Tables of F tests of the terms of one fit: types I to III, and single-term deletions."""

import numpy as np

from hierbayes.comparison.hypotheses import term_deletions, type_hypotheses
from hierbayes.intervals.contrast import f_table, method_words
from hierbayes.intervals.linear_tests import f_test
from hierbayes.options import AnovaType, Ddf
from hierbayes.results.f_table import FTable
from hierbayes.results.likelihood_fit import LikelihoodFit

ROMAN = {1: "I", 2: "II", 3: "III"}


def term_table(fit: LikelihoodFit, *, type: AnovaType, ddf: Ddf) -> FTable:
    """F tests of every term of the fixed part; see ``hb.anova``."""
    # sequential sums of squares of a linear model add up only under its weights; in mixed models
    # lmerTest takes the columns as they are
    given = fit.weights if fit.design.cells is None else fit.design.cells.weights
    weights = given if fit.is_linear_model else None
    found = type_hypotheses(fit.design, fit.kept, type=type, weights=weights)
    tests = {label: f_test(fit, L, ddf=ddf) for label, L in found.items()}
    title = f"Type {ROMAN[type]} Analysis of Variance Table {method_words(fit, ddf)}"
    notes = _empty_cells(fit) if type == 3 else ()
    return f_table(fit, tests, title, ddf=ddf, type=type, notes=notes)


def _empty_cells(fit: LikelihoodFit) -> tuple[str, ...]:
    """Warn of interactions of factors some of whose combinations of levels have no rows."""
    dropped = np.setdiff1d(np.arange(fit.design.X.shape[1]), fit.kept)
    found = [
        term.label
        for k, term in enumerate(fit.design.mean.layout.terms)
        if k + 1 in fit.design.assign[dropped] and term.is_interaction and not term.numbers()
    ]
    if not found:
        return ()
    return (
        f"Some combinations of levels in {', '.join(found)} have no rows, so the means that type "
        "III averages over are not all there. Read it with care; type=2 does not need them.",
    )


def deletion_table(fit: LikelihoodFit, *, ddf: Ddf) -> FTable:
    """F tests of what each term that may be left out adds to all others."""
    deletions = term_deletions(fit.design, fit.kept)
    tests = {deletion.label: f_test(fit, deletion.L, ddf=ddf) for deletion in deletions}
    return f_table(fit, tests, f"Single term deletions {method_words(fit, ddf)}", ddf=ddf)
