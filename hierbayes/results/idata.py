"""Posterior draws as an ``xarray.DataTree`` with labels, the form ArviZ reads.

Variables ``beta[coef]``, ``sigma`` and per grouping factor ``sd_Subject[Subject__term]``,
``corr_Subject[Subject__term, Subject__term_bis]``, ``b_Subject[Subject, Subject__term]``; all
begin with the dimensions chain and draw. What belongs to the formula of a further parameter has the
parameter's name before, ``sigma_beta[sigma_coef]``, ``sigma_sd_Subject``. The arrays are those of
the draws, not copies.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.arrays import IntArray, record
from hierbayes.design.design import Design
from hierbayes.naming.addresses import coefficient_addresses, effect_labels
from hierbayes.naming.variable_names import (
    COEF,
    OBS,
    behind,
    factor_variables,
    response_variable,
    term_dims,
    visit_dims,
)
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.visit_correlations import as_matrix, matrix_variable

if TYPE_CHECKING:
    from xarray import Dataset

SAMPLE = ("chain", "draw")


@record
class Labels:
    """Names of variables and dimensions of one design.

    Attributes
    ----------
    design : Design
    kept : array of int, the columns of X that were kept
    coef_labels : their names, each once (``naming/addresses.py``)
    factors : grouping factor -> its name among variables and dimensions
    response : name of the response among variables
    visits : labels of the visits whose residuals have correlations of their own; else none
    formulas : the names of each further parameter that has a formula, without it before them
    """

    design: Design
    kept: IntArray
    coef_labels: tuple[str, ...]
    factors: Mapping[str, str]
    response: str
    visits: tuple[str, ...] = ()
    formulas: Mapping[str, "Labels"] = field(default_factory=dict)

    @property
    def coords(self) -> dict[str, Any]:
        """Labels of every dimension but chain, draw and obs."""
        found: dict[str, Any] = {COEF: list(self.coef_labels)}
        for number, factor in enumerate(self.design.factors):
            name = self.factors[factor.name]
            found[name] = factor.levels.astype(str)
            found |= {key: list(effect_labels(self.design, number)) for key in term_dims(name)}
        if (matrix := matrix_variable(self.design)) is not None:
            found |= {dim: list(self.visits) for dim in visit_dims(matrix)}
        for parameter, own in self.formulas.items():
            found |= {behind(parameter) + dim: values for dim, values in own.coords.items()}
        return found

    @property
    def rows(self) -> dict[str, Any]:
        """Labels of the rows used: the user's where they tell rows apart, else their places."""
        if not self.design.keeps_rows:
            return {}
        labels = self.design.row_labels
        plain = not isinstance(labels, pd.MultiIndex)
        if not plain or not labels.is_unique or labels.dtype.kind not in "iufOUT":
            return {OBS: np.arange(self.design.X.shape[0])}
        values = labels.to_numpy()
        return {OBS: values if values.dtype.kind in "iuf" else values.astype(str)}


def labels_of(
    design: Design,
    kept: IntArray,
    kept_of: Mapping[str, IntArray] | None = None,
    visits: tuple[str, ...] = (),
) -> Labels:
    """Return the names of variables and dimensions of a design.

    ``kept_of`` are the columns kept of each further parameter that has a formula, ``visits`` those
    of the specification.
    """
    factors = factor_variables([factor.name for factor in design.factors])
    response = response_variable(design.formula.response_label, factors)
    coef_labels = coefficient_addresses(design, kept.tolist()).labels
    return Labels(
        design=design,
        kept=kept,
        coef_labels=coef_labels,
        factors=factors,
        response=response,
        visits=visits,
        formulas={name: labels_of(design.of(name), own) for name, own in (kept_of or {}).items()},
    )


