"""Records of sensitivity: along the width of a prior, over two, and under powers of each part."""

from typing import ClassVar

import pandas as pd

from hierbayes.arrays import record
from hierbayes.results.finding import Finding
from hierbayes.results.tabled import Tabled


@record
class Reference:
    """What the likelihood alone says, by REML or ML; NaN where it has no such number."""

    method: str
    estimate: float
    lower: float
    upper: float


@record
class ReverseBayes:
    """The sceptic whom the data just convince.

    Attributes
    ----------
    width : of the widest prior about zero under which the interval holds zero, in units of the
        coefficient; NaN where the interval holds zero under each, or under none
    width_mcse : its Monte-Carlo standard error
    prior : that prior as text; empty where there is none
    sentence : what it says
    """

    width: float
    width_mcse: float
    prior: str
    sentence: str


@record(repr=False)
class Sensitivity(Tabled):
    """What a posterior says of a parameter as the widths of one or two priors change.

    Attributes
    ----------
    parameters : the parameters whose priors change, one or two
    of : the parameter asked about
    table : one row a prior (a pair of them): ``width`` (``width_1`` and ``width_2``), of
        correlations eta; ``factor``, against the width of the fit; ``prior`` as text; ``estimate
        std_error lower upper``; ``prob_positive``, missing for an sd; ``log_bf`` for the
        coefficient against zero, with the odds of it before the data that are just enough to give
        it a probability of ``level`` after them, ``least_prior_odds``; ``log_bf_prior``, the log
        Bayes factor of this prior against that of the fit; Monte-Carlo errors ``estimate_mcse
        lower_mcse upper_mcse prob_positive_mcse log_bf_mcse log_bf_prior_mcse``; ``ess`` and
        ``pareto_k`` of the weights; ``refitted``, whether the model was sampled for it
    fitted : widths of the priors of the fit
    reference : estimate and interval without priors; None of an sd that is at no estimate
    reverse : of a coefficient whose prior is centred at zero; else None
    level : of the equal-tailed intervals
    n_refits : how often the model was sampled
    formula_text, data_name : the model and its data
    findings : reasons not to trust it

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> found = hb.sensitivity(model.sample(random_seed=1), "sigma", widths=[20, 40, 80])
    >>> len(found.to_frame())
    4
    """

    FRAME: ClassVar = ("table", "sensitivity")
    KNOWN: ClassVar = ("level", "kind")
    kind: ClassVar = "eti"

    parameters: tuple[str, ...]
    of: str
    table: pd.DataFrame
    fitted: tuple[float, ...]
    reference: Reference | None
    reverse: ReverseBayes | None
    level: float
    n_refits: int
    formula_text: str
    data_name: str
    findings: tuple[Finding, ...] = ()


@record(repr=False)
class PowerScaling(Tabled):
    """How much a posterior moves as its priors or its likelihood count more or less.

    Attributes
    ----------
    table : index the parameters; columns ``prior`` and ``likelihood``, the sensitivity to all
        priors and to the likelihood; ``strongest``, the parameter whose prior moves it most;
        ``diagnosis``
    by_prior : parameters x priors: the sensitivity to each prior alone
    threshold : sensitivity from which something is said to matter
    alphas : powers
    formula_text, data_name : the model and its data
    findings : reasons not to trust it

    Examples
    --------
    >>> import hierbayes as hb
    >>> post = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff")).sample()
    >>> hb.sensitivity(post).to_frame().index[-1]
    'sigma'
    """

    FRAME: ClassVar = ("table", "power_scaling")

    table: pd.DataFrame
    by_prior: pd.DataFrame
    threshold: float
    alphas: tuple[float, float]
    formula_text: str
    data_name: str
    findings: tuple[Finding, ...] = ()
