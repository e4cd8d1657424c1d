"""Estimated marginal means and slopes, their contrasts and tests."""

from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from hierbayes.arrays import record
from hierbayes.calls import checked_methods
from hierbayes.results import verbs
from hierbayes.results.marginal_quantities import Marginals, Question
from hierbayes.results.result_table import result_table
from hierbayes.results.tabled import Tabled

if TYPE_CHECKING:
    from hierbayes.results.f_table import FTable

MEAN_COLUMNS = ("estimate", "std_error", "df", "conf_low", "conf_high")
CONTRAST_COLUMNS = (
    "estimate",
    "std_error",
    "df",
    "statistic",
    "p_value",
    "conf_low",
    "conf_high",
)
TEST_COLUMNS = ("estimate", "std_error", "df", "statistic", "p_value")
DRAW_COLUMNS = ("p_direction", "probability")  # of posteriors, in addition


@checked_methods("result")
class Contrastable(Tabled):
    """A table of marginal quantities that can be contrasted and tested."""

    __slots__ = ()
    marginals: Marginals

    def contrast(
        self,
        contrasts: Any = "eff",
        *,
        by: Any = None,
        simple: str | None = None,
        interaction: Any = None,
        ref: Any = None,
        reverse: bool = False,
        type: str | None = None,
        adjust: str | None = None,
        level: float | None = None,
    ) -> "MarginalTests":
        """Contrast the rows of this table with each other.

        Parameters
        ----------
        contrasts : str, dict, list, array or DataFrame
            A family by emmeans' name: "pairwise", "revpairwise", "trt.vs.ctrl" (the first, or
            ``ref``), "trt.vs.ctrl2", "trt.vs.ctrlk" (the last), "consec", "mean_chg", "eff",
            "del.eff", "poly", "identity"; a dict from a name to weights, one for each mean of a
            group or as a dict from its label; a list of pairs ``("A", "B")`` for A - B; an array
            (c, k) of weights; a DataFrame with a column for each contrast and a row for each mean.
        by : str or list of str, optional
            Columns within whose values contrasts are made; those of the table unless said. An
            empty list contrasts everything.
        simple : str, optional
            The one column whose values are contrasted, within all others.
        interaction : str, list or dict, optional
            In place of ``contrasts``: one family for each predictor, or one for all, whose products
            are interaction contrasts: ``["pairwise", "poly"]`` or ``{"dose": "poly"}``.
        ref : str, number or list of them, optional
            The control of "trt.vs.ctrl" by its value; of several the mean. A combination of
            values is a tuple.
        reverse : bool
            Take differences the other way round.
        type : {"link", "response"}, optional
            "response" shows differences of logs and log odds as ratios and odds ratios.
        adjust : str, optional
            For several tests: "tukey" (pairwise only), "mvt" (exact, with the correlations of the
            tests; "dunnett" is the same), "dunnettx", "scheffe", "sidak", "bonferroni", "holm",
            "hochberg", "hommel", "fdr" ("BH"), "by" or "none". Each family has emmeans' default,
            only that differences from a control have "mvt", which "dunnettx" approximates.
        level : float, optional
            Of intervals; that of this table unless said.

        Returns
        -------
        MarginalTests
            Of a posterior from its draws, with the probability of direction; nothing is adjusted.

        Raises
        ------
        OptionError
            If there is no such family, mean or column.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
        >>> found = hb.emmeans(fit, "Machine").contrast("trt.vs.ctrl", ref="B")
        >>> found.to_frame()[["contrast", "p_value"]].round(3).values.tolist()
        [['A - B', 0.008], ['C - B', 0.038]]
        """
        found: MarginalTests = verbs.ask(
            self,
            "contrast",
            contrasts,
            by=by,
            simple=simple,
            interaction=interaction,
            ref=ref,
            reverse=reverse,
            type=type,
            adjust=adjust,
            level=level,
        )
        return found

    def pairs(
        self,
        *,
        by: Any = None,
        simple: str | None = None,
        reverse: bool = False,
        type: str | None = None,
        adjust: str | None = None,
        level: float | None = None,
    ) -> "MarginalTests":
        """All differences of the rows, or of those that share the values of ``by``.

        Arguments, result and errors are those of ``contrast``.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
        >>> hb.emmeans(fit, "Machine").pairs().to_frame()["p_value"].round(4).tolist()
        [0.0111, 0.0002, 0.0507]
        """
        return self.contrast(
            "pairwise",
            by=by,
            simple=simple,
            reverse=reverse,
            type=type,
            adjust=adjust,
            level=level,
        )

    def test(
        self,
        null: float = 0.0,
        *,
        side: Any = None,
        delta: float = 0.0,
        adjust: str | None = None,
        joint: bool = False,
    ) -> "MarginalTests | FTable":
        """Test the rows, each on its own or all together.

        Parameters
        ----------
        null : float
            Value that rows are tested against, on the scale of the tests: the link's where means
            or ratios are shown on that of the response.
        side : str, optional
            "two-sided" (None), ">" or "<"; "noninferiority" (row > null - delta), "nonsuperiority"
            (row < null + delta) and "equivalence" (less than delta away from null), with a
            margin ``delta``; R's other words and numbers for these are understood.
        delta : float
            Margin; two-sided tests with one are tests of equivalence.
        adjust : as of ``contrast``
        joint : bool
            One F test that all rows (of each group) are ``null``.

        Returns
        -------
        MarginalTests or FTable
            Of a posterior the probability of what was asked: of the direction, of a side, or of
            being less than ``delta`` away.

        Raises
        ------
        OptionError
            For a margin below zero, a word for a test with a margin that has none, an adjustment
            that such tests do not have, or a joint test of a posterior.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
        >>> pairs = hb.emmeans(fit, "Machine").pairs()
        >>> found = pairs.test(side="equivalence", delta=10, adjust="none").to_frame()
        >>> found["p_value"].round(3).tolist()
        [0.186, 0.949, 0.046]
        """
        found: MarginalTests | FTable = verbs.ask(
            self, "test", null=null, side=side, delta=delta, adjust=adjust, joint=joint
        )
        return found

    def confint(
        self,
        *,
        level: float | None = None,
        adjust: str | None = None,
        side: Any = None,
    ) -> "MarginalTests":
        """Intervals of the rows, at another level, adjusted or one-sided.

        Parameters
        ----------
        level : float, optional
        adjust : as of ``contrast``; step-wise methods have Bonferroni's intervals
        side : as of ``test``: ">" has a lower limit only, "<" an upper one

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
        >>> hb.emmeans(fit, "Machine").confint(level=0.9, adjust="sidak").to_frame().columns[-1]
        'conf_high'
        """
        found: MarginalTests = verbs.ask(self, "confint", level=level, adjust=adjust, side=side)
        return found

    def eff_size(
        self,
        sigma: Any,
        *,
        edf: float | None = None,
        contrasts: Any = "pairwise",
        level: float | None = None,
    ) -> "MarginalTests":
        """Differences in units of a standard deviation; see ``hb.eff_size``.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("score ~ Machine + (1 | Worker)", hb.load_dataset("Machines"))
        >>> found = hb.emmeans(fit, "Machine").eff_size(fit.sigma, edf=46)
        >>> found.to_frame()["estimate"].round(2).tolist()
        [-2.52, -4.4, -1.88]
        """
        found: MarginalTests = verbs.ask(
            self, "eff_size", sigma, edf=edf, contrasts=contrasts, level=level
        )
        return found

    def plot(self, **options: Any) -> Any:
        """Draw the estimates with their intervals; options are those of ``hb.plot.estimates``.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
        >>> figure, axes = hb.emmeans(fit, "Machine").pairs().plot()
        """
        return verbs.ask(self, "picture", **options)


