"""The rows of a generalised model given the random effects: densities along eta, and the design.

    y | b ~ family(eta, phi),   eta = X beta + Z Lambda u + offset,   u ~ N(0, I),

so the sds of the random effects are those of Lambda alone, on the scale of eta, for families with a
residual sd too. Everything is kept without units: columns of X are orthogonal, those of Z of unit
length, and both are multiplied by the unit of eta (one for logits and logs; for links that carry
units the spread of eta at the start). The further parameters phi are searched on the log scale,
shares on the logit scale.

Thresholds t of ordered categories take the place of the intercept. Predictors are centred for them,
t_k = t'_k + centre'beta, and those that increase are searched as t'_1 and the logs of the steps:
t' = v A, v_1 = phi_1, v_k = exp(phi_k), where row k of A is one from threshold k on.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.families.family import Family, Parameter
from hierbayes.families.mean_ends import has_mean
from hierbayes.families.observations import checked_observations
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.products import covariance_shape, term_basis
from hierbayes.gaussian.weighted import WeightedLevels, weighted_levels
from hierbayes.generalised.cells import equal_rows, first_of_each
from hierbayes.generalised.parameter_rows import ParameterRows, parameter_rows
from hierbayes.linalg.rank import column_basis, columns_beside_constant

# Where a search of a further parameter begins, by what it is scaled by.
FIRST = {
    "units": 1.0,
    "mean": 1.0,
    "shape": 2.0,
    "share": 0.7,
    "rare": 0.02,
    "df": 8.0,
    "skew": 1.0,
}


@record
class Densities:
    """Log densities of rows with derivatives in eta, each (n,), or (n, K) at K points a row.

    Attributes
    ----------
    value : log density
    slope : first derivative
    weight : minus the second derivative, the observed curvature
    weight_slope : minus the third, if asked for
    """

    value: FloatArray
    slope: FloatArray
    weight: FloatArray
    weight_slope: FloatArray | None

    @classmethod
    def of(cls, value: FloatArray, slopes: Sequence[FloatArray]) -> "Densities":
        """Return what log densities and their two or three derivatives are called here."""
        third = -slopes[2] if len(slopes) > 2 else None
        return cls(value=value, slope=slopes[0], weight=-slopes[1], weight_slope=third)


@record
class InParameter:
    """Derivatives in a further parameter on the scale of its search, each (n,) or (n, K).

    Attributes
    ----------
    value, slope, weight : of the fields of ``Densities``
    bend : second derivative of the log density in the parameter
    """

    value: FloatArray
    slope: FloatArray
    weight: FloatArray
    bend: FloatArray


@record(kw_only=False)
class Transform:
    """A further parameter of a family as a coordinate x without ends, of numbers and arrays.

    ``forward`` gives x of the parameter, ``inverse`` the parameter of x, ``slope`` and ``bend`` its
    first and second derivative in x.
    """

    forward: Callable[[Any], Any]
    inverse: Callable[[Any], Any]
    slope: Callable[[Any], Any]
    bend: Callable[[Any], Any]


def _logit(p: Any) -> Any:
    return np.log(p / (1 - p))


def _expit(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _share_slope(x: Any) -> Any:
    p = _expit(x)
    return p * (1 - p)


def _share_bend(x: Any) -> Any:
    p = _expit(x)
    return p * (1 - p) * (1 - 2 * p)


def _angle(p: Any) -> Any:
    return np.arcsin(np.sqrt(p))


def _squared_sine(x: Any) -> Any:
    return np.sin(x) ** 2


def _angle_slope(x: Any) -> Any:
    return np.sin(2 * x)


def _angle_bend(x: Any) -> Any:
    return 2 * np.cos(2 * x)


def _same(x: Any) -> Any:
    return x


def _one(x: Any) -> Any:
    return 1.0


def _zero(x: Any) -> Any:
    return 0.0


# functions with names: fits that hold them go to other processes
OF_SHARE = Transform(_logit, _expit, _share_slope, _share_bend)
# A share that may be zero, as a squared sine: its end is at x = 0, and a search gets there as it
# does to any minimum, where a logit would run without end.
OF_RARE = Transform(_angle, _squared_sine, _angle_slope, _angle_bend)
OFF_END = 0.1  # coordinate, of a share of 1 %, from where it is searched again
OF_POSITIVE = Transform(np.log, np.exp, np.exp, np.exp)
FREE = Transform(_same, _same, _one, _zero)


@record
class Coordinate:
    """One coordinate phi_i of the further parameters.

    Attributes
    ----------
    parameter : Parameter
    label : the parameter's name, numbered among thresholds
    transform : from its value v_i to phi_i and back
    along : array, shape (K,), the direction in which v_i moves K thresholds; None of one number
    """

    parameter: Parameter
    label: str
    transform: Transform
    along: FloatArray | None = None


def _coordinates(parameter: Parameter, n_cuts: int, *, reaches_ends: bool) -> list[Coordinate]:
    """Lay out the coordinates of one parameter."""
    name = parameter.name
    if parameter.prior != "cuts":
        transform = transform_of(parameter, reaches_ends=reaches_ends)
        return [Coordinate(parameter=parameter, label=name, transform=transform)]
    directions = np.triu(np.ones((n_cuts, n_cuts))) if parameter.increasing else np.eye(n_cuts)
    steps = OF_POSITIVE if parameter.increasing else FREE
    return [
        Coordinate(
            parameter=parameter,
            label=f"{name}[{k + 1}]",
            transform=steps if k else FREE,
            along=along,
        )
        for k, along in enumerate(directions)
    ]


def transform_of(parameter: Parameter, *, reaches_ends: bool) -> Transform:
    """Log of what is positive, logit of a share, else the parameter itself.

    With ``reaches_ends`` a rare share is a squared sine, which has no inverse that a density could
    be carried over by.
    """
    low, high = parameter.bounds
    if (low, high) == (0.0, 1.0):
        return OF_RARE if reaches_ends and parameter.prior == "rare" else OF_SHARE
    return OF_POSITIVE if low >= 0 else FREE


@record
class Conditional:
    """A generalised model, ready to be evaluated anywhere.

    Attributes
    ----------
    family : with its link
    y : array, shape (n,)
    trials : array, shape (n,), or None
    precisions : array, shape (n,), weights of a residual sd, or None
    known_sd : array, shape (n,), residual sds that are no parameters, or None
    offset : array, shape (n,)
    X : array, shape (n, p), in the basis of the search
    kept, centre, x_basis : X is (design.X[:, kept] - centre) @ x_basis; the centre is zero but in
        models of ordered categories
    z_bases : per factor, array (q, q)
    levels : the rows of Z
    shape : covariance shape on the user's scale
    eta_start : array, shape (n,), a predictor to begin with
    design_cell : array, shape (n,), the same number for rows that have all but the response in
        common; None where hardly any have
    counts : array, shape (n,), of how many rows each is the density; None where of one
    cell : array, shape (rows,), in cells of the rows of a design, which one each is in; else None
    reaches_ends : whether coordinates of shares reach zero, for a search
    n_cuts : thresholds K of ordered categories, 0 of other families
    predictors : of further parameters that have a formula, which are then none of ``further``
    """

    family: Family
    y: FloatArray
    trials: FloatArray | None
    precisions: FloatArray | None
    known_sd: FloatArray | None
    offset: FloatArray
    X: FloatArray
    kept: IntArray
    centre: FloatArray
    x_basis: FloatArray
    z_bases: tuple[FloatArray, ...]
    levels: WeightedLevels
    shape: CovarianceShape
    eta_start: FloatArray
    design_cell: IntArray | None = None
    counts: FloatArray | None = None
    cell: IntArray | None = None
    reaches_ends: bool = False
    n_cuts: int = 0
    predictors: tuple[ParameterRows, ...] = ()

    @cached_property
    def basis_shape(self) -> CovarianceShape:
        """The covariance shape in the basis of the search."""
        return self.shape.in_basis(self.z_bases)

    @cached_property
    def of_finest(self) -> IntArray:
        """Positions in theta of the parameters of the factor with the most levels, the first."""
        parts = zip(self.shape.terms, self.shape.slices, strict=True)
        own = [np.arange(part.start, part.stop) for (factor, _), part in parts if factor == 0]
        return np.concatenate(own)

    @cached_property
    def finest(self) -> "Conditional":
        """The model of the first factor alone, without fixed effects; its offset is to be set."""
        pairs = zip(self.shape.terms, self.shape.structures, strict=True)
        own = [(term, structure) for term, structure in pairs if term[0] == 0]
        return replace(
            self,
            X=self.X[:, :0],
            kept=self.kept[:0],
            x_basis=self.x_basis[:0, :0],
            z_bases=self.z_bases[:1],
            levels=self.levels.some(slice(0, 1)),
            shape=CovarianceShape(
                self.shape.sizes[:1],
                tuple(term for term, _ in own),
                tuple(structure for _, structure in own),
            ),
        )

    @cached_property
    def coarser(self) -> WeightedLevels:
        """The rows of all factors but the first."""
        return self.levels.some(slice(1, None))

    @cached_property
    def further(self) -> tuple[Parameter, ...]:
        """The family's parameters besides mu that are estimated, one for all rows."""
        given = {own.link.parameter for own in self.predictors}
        given |= set() if self.known_sd is None else {"sigma"}
        return tuple(p for p in self.family.parameters if p.name not in given)

    @cached_property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """How the further parameters are searched, d coordinates."""
        return tuple(
            coordinate
            for parameter in self.further
            for coordinate in _coordinates(parameter, self.n_cuts, reaches_ends=self.reaches_ends)
        )

    @cached_property
    def has_end(self) -> BoolArray:
        """Which coordinates of further parameters have an end, at zero, (d,)."""
        ends = [coordinate.transform is OF_RARE for coordinate in self.coordinates]
        return np.array(ends, dtype=np.bool_)

    def off_ends(self, phi: FloatArray) -> FloatArray:
        """Further parameters (d,) a step inside of ends they are near, where a search begins."""
        return np.where(self.has_end, np.maximum(np.abs(phi), OFF_END), phi)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Numbers of coefficients p, of covariance parameters k, and of further parameters d."""
        return self.X.shape[1], self.shape.n_theta, len(self.coordinates)

    def of_rows(self, kept: BoolArray | IntArray) -> "Conditional":
        """Return the model of some of the rows, in the same basis; levels without rows stay."""
        rows = np.arange(self.y.size)[kept]
        some: dict[str, Any] = {
            name: None if (values := getattr(self, name)) is None else values[rows]
            for name in ("trials", "precisions", "known_sd", "design_cell", "counts")
        }
        return replace(
            self,
            y=self.y[rows],
            offset=self.offset[rows],
            X=np.ascontiguousarray(self.X[rows]),
            eta_start=self.eta_start[rows],
            levels=self.levels.of_rows(rows),
            predictors=tuple(own.of_rows(rows) for own in self.predictors),
            **some,
        )

    @cached_property
    def cells(self) -> "Conditional":
        """The same model with equal rows once; itself where hardly any are equal."""
        if self.design_cell is None or self.counts is not None:
            return self
        own = [self.design_cell, self.y] + ([] if self.trials is None else [self.trials])
        cell = equal_rows(own)
        if cell is None:
            return self
        first, counts = first_of_each(cell)
        return replace(self.of_rows(first), design_cell=None, counts=counts, cell=cell)

    def with_response(self, y: FloatArray) -> "Conditional":
        """Return the same model of another response (n,), of as many trials."""
        return replace(self, y=y)

    def in_basis(self, theta: FloatArray) -> FloatArray:
        """Theta (k,) in the basis of the search, from one on the user's scale."""
        inverses = [np.linalg.inv(basis) for basis in self.z_bases]
        found = self.shape.transformed(theta, inverses)
        return found if self.shape.is_plain else self.basis_shape.coordinates(found[None])[0]

    def from_basis(self, theta: FloatArray) -> FloatArray:
        """Undo ``in_basis``."""
        found = self.basis_shape.parameters(theta[None])[0]
        return self.shape.transformed(found, self.z_bases)

    def values(self, phi: FloatArray) -> FloatArray:
        """Return v (..., d) at coordinates phi (..., d)."""
        if not self.coordinates:
            return phi
        pairs = zip(self.coordinates, np.moveaxis(phi, -1, 0), strict=True)
        found = [coordinate.transform.inverse(x) for coordinate, x in pairs]
        return np.stack(found, axis=-1)

    def parameters(self, phi: FloatArray) -> dict[str, FloatArray]:
        """Further parameters by name at phi (..., d): each (...), thresholds (..., K)."""
        v = self.values(phi)
        found: dict[str, FloatArray] = {}
        for i, coordinate in enumerate(self.coordinates):
            name, along = coordinate.parameter.name, coordinate.along
            if along is None:
                found[name] = v[..., i]
            else:
                found[name] = found.get(name, 0.0) + v[..., i, None] * along
        return found

    def phi_of(self, parameters: Mapping[str, Any], beta: FloatArray | None = None) -> FloatArray:
        """Undo ``parameters``, (..., d); with coefficients (..., p) ``on_user_scale``.

        The coefficients are those on the user's scale.

        Raises
        ------
        DataError
            If thresholds that must increase don't.
        """
        found, k = [], 0
        for coordinate in self.coordinates:
            value = np.asarray(parameters[coordinate.parameter.name], dtype=np.float64)
            if coordinate.along is not None:
                if beta is not None:
                    value = value - np.asarray(beta @ self.centre)[..., None]
                value, k = self._step(value, k, coordinate), k + 1
            found.append(np.asarray(coordinate.transform.forward(value)))
        return np.stack(found, axis=-1) if found else np.empty(0)

    def _step(self, values: FloatArray, k: int, coordinate: Coordinate) -> FloatArray:
        """Return what coordinate k of thresholds (..., K) stands for."""
        if not k or not coordinate.parameter.increasing:
            return np.asarray(values[..., k])
        step = np.asarray(values[..., k] - values[..., k - 1])
        if not (step > 0).all():
            shown = ", ".join(f"{t:.4g}" for t in values.reshape(-1, values.shape[-1])[0])
            raise DataError(
                f"The thresholds {shown} are out of order: each must be above the one before it."
            )
        return step

    def on_user_scale(self, phi: FloatArray, beta: FloatArray) -> dict[str, FloatArray]:
        """Further parameters as the user knows them, at phi (..., d) and beta (..., p)."""
        found = self.parameters(phi)
        if self.n_cuts:
            moved = (beta @ self.x_basis.T) @ self.centre
            found["threshold"] = found["threshold"] + np.asarray(moved)[..., None]
        return found

    def further_values(self, phi: FloatArray, beta: FloatArray) -> FloatArray:
        """Return these as numbers (..., d), in the order of the coordinates."""
        named = self.on_user_scale(phi, beta)
        parts = [
            value if value.ndim == phi.ndim else value[..., None]
            for value in map(np.asarray, named.values())
        ]
        return np.concatenate(parts, axis=-1) if parts else np.empty_like(phi)

    def with_observed(
        self, named: Mapping[str, Any], rows: Callable[[FloatArray], FloatArray]
    ) -> dict[str, Any]:
        """Add what is known of each row to further parameters by name: its sd, weight and trials.

        ``rows`` puts an array (n,) beside the parameters.
        """
        found = dict(named)
        if self.known_sd is not None:
            found["sigma"] = rows(self.known_sd)
        elif self.precisions is not None:
            found["sigma"] = found["sigma"] / rows(np.sqrt(self.precisions))
        if self.trials is not None:
            found["trials"] = rows(self.trials)
        return found

    def given(self, phi: FloatArray) -> dict[str, FloatArray]:
        """Further parameters at phi (T, d) beside rows and nodes, (1, T, 1) or (n, T, 1)."""
        named = {name: value[None, :, None] for name, value in self.parameters(phi).items()}
        return self.with_observed(named, lambda rows: rows[:, None, None])

    def second_order(self, eta: FloatArray, phi: FloatArray) -> tuple[FloatArray, ...]:
        """Values, slopes and curvatures of not less than zero of the rows at eta (n, T)."""
        given = {name: value[:, :, 0] for name, value in self.given(phi).items()}
        with np.errstate(all="ignore"):
            found = self.family.derivatives(self.y[:, None], eta, given, order=2)
        value, slope, bend = (found.derivative(i) for i in range(3))
        possible = np.isfinite(value) & np.isfinite(slope) & np.isfinite(bend)
        possible &= has_mean(self.family, eta)
        return (
            np.where(possible, value, -np.inf),
            np.where(possible, slope, 0.0),
            np.where(possible & (bend < 0), -bend, 0.0),
        )

    def _given(self, phi: FloatArray, ndim: int) -> dict[str, FloatArray]:
        return self.with_observed(self.parameters(phi), lambda rows: _beside(rows, ndim))

    def densities(self, eta: FloatArray, phi: FloatArray, *, order: int = 2) -> Densities:
        """Log densities at eta (n,) or (n, K) with derivatives up to ``order``, 2 or 3.

        Values outside the reach of a link (a negative mean of a count) are -inf.
        """
        y = _beside(self.y, eta.ndim)
        with np.errstate(all="ignore"):
            found = self.family.derivatives(y, eta, self._given(phi, eta.ndim), order=order)
        possible = np.isfinite(found.value) & has_mean(self.family, eta)
        slopes = [found.derivative(i) for i in range(1, order + 1)]
        if not possible.all():  # quadrature has nodes beyond the reach of a link
            slopes = [np.where(possible, slope, 0.0) for slope in slopes]
        value = np.where(possible, found.value, -np.inf)
        if self.counts is not None:
            counts = _beside(self.counts, eta.ndim)
            value, slopes = counts * value, [counts * slope for slope in slopes]
        return Densities.of(value, slopes)

    def in_parameter(self, eta: FloatArray, phi: FloatArray, which: int) -> InParameter:
        """Return derivatives in the coordinate of one further parameter."""
        coordinate, given = self.coordinates[which], self._given(phi, eta.ndim)
        name, transform = coordinate.parameter.name, coordinate.transform
        with np.errstate(all="ignore"):
            found = self.family.derivatives(
                _beside(self.y, eta.ndim),
                eta,
                given,
                order=2,
                of=name,
                order_of=2,
                along=coordinate.along,
            )
        possible = np.isfinite(found.value)
        # a weighted sd is the sd times a number, so its logarithm moves with the sd's
        weighted = self.precisions is not None and name == "sigma"
        scale = given[name] / transform.inverse(phi[which]) if weighted else 1.0
        slope, bend = transform.slope(phi[which]) * scale, transform.bend(phi[which]) * scale
        counts = 1.0 if self.counts is None else _beside(self.counts, eta.ndim)
        return InParameter(
            value=np.where(possible, found.derivative(0, 1), 0.0) * (counts * slope),
            slope=found.derivative(1, 1) * (counts * slope),
            weight=-found.derivative(2, 1) * (counts * slope),
            bend=counts * (found.derivative(0, 2) * slope**2 + found.derivative(0, 1) * bend),
        )


