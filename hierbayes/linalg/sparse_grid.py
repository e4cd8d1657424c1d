"""A smooth function on a box as a polynomial through points that are chosen as it shows itself.

Coordinates x in [-1, 1]^d. In one of them the points are a Leja sequence x_0, x_1, ... and the
basis is Newton's, h_k(x) = prod_{j<k} (x - x_j) / (x_k - x_j), which is zero at the points before
its own and one there. In several a basis function is a product of these, one of degree i_a in
coordinate a, and its coefficient is what the polynomial so far lacks at its own point: nothing is
solved for, and the size of the last coefficients says how far the polynomial is from the function.
Degrees are taken up where coefficients are large, so that coordinates and directions the function
hardly bends along cost little.

Source: Narayan & Jakeman (2014), SIAM J. Sci. Comput. 36(6):A2952 (adaptive Leja grids); Gerstner &
Griebel (2003), Computing 71:65 (dimension-adaptive).
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record

MOST_DEGREES = 40  # of one coordinate
CANDIDATES = 4001  # points of [-1, 1] among which the next one of a Leja sequence is looked for
AT_ONCE = 256  # points of the box at which all products of basis functions are held together


@record
class GridPolynomial:
    """A polynomial of several outputs.

    Attributes
    ----------
    degrees : array, shape (m, d), of each basis function in each coordinate
    coefficients : array, shape (m, k), of each basis function for each output
    error : largest of the last coefficients, in the measure the polynomial was grown by
    """

    degrees: IntArray
    coefficients: FloatArray
    error: float

    def at(self, x: FloatArray) -> FloatArray:
        """Values at points (N, d) of the box, shape (N, k)."""
        out = np.empty((x.shape[0], self.coefficients.shape[1]))
        for start in range(0, x.shape[0], AT_ONCE):
            some = slice(start, start + AT_ONCE)
            out[some] = basis(x[some], self.degrees) @ self.coefficients
        return out


@cache
def leja_points() -> FloatArray:
    """Points x_0, x_1, ... of [-1, 1], each the farthest from those before by product of distance.

    Their maximum is looked for on a fine grid, which leaves the sequence as good as the exact one.
    """
    grid = np.linspace(-1.0, 1.0, CANDIDATES)
    found = [0.0, 1.0, -1.0]
    with np.errstate(divide="ignore"):
        height = np.log(np.abs(grid[:, None] - np.array(found))).sum(axis=1)
        for _ in range(MOST_DEGREES - len(found)):
            found.append(float(grid[np.argmax(height)]))
            height += np.log(np.abs(grid - found[-1]))
    return np.array(found)


def basis(x: FloatArray, degrees: IntArray) -> FloatArray:
    """Basis functions of degrees (m, d) at points (N, d), shape (N, m)."""
    nodes = leja_points()
    out = np.ones((x.shape[0], degrees.shape[0]))
    for a in range(x.shape[1]):
        h = np.ones((x.shape[0], int(degrees[:, a].max()) + 1))
        for k in range(1, h.shape[1]):
            own = np.prod((x[:, a, None] - nodes[:k]) / (nodes[k] - nodes[:k]), axis=1)
            h[:, k] = own
        out *= h[:, degrees[:, a]]
    return out


def grown(
    values: Callable[[FloatArray], FloatArray],
    n_coordinates: int,
    *,
    size: Callable[[FloatArray], FloatArray],
    enough: float,
    most: int,
    at_once: int = 1,
) -> GridPolynomial:
    """Grow a polynomial until its last coefficients are small, or it has many.

    Parameters
    ----------
    values : callable, points (N, d) of the box -> values (N, k)
    n_coordinates : d
    size : callable, coefficients (N, k) -> how large they are, (N,)
    enough : size of the last coefficients at which the polynomial is done
    most : number of points at which none is begun any more
    at_once : how many basis functions are gone on from at the same time
    """
    d = n_coordinates
    nodes = leja_points()
    degrees = np.zeros((1, d), dtype=np.intp)
    coefficients = values(np.zeros((1, d)))
    sizes = [np.inf]
    known = {(0,) * d: 0}
    last = {0}  # those that have not been gone on from
    while last and max(sizes[i] for i in last) > enough and len(sizes) < most:
        onwards = sorted(last, key=lambda i: -sizes[i])[:at_once]
        last.difference_update(onwards)
        new: list[tuple[int, ...]] = []
        for i in onwards:
            for a in range(d):
                index = tuple(int(k) + (b == a) for b, k in enumerate(degrees[i]))
                before = [
                    tuple(k - (b == c) for b, k in enumerate(index)) for c in range(d) if index[c]
                ]
                # every degree below must have been gone on from
                ready = all(one in known and known[one] not in last for one in before)
                if ready and index not in new and index[a] < nodes.size:
                    new.append(index)
        if not new:
            continue
        added = np.array(new, dtype=np.intp)
        points = nodes[added]
        wanted = values(points)
        degrees = np.concatenate([degrees, added])
        # functions of one round may not be zero at each other's points: taken one after the other
        rows = basis(points, degrees)
        for r, index in enumerate(new):
            m = coefficients.shape[0]
            own = wanted[r] - rows[r, :m] @ coefficients
            coefficients = np.concatenate([coefficients, own[None]])
            known[index] = m
            last.add(m)
            sizes.append(float(size(own[None])[0]))
    error = max((sizes[i] for i in last), default=0.0)
    return GridPolynomial(degrees=degrees, coefficients=coefficients, error=error)