@record(repr=False)
class EmmeansTable(Contrastable):
    """Means of the model, or slopes, over a reference grid.

    Attributes
    ----------
    means : one row a combination of ``specs`` and ``by``: their values, then ``estimate std_error
        df conf_low conf_high``; of a posterior mean, sd and credible interval, df missing
    contrasts : ``by``, then ``contrast estimate std_error df statistic p_value conf_low
        conf_high``, of a posterior ``p_direction`` too; None when no contrasts were asked for
    notes : what is averaged over and where covariates stand
    mean_words, contrast_words : what the intervals and tests are
    level : level of the intervals
    formula_text, data_name : the model and its data
    title : what the rows are
    marginals : the quantities themselves

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
    >>> hb.emmeans(fit, "Machine").to_frame()["estimate"].round(2).tolist()
    [52.36, 60.32, 66.27]
    """

    FRAME: ClassVar = ("means", "emmeans")
    KNOWN: ClassVar = ("level",)

    means: pd.DataFrame
    contrasts: pd.DataFrame | None
    notes: tuple[str, ...]
    mean_words: str
    contrast_words: str
    level: float
    formula_text: str
    data_name: str
    marginals: Marginals
    title: str = "Estimated marginal means"

    def __post_init__(self) -> None:
        known = {"level": self.level}
        object.__setattr__(self, "means", result_table(self.means, "emmeans", attrs=known))
        if self.contrasts is not None:
            own = result_table(self.contrasts, "contrast", attrs=known)
            object.__setattr__(self, "contrasts", own)

    @property
    def specs(self) -> tuple[str, ...]:
        """The predictors whose values the rows are for."""
        return self.marginals.specs

    @property
    def by(self) -> tuple[str, ...]:
        """The predictors within whose values rows are compared."""
        return self.marginals.by

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return means and contrasts."""
        found: dict[str, pd.DataFrame] = {"means": self.means}
        return found if self.contrasts is None else {**found, "contrasts": self.contrasts}

    def regrid(self, transform: str = "response") -> "EmmeansTable":
        """Take the means to another scale, on which they are tested and contrasted from then on.

        Parameters
        ----------
        transform : {"response", "log", "log2", "log10", "sqrt", "inverse", "logit", "probit"}
            "response" for expected responses; else that function of these. Differences of logs
            and of log odds can be shown as ratios: ``.pairs(type="response")``.

        Returns
        -------
        EmmeansTable
            With errors by the delta method, and the degrees of freedom of its combinations of
            fixed effects; of a posterior from its draws.

        Raises
        ------
        OptionError
            If a mean has no such transform, such as the log of a negative one.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
        >>> ratios = hb.emmeans(fit, "Machine").regrid("log").pairs(type="response")
        >>> ratios.to_frame()["estimate"].round(3).tolist()
        [0.868, 0.79, 0.91]
        """
        found: EmmeansTable = verbs.ask(self, "regrid", transform)
        return found


@record(repr=False)
class MarginalTests(Contrastable):
    """Estimates, intervals and tests of marginal means, slopes or contrasts between them.

    Attributes
    ----------
    table : the columns of ``labels``, then ``estimate std_error df`` and of ``statistic p_value
        conf_low conf_high`` those asked for; of a posterior ``p_direction`` or ``probability``
    labels : columns that say what a row is
    title : what the rows are
    words : what the intervals and tests are
    notes : sentences on what the rows are made of
    level : of the intervals
    formula_text, data_name : the model and its data
    marginals, question : the quantities themselves, and what was asked of them

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
    >>> hb.emmeans(fit, "Machine").pairs().to_frame()["estimate"].round(2).tolist()
    [-7.97, -13.92, -5.95]
    """

    FRAME: ClassVar = ("table", "contrast")
    KNOWN: ClassVar = ("level",)

    table: pd.DataFrame
    labels: tuple[str, ...]
    title: str
    words: str
    notes: tuple[str, ...]
    level: float
    formula_text: str
    data_name: str
    marginals: Marginals
    question: Question
