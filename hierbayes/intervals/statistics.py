"""What a bootstrap keeps of each replicate: the parameters, or a statistic of the user's."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.errors import HierBayesError, OptionError
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.wording import shown

Statistic = Callable[[Any], Any]

# What a statistic of the user's may raise on an unusual replicate, which then counts as failed.
UNUSUAL = (HierBayesError, ArithmeticError, ValueError)


@record(kw_only=False)
class Replicates:
    """Values (c, m), whether the refit failed and whether it is on the boundary (c,)."""

    values: FloatArray
    failed: BoolArray
    boundary: BoolArray
    failures: tuple[str, ...] = ()


def named_numbers(statistic: Statistic, fit: LikelihoodFit) -> dict[str, float]:
    """Return what a statistic says about a fit, as numbers with names.

    Raises
    ------
    OptionError
        If it is not a function, or returns anything but numbers.
    """
    if not callable(statistic):
        raise OptionError(
            f"statistic={shown(statistic)} must be a function of a fit, for example "
            "lambda fit: fit.sigma ** 2."
        )
    value = statistic(fit)
    if isinstance(value, pd.Series):
        items = dict(zip(_told_apart(value.keys()), value.to_list(), strict=True))
    elif isinstance(value, Mapping):
        items = {str(name): number for name, number in value.items()}
    else:
        name = getattr(statistic, "__name__", "")
        items = {name if name.isidentifier() else "statistic": value}
    try:
        found = {name: float(number) for name, number in items.items()}
    except (TypeError, ValueError):
        found = {}
    if found and len(found) == (len(value) if isinstance(value, pd.Series | Mapping) else 1):
        return found
    raise OptionError(
        f"The statistic returned {type(value).__name__}; it must return a number, or a dict or "
        "Series of numbers with different names."
    )


def _told_apart(names: Iterable[Any]) -> list[str]:
    """Return names as text, the second of two alike with its number: ``AB1``, ``AB1 (2)``."""
    found: list[str] = []
    for name in map(str, names):
        count, own = 1, name
        while own in found:
            count += 1
            own = f"{name} ({count})"
        found.append(own)
    return found
