"""What a posterior says of rows: expectation, residuals, densities, predictions, new responses.

Those that need layers above this one are asked by the table of verbs.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Unpack, overload

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_methods
from hierbayes.errors import OptionError
from hierbayes.options import (
    Interval,
    IntervalKind,
    NewLevels,
    PredictionType,
    ResidualKind,
    RowsShown,
    SeriesRows,
    SimulatedGroups,
    check_option,
)
from hierbayes.results import verbs
from hierbayes.results.posterior_summaries import PosteriorSummaries
from hierbayes.results.prediction_request import PredictionOptions, PredictionRequest
from hierbayes.results.prediction_table import PredictionTable


@checked_methods("fit")
class PosteriorRows(PosteriorSummaries):
    """The rows used, and new ones."""

    @cached_property
    def linear_predictor(self) -> FloatArray:
        """Posterior mean of X beta + Z b plus offset, shape (n,)."""
        total = self.fixed_part.copy()
        for factor, b in zip(self.design.factors, self.modes, strict=True):
            total += (factor.z * b[factor.codes]).sum(axis=1)
        return total

    @property
    def predictor_is_expectation(self) -> bool:
        """Whether the linear predictor is the expected response: then its mean needs no draws."""
        return self.response_family.predictor_is_expectation

    @cached_property
    def fitted_values(self) -> FloatArray:
        """Posterior mean of the expected response, shape (n,)."""
        if self.predictor_is_expectation:
            return self.linear_predictor
        return np.asarray(verbs.ask(self, "expect"))

    def residuals(self, kind: ResidualKind = "response", rows: RowsShown = "used") -> pd.Series:
        """Residuals of the rows used: posterior means of those of each draw.

        Parameters
        ----------
        kind : {"response", "pearson", "deviance", "working", "normalized"}
            As of a likelihood fit, at the expected response, parameters and random effects of each
            draw, then averaged. "response" is observed minus the posterior mean of the expected
            response; of Gaussian models "pearson" and "deviance" are that times the root of the
            precision weights. Where a further parameter has a formula "pearson" is divided by the
            sd of each row. "normalized" is of models with ``residual=`` or ``sigma=``.
        rows : {"used", "all"}
            As of a likelihood fit.

        Raises
        ------
        NotSupportedError
            If the family has no formula for the mean, variance or deviance they are made of.

        Examples
        --------
        >>> import hierbayes as hb
        >>> formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
        >>> post = hb.Model(formula, hb.load_dataset("cbpp"), "binomial").sample(random_seed=1)
        >>> away = abs(post.residuals("pearson") - post.model.fit().residuals("pearson"))
        >>> bool(away.max() < 0.5)
        True
        """
        check_option("kind", kind, ResidualKind)
        is_plain = self.response_family.is_linear and not self.design.formulas
        has_structure = self.spec.has_residual_structure or self.design.residual is not None
        if kind == "normalized" and not has_structure:
            raise OptionError(
                "residuals(kind='normalized') of a posterior is of models with residual=, or with "
                "sigma= without bars."
            )
        if kind == "response" or (is_plain and self.design.residual is None):
            return super().residuals(kind, rows)
        values = verbs.ask(self, "residuals", kind)
        return self._in_rows(values, "residual", rows)

    def log_likelihood(self) -> FloatArray:
        """Pointwise log-likelihood given all parameters, shape (chains, draws, rows).

        Of correlated residuals the log density of each row given all other rows, as in brms: those
        of a series do not add up to its joint density.

        Source: Buerkner, Gabry & Vehtari (2021), Computational Statistics 36:1243.
        """
        return np.asarray(verbs.ask(self, "log_likelihood"))

    @overload
    def predict(
        self,
        newdata: Any = ...,
        *,
        interval: None = ...,
        groups: str | Iterable[str] = ...,
        kind: IntervalKind = ...,
        trials: Any = ...,
        series: SeriesRows = ...,
        **options: Unpack[PredictionOptions],
    ) -> pd.Series: ...
    @overload
    def predict(
        self,
        newdata: Any = ...,
        *,
        interval: Interval,
        groups: str | Iterable[str] = ...,
        kind: IntervalKind = ...,
        trials: Any = ...,
        series: SeriesRows = ...,
        **options: Unpack[PredictionOptions],
    ) -> PredictionTable: ...
    def predict(
        self,
        newdata: Any = None,
        *,
        groups: str | Iterable[str] = "all",
        new_levels: NewLevels = "error",
        interval: Interval | None = None,
        level: float = 0.95,
        kind: IntervalKind = "eti",
        type: PredictionType = "response",
        trials: Any = None,
        random_seed: Any = None,
        series: SeriesRows = "new",
    ) -> pd.Series | PredictionTable:
        """Posterior means of predictions for the rows used or for new data; rows in = rows out.

        Parameters
        ----------
        newdata : frame, optional
            The rows the model was fitted to when not given.
        groups : "all", "none", a list of grouping factors, or bars
            Whose random effects are added to the fixed part. "none" is the typical group.
            A bar such as ``"(1 | Subject)"`` stands for single terms.
        new_levels : {"error", "population", "sample", "missing"}
            What to do with a level the model was not fitted to: raise, predict the population
            value, draw its effects from their distribution (anew with every posterior draw), or
            return NaN. A row whose level is missing gets NaN, except under "population".
        interval : None, "confidence" or "prediction"
            Credible interval of the expected response, or of a new response; in the second, levels
            that were not fitted differ as such levels do, also under "population".
        level, kind : level of the interval; "eti" (equal-tailed) or "hdi" (shortest)
        type : {"response", "link", "probability", "count"}
            "response" is in shares for binomial models, the mean number of the category for
            ordinal ones; "probability" has a column for each of their categories, "count" is a
            number of successes.
        trials : number, array, column's name or expression
            Of new rows of a binomial model, where their columns do not say.
        random_seed : int, Generator or SeedSequence
            For new levels and new responses; rows with the same new level share their draws.
        series : {"new", "observed"}
            Of a model with ``residual=``: whether new rows are of series of their own, or of the
            series observed, whose residuals then say what is expected of them: as of a REML fit.

        Returns
        -------
        pandas.Series, or with an interval a DataFrame ``prediction se lower upper``
            Of probabilities a DataFrame of rows and categories, with an interval one row for each.
            A table of intervals says which uncertainties are in it, in ``attrs`` and when printed;
            ``se`` is the posterior sd.

        Raises
        ------
        NewLevelError
            With ``new_levels="error"``, naming at most five of the new levels.
        DataError
            If a column is missing or a fixed factor has a level it was not fitted with.
        """
        request = PredictionRequest(
            newdata,
            groups,
            new_levels=new_levels,
            interval=interval,
            level=level,
            kind=kind,
            type=type,
            trials=trials,
            random_seed=random_seed,
            series=series,
        )
        return verbs.ask(self, "predict", request)

    def simulate(
        self,
        nsim: int = 1,
        random_seed: Any = None,
        *,
        groups: SimulatedGroups = "fitted",
        newdata: Any = None,
        parameters: Mapping[str, float] | None = None,
    ) -> pd.DataFrame:
        """Draw responses, each with parameters of its own posterior draw.

        Parameters
        ----------
        nsim : int
        random_seed : int, Generator or SeedSequence
        newdata : frame, optional
            Rows to draw responses for; those used when not given.
        parameters : dict, optional
            Values of some parameters in place of their draws, as of a REML fit's ``simulate``.
        groups : {"fitted", "new"}
            Responses of the same groups (the posterior predictive distribution), or of new
            groups in their places. Levels that were not fitted are new ones either way.

        Returns
        -------
        DataFrame, shape (m, nsim), columns ``sim_1`` ..., response units

        Raises
        ------
        OptionError, DataError
            For names and values that are no parameters', and rows without what they need.

        Examples
        --------
        >>> import hierbayes as hb
        >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> post = model.sample(draws=100, random_seed=1)
        >>> post.simulate(3, newdata={"Batch": ["A", "Z"]}, random_seed=1).shape
        (2, 3)
        """
        options = {"newdata": newdata, "parameters": parameters, "groups": groups}
        return self._simulated(nsim=nsim, random_seed=random_seed, **options)