def _beside(rows: FloatArray, ndim: int) -> FloatArray:
    return rows if ndim == 1 else rows[:, None]


def conditional(
    design: Design, family: Family, *, reaches_ends: bool = False, needs_curvature: bool = True
) -> Conditional:
    """Lay a generalised model out, for a search with ``reaches_ends``.

    Raises
    ------
    NotSupportedError
        If the family has no density, or none with second derivatives where they are needed.
    """
    if family.log_density is None or (needs_curvature and not family.is_smooth):
        raise not_supported("likelihood-of-family", family=family.name)
    design = design.summands
    observed = checked_observations(design, family)
    counts = None if design.counts is None else design.counts.astype(np.float64)
    share = None if counts is None else counts / counts.mean()  # bases are those of the rows
    offset = np.zeros(observed.shape[0]) if design.offset is None else design.offset
    eta = offset.copy() if family.is_ordinal else _first_eta(family, observed, counts)
    if family.is_ordinal:
        kept = columns_beside_constant(design.X, design.assign == 0)
        X = design.X[:, kept]
        centre = X.mean(axis=0) if counts is None else counts @ X / counts.sum()
        columns = X - centre
        basis = column_basis(_counted(columns, share))
        assert basis.kept.size == kept.size
    else:
        basis = column_basis(_counted(design.X, share))
        kept, columns = basis.kept, design.X[:, basis.kept]
        centre = np.zeros(kept.size)
    unit = _unit_of(family, eta - offset, counts)
    z_bases = tuple(unit * term_basis(design, f, share) for f in range(len(design.factors)))
    x_basis = unit * basis.to_basis
    return Conditional(
        family=family,
        y=observed[:, 0] if family.counts_trials else observed,
        trials=observed[:, 1] if family.counts_trials else None,
        precisions=design.weights if family.weighs_sigma else None,
        known_sd=design.known_sd,
        offset=offset,
        X=np.ascontiguousarray(columns @ x_basis),
        kept=kept,
        centre=centre,
        x_basis=x_basis,
        z_bases=z_bases,
        levels=weighted_levels(design.factors, z_bases, n_rows=observed.shape[0]),
        shape=covariance_shape(design),
        eta_start=eta,
        design_cell=None if counts is not None else equal_rows(_columns(design, offset)),
        counts=counts,
        reaches_ends=reaches_ends,
        n_cuts=int(observed.max()) if family.is_ordinal else 0,
        predictors=parameter_rows(design, family),
    )


