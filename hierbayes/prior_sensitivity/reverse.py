"""Reverse-Bayes: the prior about zero under which the data just convince.

The wider a prior about zero, the less it holds a coefficient there. The critical width is the
widest at which the interval still holds zero: a sceptic with a narrower prior is not convinced.
With a normal likelihood of estimate b and error s it is s / sqrt(b^2 / (z s)^2 - 1).

Source: Matthews (2001), J. Statist. Plann. Inference 94:43; Held (2019), J. R. Stat. Soc. A
182:431.
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from hierbayes.prior_sensitivity.explorer import Explorer, Found
from hierbayes.priors.distributions import Prior
from hierbayes.priors.lkj import LKJ
from hierbayes.priors.parameter_names import Parameter
from hierbayes.priors.prior_widths import centred_at_zero, with_width
from hierbayes.results.chains import errors_of_means
from hierbayes.results.sensitivity import ReverseBayes

NARROWER = 2.0  # times, step of the search below the widths of the curve
MOST_STEPS = 12
EXACT = 1e-4  # of a log width: far below its Monte-Carlo error
STEP = 0.05  # of a log width, for the slope of the end of the interval
UNLIKELY = 0.05  # probability of effects that a sceptic thinks unlikely
AGAIN = 3  # times the root is looked for with draws that were made near the last one


def reverse_bayes(
    explorer: Explorer, changed: tuple[Parameter, Prior | LKJ], table: pd.DataFrame
) -> ReverseBayes | None:
    """Return the critical width of a prior about zero; None of any other prior."""
    parameter, law = changed
    if not centred_at_zero(law):
        return None
    name, percent = parameter.name, f"{100 * explorer.level:g} %"
    rows = table[np.isfinite(table["width"]) & table["lower"].notna()]
    if rows.empty:
        return None
    holds = ((rows["lower"] <= 0) & (rows["upper"] >= 0)).to_numpy()
    widths = rows["width"].to_numpy(dtype=np.float64)
    if holds[-1]:
        kind = type(law).__name__
        sentence = (
            f"The {percent} interval of {name} holds zero under every {kind} prior about zero of "
            f"a width up to {widths[-1]:.4g}: there is nobody for the data to convince."
        )
        return ReverseBayes(width=math.nan, width_mcse=math.nan, prior="", sentence=sentence)
    edge = "lower" if float(rows["estimate"].iloc[-1]) > 0 else "upper"

    def at(log_width: float) -> Found:
        width = math.exp(log_width)
        return explorer.found({parameter: with_width(law, width)}, np.array([log_width]))

    def end(log_width: float) -> float:
        return float(getattr(at(log_width).answer, edge))

    inside = np.flatnonzero(holds)
    if inside.size:
        low, high = math.log(widths[inside[-1]]), math.log(widths[inside[-1] + 1])
    else:
        high = low = math.log(widths[0])
        for _ in range(MOST_STEPS):
            low -= math.log(NARROWER)
            found = at(low)
            if not found.is_trusted:
                return None
            if found.answer.lower <= 0 <= found.answer.upper:
                break
            high = low
        else:
            return None
    critical = _root(end, low, high)
    found = at(critical)
    if not found.is_trusted:
        return None
    shape = explorer.fit.draws.beta.shape[:2]
    column = 1 if edge == "lower" else 2
    error = float(errors_of_means(found.answer.influences[:, [column]].reshape(*shape, 1))[0])
    slope = (end(critical + STEP) - end(critical - STEP)) / (2 * STEP)
    width = math.exp(critical)
    prior = with_width(law, width)
    assert isinstance(prior, Prior)
    far = float(prior.quantile(1 - UNLIKELY / 2))
    sentence = (
        f"The widest prior about zero under which the {percent} interval of {name} holds zero is "
        f"{prior}: these data do not convince whoever gave effects beyond {far:.3g} a probability "
        f"of less than {100 * UNLIKELY:g} %, and convince whoever gave them more."
    )
    mcse = width * error / abs(slope)
    return ReverseBayes(width=width, width_mcse=mcse, prior=str(prior), sentence=sentence)


def _root(end: Callable[[float], float], low: float, high: float) -> float:
    """Log width at which an end of the interval is zero; wider where draws differ at the ends."""
    for _ in range(AGAIN):
        if end(low) * end(high) <= 0:
            break
        low, high = low - STEP, high + STEP
    return float(brentq(end, low, high, xtol=EXACT))
