"""Records of comparisons: Bayes factors, leave-one-out, and fits beside each other."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, ClassVar, Literal, TypeGuard

import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.options import EffectSide, SentencePart
from hierbayes.results import verbs
from hierbayes.results.exporting import Exportable
from hierbayes.results.finding import Finding
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.printing import Reportable
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.results.rich_text import RichText
from hierbayes.results.tabled import Tabled


@record(kw_only=False)
class SavageDickey:
    """Log Bayes factor by prior over posterior density at zero, with its Monte-Carlo error."""

    log_bf: float
    mcse: float


@record(repr=False)
class BayesFactor(Exportable):
    """How much more likely the data are under one model than under another.

    Attributes
    ----------
    names : the two models in the text, in the order given
    formulas : their formulas
    log_marginal_likelihoods : log p(y) of each
    mcses : Monte-Carlo standard error of each
    log_bf : log Bayes factor of the first against the second
    log_bf_mcse : its Monte-Carlo standard error
    prior_differences : per model the priors, as text, that the other does not have
    n_obs : number of rows
    data_name : name of the data, may be empty
    findings : reasons not to trust it
    dropped : the terms that only the first model has, where one was dropped
    savage_dickey : the same of coefficients by densities at zero, where that is the same question
    by_width : how it depends on the priors of what was dropped: ``factor`` of their widths,
        ``log_bf log_bf_mcse pareto_k refitted``; None where not known
    side : whether the first model has the coefficient "greater" or "less" than zero, or on either
        side: None
    """

    names: tuple[str, str]
    formulas: tuple[str, str]
    log_marginal_likelihoods: tuple[float, float]
    mcses: tuple[float, float]
    log_bf: float
    log_bf_mcse: float
    prior_differences: tuple[tuple[str, ...], tuple[str, ...]]
    n_obs: int
    data_name: str = ""
    findings: tuple[Finding, ...] = ()
    dropped: tuple[str, ...] = ()
    savage_dickey: SavageDickey | None = None
    by_width: pd.DataFrame | None = None
    side: EffectSide | None = None

    @property
    def bf(self) -> float:
        """Bayes factor of the first model against the second; may be infinite or 0."""
        import math

        return math.exp(self.log_bf) if self.log_bf < math.log(1e308) else math.inf

    @property
    def bf_mcse(self) -> float:
        """Monte-Carlo standard error of ``bf``, to first order."""
        return self.bf * self.log_bf_mcse

    def to_frame(self) -> ResultTable:
        """One row: ``bf bf_mcse log_bf log_bf_mcse`` and log p(y) of both models.

        Examples
        --------
        >>> import hierbayes as hb
        >>> model = hb.Model("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
        >>> a = model.sample(random_seed=1)
        >>> b = a.update("Reaction ~ 1 + (1 | Subject)", random_seed=1)
        >>> bool(hb.bayes_factor(a, b).to_frame()["log_bf"].iloc[0] > 10)
        True
        """
        own = {name: getattr(self, name) for name in ("bf", "bf_mcse", "log_bf", "log_bf_mcse")}
        names = ("log_marginal_likelihood_a", "log_marginal_likelihood_b")
        both = dict(zip(names, self.log_marginal_likelihoods, strict=True))
        return result_table([own | both], "bayes_factor")


# What the draws are reweighed over: few parameters, all else in closed form; all but the random
# effects of a factor, integrated out by quadrature; all parameters and random effects.
LooMethod = Literal["exact", "integrated", "draws"]


@record
class LooByDraws:
    """Leave-one-out by the draws of all parameters and random effects, as ``az.loo`` does.

    Attributes
    ----------
    elpd, se, mcse, p_loo : as of ``Loo``
    n_untrusted : number of terms with a Pareto k above 0.7
    pareto_k : the largest k
    pareto_k_of_rows : array, shape (n,)
    """

    elpd: float
    se: float
    mcse: float
    p_loo: float
    n_untrusted: int
    pareto_k: float
    pareto_k_of_rows: FloatArray


@record(repr=False)
class Inclusion(Tabled):
    """How much data speak for each term, averaged over models.

    Attributes
    ----------
    table : index the terms that not all models have; columns ``prior posterior``, probabilities of
        the term over all models, ``log_bf log_bf_mcse``, its inclusion Bayes factor with its
        Monte-Carlo error, NaN where no models match, and ``n_with n_without``, how many models are
        compared
    models : index the formulas; columns ``prior posterior log_bf log_bf_mcse``, the Bayes factor
        against the best
    by_width : terms x factors: the log inclusion Bayes factor where the priors of the term are so
        many times as wide in all models; NaN where that is not known
    matched : whether models with a term are compared with the same ones without it alone
    priors_text : priors in place of the models' own, or empty
    data_name, n_obs : the data
    findings : reasons not to trust it

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    >>> hb.inclusion(model, random_seed=1).to_frame().index.tolist()
    ['Days']
    """

    FRAME: ClassVar = ("table", "inclusion")

    table: pd.DataFrame
    models: pd.DataFrame
    by_width: pd.DataFrame
    matched: bool
    priors_text: str
    data_name: str
    n_obs: int
    findings: tuple[Finding, ...] = ()


@record(repr=False)
class RestrictedFactor(Exportable):
    """How much more likely a statement about parameters is after the data than before.

    Attributes
    ----------
    statement : an inequality or interval, or several
    prior_probability, prior_mcse : of the statement before the data, and its Monte-Carlo error
    posterior_probability, posterior_mcse : after them
    log_bf, log_bf_mcse : of the model restricted to the statement against the whole model
    log_bf_complement, log_bf_complement_mcse : against the model restricted to its opposite
    formula_text, data_name : the model and its data
    findings : reasons not to trust it
    """

    statement: str
    prior_probability: float
    prior_mcse: float
    posterior_probability: float
    posterior_mcse: float
    log_bf: float
    log_bf_mcse: float
    log_bf_complement: float
    log_bf_complement_mcse: float
    formula_text: str
    data_name: str
    findings: tuple[Finding, ...] = ()

    def to_frame(self) -> ResultTable:
        """One row: the statement, its probabilities, both log Bayes factors, and their errors."""
        names = (
            "statement", "prior_probability", "prior_mcse", "posterior_probability",
            "posterior_mcse", "log_bf", "log_bf_mcse", "log_bf_complement",
            "log_bf_complement_mcse",
        )  # fmt: skip
        return result_table([{name: getattr(self, name) for name in names}], "bayes_factor")


@record(repr=False)
class Loo(Tabled):
    """How well a posterior predicts rows, or whole groups of rows, that it has not seen.

    Attributes
    ----------
    elpd : expected log predictive density, summed over what is left out
    se : its standard error, from the spread over what is left out
    mcse : Monte-Carlo standard error of ``elpd``
    p_loo : effective number of parameters; NaN when groups are left out
    by : what is left out at once (a grouping factor, a column, "block"); None for rows
    pointwise : index the label of what is left out; columns ``n_rows elpd mcse pareto_k anew
        refitted``: whether variance parameters were drawn anew for it (k is then of these), and
        whether the model was sampled without it
    what : what exactly is left out, in a sentence or two
    how : what was integrated out and what reweighed, in a sentence
    method : "exact" (closed form given the sds, correlations and sigma), "integrated" (random
        effects of a factor by quadrature) or "draws" (nothing integrated out)
    by_draws : the answer by draws of everything, that of ``az.loo``; None when groups are left out
    formula_text, data_name : the model and its data
    n_draws : number of draws
    findings : reasons not to trust it

    Examples
    --------
    >>> import hierbayes as hb
    >>> post = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff")).sample(
    ...     random_seed=1
    ... )
    >>> hb.loo(post, by="Batch").to_frame().columns.tolist()
    ['n_rows', 'elpd', 'mcse', 'pareto_k', 'anew', 'refitted']
    """

    FRAME: ClassVar = ("pointwise", "loo")

    elpd: float
    se: float
    mcse: float
    p_loo: float
    by: str | None
    pointwise: pd.DataFrame
    what: str
    how: str
    method: LooMethod
    by_draws: LooByDraws | None
    formula_text: str
    data_name: str
    n_draws: int
    findings: tuple[Finding, ...] = ()


@record(repr=False)
class KFold(Tabled):
    """How well the posteriors without a fold predict its rows, or whole groups of them.

    Attributes
    ----------
    elpd : expected log predictive density, summed over rows or groups
    se : its standard error, from the spread over these
    mcse : Monte-Carlo standard error of ``elpd``
    k : number of folds
    by : what stays together (a grouping factor, a column, "block"); None for rows
    stratify : what was dealt evenly into the folds, or None
    pointwise : index the label of the row or group; columns ``n_rows fold elpd mcse``, folds
        counted from 1
    what : what exactly is predicted, in a sentence or two
    formula_text, data_name : the model and its data
    n_draws : number of draws a fold
    findings : reasons not to trust it

    Examples
    --------
    >>> import hierbayes as hb
    >>> post = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff")).sample(
    ...     random_seed=1
    ... )
    >>> hb.kfold(post, k=3, by="Batch", random_seed=1).to_frame().columns.tolist()
    ['n_rows', 'fold', 'elpd', 'mcse']
    """

    FRAME: ClassVar = ("pointwise", "kfold")

    elpd: float
    se: float
    mcse: float
    k: int
    by: str | None
    stratify: str | None
    pointwise: pd.DataFrame
    what: str
    formula_text: str
    data_name: str
    n_draws: int
    findings: tuple[Finding, ...] = ()


@record(repr=False)
class ElpdComparison(Tabled):
    """Posteriors of different models by how well they predict what was left out.

    Attributes
    ----------
    table : index the names of the models, the best first; columns ``elpd se p_loo elpd_diff
        se_diff high_k``: differences are from the best model, ``high_k`` counts untrusted terms;
        of k-fold ``p_loo`` is missing and no term untrusted
    formulas : name of each model -> its formula
    what : what exactly is left out, in a sentence or two
    verdict : the differences in words
    data_name : name of the data, may be empty
    n_obs : number of rows
    k : number of folds; None for leave-one-out
    findings : reasons not to trust it
    """

    FRAME: ClassVar = ("table", "loo")

    table: pd.DataFrame
    formulas: Mapping[str, str]
    what: str
    verdict: str
    data_name: str
    n_obs: int
    k: int | None = None
    findings: tuple[Finding, ...] = ()


@record(repr=False)
class ComparedFit[Kind: Fit]:
    """One of the fits of a comparison.

    Attributes
    ----------
    name : as printed: "REML", "ML", "posterior" or a name given
    prefix : of its columns in the frame: "reml", "ml", "posterior", "posterior_1"
    fit : LikelihoodFit or PosteriorFit
    """

    name: str
    prefix: str
    fit: Kind = field(repr=False)

    @property
    def is_posterior(self) -> bool:
        """Whether it is a posterior."""
        return isinstance(self.fit, PosteriorFit)


def likelihood_fits(fits: Iterable[ComparedFit[Fit]]) -> list[ComparedFit[LikelihoodFit]]:
    """Return the fits by REML and ML among those of a comparison."""
    return [own for own in fits if _is_likelihood(own)]


def posterior_fits(fits: Iterable[ComparedFit[Fit]]) -> list[ComparedFit[PosteriorFit]]:
    """Return the posteriors among the fits of a comparison."""
    return [own for own in fits if _is_posterior(own)]


def _is_likelihood(own: ComparedFit[Fit]) -> TypeGuard[ComparedFit[LikelihoodFit]]:
    return isinstance(own.fit, LikelihoodFit)


def _is_posterior(own: ComparedFit[Fit]) -> TypeGuard[ComparedFit[PosteriorFit]]:
    return isinstance(own.fit, PosteriorFit)


@record(repr=False)
class Comparison(Tabled, Reportable):
    """REML, ML and posterior fits of one model on the same data, parameter by parameter.

    Attributes
    ----------
    table : index the parameters' names; columns ``effect``; for each REML or ML fit (prefix
        ``reml_``, ``ml_``) ``estimate se low high p_value``; for each posterior (``posterior_``)
        ``mean median mode sd low high prob_positive shift shift_unit width_ratio prior_pull``; and
        ``why``. ``shift`` is (posterior median - estimate) / unit with ``shift_unit`` "SE"
        (standard error of the likelihood fit) or "sd" (posterior sd, where it has none);
        ``width_ratio`` compares the intervals; ``prior_pull`` is by how many posterior sds the
        posterior mean moves, to first order, when the prior is weighted twice
    fits : the fits, likelihood fits first
    formula_text, data_name : the model and its data
    n_obs : number of rows
    n_groups : levels of each grouping factor
    intervals : kind and level of the intervals of each kind of fit, a sentence each
    priors : parameter and prior as text, one a line, per posterior where they differ
    samplers : one line a posterior: draws and sampler
    shift_of : the name of the fit the shifts are measured from; empty without one
    level : level of all intervals
    findings : findings of the fits, each with the fit's name

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> table = hb.compare(model.fit("reml"), model.sample(random_seed=1)).to_frame()
    >>> table["reml_estimate"].round(2).to_dict()["sigma"]
    49.51
    """

    FRAME: ClassVar = ("table", "compare")
    KNOWN: ClassVar = ("level",)

    table: pd.DataFrame
    fits: tuple[ComparedFit[Fit], ...]
    formula_text: str
    data_name: str
    n_obs: int
    n_groups: Mapping[str, int]
    intervals: tuple[str, ...]
    priors: tuple[str, ...]
    samplers: tuple[str, ...]
    shift_of: str
    level: float
    findings: tuple[tuple[str, Finding], ...] = ()

    def sentence(
        self, *, part: SentencePart = "both", labels: Mapping[str, str] | None = None
    ) -> RichText:
        """Return a methods and a results paragraph for a paper: what differs, by how much, and why.

        Parameters
        ----------
        part : {"both", "methods", "results"}
        labels : mapping, optional
            What parameters are called.

        Returns
        -------
        str
            Two paragraphs, or the one asked for.

        Examples
        --------
        >>> import hierbayes as hb
        >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> text = hb.compare(model.fit("reml"), model.fit("ml")).sentence(part="results")
        >>> print(text)
        Fixed effects of ML differ from REML by at most 0.00 standard errors ((Intercept)).
        """
        found: RichText = verbs.ask(self, "sentence", part=part, labels=labels)
        return found

    def plot(self, **options: Any) -> Any:
        """Draw the comparison; the options are those of ``hb.plot.compare``.

        Returns
        -------
        figure, axes
            As of ``hb.plot.compare``.

        Examples
        --------
        >>> import hierbayes as hb
        >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> figure, axes = hb.compare(model.fit("reml"), model.sample(random_seed=1)).plot()
        >>> len(axes)
        4
        """
        return verbs.ask(self, "picture", **options)
