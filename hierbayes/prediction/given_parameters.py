"""Parameters of draws replaced by given ones, each named in any of its spellings.

Sds, correlations and parameters of the family are checked to be some: an sd is not negative, the
correlations of a grouping factor make a correlation matrix, thresholds increase.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.predictive import FlatDraws
from hierbayes.design.design import Design
from hierbayes.errors import OptionError
from hierbayes.families.family import Family
from hierbayes.gaussian.patterned import Patterned, check_patterned
from hierbayes.gaussian.products import covariance_shape
from hierbayes.naming.addresses import Addresses, posterior_addresses
from hierbayes.wording import shown

NO_MATRIX = 1e-8  # how far below zero rounding may take an eigenvalue of a correlation matrix

Kind = Literal["beta", "sd", "cor", "own", "sigma", "family"]


@record
class Slot:
    """Where a parameter stands in draws.

    Attributes
    ----------
    kind : of parameter
    name : of the family's parameter
    factor : position of the grouping factor
    at : place among the coefficients, columns (two of a correlation), or values of the parameter
    """

    kind: Kind
    name: str = ""
    factor: int = -1
    at: tuple[int, ...] = ()


@record
class Slots:
    """All parameters that draws of a model have, in the order of their addresses."""

    addresses: Addresses
    slots: tuple[Slot, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """A name of each parameter that means no other."""
        return self.addresses.labels


def slots_of(design: Design, kept: list[int], flat: FlatDraws, *, has_sigma: bool) -> Slots:
    """Return the parameters of a model by name, and where they stand in its draws."""
    check_patterned(design, "parameters=")
    slots = [Slot(kind="beta", at=(k,)) for k in range(len(kept))]
    for t, (term, own) in enumerate(
        zip(design.terms, covariance_shape(design).structures, strict=True)
    ):
        columns = term.columns
        if own is not None:
            slots += [Slot(kind="own", factor=t, at=(k,)) for k in range(own.is_scale.size)]
            continue
        slots += [Slot(kind="sd", factor=term.factor, at=(c,)) for c in columns]
        for j, c in enumerate(columns):
            pairs = [(c, d) for d in columns[j + 1 :]]
            slots += [Slot(kind="cor", factor=term.factor, at=pair) for pair in pairs]
    slots += [Slot(kind="sigma")] * has_sigma
    names: list[str] = []
    for name, value in flat.family.items():
        if value.ndim == 1:
            names.append(name)
            slots.append(Slot(kind="family", name=name))
            continue
        for k in range(value.shape[1]):
            names.append(f"{name}[{k + 1}]")
            slots.append(Slot(kind="family", name=name, at=(k,)))
    addresses = posterior_addresses(design, kept, has_sigma=has_sigma, family=names)
    return Slots(addresses=addresses, slots=tuple(slots))


def given_values(parameters: Any, slots: Slots) -> dict[int, float]:
    """Return the values given, by the position of their parameter.

    Raises
    ------
    OptionError
        If this is no dict of numbers, or a name means no parameter or two.
    """
    if not isinstance(parameters, Mapping):
        raise OptionError(
            f"parameters={shown(parameters)} must be a dict from names of parameters to numbers, "
            f"for example {{{slots.labels[0]!r}: 0.0}}."
        )
    found: dict[int, float] = {}
    for name, value in parameters.items():
        place = slots.addresses.place(name)
        number = np.asarray(value)
        if number.ndim or number.dtype.kind not in "iuf" or not np.isfinite(number):
            raise OptionError(f"parameters[{name!r}]={shown(value)} must be a finite number.")
        if place in found:
            label = slots.labels[place]
            raise OptionError(f"parameters: {name!r} and another name both mean {label!r}.")
        found[place] = float(number)
    return found


def with_parameters(
    flat: FlatDraws, given: Mapping[int, float], slots: Slots, *, design: Design, family: Family
) -> FlatDraws:
    """Return draws with given values of some parameters in each of them.

    Raises
    ------
    OptionError
        If a value, or several together, can't be of such parameters.
    """
    beta, sigma = flat.beta.copy(), flat.sigma.copy()
    sd = [part.copy() for part in flat.sd]
    corr = [None if part is None else part.copy() for part in flat.corr]
    further = {name: value.copy() for name, value in flat.family.items()}
    bounds = {p.name: p.bounds for p in family.parameters}
    _put_patterns(sd, corr, given, slots, design)
    for place, value in given.items():
        slot, label = slots.slots[place], slots.labels[place]
        if slot.kind == "beta":
            beta[:, slot.at[0]] = value
        elif slot.kind == "sd":
            _check(label, value, 0.0, np.inf)
            sd[slot.factor][:, slot.at[0]] = value
        elif slot.kind == "cor":
            _check(label, value, -1.0, 1.0)
            matrix, (c, d) = corr[slot.factor], slot.at
            assert matrix is not None
            matrix[:, c, d] = matrix[:, d, c] = value
        elif slot.kind == "own":
            continue
        elif slot.kind == "sigma":
            _check(label, value, 0.0, np.inf)
            sigma[:] = value
        else:
            _check(label, value, *bounds.get(slot.name, (-np.inf, np.inf)))
            further[slot.name][..., slot.at[0] if slot.at else slice(None)] = value
    for factor, matrix in zip(design.factors, corr, strict=True):
        if matrix is not None and np.linalg.eigvalsh(matrix).min(initial=0.0) < -NO_MATRIX:
            raise OptionError(
                f"parameters: the correlations of {factor.name} together make no correlation "
                "matrix (it would have negative eigenvalues)."
            )
    for own in family.parameters:
        values = further.get(own.name)
        if own.increasing and values is not None and (np.diff(values, axis=1) <= 0).any():
            raise OptionError(f"parameters: the values of {own.name} must increase.")
    return replace(flat, beta=beta, sigma=sigma, sd=tuple(sd), corr=tuple(corr), family=further)


def _put_patterns(
    sd: list[FloatArray],
    corr: list[FloatArray | None],
    given: Mapping[int, float],
    slots: Slots,
    design: Design,
) -> None:
    """Put the values of parameters of patterns in sds (S, q) and correlations (S, q, q)."""
    values: dict[int, dict[int, float]] = {}
    for place, value in given.items():
        slot = slots.slots[place]
        if slot.kind == "own":
            own = covariance_shape(design).structures[slot.factor]
            assert isinstance(own, Patterned)
            low, high = own.bounds[slot.at[0]].tolist()
            _check(slots.labels[place], value, low, high)
            values.setdefault(slot.factor, {})[slot.at[0]] = value
    for t, changed in values.items():
        own, term = covariance_shape(design).structures[t], design.terms[t]
        assert isinstance(own, Patterned)
        columns, matrix = np.array(term.columns), corr[term.factor]
        sds = sd[term.factor][:, columns]
        R = np.broadcast_to(np.eye(columns.size), (sds.shape[0], columns.size, columns.size))
        if matrix is not None:
            R = matrix[:, columns[:, None], columns]
        par = own.nearest(sds[:, :, None] * R * sds[:, None])
        if not own.is_scale.all():  # where an sd is zero its correlations are known all the same
            par[:, ~own.is_scale] = own.nearest(R)[:, ~own.is_scale]
        for k, value in changed.items():
            par[:, k] = value
        n = own.n_scales
        sd[term.factor][:, columns] = par[:, :n]
        if matrix is not None:
            unit = own.unit_root(par[:, n:])
            matrix[:, columns[:, None], columns] = unit @ np.swapaxes(unit, 1, 2)


def _check(label: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        ends = f"at least {low:g}" if high == np.inf else f"from {low:g} to {high:g}"
        raise OptionError(f"parameters[{label!r}]={value:g} must be {ends}.")


def correlations(sizes: list[FloatArray], design: Design) -> list[FloatArray | None]:
    """Return per factor its correlation matrix (q, q) from those of the terms; None without any."""
    found: list[FloatArray | None] = [None] * len(design.factors)
    for term, matrix in zip(design.terms, sizes, strict=True):
        if len(term.columns) > 1:
            own = found[term.factor]
            if own is None:
                own = found[term.factor] = np.eye(len(design.factors[term.factor].columns))
            at = np.ix_(term.columns, term.columns)
            own[at] = np.where(np.isnan(matrix), 0.0, matrix)  # beside an sd of zero
            np.fill_diagonal(own, 1.0)
    return found
