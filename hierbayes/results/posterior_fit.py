"""The posterior of a model: the words of a REML fit, answered from draws.

A point estimate is the posterior mean, an error the posterior sd, an interval equal-tailed unless
``kind="hdi"``. Reading never samples and never changes anything. What needs layers above this one
(prediction, densities, rendering, saving) is asked by the table of verbs.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack, overload

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.calls import checked_methods
from hierbayes.errors import DataError, OptionError
from hierbayes.gaussian.residual.of_design import DesignResiduals
from hierbayes.naming.addresses import Addresses, level_columns, posterior_addresses
from hierbayes.options import (
    Effect,
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
from hierbayes.results.chains import ChainStatistics, chain_statistics, credible_interval
from hierbayes.results.contrast_matrix import checked_rhs, contrast_matrix
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.draws_table import draws_table
from hierbayes.results.effects_on_demand import (
    level_blocks,
    level_covariances,
    parameter_blocks,
)
from hierbayes.results.finding import Finding
from hierbayes.results.fit_tables import FitTables
from hierbayes.results.hypothesis import Hypothesis, test_hypothesis
from hierbayes.results.level_tables import LevelTables
from hierbayes.results.posterior_parameters import (
    Parameters,
    family_names,
    fixed_parameters,
    formula_parameters,
    level_parameters,
    structure_draws,
    variance_parameters,
)
from hierbayes.results.prediction_request import PredictionOptions, PredictionRequest
from hierbayes.results.prediction_table import PredictionTable
from hierbayes.results.residual_calls import OF_POSTERIORS, check_knows_residuals
from hierbayes.results.residual_estimate import (
    ResidualQuantity,
    reference_sd,
    residual_quantities,
    residual_rows,
)
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.results.rich_text import RichText, rich_text
from hierbayes.results.tidy import check_level, checked_effects, tidy_frame, with_dropped
from hierbayes.results.varcorr import VarCorr, VarCorrTerm
from hierbayes.specification.specification import Specification

if TYPE_CHECKING:
    from xarray import DataTree

    from hierbayes.priors.model_priors import ModelPriors

# Findings that say the draws are not (yet) those of the posterior.
UNTRUSTED = frozenset({"r_hat", "low_ess", "divergences", "pareto_k", "quadrature_error"})


@checked_methods("fit")
@record(repr=False)
class PosteriorFit(FitTables):
    """The posterior of a multilevel model, as draws.

    Attributes
    ----------
    spec : what was sampled: formula on data, design, family, priors
    draws : the draws
    findings : conditions met, in order; also issued as warnings when the model was sampled
    settings : how it was sampled: ``draws``, ``chains``, ``tune``, ``sampler``, and
        ``random_seed`` if it was a whole number
    """

    spec: Specification
    draws: PosteriorDraws
    findings: tuple[Finding, ...]
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        """Make the draws read-only: results are safe to share."""
        for draws in (self.draws, *self.draws.formulas.values()):
            for part in (draws.sd, draws.corr, draws.b, draws.family, draws.sample_stats):
                for array in part.values():
                    if isinstance(array, np.ndarray):
                        array.flags.writeable = False
            draws.beta.flags.writeable = False
            if draws.sigma is not None:
                draws.sigma.flags.writeable = False

    def _refuses(self, called: str) -> None:
        """Refuse a call that takes residuals to be independent; see ``calls.py``."""
        if self.design.residual is not None:
            check_knows_residuals(called, OF_POSTERIORS)

    # numbers

    method = "posterior"
    is_singular = False  # a posterior averages over the boundary, it is not on it

    @property
    def priors(self) -> "ModelPriors":
        """The priors of all parameters."""
        return self.spec.priors

    @property
    def sampler(self) -> str:
        """What made the draws: "collapsed" or "nuts"."""
        return self.draws.sampler

    @property
    def n_chains(self) -> int:
        """Number of chains."""
        return self.draws.beta.shape[0]

    @property
    def n_draws(self) -> int:
        """Number of draws over all chains."""
        return self.draws.beta.shape[0] * self.draws.beta.shape[1]

    @cached_property
    def beta(self) -> FloatArray:  # type: ignore[override]
        """Posterior means of the fixed effects, shape (p,)."""
        mean = self.draws.beta.mean(axis=(0, 1))
        mean.flags.writeable = False
        return mean

    @cached_property
    def vcov_beta(self) -> FloatArray:
        """Posterior covariance matrix of the fixed effects, shape (p, p)."""
        centred = self.draws.beta.reshape(self.n_draws, -1) - self.beta
        return np.asarray(centred.T @ centred / max(self.n_draws - 1, 1))

    @property
    def sigma(self) -> float:
        """Posterior mean of the residual sd; 1 where it is known.

        NaN where the family has none, or one that differs between rows by a formula.
        """
        if self.draws.sigma is None:
            return 1.0 if self.design.known_sd is not None else float("nan")
        return float(self.draws.sigma.mean())

    @property
    def n_params(self) -> int:
        """Number of parameters besides the random effects."""
        parts = [self.fixed_parameters, self.variance_parameters]
        parts += [part for pair in self.formula_parameters.values() for part in pair]
        return sum(part.draws.shape[2] for part in parts)

    @property
    def has_residual_sd(self) -> bool:
        """Whether one residual sd was estimated for all rows."""
        return self.draws.sigma is not None

    @property
    def converged(self) -> bool:
        """Whether nothing was found that makes the draws untrustworthy."""
        return not any(finding.code in UNTRUSTED for finding in self.findings)

    @property
    def log_marginal_likelihood(self) -> float | None:
        """Log p(y), from the collapsed sampler with proper priors; else None."""
        return self.draws.log_marginal_likelihood

    @property
    def log_marginal_likelihood_mcse(self) -> float | None:
        """Monte-Carlo standard error of ``log_marginal_likelihood``."""
        return self.draws.log_marginal_likelihood_mcse

    @property
    def pareto_k(self) -> float | None:
        """Pareto k of the collapsed sampler's importance weights; None from another sampler."""
        return self.draws.pareto_k

    # parameters

    @cached_property
    def addresses(self) -> Addresses:
        """The way from a text to a fixed effect or variance parameter, in the order of tidy()."""
        return posterior_addresses(
            self.design,
            self.kept.tolist(),
            has_sigma=self.draws.sigma is not None,
            family=family_names(self.draws),
            kept_of=self.spec.kept_of,
        )

    @property
    def _own_labels(self) -> tuple[str, ...]:
        """Labels of the parameters that are of no formula of a further one."""
        more = sum(
            len(posterior_addresses(self.design.of(name), kept.tolist(), has_sigma=False).labels)
            for name, kept in self.spec.kept_of.items()
        )
        labels = self.addresses.labels
        return labels[: len(labels) - more]

    @cached_property
    def fixed_parameters(self) -> Parameters:
        """Fixed effects with their draws."""
        labels = self._own_labels[: self.beta.size]
        return fixed_parameters(self.draws, labels, self.coef_names)

    @cached_property
    def variance_parameters(self) -> Parameters:
        """Sds, correlations, sigma and the family's parameters with their draws."""
        labels = self._own_labels[self.beta.size :]
        return variance_parameters(self.draws, self.design, labels)

    @cached_property
    def formula_parameters(self) -> dict[str, tuple[Parameters, Parameters]]:
        """Of each further parameter that has a formula, coefficients, and sds and correlations."""
        found, labels = {}, list(self.addresses.labels[len(self._own_labels) :])
        for name, draws in self.draws.formulas.items():
            design, kept = self.design.of(name), self.spec.kept_of[name]
            own = posterior_addresses(design, kept.tolist(), has_sigma=False).labels
            names = [design.coef_names[k] for k in kept]
            found[name] = formula_parameters(
                draws, design, names, parameter=name, labels=labels[: len(own)]
            )
            labels = labels[len(own) :]
        return found

    def parameters(self, effects: Any = ("fixed", "ran_pars")) -> list[Parameters]:
        """Parameters of the kinds asked for, with names and draws."""
        chosen = checked_effects(effects)
        found = [self.fixed_parameters] if "fixed" in chosen else []
        found += [self.variance_parameters] if "ran_pars" in chosen else []
        for fixed, varied in self.formula_parameters.values():
            found += [fixed] if "fixed" in chosen else []
            found += [varied] if "ran_pars" in chosen else []
        return found + (level_parameters(self.draws, self.design) if "ran_vals" in chosen else [])

    @cached_property
    def chain_statistics(self) -> ChainStatistics:
        """Convergence of fixed effects and variance parameters, in the order of ``tidy()``."""
        parts = [part.draws for part in self.parameters()]
        return chain_statistics(np.concatenate(parts, axis=2))

    # tables

    @cached_property
    def modes(self) -> tuple[FloatArray, ...]:
        """Posterior means of the random effects per factor, (J, q), on the user's scale."""
        return tuple(self.draws.b[f.name].mean(axis=(0, 1)) for f in self.design.factors)

    @cached_property
    def mode_covariances(self) -> tuple[FloatArray, ...]:
        """Posterior covariances of the random effects per factor, arrays (J, q, q)."""
        return tuple(level_covariances(self.draws.b[f.name]) for f in self.design.factors)

    def ranef(self) -> LevelTables:
        """Posterior means of the random effects: per factor a table levels x terms."""
        return self._level_tables(self.modes, kind="ranef", sds=self.ranef_sd)

    def ranef_sd(self) -> LevelTables:
        """Posterior sds of the random effects, same shapes as ``ranef()``.

        Unlike the conditional sds of a REML fit they include the uncertainty of the fixed effects
        and of the variance parameters.
        """
        sds = [np.sqrt(np.diagonal(V, axis1=1, axis2=2)) for V in self.mode_covariances]
        return self._level_tables(sds, kind="ranef_sd")

    def ranef_cov(self) -> dict[str, FloatArray]:
        """Posterior covariances of the random effects: per factor an array (levels, q, q)."""
        pairs = zip(self.design.factors, self.mode_covariances, strict=True)
        return {factor.name: cov.copy() for factor, cov in pairs}

    def coef(self) -> LevelTables:
        """Coefficients of each level: fixed plus random effects, with their posterior sds."""
        return LevelTables(super().coef(), kind="coef", sds=self.coef_sd)

    def coef_sd(self) -> LevelTables:
        """Posterior sds of the coefficients of each level, same shapes as ``coef()``."""
        tables = {}
        columns = level_columns(self.design, self.kept.tolist())
        for f, factor in enumerate(self.design.factors):
            sds = np.empty((factor.levels.size, len(columns.labels)))
            for at, b in level_blocks(self.draws.b[factor.name]):
                for place, fixed in enumerate(columns.fixed):
                    total: Any = np.zeros((*self.draws.beta.shape[:2], 1))
                    if place in columns.random[f]:
                        total = b[:, :, :, columns.random[f].index(place)]
                    if fixed >= 0:
                        total = total + self.draws.beta[:, :, [fixed]]
                    sds[at, place] = total.reshape(self.n_draws, -1).std(axis=0, ddof=1)
            tables[factor.name] = result_table(
                sds, "ranef_sd", index=pd.Index(factor.levels), columns=list(columns.labels)
            )
        return LevelTables(tables, kind="ranef_sd")

    def varcorr(self) -> VarCorr:
        """Return posterior means of the sds and correlations, and of the residual sd."""
        terms = []
        for t, term in enumerate(self.design.terms):
            factor, columns = self.design.factors[term.factor], list(term.columns)
            own = structure_draws(self.draws, self.design, t)
            corr = np.eye(len(columns))
            if len(columns) > 1 and factor.name in self.draws.corr:
                mean = self.draws.corr[factor.name].mean(axis=(0, 1))
                corr = mean[np.ix_(columns, columns)]
            terms.append(
                VarCorrTerm(
                    name=term.name,
                    columns=tuple(factor.columns[c] for c in columns),
                    sd=self.draws.sd[factor.name].mean(axis=(0, 1))[columns],
                    corr=corr,
                    structure=term.covariance,
                    parameters=tuple((name, float(value.mean())) for name, value in own),
                )
            )
        found = self.residual_structure
        if found is not None:
            return self._with_residual_structure(tuple(terms), found)
        has_residual = self.draws.sigma is not None
        return VarCorr(terms=tuple(terms), sigma=self.sigma, has_residual=has_residual)

    @property
    def residual_structure(self) -> DesignResiduals | None:
        """Strata and correlations of the residuals; None without, or of a formula without any."""
        if not self.spec.has_residual_structure:
            return None
        try:
            return self.spec.residuals
        except DataError:  # a formula of sigma that has no reference, which NUTS knows
            return None

    def _with_residual_structure(
        self, terms: tuple[VarCorrTerm, ...], found: DesignResiduals
    ) -> VarCorr:
        values, sigma = self._residual_values(found)
        rows = residual_rows(found, values, sigma)
        return VarCorr(terms=terms, sigma=float(sigma.mean()), has_residual=True, residual=rows)

    def _residual_values(self, found: DesignResiduals) -> tuple[FloatArray, FloatArray]:
        """Draws (S, d) of the parameters of the structure, and (S,) of the reference's sd."""
        draws = self.residual_draws
        reference = draws.get("sigma_(Intercept)", np.empty(0))
        sigma = np.exp(reference) if self.draws.sigma is None else self.draws.sigma
        return np.stack([draws[name].ravel() for name in found.names], axis=1), sigma.ravel()

    @property
    def residual_quantities(self) -> tuple[ResidualQuantity, ...]:
        """Sds, sigma's first, and correlations of residuals that have a structure; none without."""
        found = self.residual_structure
        if found is None:
            return ()
        values, sigma = self._residual_values(found)
        return (reference_sd(sigma), *residual_quantities(found, values, sigma))

    @cached_property
    def residual_draws(self) -> dict[str, FloatArray]:
        """Draws (C, D) of coefficients of log sigma, and of correlations of residuals, by name."""
        if not self.response_family.is_linear:
            return {}
        found: dict[str, FloatArray] = {}
        for name, own in self.draws.formulas.items():
            columns = [self.design.of(name).coef_names[k] for k in self.spec.kept_of[name]]
            found |= {f"{name}_{c}": own.beta[..., k] for k, c in enumerate(columns)}
        return found if self.design.residual is None else found | dict(self.draws.family)

    @property
    def residual_names(self) -> tuple[str, ...]:
        """Names of the parameters of correlated residuals, or of unequal variance."""
        return tuple(self.residual_draws)

    def tidy(
        self,
        effects: tuple[Effect, ...] | Effect = ("fixed", "ran_pars"),
        level: float = 0.95,
        kind: IntervalKind = "eti",
    ) -> ResultTable:
        """One row a parameter, with broom.mixed's meanings; dropped columns have empty rows.

        Parameters
        ----------
        effects : some of "fixed", "ran_pars" (sds and correlations), "ran_vals" (modes)
        level : level of the credible intervals
        kind : {"eti", "hdi"}
            Equal-tailed, or the shortest interval.

        Returns
        -------
        pandas.DataFrame
            Columns as of a REML fit; ``statistic``, ``df`` and ``p_value`` are missing.
        """
        check_level(level)
        check_option("kind", kind, IntervalKind)
        frames = []
        for part in self.parameters(effects):
            mean, sd, low, high = np.empty((4, len(part.names)))
            for at, draws in parameter_blocks(part.draws):
                flat = draws.reshape(self.n_draws, -1)
                interval = credible_interval(flat, level, kind)
                mean[at], sd[at] = flat.mean(axis=0), flat.std(axis=0, ddof=1)
                low[at], high[at] = interval.low, interval.high
            frame = tidy_frame(
                self,
                effect=part.effect,
                group=list(part.group),
                level=list(part.level),
                term=list(part.term),
                estimate=mean,
                std_error=sd,
                conf_low=low,
                conf_high=high,
            )
            is_mean = part is self.fixed_parameters
            frames.append(with_dropped(self, frame) if is_mean else frame)
        filled = [frame for frame in frames if len(frame)]
        table = pd.concat(filled, ignore_index=True) if filled else tidy_frame(self, estimate=[])
        known = {"level": level, "kind": kind, "interval": "credible"}
        return result_table(table, "tidy", attrs=known)

    def tidy_draws(
        self, effects: tuple[Effect, ...] | Effect = ("fixed", "ran_pars")
    ) -> pd.DataFrame:
        """Return the draws themselves as a long table, one row a draw and parameter.

        Parameters
        ----------
        effects : kinds of parameters as of ``tidy()``; "ran_vals" are the random effects

        Returns
        -------
        pandas.DataFrame
            ``chain`` and ``draw`` (numbers from 0), ``effect group level term`` as of ``tidy()``,
            ``parameter`` (a name that means no other) and ``value`` in the units of ``tidy()``.
            Text columns are categorical: a table of many draws stays small.

        Examples
        --------
        >>> import hierbayes as hb
        >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> post = model.sample(draws=100, random_seed=1)
        >>> table = post.tidy_draws("ran_vals")
        >>> table.groupby("level", observed=True)["value"].mean().shape
        (6,)
        """
        return draws_table(self.parameters(effects))

    def contrast(
        self, L: Any, *, level: float = 0.95, kind: IntervalKind = "eti", rhs: Any = 0.0
    ) -> ResultTable:
        """Posterior of linear combinations L beta of the fixed effects.

        Parameters
        ----------
        L : name, dict, data frame, array or list
            As of a REML fit, ``LikelihoodFit.contrast``.
        level : float
            Level of the credible intervals.
        kind : {"eti", "hdi"}
            Equal-tailed, or the shortest interval.
        rhs : number or array, shape (c,)
            What L beta is compared with.

        Returns
        -------
        pandas.DataFrame
            One row a combination: ``estimate`` (posterior mean), ``std_error`` (sd),
            ``prob_positive`` (probability that L beta is above ``rhs``), ``conf_low conf_high``.

        Raises
        ------
        OptionError
            If L names no coefficient or has another number of columns.
        """
        check_level(level)
        check_option("kind", kind, IntervalKind)
        rows = contrast_matrix(L, self)
        right = checked_rhs(rhs, rows.L.shape[0])
        draws = self.draws.beta.reshape(self.n_draws, -1) @ rows.L.T
        interval = credible_interval(draws, level, kind)
        known = {"level": level, "kind": kind, "interval": "credible", "rhs": right.tolist()}
        return result_table(
            {
                "estimate": draws.mean(axis=0),
                "std_error": draws.std(axis=0, ddof=1),
                "prob_positive": (draws > right).mean(axis=0),
                "conf_low": interval.low,
                "conf_high": interval.high,
            },
            "contrast",
            index=pd.Index(rows.labels, name="contrast"),
            attrs=known,
        )

    def diagnostics(self, effects: Any = ("fixed", "ran_pars")) -> ResultTable:
        """Convergence of each parameter: ``r_hat ess_bulk ess_tail mcse_mean``, ArviZ's meanings.

        Parameters
        ----------
        effects : some of "fixed", "ran_pars" (sds and correlations), "ran_vals" (random effects)

        Returns
        -------
        pandas.DataFrame
            Indexed by the parameter's name.
        """
        frames = []
        for part in self.parameters(effects):
            columns = ("r_hat", "ess_bulk", "ess_tail", "mcse_mean")
            values = np.empty((len(columns), len(part.names)))
            for at, draws in parameter_blocks(part.draws):
                found = chain_statistics(draws)
                values[:, at] = [getattr(found, name) for name in columns]
            frames.append(
                pd.DataFrame(
                    dict(zip(columns, values, strict=True)),
                    index=pd.Index(part.names, name="parameter"),
                )
            )
        return result_table(pd.concat(frames), "diagnostics")

    def glance(self) -> ResultTable:
        """One row about the whole fit."""
        statistics = self.chain_statistics
        return result_table(
            {
                "nobs": [self.nobs],
                "sigma": [self.sigma],
                "n_draws": [self.n_draws],
                "n_chains": [self.n_chains],
                "r_hat": [_largest(statistics.r_hat)],
                "ess_bulk": [-_largest(-statistics.ess_bulk)],
                "ess_tail": [-_largest(-statistics.ess_tail)],
                "log_marginal_likelihood": [_or_nan(self.log_marginal_likelihood)],
                "pareto_k": [_or_nan(self.pareto_k)],
                "sampler": [self.sampler],
                "method": [self.method],
            },
            "glance",
        )

    def hypothesis(
        self, statement: str, level: float = 0.95, kind: IntervalKind = "eti"
    ) -> Hypothesis:
        """Posterior probability of a statement about parameters.

        Parameters
        ----------
        statement : str
            For example ``"Days > 10"``, ``"sd(Days|Subject) < sigma / 4"`` or
            ``"Subject[308,Days] > 0 & Days > 5"``.
        level, kind
            Of the credible interval of left minus right side.

        Raises
        ------
        FormulaError
            If it can't be read or names no parameter.
        """
        check_level(level)
        parts, spellings = self.parameters(), self.addresses.spellings
        if "[" in str(statement):
            levels = level_parameters(self.draws, self.design)
            parts += levels
            spellings += tuple(way for part in levels for way in part.spellings)
        return test_hypothesis(
            statement, Addresses(spellings), [part.draws for part in parts], level=level, kind=kind
        )

    # rows

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

    # text

    def summary(
        self,
        *,
        level: float = 0.95,
        kind: IntervalKind = "eti",
        priors: bool = True,
        diagnostics: bool | None = None,
    ) -> RichText:
        """Summary in blocks: formula, priors, variance components, coefficients, findings.

        Parameters
        ----------
        level, kind : of the credible intervals; "eti" (equal tails) or "hdi" (highest density)
        priors : whether to list the priors
        diagnostics : columns of R-hat and effective sample sizes; None shows them where they say
            something (R-hat above 1.01, fewer than 400 effective draws)
        """
        options = {"level": level, "kind": kind, "priors": priors, "diagnostics": diagnostics}
        return rich_text(verbs.ask(self, "blocks", **options))

    # more

    @cached_property
    def idata(self) -> "DataTree":
        """Everything as an ``xarray.DataTree`` for ArviZ.

        Groups ``posterior``, ``sample_stats``, ``log_likelihood``, ``log_prior``,
        ``observed_data`` and ``constant_data``; computed when first asked for. Of a stream those
        without rows: ``posterior``, ``sample_stats`` and ``log_prior``.

        ArviZ refuses pictures of more than 40 panels, which many random effects soon are:
        ``az.plot_trace(fit.idata, var_names="~b_Subject")`` leaves them out, and
        ``az.rcParams["plot.max_subplots"]`` allows more.
        """
        return self.to_datatree()

    def to_datatree(self, *groups: str, random_seed: Any = None) -> "DataTree":
        """``idata`` with further groups: some of "posterior_predictive", "prior".

        Parameters
        ----------
        *groups : str
            "posterior_predictive" draws a response of the same groups with every draw; "prior"
            draws all parameters and a response from the prior.
        random_seed : int, Generator or SeedSequence
        """
        return verbs.ask(self, "datatree", groups, random_seed)

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

    def refit(self, y: Any, **options: Any) -> "PosteriorFit":
        """Sample the same model of another response of the rows used; options of ``sample``."""
        found: PosteriorFit = verbs.ask(self, "refit", y, **options)
        return found

    def update(self, formula: str, **options: Any) -> "PosteriorFit":
        """Sample a changed formula, R's way: ``"."`` stands for what was there."""
        found: PosteriorFit = verbs.ask(self, "update", formula, **options)
        return found


def _largest(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.max()) if known.size else float("nan")


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def needs_posterior(verb: str, given: object, why: str) -> OptionError:
    """Return the error of a function of posteriors that got something else."""
    got = type(given).__name__
    return OptionError(f"{verb} needs a posterior, model.sample(...); it got {got}. {why}")
