"""Responses drawn from a formula, data without a response, and parameters: no fit is needed.

    eta = X beta + Z b + offset,   b ~ N(0, Sigma),   y ~ family(eta, phi)

The design is that of a model of the same formula, whose names the parameters have.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.predictive import FlatDraws, linear_predictor, row_blocks
from hierbayes.bayes.response import observed_response
from hierbayes.calls import checked_call
from hierbayes.design.alignment import aligned
from hierbayes.design.design import Design
from hierbayes.design.table import Table, read_table
from hierbayes.errors import OptionError
from hierbayes.families.family import Family
from hierbayes.families.named import family_named
from hierbayes.families.observations import no_responses
from hierbayes.formula.expressions import Name, names_in
from hierbayes.formula.parser import parse_formula
from hierbayes.options import check_count, random_generator
from hierbayes.prediction.given_parameters import given_values, slots_of, with_parameters
from hierbayes.specification.build import specify
from hierbayes.specification.specification import Arguments, Specification
from hierbayes.wording import listed, shown

UNNAMED = "response"  # of a formula without a left side


@checked_call("hb.simulate")
def simulate(
    formula: str,
    data: Any,
    parameters: Mapping[str, float],
    *,
    family: str | Family = "gaussian",
    link: str | None = None,
    nsim: int = 1,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, str] | None = None,
    known_sd: Any = None,
    random_seed: Any = None,
) -> pd.DataFrame:
    """Draw responses of a model from its formula and parameters, without a fit.

    Parameters
    ----------
    formula : str
        Its left side names the response, which need not be in the data; it may be left out. Of
        ``cbind(k, n - k)`` the trials ``n`` are to be there.
    data : data frame, dict of arrays or path
        Predictors and grouping factors.
    parameters : dict, name -> number
        All of them: coefficients, sds and correlations of random effects (on the scale of the
        linear predictor), ``"sigma"``, and those of the family, ``"threshold[1]"``, ... by any of
        their names. An error lists those that are missing.
    family, link, weights, offset, contrasts, known_sd : as of ``hb.Model``
    nsim : int
        Number of responses, each with random effects of its own.
    random_seed : int, Generator or SeedSequence

    Returns
    -------
    DataFrame, shape (rows of data, nsim), columns ``sim_1`` ...
        Of ``log(y) ~ ...`` logarithms, of ``cbind()`` successes, of ordered categories their
        numbers from 1. NaN in rows with a missing predictor or level.

    Raises
    ------
    OptionError
        If parameters are missing, or are no values of such parameters.
    FormulaError, DataError
        As ``hb.Model``.

    Examples
    --------
    >>> import hierbayes as hb
    >>> plan = {"x": [0, 1] * 10, "who": [i // 2 for i in range(20)]}
    >>> truth = {"Intercept": 300, "x": 20, "sd((Intercept)|who)": 30, "sigma": 25}
    >>> hb.simulate("rt ~ x + (1 | who)", plan, truth, nsim=2, random_seed=1).shape
    (20, 2)
    """
    check_count("nsim", nsim)
    options = {"weights": weights, "offset": offset, "contrasts": contrasts, "known_sd": known_sd}
    given = Arguments(**options, family=family, link=link)
    table = read_table(data)
    written = written_model(formula, table, parameters, given, count=nsim)
    drawn = _drawn(written, random_generator(random_seed))
    out = np.full((table.n_rows, nsim), np.nan)
    out[written.spec.design.rows.positions] = drawn.T
    return pd.DataFrame(out, index=table.index, columns=[f"sim_{i + 1}" for i in range(nsim)])


@record(kw_only=False)
class WrittenModel:
    """A model of a formula and of data without a response, and draws that hold its parameters."""

    spec: Specification
    flat: FlatDraws


def written_model(
    formula: str, table: Table, parameters: Any, given: Arguments, *, count: int
) -> WrittenModel:
    """Return a model whose parameters are written down, ``count`` draws that are all the same.

    ``given`` are the arguments of ``hb.Model`` as the user gave them. The errors are those of
    ``simulate``.
    """
    if not isinstance(parameters, Mapping):
        raise OptionError(
            f"parameters={shown(parameters)} must be a dict from names of parameters to numbers."
        )
    chosen = family_named(given.family, given.link)
    if chosen.draw is None and not chosen.is_ordinal:
        raise no_responses(chosen)
    if isinstance(formula, str) and formula.lstrip().startswith("~"):
        formula = f"{UNNAMED} {formula}"
    thresholds = _n_thresholds(chosen, parameters)
    texts = (given.weights, given.offset, given.known_sd)
    beside = " ".join(text for text in texts if isinstance(text, str))
    lined_up = {
        name: aligned(name, getattr(given, name), table.index)
        for name in ("weights", "offset", "known_sd")
    }
    columns = _with_response(formula, table, chosen, thresholds=thresholds, beside=beside)
    spec = specify(formula, columns, replace(given, **lined_up))
    return WrittenModel(spec, _written(spec, parameters, thresholds, count))


def _written(
    spec: Specification, parameters: Mapping[str, float], thresholds: int, count: int
) -> FlatDraws:
    """Return draws that hold the parameters."""
    design, family = spec.design, spec.family
    kept = kept_coefficients(spec)
    has_sigma = family.weighs_sigma and design.known_sd is None
    flat = _empty(design, family, kept, thresholds=thresholds, count=count)
    slots = slots_of(design, kept.tolist(), flat, has_sigma=has_sigma)
    values = given_values(parameters, slots)
    missing = [label for place, label in enumerate(slots.labels) if place not in values]
    if missing:
        names = listed([repr(label) for label in missing])
        raise OptionError(f"parameters lacks {names}; give each a number.")
    return with_parameters(flat, values, slots, design=design, family=family)


def _drawn(written: WrittenModel, rng: np.random.Generator) -> FloatArray:
    """Responses (nsim, n) of the rows of a model."""
    spec, flat = written.spec, written.flat.with_new_groups(rng)
    design, nsim = spec.design, flat.n_draws
    response, X = observed_response(spec), design.X[:, kept_coefficients(spec)]
    out = np.empty((nsim, X.shape[0]))
    for rows in row_blocks(nsim, X.shape[0]):
        eta = linear_predictor(flat, X, design.factors, offset=design.offset, rows=rows)
        out[:, rows] = response.draw(eta, flat, rows, rng)
    return out / response.trials if _are_proportions(spec) and response.trials is not None else out


def kept_coefficients(spec: Specification) -> IntArray:
    """Return the columns of X that parameters are written down for: thresholds are no intercept."""
    return np.flatnonzero((spec.design.assign != 0) | (not spec.family.is_ordinal))


def _are_proportions(spec: Specification) -> bool:
    return spec.family.counts_trials and spec.design.y.ndim == 1


def _empty(
    design: Design, family: Family, kept: IntArray, *, thresholds: int, count: int
) -> FlatDraws:
    """Draws of the right shapes, to be filled."""
    correlated = {term.factor for term in design.terms if len(term.columns) > 1}
    sizes = [factor.z.shape[1] for factor in design.factors]
    return FlatDraws(
        beta=np.zeros((count, kept.size)),
        sigma=np.ones(count),
        sd=tuple(np.zeros((count, q)) for q in sizes),
        corr=tuple(
            np.tile(np.eye(q), (count, 1, 1)) if f in correlated else None
            for f, q in enumerate(sizes)
        ),
        b=tuple(
            np.zeros((count, factor.levels.size, q))
            for factor, q in zip(design.factors, sizes, strict=True)
        ),
        family={
            p.name: np.zeros((count, thresholds) if p.prior == "cuts" else count)
            for p in family.further_parameters
        },
        relations=tuple(factor.relation for factor in design.factors),
    )


def _n_thresholds(family: Family, parameters: Mapping[str, float]) -> int:
    """Count the thresholds among the names given."""
    cuts = next((p.name for p in family.parameters if p.prior == "cuts"), None)
    if cuts is None:
        return 0
    count = sum(str(name).startswith(f"{cuts}[") for name in parameters)
    if not count:
        raise OptionError(
            f"parameters of family={family.name!r} need thresholds between the categories: "
            f"'{cuts}[1]', '{cuts}[2]', ..."
        )
    return count


def _with_response(
    formula: str, table: Table, family: Family, *, thresholds: int, beside: str
) -> dict[str, Any]:
    """Return the columns of a table with a response that the family can have, to be drawn anew."""
    has_dot = "." in str(formula)
    left = parse_formula(formula, table.names if has_dot else None).response
    text = f"{formula} {beside}"
    used = [name for name in table.names if has_dot or name in text]
    columns: dict[str, Any] = {name: table.raw(name) for name in used}
    absent = [name for name in names_in(left) if name not in columns]
    if isinstance(left, Name):
        absent = list(names_in(left))  # one that is there may have gaps
    m = table.n_rows
    if isinstance(left, Name):
        values = _some_response(family, m, thresholds)
    elif family.counts_trials:  # successes: none where the failures are what is left of the trials
        rest = str(formula).lstrip().startswith("cbind")
        values = np.zeros(m) if rest else np.asarray(np.arange(m) % 2.0)
    else:
        values = np.asarray(1 + _between_ends(m))  # what logarithms and roots take
    return columns | dict.fromkeys(absent, values)


def _between_ends(m: int) -> FloatArray:
    """Different numbers (m,) between 0 and 1."""
    return np.asarray((np.arange(m) + 0.5) / max(m, 1))


def _some_response(family: Family, m: int, thresholds: int) -> FloatArray:
    """Return numbers (m,) that could be responses."""
    k = np.arange(m, dtype=np.float64)
    if family.is_ordinal:
        return 1 + k % (thresholds + 1)
    if family.counts_trials or family.reads_categories:
        return k % 2
    spread, support = _between_ends(m), family.support
    for y in (np.log(spread / (1 - spread)), 1 + spread, spread, k % 2, 1 + k % 3):
        if support is None or support.holds(y).all():
            return np.asarray(y)
    raise no_responses(family)
