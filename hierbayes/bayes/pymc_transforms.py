"""Value transforms: samplers move freely, and every free variable has a name users know.

A PyMC model predicts from a trace by the names of its free variables. So ``beta``, ``sd_``,
``corr_`` and ``b_`` are random variables themselves, and what helps a sampler, an intercept at
centred predictors or spherical effects, is a change of variables:

- coefficients: v -> c, each element onto the support of its prior, and beta = c but for the
  intercept, c - means' c;
- correlations of a term of k columns: v -> z = tanh(v), the canonical partial correlations, and
  the factor L with L_ij = z_ij prod_{l<j} sqrt(1 - z_il^2), R = L L'. Its Jacobian dR/dv is the
  product over j < i of (1 - z_ij^2)^((k - j) / 2), columns counted from 0;
- random effects: u -> b = Lambda u, standard normal a priori ("non-centred").

Densities read what a sampler moves (``moved``), so nothing is factored or solved that was
multiplied a moment before.

Source: Lewandowski, Kurowicka & Joe (2009), J. Multivariate Analysis 100:1989;
Papaspiliopoulos, Roberts & Skoeld (2007), Stat. Sci. 22:59 (non-centred parameterisations).
"""

import math
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pymc.logprob.transform_value import TransformedValue
from pymc.logprob.transforms import Transform

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.patterned import Patterned, Toeplitz, triangle_of
from hierbayes.gaussian.structures import middle_and_half

Bounds = tuple[float, float]


def moved(value: Any) -> Any:
    """Return what a sampler moves in place of a variable's value; None where that is not known."""
    owner = value.owner
    is_transformed = owner is not None and isinstance(owner.op, TransformedValue)
    return owner.inputs[1] if is_transformed else None


@record(kw_only=False)
class Coefficients(Transform):
    """Elements of a vector onto their supports, then the intercept from the centre to zero.

    Attributes
    ----------
    families : per element, the name of its prior; two variables are alike when these are
    bounds : per element, the ends of its support
    intercept : position of the intercept, or None; the variable's first parameter is then the
        means of the predictors, 0 for the intercept
    places : which of the free elements each of the vector is; None where all are free
    """

    families: tuple[str, ...]
    bounds: tuple[Bounds, ...]
    intercept: int | None = None
    places: tuple[int, ...] | None = None
    name = "elements"
    ndim_supp = 1

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return v (p,) of the vector's value."""
        if self.intercept is not None:
            value = at_means(value, inputs[1], self.intercept)
        if self.places is not None:
            value = value[np.array([self.places.index(k) for k in range(len(self.bounds))])]
        if all(bounds == (-math.inf, math.inf) for bounds in self.bounds):
            return value
        return pt.stack([_free(value[k], *ends) for k, ends in enumerate(self.bounds)])

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the vector (p,) at v."""
        if not all(bounds == (-math.inf, math.inf) for bounds in self.bounds):
            value = pt.stack([_bound(value[k], *ends)[0] for k, ends in enumerate(self.bounds)])
        if self.places is not None:
            return value[np.array(self.places)]
        if self.intercept is None:
            return value
        return at_zero(value, inputs[1], self.intercept)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log of |d vector / dv|, a scalar."""
        del inputs
        parts = [_bound(value[k], *ends)[1] for k, ends in enumerate(self.bounds)]
        return pt.sum(pt.stack([pt.as_tensor(part, dtype="float64") for part in parts]))


def at_means(beta: Any, means: Any, intercept: int) -> Any:
    """Return coefficients (p,) with the intercept's at centred predictors."""
    return pt.set_subtensor(beta[intercept], beta[intercept] + (means * beta).sum())


def at_zero(beta: Any, means: Any, intercept: int) -> Any:
    """Return coefficients (p,) with the intercept's where all predictors are zero."""
    return pt.set_subtensor(beta[intercept], beta[intercept] - (means * beta).sum())


