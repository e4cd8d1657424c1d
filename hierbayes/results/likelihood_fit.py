"""The result of a likelihood fit: what was estimated, read in many ways.

Reading never refits and never changes anything. What layers above this one answer (prediction,
refitting, rendering, saving) is asked by the table of verbs. A linear model's fit is a
``LinearFit``, a generalised one's a ``GeneralisedFit``.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, Self, Unpack, overload

import numpy as np
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.calls import checked_methods
from hierbayes.gaussian.products import covariance_shape
from hierbayes.options import (
    Ddf,
    Effect,
    Interval,
    Method,
    NewLevels,
    PredictionType,
    SeriesRows,
    SimulatedGroups,
)
from hierbayes.results import verbs
from hierbayes.results.f_table import FTable
from hierbayes.results.finding import Finding
from hierbayes.results.fit_tables import FitTables, own_ddf
from hierbayes.results.level_tables import LevelTables
from hierbayes.results.prediction_request import PredictionOptions, PredictionRequest
from hierbayes.results.prediction_table import PredictionTable
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.results.rich_text import RichText, rich_text
from hierbayes.results.tidy import tidy_table
from hierbayes.specification.specification import Specification


@checked_methods("fit")
@record(repr=False)
class LikelihoodFit(FitTables):
    """A (mixed) model fitted by REML or maximum likelihood.

    Attributes
    ----------
    spec : what was fitted: formula on data, design, weights
    method : "reml" or "ml"
    representative : array, shape (k,), relative covariance parameters: entries of Lambda, and
        the parameters of a structure; one of the values that fit equally well where the data
        determine none
    beta : array, shape (p,), fixed effects of the columns that were kept, those beside
        ``representative`` where the data determine none: ``fixef()`` is NaN there
    sigma : residual sd, response units; the root of the dispersion of other families
    criterion : REML criterion, or minus twice the log-likelihood
    converged : whether the search ended at a proven optimum
    is_singular : whether a covariance matrix is on the boundary (lme4's ``isSingular``)
    findings : conditions met, in order; also issued as warnings when the model was fitted
    """

    spec: Specification
    method: Method
    representative: FloatArray
    beta: FloatArray
    sigma: float
    criterion: float
    converged: bool
    is_singular: bool
    findings: tuple[Finding, ...]

    def __post_init__(self) -> None:
        """Make the arrays read-only: results are safe to share."""
        read_only(self.representative)
        read_only(self.beta)

    # what the data determine: all of it, unless a linear fit says otherwise

    @property
    def alternatives(self) -> "tuple[LikelihoodFit, ...]":
        """Fits with other covariances that fit equally well; none if the data determine all."""
        return ()

    @property
    def representing(self) -> Self:
        """The same fit, undetermined numbers shown as if they were determined."""
        return self

    def shown(self, read: Callable[[Any], FloatArray], scale: Any = None) -> FloatArray:
        """Return numbers read off this fit, NaN where the data do not determine them."""
        return np.asarray(read(self))

    def determined(self, read: Callable[[Any], FloatArray], scale: Any = None) -> BoolArray:
        """Whether numbers read off a fit are the same for all covariances that fit equally well."""
        return np.ones(np.shape(read(self)), dtype=np.bool_)

    @property
    def n_undetermined(self) -> int:
        """Number of covariance parameters that the data do not determine."""
        return 0

    @property
    def row_scale(self) -> float:
        """Size of the linear predictor, by which changes of it are judged."""
        raise NotImplementedError

    @property
    def theta(self) -> FloatArray:
        """Lme4's covariance parameters, entries of Lambda; NaN where undetermined.

        Of a covariance with a pattern they are not its parameters: these are in ``varcorr()``.
        """
        return read_only(covariance_shape(self.design).lambda_entries(self.representative))

    # numbers

    @property
    def loglik(self) -> float:
        """Log-likelihood; the restricted one for a REML fit, as lme4's ``logLik``."""
        return -self.criterion / 2

    @property
    def deviance(self) -> float:
        """Minus twice the (unrestricted) log-likelihood at the estimates of theta."""
        return self.criterion

    @property
    def n_params(self) -> int:
        """Number of estimated parameters."""
        raise NotImplementedError

    @property
    def df_residual(self) -> int:
        """Rows minus parameters."""
        return self.nobs - self.n_params

    @property
    def aic(self) -> float:
        """Akaike's criterion, -2 loglik + 2 n_params."""
        return self.criterion + 2 * self.n_params

    @property
    def bic(self) -> float:
        """Schwarz's criterion, -2 loglik + log(nobs) n_params."""
        return float(self.criterion + np.log(self.nobs) * self.n_params)

    # tables

    @property
    def vcov_root(self) -> FloatArray:
        """R (p, p) with R R' the covariance matrix of ``beta``."""
        raise NotImplementedError

    def ranef(self) -> LevelTables:
        """Conditional modes of the random effects: per factor a table levels x terms."""
        return self._level_tables(self.modes, kind="ranef", sds=self.ranef_sd)

    @property
    def mode_covariances(self) -> tuple[FloatArray, ...]:
        """Conditional covariances of the random effects per factor, arrays (J, q, q)."""
        raise NotImplementedError

    def ranef_sd(self) -> LevelTables:
        """Conditional sds of the random effects, same shapes as ``ranef()``.

        As in lme4 they are given theta and beta at their estimates.
        """
        sds = [np.sqrt(np.diagonal(V, axis1=1, axis2=2)) for V in self.mode_covariances]
        return self._level_tables(sds, kind="ranef_sd")

    def ranef_cov(self) -> dict[str, FloatArray]:
        """Conditional covariances of the random effects: per factor an array (levels, q, q)."""
        pairs = zip(self.design.factors, self.mode_covariances, strict=True)
        return {factor.name: cov.copy() for factor, cov in pairs}

    @property
    def interval_estimates(self) -> FloatArray:
        """Values of ``interval_parameters``, shape (m,)."""
        raise NotImplementedError

    def tidy(
        self,
        effects: tuple[Effect, ...] | Effect = ("fixed", "ran_pars"),
        level: float = 0.95,
        ddf: Ddf | None = None,
    ) -> ResultTable:
        """One row a parameter, with broom.mixed's meanings; dropped columns have empty rows.

        Parameters
        ----------
        effects : some of "fixed", "ran_pars" (sds, correlations, further parameters of the
            family), "ran_vals" (modes)
        level : level of the Wald confidence intervals
        ddf : {"satterthwaite", "kenward-roger", "normal", "none"}, optional
            Degrees of freedom of the tests of fixed effects: Satterthwaite's of Gaussian models,
            none (z tests) of others unless given. "kenward-roger", for REML fits, has its own
            standard errors.

        Raises
        ------
        NotSupportedError
            For ``ddf="kenward-roger"`` of an ML fit, and for degrees of freedom of models that are
            not Gaussian.
        """
        tests = partial(verbs.ask, self, "tests")
        ddf = ddf or own_ddf(self)
        return tidy_table(self, tests, effects=effects, level=level, ddf=ddf)

    def glance(self) -> ResultTable:
        """One row about the whole fit."""
        names = ("nobs", "sigma", "loglik", "aic", "bic", "criterion", "df_residual", "method")
        return result_table([{name: getattr(self, name) for name in names}], "glance")

    @overload
    def contrast(
        self, L: Any, *, ddf: Ddf | None = ..., level: float = ..., rhs: Any = ...,
        joint: Literal[True],
    ) -> FTable: ...  # fmt: skip
    @overload
    def contrast(
        self,
        L: Any,
        *,
        ddf: Ddf | None = ...,
        level: float = ...,
        rhs: Any = ...,
        joint: Literal[False] = ...,
    ) -> ResultTable: ...
    def contrast(
        self,
        L: Any,
        *,
        ddf: Ddf | None = None,
        level: float = 0.95,
        rhs: Any = 0.0,
        joint: bool = False,
    ) -> ResultTable | FTable:
        """Estimates, intervals and tests of linear combinations L beta of the fixed effects.

        Parameters
        ----------
        L : name, dict, data frame, array or list
            A coefficient's name, or a list of names: each alone. A dict ``{"Days": 1, ...}`` of
            weights (others count 0), a list of dicts, or a dict of dicts with a label each. A data
            frame with coefficients as columns, its index as labels. An array, shape (c, p), with
            one column a coefficient that was estimated.
        ddf : {"satterthwaite", "kenward-roger", "normal", "none"}, optional
            Degrees of freedom of the tests: Satterthwaite's of Gaussian models, none (z tests) of
            others unless given. "kenward-roger", for REML fits, has its own standard errors.
        level : float
            Level of the confidence intervals.
        rhs : number or array, shape (c,)
            What L beta is under the hypothesis.
        joint : bool
            One F test of all rows together instead of a t or z test of each; without degrees of
            freedom Wald's, whose denominator's are infinite.

        Returns
        -------
        pandas.DataFrame
            One row a combination: ``estimate std_error statistic df p_value conf_low conf_high``;
            with ``joint=True`` an ``FTable`` of one row.

        Raises
        ------
        OptionError
            If L names no coefficient, has another number of columns, or contradicts itself.
        NotSupportedError
            For ``ddf="kenward-roger"`` of an ML fit, and for degrees of freedom of models that are
            not Gaussian.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("score ~ Machine + (1 | Worker)", hb.load_dataset("Machines"))
        >>> table = fit.contrast({"C - B": {"MachineC": 1, "MachineB": -1}})
        >>> table.round(3).loc["C - B", ["estimate", "df"]].tolist()
        [5.95, 46.0]
        >>> fit = hb.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)",
        ...     hb.load_dataset("cbpp"))
        >>> fit.contrast({"period3": 1, "period2": -1})["estimate"].round(2).tolist()
        [-0.14]
        """
        options = {"ddf": ddf or own_ddf(self), "level": level, "rhs": rhs, "joint": joint}
        return verbs.ask(self, "contrast", L, **options)

    # text

    def summary(
        self, *, digits: int | None = None, correlation: bool | None = None, ddf: Ddf | None = None
    ) -> RichText:
        """Summary with lme4's blocks in lme4's order, then our findings.

        Parameters
        ----------
        digits : int
            Significant digits, lme4's default 4.
        correlation : bool
            Show the correlations of the fixed effects; by default with at most 12 coefficients.
        ddf : {"none", "satterthwaite", "kenward-roger", "normal"}, optional
            "none", that of Gaussian models unless given, prints no p values, as lme4; the others
            add degrees of freedom and p values of the coefficients, as lmerTest does. Other models
            have z tests, "normal", or "none".
        """
        if ddf is None:
            ddf = "none" if self.response_family.is_linear else "normal"
        options = {"digits": digits, "correlation": correlation, "ddf": ddf}
        return rich_text(verbs.ask(self, "blocks", **options))

    # more

    @overload
    def predict(
        self,
        newdata: Any = ...,
        *,
        interval: None = ...,
        groups: str | list[str] = ...,
        series: SeriesRows = ...,
        **options: Unpack[PredictionOptions],
    ) -> pd.Series: ...
    @overload
    def predict(
        self,
        newdata: Any = ...,
        *,
        interval: Interval,
        groups: str | list[str] = ...,
        series: SeriesRows = ...,
        **options: Unpack[PredictionOptions],
    ) -> PredictionTable: ...
    def predict(
        self,
        newdata: Any = None,
        *,
        groups: str | list[str] = "all",
        new_levels: NewLevels = "error",
        interval: Interval | None = None,
        level: float = 0.95,
        type: PredictionType = "response",
        random_seed: Any = None,
        series: SeriesRows = "new",
    ) -> pd.Series | PredictionTable:
        """Predictions for the rows used or for new data; rows in = rows out.

        Parameters
        ----------
        newdata : frame, optional
            The rows the model was fitted to when not given.
        groups : "all", "none", a list of grouping factors, or bars
            Whose random effects are added to the fixed part. "none" is the typical group.
            ``"(1 | Subject)"``, as R's ``re.form``, adds the intercepts of the subjects alone.
        new_levels : {"error", "population", "sample", "missing"}
            What the effects of a level are that the model was not fitted to: an error, zero (the
            population), a draw from their estimated distribution, or NaN. A level that is missing
            is not a new level but one whose name is not known: under "population" its effects
            are zero as well, otherwise the row is NaN, and it is never an error. The column of a
            factor that ``groups`` leaves out is not looked at.
        interval : None, "confidence" or "prediction"
            Interval of the expected response, or of a new response. The uncertainty of fixed
            effects, of random effects and of their estimated covariance is in both. The residual
            variation is in the second, and of a level that was not fitted the spread of such
            levels; under ``new_levels="sample"``, which then makes no draw, it is in both. Of a
            generalised fit the covariance of the random effects is taken as known; the interval of
            the expected response is by the delta method on the scale of eta, carried over by the
            link, and that of a new response holds quantiles of draws (whole numbers of counts).
        level : float
            Level of the interval.
        type : {"response", "link", "probability", "count"}
            The expected response (of binomial families the probability, of ordinal ones the mean
            number of the category), or eta: the same for a Gaussian model. "probability" has a
            column for each of ordered categories, "count" is the number of successes of so many
            trials, whose columns are to be in ``newdata``.
        random_seed : int, Generator or SeedSequence
            For ``new_levels="sample"``, where rows with the same new level share one draw, and for
            new responses of a generalised fit.
        series : {"new", "observed"}
            Of a model with ``residual=``: whether new rows are of series of their own, or of the
            series observed, whose residuals then say what is expected of them and how sure that
            is: brms' ``incl_autocor``. Of a series that was not fitted nothing is known.

        Returns
        -------
        pandas.Series, or with an interval a DataFrame ``prediction se lower upper``
            In response units, indexed as ``newdata``; NaN where a predictor is missing. A table
            of intervals says which uncertainties are in it, in ``attrs`` and when printed.

        Raises
        ------
        NewLevelError
            With ``new_levels="error"``, naming at most five of the new levels.
        DataError
            If a column is missing or a fixed factor has a level it was not fitted with.
        NotSupportedError
            For intervals of new responses whose known residual sds are not in ``newdata``, or
            that are categories.

        Notes
        -----
        Limits of a linear fit are t quantiles with Satterthwaite's degrees of freedom times the
        standard error of the prediction: that of the mixed-model equations, plus what the
        estimation of theta adds to it (Kackar & Harville 1984; Prasad & Rao 1990).

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        >>> new = {"Days": [10, 10], "Subject": ["308", "somebody else"]}
        >>> print(fit.predict(new, interval="confidence", new_levels="population"))
        95 % confidence interval of the expected response (t quantiles, Satterthwaite's df)
        in it: fixed effects, effects of Subject, covariance parameters
           prediction    se  lower  upper
        0       450.3  17.0  416.7  484.0
        1       356.1  16.0  322.3  389.9

        >>> fit = hb.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)",
        ...     hb.load_dataset("cbpp"))
        >>> fit.predict({"period": ["1"], "herd": ["1"]}).round(3).tolist()
        [0.308]
        """
        request = PredictionRequest(
            newdata,
            groups,
            new_levels=new_levels,
            interval=interval,
            level=level,
            type=type,
            random_seed=random_seed,
            series=series,
        )
        return verbs.ask(self, "predict", request)

    @property
    def effect_roots(self) -> tuple[FloatArray, ...]:
        """Per factor a root R (q, q) of the covariance R R' of a level's effects."""
        raise NotImplementedError

    def simulate(
        self,
        nsim: int = 1,
        random_seed: Any = None,
        *,
        newdata: Any = None,
        parameters: Mapping[str, float] | None = None,
        groups: SimulatedGroups = "new",
    ) -> pd.DataFrame:
        """Draw responses from the fitted model, with new random effects and residuals.

        Parameters
        ----------
        nsim : int
            Number of responses, the columns ``sim_1`` ... of the (m, nsim) frame returned.
        random_seed : int, Generator or SeedSequence
        newdata : frame, optional
            Rows to draw responses for; those used when not given. A missing predictor or level
            makes a missing response.
        parameters : dict, optional
            Values of some parameters in place of the estimates, on the scales of ``tidy()``, by
            any of their names: ``{"Days": 0, "sd(Days|Subject)": 2, "sigma": 30}``.
        groups : {"new", "fitted"}
            "new" draws the random effects of every level anew, once a response; "fitted" keeps
            the conditional modes of fitted levels (lme4's ``use.u = TRUE``), and draws those of
            levels that were not fitted.

        Raises
        ------
        OptionError
            For names and values that are no parameters', and for sds or correlations of effects
            that ``groups="fitted"`` keeps.
        DataError
            If new rows lack a column, weights or numbers of trials.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> fit.simulate(3, random_seed=1).shape
        (30, 3)
        >>> new = {"Batch": ["A", "A", "Z"]}
        >>> exact = fit.simulate(newdata=new, parameters={"sigma": 0}, groups="fitted")
        >>> bool(exact["sim_1"].iloc[0] == exact["sim_1"].iloc[1])
        True
        """
        options = {"newdata": newdata, "parameters": parameters, "groups": groups}
        return self._simulated(nsim=nsim, random_seed=random_seed, **options)

    def refit(self, y: Any) -> "LikelihoodFit":
        """Fit the same model to another response of the rows used, quickly.

        Parameters
        ----------
        y : array, Series, list or frame of one column, shape (n,)
            One number for each row used, or for each row of the data, where those of rows that
            were left out are not looked at. A Series or frame is matched by its labels, anything
            else is taken in the order of the rows.

        Returns
        -------
        LikelihoodFit
            Everything asked of it, ``update`` and ``save`` too, goes on with this response.

        Raises
        ------
        DataError
            If these are not n finite numbers, or leave nothing to model.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> bool(fit.refit(fit.design.y + 100).fixef().iloc[0] > 1600)
        True
        """
        found: LikelihoodFit = verbs.ask(self, "refit", y)
        return found

    def update(self, formula: str) -> "LikelihoodFit":
        """Fit a changed formula, R's way: ``"."`` stands for what was there.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
        >>> fit.update(". ~ . - Days").fixef().index.tolist()
        ['(Intercept)']
        """
        found: LikelihoodFit = verbs.ask(self, "update", formula)
        return found

    def with_method(self, method: Method) -> "LikelihoodFit":
        """Fit the same model by another method; this fit if it was fitted by it."""
        if method == self.method:
            return self
        found: LikelihoodFit = verbs.ask(self.spec, "fit", method)
        return found


def read_only(array: FloatArray) -> FloatArray:
    """Return an array that can no longer be written to."""
    array.flags.writeable = False
    return array
