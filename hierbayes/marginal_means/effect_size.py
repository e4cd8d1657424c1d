"""Differences of marginal means in units of a standard deviation (Cohen's d of a model).

d = (difference) / sigma, with the variance of the difference over sigma^2 and, as log sigma has
the variance 1 / (2 edf), d_i d_j / (2 edf) on top.

Source: Lenth (2016), J. Stat. Softw. 69(1); the variance is that of R's ``emmeans::eff_size``.
"""

from typing import Any

from hierbayes.calls import checked_call
from hierbayes.errors import OptionError
from hierbayes.results import verbs
from hierbayes.results.emmeans_table import EmmeansTable, MarginalTests
from hierbayes.wording import shown


@checked_call("hb.eff_size")
def eff_size(
    means: EmmeansTable | MarginalTests,
    sigma: Any,
    *,
    edf: float | None = None,
    contrasts: Any = "pairwise",
    level: float | None = None,
) -> MarginalTests:
    """Give differences of marginal means in units of a standard deviation.

    Parameters
    ----------
    means : EmmeansTable or MarginalTests
        Of ``hb.emmeans``, whose pairwise differences are taken; or contrasts as they are.
    sigma : float
        The standard deviation to divide by, in units of the response: for example ``fit.sigma``,
        or the root of the sum of all variances where the spread of new observations is meant. For a
        posterior also an array (S,), one of each draw.
    edf : float
        Degrees of freedom of ``sigma``, of a likelihood fit only; infinite for a known one.
    contrasts : as of ``EmmeansTable.contrast``
    level : float, optional
        Of the intervals; that of ``means`` unless said.

    Returns
    -------
    MarginalTests
        Intervals by the degrees of freedom of the difference.

    Raises
    ------
    OptionError
        If sigma is not above zero, edf is missing, or the means are on the response scale of a
        model with a link.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
    >>> total = (fit.varcorr().to_frame()["vcov"].sum()) ** 0.5
    >>> found = hb.eff_size(hb.emmeans(fit, "Machine"), total, edf=10)
    >>> found.to_frame()["estimate"].round(2).tolist()
    [-1.3, -2.27, -0.97]
    """
    if not isinstance(means, EmmeansTable | MarginalTests):
        raise OptionError(
            f"eff_size is about a table of marginal means, hb.emmeans(fit, ...); it got "
            f"{shown(means)}."
        )
    found: MarginalTests = verbs.ask(
        means, "eff_size", sigma, edf=edf, contrasts=contrasts, level=level
    )
    return found