def _free(x: Any, low: float, high: float) -> Any:
    """Return the unconstrained coordinate of x between two ends."""
    if math.isfinite(low) and math.isfinite(high):
        return pt.log(x - low) - pt.log(high - x)
    if math.isfinite(low):
        return pt.log(x - low)
    return pt.log(high - x) if math.isfinite(high) else x


def _bound(v: Any, low: float, high: float) -> tuple[Any, Any]:
    """Return x of an unconstrained coordinate, and log |dx / dv|."""
    if math.isfinite(low) and math.isfinite(high):
        slope = math.log(high - low) - pt.softplus(-v) - pt.softplus(v)
        return low + (high - low) * pt.sigmoid(v), slope
    if math.isfinite(low):
        return low + pt.exp(v), v
    return (high - pt.exp(v), v) if math.isfinite(high) else (v, np.float64(0.0))


@record(kw_only=False)
class Thresholds(Transform):
    """The first threshold and the logs of the steps, from centred predictors to zero.

    Attributes
    ----------
    size : number of thresholds
    increasing : whether they increase; else each moves by itself
    """

    size: int
    increasing: bool
    name = "steps"
    ndim_supp = 1

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return v (K,) of the thresholds; the first parameter is the shift."""
        value = value - inputs[1]
        if not self.increasing or self.size == 1:
            return value
        return pt.concatenate([value[:1], pt.log(value[1:] - value[:-1])])

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the thresholds at v."""
        if self.increasing and self.size > 1:
            value = pt.cumsum(pt.concatenate([value[:1], pt.exp(value[1:])]))
        return value + inputs[1]

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log of |d thresholds / dv|, a scalar."""
        del inputs
        return value[1:].sum() if self.increasing and self.size > 1 else 0.0 * value.sum()


@record(kw_only=False)
class Correlations(Transform):
    """Partial correlations on the whole line to a correlation matrix of independent blocks.

    Attributes
    ----------
    size : columns of the matrix
    blocks : per block, the places of its columns
    patterns : per block its pattern, or None; its coordinates are v with r = m + h tanh(v) between
        the bounds m - h and m + h
    """

    size: int
    blocks: tuple[tuple[int, ...], ...]
    patterns: tuple[Patterned | None, ...]
    name = "partial"
    ndim_supp = 1

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return the coordinates of all blocks, by rows of their triangles."""
        del inputs
        parts = []
        for block, own in zip(self.blocks, self.patterns, strict=True):
            if own is not None:
                middle, half = _middle_half(own)
                r = of_pattern(own, value[np.ix_(block, block)])
                parts.append(pt.arctanh((r - middle) / half))
                continue
            L = pt.linalg.cholesky(value[np.ix_(block, block)])
            rows, columns = np.tril_indices(len(block), -1)
            before = pt.cumsum(L**2, axis=1) - L**2
            parts.append(pt.arctanh((L / pt.sqrt(1 - before))[rows, columns]))
        return pt.concatenate(parts)

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the correlation matrix."""
        del inputs
        if self.blocks == (tuple(range(self.size)),) and self.patterns == (None,):
            L = correlation_root(value, self.size)
            return L @ L.T
        matrix: Any = pt.eye(self.size)
        for block, own, pattern in self._own(value):
            if pattern is not None:
                middle, half = _middle_half(pattern)
                found = pattern_matrix(pattern, middle + half * pt.tanh(own))
            else:
                L = correlation_root(own, len(block))
                found = L @ L.T
            matrix = matrix[np.ix_(block, block)].set(found)
        return matrix

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log of |dR / dv|, a scalar."""
        del inputs
        total = []
        for block, own, pattern in self._own(value):
            if pattern is not None:
                total.append((2 * _log_rest(own) + np.log(_middle_half(pattern)[1])).sum())
                continue
            columns = np.tril_indices(len(block), -1)[1]
            total.append(((len(block) - columns) * _log_rest(own)).sum())
        return pt.sum(pt.stack(total))

    def log_dets(self, value: Any) -> list[Any]:
        """Return log |R| of each block."""
        return [2 * _log_rest(own).sum() for _, own, _ in self._own(value)]

    def _own(self, value: Any) -> Any:
        start = 0
        for block, own in zip(self.blocks, self.patterns, strict=True):
            count = len(block) * (len(block) - 1) // 2
            count = count if own is None else len(own.correlation_names)
            yield block, value[start : start + count], own
            start += count


