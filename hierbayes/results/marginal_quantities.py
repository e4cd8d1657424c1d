"""Marginal means, slopes and their contrasts as quantities of which more can be asked.

A table of means keeps what it was made of: m functions of the fixed effects, either as values with
their derivatives (a likelihood fit) or as draws (a posterior). Any combination of them, and any
smooth function of each, is a set of quantities again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.options import Adjust, ContrastKind, Ddf, IntervalKind, Side
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit

Curve = Callable[[FloatArray], FloatArray]


@record
class FitQuantities:
    """Quantities of a likelihood fit.

    Attributes
    ----------
    fit : LikelihoodFit
    ddf : kind of their degrees of freedom
    values : array, shape (m,); NaN where the data do not determine one
    gradient : array, shape (m, p), derivatives in the fixed effects, or (m, p + K) with those in
        thresholds of ordered categories
    further : array, shape (m, e): variances and covariances ``further further'`` come on top, of
        what was estimated elsewhere
    """

    fit: LikelihoodFit
    ddf: Ddf
    values: FloatArray
    gradient: FloatArray
    further: FloatArray

    @property
    def size(self) -> int:
        """Number of quantities m."""
        return self.values.size

    @property
    def known(self) -> BoolArray:
        """Which of them the data determine, (m,)."""
        return ~np.isnan(self.values)

    def combined(self, weights: FloatArray) -> Self:
        """Return the combinations with weights (c, m); one with a weight on NaN is NaN."""
        lost = ((weights != 0) & ~self.known).any(axis=1)
        values = weights @ np.nan_to_num(self.values)
        return self._with(
            np.where(lost, np.nan, values),
            weights @ np.nan_to_num(self.gradient),
            weights @ self.further,
        )

    def carried(self, to: Curve, slope: Curve) -> Self:
        """Return a smooth function ``to`` of each, with its derivative ``slope``."""
        steepness = np.nan_to_num(slope(self.values))[:, None]
        return self._with(
            to(self.values), steepness * np.nan_to_num(self.gradient), steepness * self.further
        )

    def taken(self, places: IntArray) -> Self:
        """Return the quantities at ``places``."""
        return self._with(self.values[places], self.gradient[places], self.further[places])

    def with_further(self, further: FloatArray) -> Self:
        """Return the same with further independent sources of error, array (m, e)."""
        return self._with(self.values, self.gradient, np.column_stack([self.further, further]))

    def _with(self, values: FloatArray, gradient: FloatArray, further: FloatArray) -> Self:
        return replace(self, values=values, gradient=gradient, further=further)


@record
class DrawQuantities:
    """Quantities of a posterior.

    Attributes
    ----------
    fit : PosteriorFit
    draws : array, shape (S, m); columns of NaN where the data do not determine one
    interval : kind of their credible intervals
    """

    fit: PosteriorFit
    draws: FloatArray
    interval: IntervalKind = "eti"

    @property
    def size(self) -> int:
        """Number of quantities m."""
        return self.draws.shape[1]

    @property
    def known(self) -> BoolArray:
        """Which of them the data determine, (m,)."""
        return ~np.isnan(self.draws[0])

    def combined(self, weights: FloatArray) -> Self:
        """Return the combinations with weights (c, m); one with a weight on NaN is NaN."""
        draws = np.nan_to_num(self.draws) @ weights.T
        draws[:, ((weights != 0) & ~self.known).any(axis=1)] = np.nan
        return self._with(draws)

    def carried(self, to: Curve, slope: Curve) -> Self:
        """Return a function ``to`` of each, draw by draw."""
        del slope
        return self._with(to(self.draws))

    def taken(self, places: IntArray) -> Self:
        """Return the quantities at ``places``."""
        return self._with(self.draws[:, places])

    def _with(self, draws: FloatArray) -> Self:
        return replace(self, draws=draws)


Quantities = FitQuantities | DrawQuantities


def joined(parts: Sequence[Quantities]) -> Quantities:
    """Return the quantities of several parts of one fit, one part after the other."""
    first = parts[0]
    if isinstance(first, DrawQuantities):
        draws = [part.draws for part in parts if isinstance(part, DrawQuantities)]
        return replace(first, draws=np.concatenate(draws, axis=1))
    own = [part for part in parts if isinstance(part, FitQuantities)]
    return replace(
        first,
        values=np.concatenate([part.values for part in own]),
        gradient=np.concatenate([part.gradient for part in own]),
        further=np.concatenate([part.further for part in own]),
    )


@record(kw_only=False)
class Carried:
    """How tested quantities are shown: ``to`` of them, with its derivative ``slope``."""

    to: Curve
    slope: Curve


EXPONENTIAL = Carried(np.exp, np.exp)


@record
class Family:
    """Which tests of one group belong together.

    Attributes
    ----------
    adjust : how a family is adjusted when nothing else is asked for
    n_means : number of means compared, of each group
    all_pairs : whether the tests are all differences of the means
    """

    adjust: Adjust
    n_means: tuple[int, ...]
    all_pairs: bool = False

    @classmethod
    def of_means(cls, groups: Sequence[slice]) -> Self:
        """Return the family of means that stand in groups of rows, which are not adjusted."""
        return cls(adjust="none", n_means=tuple(group.stop - group.start for group in groups))


@record
class Question:
    """What is asked about quantities.

    Attributes
    ----------
    level : of intervals
    adjust : for several tests of a family; None for the family's own
    side : "<" or ">" for one-sided tests and intervals, else "two-sided"
    null : value that quantities are tested against, on the scale of the tests
    delta : margin of an equivalence, noninferiority or nonsuperiority test; 0 for none
    """

    level: float = 0.95
    adjust: Adjust | None = None
    side: Side = "two-sided"
    null: float = 0.0
    delta: float = 0.0


@record
class Marginals:
    """Quantities with the values of predictors they are for.

    Attributes
    ----------
    labels : one row a quantity; the rows of one group stand together
    specs : columns of ``labels`` that tell the quantities of a group apart
    by : columns that tell groups apart
    groups : the rows of each group
    tested : on the scale of intervals and tests
    contrasted : on the scale on which contrasts are differences
    family : of the tests
    carried : how they are shown, of all rows at once; None as they are
    response : the expected responses of ``tested``; None where it is one, or none of it alone
    exp_of_difference : what exp of a difference is; None where it means nothing
    shows_exp : whether differences are shown as exp of them
    scale : where the numbers live, ``"on the response scale"``; empty where there is one scale only
    """

    labels: pd.DataFrame
    specs: tuple[str, ...]
    by: tuple[str, ...]
    groups: tuple[slice, ...]
    tested: Quantities
    contrasted: Quantities
    family: Family
    carried: Carried | None = None
    response: Carried | None = None
    exp_of_difference: ContrastKind | None = None
    shows_exp: bool = False
    scale: str = ""
