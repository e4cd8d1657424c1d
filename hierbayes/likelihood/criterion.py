"""The criterion as functions to be searched: of one fit, or of the fits to many responses at once.

The search runs without constraints over the parameters of the covariances in the basis of the
products, kept off the places where a term loses a direction: there the derivative vanishes whether
or not the criterion still falls when variance is added.
"""

from collections.abc import Callable

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.marginal import Evaluation, Kernel, derivatives, evaluate
from hierbayes.linalg.newton import GOAL_PER_ROW, MAX_STEPS, Functions, Goal, Locals, Space

# The kernel of the fits at some positions (m,).
type KernelOf = Callable[[IntArray], Kernel]

# Fall of the criterion, a deviance, that one more step promises where the search ends: 1e-10 of it
# moves an estimate by 1e-5 standard errors.
DECREMENT_GOAL = 1e-10
# Diagonal entries are kept this far from zero during the search, so that the curvature in the
# covariance, slope / Lambda, is defined; the criterion moves by the square of it.
FLOOR = 1e-5


def criteria(kernel_of: KernelOf) -> Functions[Evaluation]:
    """Return the criteria of many fits as functions of theta; one fit alone keeps its evaluation.

    The evaluation of a batch has no parts.
    """

    def functions(rows: IntArray, x: FloatArray) -> Locals[Evaluation]:
        kernel = kernel_of(rows)
        at = evaluate(kernel, x)

        def slopes() -> tuple[FloatArray, FloatArray]:
            found = derivatives(kernel, at)
            return found.gradient, found.curvature

        return Locals(at.criterion, slopes, [at] if rows.size == 1 else [None] * rows.size)

    return functions


def goal_of(kernel: Kernel, *, max_steps: int = MAX_STEPS, polished: bool = False) -> Goal:
    """When a search of the criterion ends."""
    decrement = DECREMENT_GOAL + GOAL_PER_ROW * kernel.products.n_obs
    return Goal(decrement=decrement, max_steps=max_steps, polished=polished)


class OffBounds(Space):
    """Thetas kept off the bounds, in coordinates of the given sizes (k,) or of size one."""

    def __init__(self, shape: CovarianceShape, scale: FloatArray | None) -> None:
        self.shape, self.scale = shape, None if scale is None else scale[None]

    def projected(self, x: FloatArray) -> FloatArray:
        """Points (m, k) with scales kept off zero."""
        return self.shape.kept_off_bounds(x, FLOOR)

    def sizes(self, x: FloatArray) -> FloatArray | None:
        """Sizes (1, k) of the coordinates."""
        del x
        return self.scale

    def reach(self, x: FloatArray, sizes: FloatArray | None) -> FloatArray:
        """Longest steps (m,): where theta is of order one, as it is scaled to be; else its size."""
        size = np.abs(x if sizes is None else x / sizes)
        return np.maximum(self.longest, size.max(axis=1))


def search_space(kernel: Kernel, x: FloatArray) -> OffBounds:
    """Return the space of a search from theta (k,), scaled where sds are far above the residual's.

    There the curvature in an entry is about one over the square of the diagonal of its row, until
    the rows' own noise takes over at one residual sd: where sds differ by powers of ten so do all
    curvatures.
    """
    shape = kernel.basis_shape
    if kernel.products.remainder is None:
        return OffBounds(shape, None)
    scale = np.ones_like(x)
    for Lambda, (at, row, _) in zip(shape.unpack(x[None]), shape.factor_entries, strict=True):
        scale[at] = np.maximum(1.0, np.abs(np.diagonal(Lambda[0]))[row])
    for _, own, part in shape.structured:
        scale[part] = np.where(own.is_scale, np.maximum(1.0, np.abs(x[part])), 1.0)
    return OffBounds(shape, scale)