def in_formula[Values](
    parameter: str, variables: Mapping[str, tuple[tuple[str, ...], Values]]
) -> dict[str, tuple[tuple[str, ...], Values]]:
    """Put a further parameter's name before those of variables and of their own dimensions."""
    before = behind(parameter)
    return {
        before + name: (
            tuple(dim if dim in (*SAMPLE, OBS) else before + dim for dim in dims),
            values,
        )
        for name, (dims, values) in variables.items()
    }


def parameter_variables(
    draws: PosteriorDraws, labels: Labels
) -> dict[str, tuple[tuple[str, ...], Any]]:
    """Return dimensions and values of every variable of the posterior (or prior) group.

    ``b_`` comes before ``sd_``: ``az.summary`` pairs labels with values by the order in which the
    dimensions first appear, and would mix up the labels of ``b_Subject[Subject, Subject__term]``
    after a variable that has ``Subject__term`` alone.
    """
    sample = SAMPLE
    found: dict[str, tuple[tuple[str, ...], Any]] = {}
    found["beta"] = ((*sample, COEF), draws.beta)
    if draws.sigma is not None:
        found["sigma"] = (sample, draws.sigma)
    matrix = matrix_variable(labels.design)
    for name, value in as_matrix(draws.family, matrix).items():
        dims = visit_dims(name) if name == matrix else (f"{name}_dim",)
        found[name] = ((*sample, *dims)[: value.ndim], value)
    for factor, name in labels.factors.items():
        terms, terms_bis = term_dims(name)
        found[f"b_{name}"] = ((*sample, name, terms), draws.b[factor])
        found[f"sd_{name}"] = ((*sample, terms), draws.sd[factor])
        if factor in draws.corr:
            corr = draws.corr[factor].copy()
            at = np.arange(corr.shape[-1])
            corr[..., at, at] = 1.0  # exactly: a rounded constant would get an R-hat
            found[f"corr_{name}"] = ((*sample, terms, terms_bis), corr)
    for parameter, own in labels.formulas.items():
        found |= in_formula(parameter, parameter_variables(draws.formulas[parameter], own))
    return found


def dataset(
    variables: Mapping[str, tuple[tuple[str, ...], Any]],
    labels: Labels,
    *,
    attrs: Mapping[str, Any] | None = None,
) -> "Dataset":
    """Return an ``xarray.Dataset`` of labelled variables; only the coordinates they use."""
    import xarray as xr

    known = labels.coords | labels.rows
    sizes = {
        dim: size
        for dims, value in variables.values()
        for dim, size in zip(dims, value.shape, strict=True)
    }
    coords = {dim: known[dim] if dim in known else np.arange(n) for dim, n in sizes.items()}
    return xr.Dataset(dict(variables), coords=coords, attrs=dict(attrs or {}))


def data_groups(labels: Labels) -> dict[str, Any]:
    """Return groups ``observed_data`` and ``constant_data``: what the model was fitted to."""
    design = labels.design
    y = design.y if design.y.ndim == 1 else design.y[:, 0]
    constant = _predictor_data(labels)
    for name in ("weights", "known_sd"):
        value = getattr(design, name)
        if value is not None:
            constant[name] = ((OBS,), value)
    for parameter, own in labels.formulas.items():
        constant |= in_formula(parameter, _predictor_data(own))
    return {
        "observed_data": dataset({labels.response: ((OBS,), y)}, labels),
        "constant_data": dataset(constant, labels),
    }


def _predictor_data(labels: Labels) -> dict[str, tuple[tuple[str, ...], Any]]:
    """Columns, levels and offset of a linear predictor."""
    design = labels.design
    found: dict[str, tuple[tuple[str, ...], Any]] = {}
    found["X"] = ((OBS, COEF), design.X[:, labels.kept])
    for factor in design.factors:
        name = labels.factors[factor.name]
        found[f"level_{name}"] = ((OBS,), factor.codes)
        found[f"z_{name}"] = ((OBS, term_dims(name)[0]), factor.z)
    if design.offset is not None:
        found["offset"] = ((OBS,), design.offset)
    return found