def _counted(columns: FloatArray, share: FloatArray | None) -> FloatArray:
    """Columns (n, p) whose squares are those of all rows, from cells of a share (n,) of them."""
    return columns if share is None else columns * np.sqrt(share)[:, None]


def _columns(design: Design, offset: FloatArray) -> list[FloatArray | IntArray]:
    """All that tells rows apart but the response, each (n,); levels first."""
    found: list[FloatArray | IntArray] = [factor.codes for factor in design.factors]
    found += [column for factor in design.factors for column in factor.z.T]
    found += [*design.X.T, offset]
    for name in design.formulas:
        own = design.of(name)
        found += _columns(own, np.zeros_like(offset) if own.offset is None else own.offset)
    return found + [x for x in (design.weights, design.known_sd) if x is not None]


def _first_eta(family: Family, observed: FloatArray, counts: FloatArray | None) -> FloatArray:
    """Eta of a mean near each response, as R's families begin, (n,)."""
    if family.start is not None:
        mu = family.start(observed)
    else:
        mu = observed[:, 0] / observed[:, 1] if observed.ndim == 2 else observed
    if family.is_log_response:
        mu = np.log(np.where(mu > 0, mu, 1.0))
    with np.errstate(all="ignore"):
        eta = np.asarray(family.link.forward(np.asarray(mu, dtype=np.float64)))
        typical = float(family.link.forward(np.asarray(np.average(mu, weights=counts))))
    # a mean of counts above one is none of the complementary log-log link
    return np.where(np.isfinite(eta), eta, typical if np.isfinite(typical) else 0.0)


def _unit_of(family: Family, eta: FloatArray, counts: FloatArray | None) -> float:
    """Size of eta for links that carry the units of the response over, else one."""
    if family.link.power == 0 or math.isnan(family.link.power):  # logs, and links of probabilities
        return 1.0
    spread = float(np.std(eta))
    if counts is not None:
        left = eta - np.average(eta, weights=counts)
        spread = float(np.sqrt(np.average(left**2, weights=counts)))
    return spread if spread > 0 else 1.0