def _middle_half(own: Patterned) -> tuple[FloatArray, FloatArray]:
    _, middle, half = middle_and_half(own.is_scale, own.bounds)
    return middle, half


def pattern_matrix(own: Patterned, r: Any) -> Any:
    """Return the correlation matrix (q, q) of a pattern at r (m,)."""
    rows = triangle_of(own, [r[k] for k in range(len(own.correlation_names))])
    cells = [[row[c] if c < len(row) else 0.0 for c in range(own.q)] for row in rows]
    L = pt.stack([pt.stack([pt.as_tensor(cell, dtype="float64") for cell in row]) for row in cells])
    return L @ L.T


def of_pattern(own: Patterned, matrix: Any) -> Any:
    """Return r (m,) of a correlation matrix (q, q) of a pattern."""
    if not isinstance(own, Toeplitz):
        return matrix[1:2, 0]
    rho, left = matrix[1:, 0], 1.0
    found: list[Any] = []
    weights: list[Any] = []
    for k in range(own.q - 1):
        explained = sum(w * rho[k - 1 - n] for n, w in enumerate(weights))
        p = (rho[k] - explained) / left
        weights = [*(w - p * v for w, v in zip(weights, weights[::-1], strict=True)), p]
        left = left * (1.0 - p * p)
        found.append(p)
    return pt.stack(found)


def correlation_root(v: Any, k: int) -> Any:
    """Cholesky factor (k, k) of the correlation matrix at v (k (k - 1) / 2,).

    Tagged as triangular: PyTensor then knows that it is the factor of its square.
    """
    rows, columns = np.tril_indices(k, -1)
    z = pt.eye(k)[rows, columns].set(pt.tanh(v))
    logs = pt.zeros((k, k))[rows, columns].set(_log_rest(v))
    root = z * pt.exp(pt.cumsum(logs, axis=1) - logs)
    root.tag.lower_triangular = True
    return root


def _log_rest(v: Any) -> Any:
    """Return log sqrt(1 - tanh(v)^2)."""
    size = pt.abs(v)
    return math.log(2) - size - pt.log1p(pt.exp(-2 * size))


@record(kw_only=False)
class Scaled(Transform):
    """Spherical effects u (J, q) to effects with independent columns; the sds come last."""

    name = "spherical"
    ndim_supp = 0

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return u."""
        return value / inputs[-1]

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return b."""
        return value * inputs[-1]

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log of |db / du|, element by element."""
        return pt.zeros_like(value) + pt.log(inputs[-1])


@record(kw_only=False)
class Rotated(Transform):
    """Spherical effects u (J, q) to correlated ones; the first parameter is the root (q, q)."""

    name = "spherical"
    ndim_supp = 1

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return u."""
        return pt.linalg.solve_triangular(inputs[1], value.T, lower=True).T

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return b."""
        return value @ inputs[1].T

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log of |db / du|, one a level."""
        return pt.zeros_like(value[:, 0]) + pt.log(pt.diagonal(inputs[1])).sum()


@record(kw_only=False)
class Related(Transform):
    """Spherical effects u (J, q) to those of related levels, relation u root'.

    The parameters are the root (q, q) and the relation (J, J), lower triangles.
    """

    name = "spherical"
    ndim_supp = 2

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return u."""
        u = pt.linalg.solve_triangular(inputs[2], value, lower=True)
        return pt.linalg.solve_triangular(inputs[1], u.T, lower=True).T

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return b."""
        return inputs[2] @ value @ inputs[1].T

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log of |db / du|."""
        J, q = inputs[2].shape[0], inputs[1].shape[0]
        own = J * pt.log(pt.diagonal(inputs[1])).sum()
        return own + q * pt.log(pt.diagonal(inputs[2])).sum()
