"""What all cells of a grid of designs share: the model, its parameters, and what is asked.

A cell is a design of one size. Its data sets differ in their responses only, so the cross-products
of the design, and the pattern of its levels, are made once for all of them.
"""

from dataclasses import replace
from typing import Literal

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.bayes.predictive import FlatDraws, linear_predictor, new_effects
from hierbayes.bayes.response import Response
from hierbayes.design.design import Design
from hierbayes.families.observations import checked_observations
from hierbayes.options import Method
from hierbayes.planning.replicated_rows import ReplicatedRows
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.specification.specification import Specification

Estimator = Literal["reml", "posterior"]


@record
class Study:
    """What is simulated in every cell.

    Attributes
    ----------
    spec : Specification
        Of the design whose rows are used again.
    rows : ReplicatedRows
        Lays it over other sizes.
    kept : array of int, shape (p,)
        The columns of X that have a coefficient.
    truth : FlatDraws
        The parameters responses are drawn with: one draw, or those of a posterior.
    tested : array of int, shape (c,)
        Positions of the coefficients in question among the p.
    estimators : tuple of {"reml", "posterior"}
    method : {"reml", "ml"}
    uses_satterthwaite : bool
        Whether t tests have Satterthwaite's degrees of freedom; infinite ones else.
    level : float
        Of intervals; one minus the significance level.
    priors : ModelPriors or None
        Of the posterior, in the order of the model's grouping factors.
    bf : float
        The Bayes factor that is to be exceeded.
    nsim : int
    """

    spec: Specification
    rows: ReplicatedRows
    kept: IntArray
    truth: FlatDraws
    tested: IntArray
    estimators: tuple[Estimator, ...]
    method: Method
    uses_satterthwaite: bool
    level: float
    priors: ModelPriors | None
    bf: float
    nsim: int

    def places_in(self, design: Design) -> list[int]:
        """Positions in the model of the grouping factors of a cell's design."""
        names = [factor.name for factor in self.spec.design.factors]
        return [names.index(factor.name) for factor in design.factors]

    def in_order_of(self, design: Design, flat: FlatDraws) -> FlatDraws:
        """Return draws with their parts in the order of the grouping factors of a cell's design."""
        at = self.places_in(design)
        return replace(
            flat,
            sd=tuple(flat.sd[f] for f in at),
            corr=tuple(flat.corr[f] for f in at),
            b=tuple(flat.b[f] for f in at),
        )

    def truths(self, rng: np.random.Generator) -> FlatDraws:
        """Return the parameters of each of the nsim data sets, without effects of levels."""
        n = self.truth.n_draws
        if n == 1:
            return self.truth.take(np.zeros(self.nsim, dtype=np.intp))
        return self.truth.take(rng.choice(n, size=self.nsim, replace=self.nsim > n))

    def responses(self, design: Design, truth: FlatDraws, rng: np.random.Generator) -> FloatArray:
        """Draw a response of a design with each of the parameters, shape (n, T).

        ``truth`` is in the order of the design's grouping factors.
        """
        b = tuple(
            new_effects(root, factor.levels.size, rng)
            for root, factor in zip(truth.roots, design.factors, strict=True)
        )
        flat, rows = replace(truth, b=b), slice(0, design.X.shape[0])
        eta = linear_predictor(
            flat, design.X[:, self.kept], design.factors, offset=design.offset, rows=rows
        )
        family, trials, weights = self.spec.family, None, row_weights(design)
        if family.counts_trials:
            trials, weights = checked_observations(design, family)[:, 1], None
        response = Response(family=family, y=None, trials=trials, weights=weights)
        return np.ascontiguousarray(response.draw(eta, flat, rows, rng).T)


def row_weights(design: Design) -> FloatArray | None:
    """Precision weights of the rows of a design of a linear model, shape (n,), or None."""
    return design.weights if design.known_sd is None else design.known_sd**-2.0


@record
class Outcome:
    """What T data sets of a cell gave for c coefficients by one estimator.

    Attributes
    ----------
    estimate, low, high : arrays, shape (T, c), NaN where there is none
    log_bf : array, shape (T, c), log Bayes factors against a coefficient of zero, or None
    failed : array, shape (T,), fits that did not converge or have no test
    is_singular : array, shape (T,), fits with a covariance on the boundary, or None
    effective : array, shape (T,), points that a posterior is an average over, or None
    limit_error, bf_error : arrays, shape (T, c), errors of the limits and of ``log_bf`` that come
        from the points and not from the data sets; None where there are none
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    failed: BoolArray
    log_bf: FloatArray | None = None
    is_singular: BoolArray | None = None
    effective: FloatArray | None = None
    limit_error: FloatArray | None = None
    bf_error: FloatArray | None = None
