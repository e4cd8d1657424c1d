"""Tables of what draws say: every parameter, linear combinations, convergence, statements.

An error is the posterior sd, an interval equal-tailed unless ``kind="hdi"``.
"""

from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_methods
from hierbayes.naming.addresses import Addresses
from hierbayes.options import (
    Effect,
    IntervalKind,
    check_option,
)
from hierbayes.results.chains import chain_statistics, credible_interval
from hierbayes.results.contrast_matrix import checked_rhs, contrast_matrix
from hierbayes.results.draws_table import draws_table
from hierbayes.results.effects_on_demand import parameter_blocks
from hierbayes.results.hypothesis import Hypothesis, test_hypothesis
from hierbayes.results.posterior_effects import PosteriorEffects
from hierbayes.results.posterior_parameters import level_parameters
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.results.tidy import check_level, tidy_frame, with_dropped


@checked_methods("fit")
class PosteriorSummaries(PosteriorEffects):
    """Parameters, contrasts, diagnostics and hypotheses as tables."""

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


def _largest(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.max()) if known.size else float("nan")


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
