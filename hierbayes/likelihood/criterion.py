"""The criterion as functions to be searched: of one fit, or of the fits to many responses at once.

The search runs without constraints over the parameters of the covariances in the basis of the
products, kept off the places where a term loses a direction: there the derivative vanishes whether
or not the criterion still falls when variance is added.
"""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray
from hierbayes.gaussian.marginal import Evaluation, Kernel, derivatives, evaluate, with_responses
from hierbayes.linalg.newton import GOAL_PER_ROW, MAX_STEPS, Goal, Locals, Problem

# Fall of the criterion, a deviance, that one more step promises where the search ends: 1e-10 of it
# moves an estimate by 1e-5 standard errors.
DECREMENT_GOAL = 1e-10
# Diagonal entries are kept this far from zero during the search, so that the curvature in the
# covariance, slope / Lambda, is defined; the criterion moves by the square of it.
FLOOR = 1e-5


def goal_of(kernel: Kernel, *, max_steps: int = MAX_STEPS, polished: bool = False) -> Goal:
    """When a search of the criterion ends."""
    decrement = DECREMENT_GOAL + GOAL_PER_ROW * kernel.products.n_obs
    return Goal(decrement=decrement, max_steps=max_steps, polished=polished)


def part_of(kernel: Kernel, rows: IntArray) -> Kernel:
    """Return the kernel of some of its responses, or of one response the kernel itself."""
    given = kernel.responses
    if given is None or (rows.size == given.yy.size and (rows == np.arange(rows.size)).all()):
        return kernel
    return with_responses(kernel, given.take(rows))


class Criteria(Problem[Evaluation]):
    """The criteria of a kernel's response, or of each of its responses, as functions of theta.

    One fit alone keeps its evaluation; that of a batch has no parts. ``scale`` (k,) are the sizes
    of the coordinates, None where they are one.
    """

    def __init__(self, kernel: Kernel, scale: FloatArray | None = None) -> None:
        self.kernel, self.scale = kernel, scale

    def take(self, rows: IntArray) -> "Criteria":
        """Return the criteria of some of the responses."""
        return Criteria(part_of(self.kernel, rows), self.scale)

    def at(self, x: FloatArray) -> Locals[Evaluation]:
        """Return the criteria at thetas (m, k)."""
        kernel, at = self.kernel, evaluate(self.kernel, x)

        def slopes() -> tuple[FloatArray, FloatArray]:
            found = derivatives(kernel, at)
            return found.gradient, found.curvature

        return Locals(at.criterion, slopes, [at] if x.shape[0] == 1 else [None] * x.shape[0])

    def projected(self, x: FloatArray) -> FloatArray:
        """Points (m, k) with scales kept off zero."""
        return self.kernel.basis_shape.kept_off_bounds(x, FLOOR)

    def room(self, x: FloatArray) -> tuple[FloatArray, BoolArray] | None:
        """How far points (m, k) are from the least of scales that must be positive."""
        return self.kernel.basis_shape.room(x, FLOOR)

    def sizes(self, x: FloatArray) -> FloatArray | None:
        """Sizes (1, k) of the coordinates."""
        del x
        return None if self.scale is None else self.scale[None]

    def reach(self, x: FloatArray, sizes: FloatArray | None) -> FloatArray:
        """Longest steps (m,): where theta is of order one, as it is scaled to be; else its size."""
        size = np.abs(x if sizes is None else x / sizes)
        return np.maximum(self.longest, size.max(axis=1))


def search_scale(kernel: Kernel, x: FloatArray) -> FloatArray | None:
    """Sizes (k,) of the coordinates of a search from theta (k,), where they are not one.

    Where sds are far above the residual's the curvature in an entry is about one over the square of
    the diagonal of its row, until the rows' own noise takes over at one residual sd: where sds
    differ by powers of ten so do all curvatures.
    """
    if kernel.remainder is None and kernel.shape.is_plain:
        return None
    shape, scale = kernel.basis_shape, np.ones_like(x)
    for Lambda, (at, row, _) in zip(shape.unpack(x[None]), shape.factor_entries, strict=True):
        scale[at] = np.maximum(1.0, np.abs(np.diagonal(Lambda[0]))[row])
    for _, own, part in shape.structured:
        scale[part] = np.where(own.is_scale, np.maximum(1.0, np.abs(x[part])), 1.0)
    return scale
