"""What the response is called at an axis, on its scale, and what its categories are called."""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.design.values import Factor
from hierbayes.families.observations import category_labels
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Call, Name
from hierbayes.formula.terms import Formula
from hierbayes.options import PredictionType
from hierbayes.plots.labels import bundled_unit
from hierbayes.specification.specified import Specified


def response_words(fit: Specified, scale: PredictionType) -> str:
    """Name an expected response on a scale, with its unit where a bundled data set tells it."""
    name = fit.design.formula.response_label
    if scale == "probability":
        return f"probability of {name}"
    if scale == "link":
        return f"{fit.link} of the mean of {name}"
    if fit.spec.family.counts_trials or fit.family == "bernoulli":
        return f"probability of {success_name(fit)}"
    if fit.spec.family.is_ordinal:
        return f"mean category of {name}"
    return observed_words(fit)


def observed_words(fit: Specified) -> str:
    """Name responses as they are observed, with their unit; of trials their shares."""
    name = fit.design.formula.response_label
    if fit.spec.family.counts_trials and success_name(fit) != name:
        return f"share of {success_name(fit)}"
    unit = bundled_unit(fit.data_name, name, fit.design.y) if fit.design.y.ndim == 1 else ""
    return f"{name} ({unit})" if unit else name


def success_name(fit: Specified) -> str:
    """Name what a probability is of: a level, what is counted first, or the response."""
    levels = _two_levels(fit)
    name = counted_name(fit.design.formula)
    return f"{name} = {levels[1]}" if levels else name


def counted_name(formula: Formula) -> str:
    """Name what is counted first in ``cbind(successes, failures)``; else the response."""
    response = formula.response
    if isinstance(response, Call) and response.function == "cbind":
        return deparse(response.arguments[0])
    return formula.response_label


def category_names(fit: Specified, values: FloatArray) -> list[str]:
    """Name values (K,) of a response of few values: by levels where it has them."""
    if fit.spec.family.is_ordinal and values.size > 1:
        labels = [str(label) for label in category_labels(fit.design, values.size)]
        if len(labels) == values.size:
            return labels
    levels = _two_levels(fit)
    if levels and set(values.tolist()) <= {0.0, 1.0}:
        return [levels[int(value)] for value in values]
    return [f"{value:g}" for value in np.asarray(values)]


def _two_levels(fit: Specified) -> tuple[str, ...]:
    response = fit.design.formula.response
    if not isinstance(response, Name):
        return ()
    column = fit.design.rows.of(fit.spec.table.column(response.name))
    if not isinstance(column, Factor) or len(column.levels) != 2:
        return ()
    return tuple(map(str, column.levels))
