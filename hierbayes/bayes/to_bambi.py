"""The same model in bambi, where bambi can express it: independent random effects.

bambi gets the columns of the design by plain names, never the text of the user's formula: its
parser runs code that a formula holds. So ``factor(recipe)B`` arrives as the column
``factor_recipe_B``. Priors are ours, on the same quantities (bambi's intercept, too, is at
centred predictors), and the log density is the same. For thresholds, which bambi leaves where all
predictors are zero, it gets centred columns; it does without the constant log K! of K thresholds in
their order.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.arrays import IntArray
from hierbayes.bayes.pymc_likelihood import is_bambis
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.families.family import Family
from hierbayes.families.observations import checked_observations
from hierbayes.families.parameter_formulas import check_no_formulas
from hierbayes.gaussian.pattern.related import check_unrelated
from hierbayes.gaussian.structures import check_unstructured
from hierbayes.naming.variable_names import variable_name
from hierbayes.priors.distributions import POSITIVE, Flat, HalfFlat, Prior
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.specification.specification import Specification

if TYPE_CHECKING:
    import bambi as bmb

INTERCEPT = "(Intercept)"


def bambi_model(spec: Specification) -> "bmb.Model":
    """Return the ``bambi.Model``, not yet built.

    Raises
    ------
    NotSupportedError
        For correlated random effects, precision weights, known sds and families of one's own; the
        message says what bambi lacks.
    """
    design, priors, family = spec.design, spec.priors, spec.family
    check_unstructured(design, "to_bambi")
    check_unrelated(design, "to_bambi")
    if design.residual is not None:
        raise not_supported("bambi-residuals", term=design.residual.call)
    check_no_formulas(design, "to_bambi")
    import bambi as bmb

    _check_expressible(design, family)
    frame = _Frame()
    right = [_fixed_part(design, spec.kept_columns, priors, frame)]
    chosen = dict(frame.priors)
    for f, factor in enumerate(design.factors):
        levels = factor.levels.astype(str)
        group = frame.add(factor.name, pd.Categorical(levels[factor.codes], levels))
        for c, column in enumerate(factor.columns):
            z = factor.z[:, c]
            name = "1" if column == INTERCEPT else frame.add(column, z)
            right.append(f"(1|{group})" if name == "1" else f"(0 + {name}|{group})")
            sd = _prior(priors.sd[f][c], positive=True)
            chosen[f"{name}|{group}"] = bmb.Prior("Normal", mu=0, sigma=sd)
    if design.offset is not None:
        right.append(f"offset({frame.add('offset_', design.offset)})")
    if priors.sigma is not None:
        chosen["sigma"] = _prior(priors.sigma, positive=True)
    increasing = {parameter.name for parameter in family.parameters if parameter.increasing}
    for name, prior in priors.family.items():
        chosen[name] = _increasing(prior) if name in increasing else _prior(prior)
    left = _response(design, family, frame)
    return bmb.Model(
        f"{left} ~ {' + '.join(right)}",
        pd.DataFrame(frame.columns),
        family=family.name,
        link=family.link.name,
        priors=chosen,
        auto_scale=False,
    )


class _Frame:
    """Columns for bambi, each under a plain name of its own."""

    def __init__(self) -> None:
        self.columns: dict[str, Any] = {}
        self.priors: dict[str, Any] = {}

    def add(self, label: str, values: Any) -> str:
        """Add a column, or find it where the same one is there; return its name."""
        plain, count = variable_name(label), 1
        name = plain
        while name in self.columns:
            if np.array_equal(np.asarray(self.columns[name]), np.asarray(values)):
                return name
            count += 1
            name = f"{plain}_{count}"
        self.columns[name] = values
        return name


def _check_expressible(design: Design, family: Family) -> None:
    if not family.is_builtin:
        raise not_supported("bambi-own-family", family=family.name)
    if not is_bambis(family):
        raise not_supported("bambi-link", family=family.name, link=family.link.name)
    for term in design.terms:
        if len(term.columns) > 1:
            factor = design.factors[term.factor]
            columns = ", ".join(factor.columns[c] for c in term.columns)
            raise not_supported(
                "bambi-correlations", term=term.label, columns=columns, factor=factor.name
            )
    if design.known_sd is not None:
        raise not_supported("bambi-known-sd")
    if design.weights is not None and not family.counts_trials:
        raise not_supported("bambi-weights")


def _fixed_part(design: Design, kept: IntArray, priors: ModelPriors, frame: _Frame) -> str:
    parts = ["0" if priors.intercept is None else "1"]
    for k, column in enumerate(kept):
        if k == priors.intercept:
            frame.priors["Intercept"] = _prior(priors.beta[k])
            continue
        shift = priors.centre[k] if priors.intercept is None else 0.0
        name = frame.add(design.coef_names[column], design.X[:, column] - shift)
        frame.priors[name] = _prior(priors.beta[k])
        parts.append(name)
    return " + ".join(parts)


def _response(design: Design, family: Family, frame: _Frame) -> str:
    label = design.formula.response_label
    observed = checked_observations(design, family)
    if family.counts_trials:
        successes = frame.add("successes", observed[:, 0].astype(int))
        return f"p({successes}, {frame.add('trials', observed[:, 1].astype(int))})"
    if family.is_ordinal:
        codes = observed.astype(int)
        categories = np.arange(codes.max() + 1).astype(str)
        return frame.add(label, pd.Categorical(categories[codes], categories, ordered=True))
    return frame.add(label, observed)


def _prior(prior: Prior, *, positive: bool = False) -> "bmb.Prior":
    import bambi as bmb

    if positive and isinstance(prior, Flat) and prior.bounds() != POSITIVE:
        prior = HalfFlat()
    named = {prior.pymc_names.get(k, k): np.asarray(v) for k, v in prior.parameters().items()}
    return bmb.Prior(type(prior).__name__, **named)


def _increasing(prior: Prior) -> Any:
    import bambi as bmb
    import pymc as pm

    ordered = pm.distributions.transforms.ordered
    return bmb.Prior(type(prior).__name__, **_prior(prior).args, transform=ordered)
