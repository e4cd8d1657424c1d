"""Joint tests of main effects and interactions by their marginal means.

For every set of predictors that some term of the model holds together the interaction contrasts of
their marginal means are tested as one, within each combination of ``by``. With balanced data these
are the F tests of type III; with unbalanced ones they are of equally weighed means whatever the
coding of factors. A number stands at one unit below and above its mean, so that its test is that of
a slope there.

Source: Lenth (2016), J. Stat. Softw. 69(1); Searle, Speed & Milliken (1980), Am. Stat. 34:216.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.calls import checked_call
from hierbayes.errors import OptionError
from hierbayes.intervals.contrast import f_table, method_words
from hierbayes.intervals.linear_tests import FTest, f_test
from hierbayes.marginal_means.averaging import Averaging
from hierbayes.marginal_means.contrasts_of import Interaction, contrasts_of
from hierbayes.marginal_means.emmeans_contrasts import Asked
from hierbayes.marginal_means.grid_quantities import plain_marginals
from hierbayes.marginal_means.nesting import Nesting, nesting
from hierbayes.marginal_means.spellings import names_of
from hierbayes.options import Ddf, MeanWeights, check_option
from hierbayes.prediction.reference_grid import (
    IN_NULL_SPACE,
    ReferenceGrid,
    no_predictor,
    null_space,
    reference_grid,
)
from hierbayes.results.f_table import FTable
from hierbayes.results.fit import Fit
from hierbayes.results.fit_tables import own_ddf
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.marginal_quantities import FitQuantities
from hierbayes.results.posterior_fit import PosteriorFit


@checked_call("hb.joint_tests")
def joint_tests(
    fit: LikelihoodFit,
    by: str | Iterable[str] | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    ddf: Ddf | None = None,
    weights: MeanWeights = "equal",
) -> FTable:
    """Test main effects and interactions by their estimated marginal means, as R's emmeans does.

    Parameters
    ----------
    fit : LikelihoodFit
    by : str or list of str, optional
        Predictors within whose values the others are tested: simple effects and interactions.
    at : dict, optional
        Values of predictors; of a number its slope is tested between them. One unit below and
        above its mean unless said.
    ddf : {"satterthwaite", "kenward-roger", "normal"}
        Denominator degrees of freedom; "satterthwaite" when not given, of other families "normal".
        Several rows are joined by Fai and Cornelius' method, as in ``hb.anova``.
    weights : as of ``emmeans``, of means over other predictors

    Returns
    -------
    FTable
        One row a set of predictors, within ``by``; sets with nothing that the data determine are
        left out, and a note says so.

    Raises
    ------
    OptionError
        For a posterior, or where nothing is left to test.

    Examples
    --------
    >>> import hierbayes as hb
    >>> cake = hb.load_dataset("cake")
    >>> fit = hb.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    >>> hb.joint_tests(fit).to_frame()["p_value"].round(4).to_dict()
    {'recipe': 0.7809, 'temperature': 0.0, 'recipe:temperature': 0.4393}
    >>> hb.joint_tests(fit, by="recipe").to_frame().index.tolist()
    ['temperature | recipe A', 'temperature | recipe B', 'temperature | recipe C']
    """
    if isinstance(fit, PosteriorFit):
        raise OptionError(
            "joint_tests are F tests of a likelihood fit. Of a posterior, hb.bayes_factor compares "
            "it with that without the term, and hb.emmeans(...).pairs() has the contrasts."
        )
    if not isinstance(fit, LikelihoodFit):
        raise OptionError(f"joint_tests is about a fit; it got {fit.__class__.__name__}.")
    ddf = own_ddf(fit) if ddf is None else ddf
    check_option("ddf", ddf, Ddf)
    grid = reference_grid(fit, at, reduce=_around_mean)
    groups = () if by is None else names_of("by", by)
    for name in groups:
        if name not in grid.names():
            raise OptionError(f"by: {no_predictor(fit, name, grid.names())}")
    nested = nesting(fit, grid)
    terms = _terms(fit, grid, nested, groups)
    if not terms:
        raise OptionError("Nothing is left to test: no predictor with two values or more.")
    tests: dict[str, FTest] = {}
    lost: list[str] = []
    for term in terms:
        found = _of_term(fit, grid, nested, term, by=groups, ddf=ddf, weights=weights)
        lost += [label for label, test in found.items() if test.num_df == 0]
        tests |= {label: test for label, test in found.items() if test.num_df}
    left_out = f"Left out, as the data determine no contrast of them: {', '.join(lost)}."
    title = f"Joint tests of marginal means {method_words(fit, ddf)}"
    return f_table(fit, tests, title, ddf=ddf, notes=(left_out,) if lost else ())


def _around_mean(values: Any) -> list[float]:
    return [float(np.mean(values)) - 1.0, float(np.mean(values)) + 1.0]


@record(kw_only=False)
class _Term:
    """Predictors that are tested together, and those they are nested in."""

    names: tuple[str, ...]
    within: tuple[str, ...]


def _terms(fit: Fit, grid: ReferenceGrid, nested: Nesting, by: tuple[str, ...]) -> list[_Term]:
    """Return sets of predictors that a term of the model holds, small ones first."""
    free = [p.name for p in grid.predictors if p.name not in by and len(p.values) > 1]
    held = [set(term.columns_used()) for term in fit.design.mean.layout.terms]
    held += [{name, *outer} for name, outer in nested.nests.items()]
    found = []
    for size in range(1, len(free) + 1):
        for names in combinations(free, size):
            outer = {o for name in names for o in nested.nests.get(name, ())}
            needs = outer - set(by) - set(names)
            if any(set(names) <= own for own in held) and not needs:
                found.append(_Term(names, tuple(sorted(outer))))
    return found


def _of_term(
    fit: LikelihoodFit,
    grid: ReferenceGrid,
    nested: Nesting,
    term: _Term,
    *,
    by: tuple[str, ...],
    ddf: Ddf,
    weights: Any,
) -> dict[str, FTest]:
    """Test the interaction contrasts of predictors, within each combination of ``by``."""
    specs = tuple(name for name in term.names if name not in term.within)
    within = tuple(name for name in term.within if name not in by)
    averaging = Averaging.of(fit, grid, nested, specs=specs, by=(*within, *by), weights=weights)
    X = averaging.average(grid.X)
    means = FitQuantities(
        fit=fit, ddf=ddf, values=np.zeros(X.shape[0]), gradient=X, further=np.empty((X.shape[0], 0))
    )
    asked = Asked(contrasts="consec")
    own = contrasts_of(
        plain_marginals(averaging, means),
        asked,
        by=averaging.by,
        interaction=Interaction(methods=dict.fromkeys(specs, "consec")),
    )
    assert isinstance(own.tested, FitQuantities)
    keys = [tuple(row) for row in own.labels[list(by)].itertuples(index=False, name=None)]
    tests = {}
    for key in dict.fromkeys(keys):
        rows = own.tested.gradient[[k == key for k in keys]]
        values = ", ".join(f"{name} {value}" for name, value in zip(by, key, strict=True))
        label = ":".join(term.names) + (f" | {values}" if values else "")
        tests[label] = f_test(fit, estimable_part(fit, rows)[:, fit.kept], ddf=ddf)
    return tests


def estimable_part(fit: LikelihoodFit, L: FloatArray) -> FloatArray:
    """Return the combinations of rows of L (c, all columns of X) that the data determine."""
    null = null_space(fit.design.X, fit.identified)
    if not null.size:
        return L
    size = np.sqrt((L**2).sum(axis=1, keepdims=True))
    hidden = (L / np.where(size > 0, size, 1.0)) @ (null / np.sqrt((null**2).sum(axis=0)))
    left, singular, _ = np.linalg.svd(hidden)
    rank = int((singular > IN_NULL_SPACE).sum())
    return np.asarray(left[:, rank:].T @ (L / np.where(size > 0, size, 1.0)))
