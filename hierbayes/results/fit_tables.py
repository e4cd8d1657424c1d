"""What every fit answers alike, whatever estimated it: names, counts, tables of levels, rows."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray, IntArray
from hierbayes.calls import checked_methods
from hierbayes.design.design import Design
from hierbayes.errors import OptionError
from hierbayes.families.family import Family
from hierbayes.naming.addresses import level_columns
from hierbayes.options import Ddf, ResidualKind, RowsShown, SentencePart, check_flag, check_option
from hierbayes.results import verbs
from hierbayes.results.interval_parameters import interval_parameters
from hierbayes.results.level_tables import Kind, LevelTables
from hierbayes.results.printing import Printable, Reportable
from hierbayes.results.residual_estimate import ResidualQuantity
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.results.rich_text import RichText
from hierbayes.results.storing import Storable
from hierbayes.results.varcorr import VarCorr
from hierbayes.specification.specified import Specified

if TYPE_CHECKING:
    from hierbayes.model.model import Model


@checked_methods("fit")
class FitTables(Specified, Printable, Reportable, Storable):
    """The tables of a fit that follow from its point estimates.

    A fit has ``spec``, what was fitted; ``method``; ``beta`` (p,) of the columns ``kept`` of X,
    their covariance ``vcov_beta``, ``modes`` (J, q) of the random effects of each factor,
    ``fixed_part`` and ``fitted_values`` (n,).
    """

    method: str
    beta: FloatArray

    def varcorr(self) -> VarCorr:
        """Sds and correlations of the random effects, and the residual sd."""
        raise NotImplementedError

    def ranef(self) -> LevelTables:
        """Point estimates of the random effects: per factor a table levels x terms."""
        raise NotImplementedError

    def ranef_sd(self) -> LevelTables:
        """Sds of the random effects, same shapes as ``ranef()``."""
        raise NotImplementedError

    # what was fitted

    @cached_property
    def model(self) -> "Model":
        """The model that was fitted."""
        found: Model = verbs.ask(self.spec, "model")
        return found

    @property
    def response_family(self) -> Family:
        """The response family with its link."""
        return self.spec.family

    # names and counts

    @property
    def kept(self) -> IntArray:
        """Positions of the columns of X that were not dropped, shape (p,)."""
        return self.spec.kept_columns

    @property
    def coef_names(self) -> tuple[str, ...]:
        """Names of the fixed effects that were estimated, as R prints them."""
        return tuple(self.design.coef_names[i] for i in self.kept)

    @property
    def dropped_columns(self) -> tuple[str, ...]:
        """Names of the columns of X that earlier columns determine."""
        kept = set(self.kept.tolist())
        return tuple(
            name
            for i, name in enumerate(self.design.coef_names)
            if i not in kept and not self._is_in_thresholds[i]
        )

    @property
    def identified(self) -> IntArray:
        """Positions of independent columns of X: ``kept``, and an intercept in the thresholds."""
        return np.sort(np.concatenate([self.kept, np.flatnonzero(self._is_in_thresholds)]))

    @property
    def _is_in_thresholds(self) -> BoolArray:
        """Whether a column of X is the intercept of an ordinal model, which has thresholds."""
        return np.asarray((self.design.assign == 0) & self.response_family.is_ordinal)

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return self.design.n_rows

    @property
    def n_rows_given(self) -> int:
        """Rows of the user's frame."""
        return self.design.n_rows_given

    @property
    def n_groups(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return {factor.name: factor.levels.size for factor in self.design.factors}

    @property
    def is_linear_model(self) -> bool:
        """Whether there are no random effects."""
        return not self.design.factors

    @property
    def weights(self) -> FloatArray | None:
        """Precision weights of the likelihood, shape (n,), or None."""
        return self.spec.weights

    @property
    def weighted(self) -> bool:
        """Whether precision weights were given."""
        return self.design.weights is not None

    @property
    def has_residual_sd(self) -> bool:
        """Whether a residual sd was estimated."""
        return self.design.known_sd is None and self.spec.family.weighs_sigma

    @property
    def rows_dropped(self) -> dict[str, int]:
        """Per column the number of rows left out because it was missing."""
        return self.design.dropped

    @property
    def undetermined_parameters(self) -> BoolArray:
        """Which of the m ``interval_parameters`` the data do not determine, shape (m,)."""
        return np.zeros(len(interval_parameters(self)), dtype=np.bool_)

    @property
    def undetermined_note(self) -> str:
        """One sentence on what the data do not determine; empty where they determine all."""
        return ""

    @property
    def residual_names(self) -> tuple[str, ...]:
        """Names of the parameters of correlated residuals, or of unequal variance, beside sigma."""
        return ()

    @property
    def residual_quantities(self) -> tuple[ResidualQuantity, ...]:
        """Sds, sigma's first, and correlations of residuals that have a structure; none without."""
        return ()

    @property
    def residual_values(self) -> FloatArray:
        """Estimates of ``residual_names``."""
        return np.empty(0)

    @property
    def further_parameters(self) -> dict[str, tuple[float, float]]:
        """Parameters of the family besides mu and a residual sd: estimates and standard errors."""
        return {}

    # words

    def sentence(
        self,
        *,
        part: SentencePart = "both",
        level: float = 0.95,
        labels: Mapping[str, str] | None = None,
    ) -> RichText:
        """Return a methods and a results paragraph for a paper.

        Parameters
        ----------
        part : {"both", "methods", "results"}
        level : float
            Level of the intervals.
        labels : mapping, optional
            What coefficients and grouping factors are called, ``{"Days": "sleep deprivation"}``.

        Returns
        -------
        str
            Two paragraphs; their numbers are those of the summary, to three digits of an interval's
            width. What the data do not determine is said to be so.

        Raises
        ------
        OptionError
            If an option is none of those above.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
        >>> print(fit.sentence(part="results").split(". ")[1])
        The effect of Days is 10.47 (95 % CI [8.88, 12.06], t(161.0) = 13.02, p < 0.001)
        """
        found: RichText = verbs.ask(self, "sentence", part=part, level=level, labels=labels)
        return found

    # tables

    def fixef(self) -> pd.Series:
        """Fixed-effects estimates by coefficient name; NaN for dropped columns.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
        >>> fit.fixef().round(3).to_dict()
        {'(Intercept)': 251.405, 'Days': 10.467}
        """
        values = np.full(len(self.design.coef_names), np.nan)
        values[self.kept] = self.shown_beta
        found = pd.Series(values, index=list(self.design.coef_names), name="estimate")
        return found[~self._is_in_thresholds] if self._is_in_thresholds.any() else found

    @property
    def shown_beta(self) -> FloatArray:
        """``beta`` (p,), NaN where the data do not determine it."""
        lost = self.undetermined_parameters[-self.beta.size :] if self.beta.size else False
        return np.where(lost, np.nan, self.beta)

    @property
    def vcov_beta(self) -> FloatArray:
        """Covariance matrix of ``beta``, shape (p, p)."""
        raise NotImplementedError

    @property
    def std_errors(self) -> FloatArray:
        """Standard errors of ``beta``, shape (p,)."""
        return np.sqrt(np.diag(self.vcov_beta))

    def vcov(self, full: bool = False) -> ResultTable:
        """Covariance matrix of the fixed effects that were estimated.

        Parameters
        ----------
        full : bool
            Of the random effects as well, the joint covariance of beta and b (of their errors:
            given the variance parameters of a likelihood fit, of the draws of a posterior), with
            rows ``Subject[308,Days]`` level by level below the coefficients.

        Raises
        ------
        NotSupportedError
            For ``full=True`` of more than 3,000 effects.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> fit.vcov(full=True).shape
        (7, 7)
        """
        if check_flag("full", full, "True (random effects as well) or False"):
            return result_table(verbs.ask(self, "joint_covariance"), "vcov")
        names = list(self.coef_names)
        return result_table(self.vcov_beta, "vcov", index=names, columns=names)

    @property
    def modes(self) -> tuple[FloatArray, ...]:
        """Point estimates of the random effects per factor, (J, q), on the user's scale."""
        raise NotImplementedError

    def coef(self) -> LevelTables:
        """Coefficients of each level: fixed effects plus random effects.

        As in lme4, every table has the columns of every factor, those without a fixed effect
        first: zero plus the random effect, where the factor has one.
        """
        columns = level_columns(self.design, self.kept.tolist())
        fixed = np.append(self.shown_beta, 0.0)[list(columns.fixed)]
        tables = {}
        for f, (factor, b) in enumerate(zip(self.design.factors, self.modes, strict=True)):
            total = np.tile(fixed, (factor.levels.size, 1))
            total[:, list(columns.random[f])] += b
            tables[factor.name] = result_table(
                total, "coef", index=pd.Index(factor.levels), columns=list(columns.labels)
            )
        return LevelTables(tables, kind="coef")

    def _level_tables(
        self,
        arrays: Sequence[FloatArray],
        *,
        kind: Kind,
        sds: Callable[[], LevelTables] | None = None,
    ) -> LevelTables:
        tables = {
            factor.name: result_table(
                values, kind, index=pd.Index(factor.levels), columns=list(factor.columns)
            )
            for factor, values in zip(self.design.factors, arrays, strict=True)
        }
        return LevelTables(tables, kind=kind, sds=sds)

    def _simulated(self, **options: Any) -> pd.DataFrame:
        """Draw responses: ``simulate`` of every fit."""
        drawn: pd.DataFrame = verbs.ask(self, "simulate", **options)
        return drawn

    # rows

    @cached_property
    def fixed_part(self) -> FloatArray:
        """X beta (of a posterior at the mean of beta) plus offset, on the link scale, (n,)."""
        return fixed_part_of(self, self.design)

    @property
    def observed(self) -> FloatArray:
        """The response, shape (n,); of ``cbind(successes, failures)`` the share of successes."""
        return observed_of(self.design)

    @property
    def fitted_values(self) -> FloatArray:
        """X beta + Z b plus offset, shape (n,)."""
        raise NotImplementedError

    def fitted(self, rows: RowsShown = "used") -> pd.Series:
        """Fitted values, random effects included.

        Parameters
        ----------
        rows : {"used", "all"}
            The rows used, or those of the data: NaN where one was left out (R's ``na.exclude``).

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> fit.fitted(rows="all").shape
        (30,)
        """
        return self._in_rows(self.fitted_values, "fitted", rows)

    def residuals(self, kind: ResidualKind = "response", rows: RowsShown = "used") -> pd.Series:
        """Residuals: observed minus fitted.

        Parameters
        ----------
        kind : {"response", "pearson", "deviance", "working", "normalized"}
            "pearson" and "deviance" are multiplied by the root of the precision weights; divided
            by ``sigma`` they are lme4's scaled residuals. Of correlated residuals, or of unequal
            variance, "pearson" is divided by the row's relative sd, and "normalized" by a root of
            the whole covariance: independent of sd one where the model holds.
        rows : {"used", "all"}
            The rows used, or those of the data: NaN where one was left out (R's ``na.exclude``).
        """
        check_option("kind", kind, ResidualKind)
        values: Any = self.observed - self.fitted_values
        if kind == "normalized":
            values = self._standardised(values, whole=True)
        elif kind in ("pearson", "deviance"):
            values = self._standardised(values, whole=False)
        return self._in_rows(values, "residual", rows)

    def _standardised(self, residuals: FloatArray, *, whole: bool) -> FloatArray:
        """Residuals (n,) over relative sds, or ``whole``: by a root of their covariance."""
        if whole:
            raise OptionError(
                f"residuals(kind='normalized') is for REML and ML fits, not {type(self).__name__}."
            )
        return residuals if self.weights is None else residuals * np.sqrt(self.weights)

    def _in_rows(self, values: FloatArray, name: str, rows: RowsShown) -> pd.Series:
        """Return numbers of the rows used (n,), of "all" rows of the data NaN in the others."""
        found = pd.Series(values, index=self.design.row_labels, name=name)
        return _of_all(found, self) if check_option("rows", rows, RowsShown) == "all" else found

    def augment(self, rows: RowsShown = "used") -> ResultTable:
        """Model frame with columns for fitted values, fixed part (eta's scale) and residuals.

        Parameters
        ----------
        rows : {"used", "all"}
            The rows used, or those of the data: missing where one was left out.
        """
        check_option("rows", rows, RowsShown)
        frame = pd.DataFrame(self.design.model_frame).copy()
        frame["fitted"] = self.fitted_values
        frame["fixed"] = self.fixed_part
        frame["residual"] = self.observed - self.fitted_values
        return result_table(_of_all(frame, self) if rows == "all" else frame, "augment")


def fixed_part_of(fit: FitTables, design: Design) -> FloatArray:
    """X beta plus offset of the rows of a design with the columns of the fit's, (n,)."""
    offset = 0.0 if design.offset is None else design.offset
    return np.asarray(design.X[:, fit.kept] @ fit.beta + offset)


def observed_of(design: Design) -> FloatArray:
    """Return the response, shape (n,); of ``cbind(successes, failures)`` the share of successes."""
    y = design.y
    return y if y.ndim == 1 else np.asarray(y[:, 0] / np.maximum(y.sum(axis=1), 1))


def _of_all[Rows: (pd.Series, pd.DataFrame)](found: Rows, fit: FitTables) -> Rows:
    """Return rows used in the places of all rows of the data, with their labels."""
    places = pd.RangeIndex(fit.n_rows_given)
    whole = found.set_axis(fit.design.rows.positions).reindex(places)
    return whole.set_axis(fit.spec.table.index)


def own_ddf(fit: FitTables) -> Ddf:
    """Return the degrees of freedom of the tests of a fit when nothing is said."""
    return "satterthwaite" if fit.response_family.is_linear else "normal"
