"""Tables of F tests of the terms of one fit: types I to III, and single-term deletions."""

from hierbayes.comparison.hypotheses import term_deletions, type_hypotheses
from hierbayes.intervals.contrast import f_frame, method_words, missing_notes
from hierbayes.intervals.linear_tests import f_test
from hierbayes.options import AnovaType, Ddf
from hierbayes.results.f_table import FTable
from hierbayes.results.likelihood_fit import LikelihoodFit

ROMAN = {1: "I", 2: "II", 3: "III"}


def term_table(fit: LikelihoodFit, *, type: AnovaType, ddf: Ddf) -> FTable:
    """F tests of every term of the fixed part; see ``hb.anova``."""
    # sequential sums of squares of a linear model add up only under its weights; in mixed models
    # lmerTest takes the columns as they are
    weights = fit.weights if fit.is_linear_model else None
    found = type_hypotheses(fit.design, fit.kept, type=type, weights=weights)
    tests = {label: f_test(fit, L, ddf=ddf) for label, L in found.items()}
    return FTable(
        table=f_frame(tests),
        title=f"Type {ROMAN[type]} Analysis of Variance Table {method_words(fit, ddf)}",
        formula_text=fit.formula_text,
        ddf=ddf,
        type=type,
        notes=missing_notes(tests, ddf),
    )


def deletion_table(fit: LikelihoodFit, *, ddf: Ddf) -> FTable:
    """F tests of what each term that may be left out adds to all others."""
    deletions = term_deletions(fit.design, fit.kept)
    tests = {deletion.label: f_test(fit, deletion.L, ddf=ddf) for deletion in deletions}
    return FTable(
        table=f_frame(tests),
        title=f"Single term deletions {method_words(fit, ddf)}",
        formula_text=fit.formula_text,
        ddf=ddf,
        notes=missing_notes(tests, ddf),
    )
