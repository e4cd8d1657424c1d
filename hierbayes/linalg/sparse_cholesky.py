"""Cholesky factor of a sparse symmetric matrix, solves, and the inverse on the factor's pattern.

The factor A = L L' is kept in dense panels (``elimination.py``), computed panel by panel: what
earlier panels contribute is taken off, then the panel's own triangle is factorised. With
Y = L21 L11^-1 of a panel, its part of the inverse Z follows from that of later panels,

    Z21 = -Z22 Y,    Z11 = (L11 L11')^-1 - Y'Z21,

which only needs entries of Z22 on the pattern. Narrow panels are handled by loops, wide ones by
dense products.

Source: Ng & Peyton (1993), SIAM J. Sci. Comput. 14(5):1034 (left-looking, by blocks);
Takahashi, Fagan & Chin (1973) (selected inverse). Imports numba, so import this module only where
it is used.
"""

import numpy as np
from numba import njit

from hierbayes.arrays import FloatArray, Int64Array
from hierbayes.linalg.elimination import Panels, Pattern

# Products with fewer multiplications than this are done by loops: a call of BLAS costs as much.
SMALL = 2000
# Panels of more columns than this are too few for their rounding errors to add up.
NARROW = 8


def factorise(pattern: Pattern, at: Int64Array, values: FloatArray) -> FloatArray:
    """Panels of the Cholesky factor, shape (n_entries,).

    Parameters
    ----------
    pattern : Pattern
    at, values : arrays of one shape
        Entries of the lower triangle and where they are stored (``elimination.positions``); an
        entry that comes twice counts once.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is not positive definite.
    """
    numbers = np.zeros(pattern.n_entries)
    numbers[at] = values
    panels = pattern.panels
    if not _factorise(panels, numbers, _space(panels), _space(panels)):
        raise np.linalg.LinAlgError("the sparse matrix is not positive definite")
    return numbers


def half_solve(pattern: Pattern, L: FloatArray, x: FloatArray) -> None:
    """Replace x (n, c), rows in the order of elimination, by L^-1 x."""
    _forward(pattern.panels, L, x, _space(pattern.panels, x.shape[1]))


def back_solve(pattern: Pattern, L: FloatArray, x: FloatArray) -> None:
    """Replace x (n, c), rows in the order of elimination, by L'^-1 x."""
    _backward(pattern.panels, L, x, _space(pattern.panels, x.shape[1]))


def selected_inverse(pattern: Pattern, L: FloatArray) -> FloatArray:
    """Entries of (L L')^-1 on the pattern of L, stored as L is, shape (n_entries,)."""
    Z = np.empty_like(L)
    spaces = [_space(pattern.panels) for _ in range(3)]
    _invert(pattern.panels, L, Z, *spaces)
    return Z


def log_det(pattern: Pattern, L: FloatArray) -> float:
    """Log det(L L')."""
    panels = pattern.panels
    width = np.diff(panels.first)[panels.owner]
    column = np.arange(panels.owner.size) - panels.first[panels.owner]
    diagonal = L[panels.panel_start[panels.owner] + column * (width + 1)]
    return float(2.0 * np.log(diagonal).sum())


def _space(panels: Panels, columns: int = 0) -> FloatArray:
    """Return room for the largest product of two panels, or of one and ``columns`` columns."""
    width = np.diff(panels.first)
    height = width + np.diff(panels.row_start)
    return np.empty(height.max() * (columns or width.max()))


@njit(cache=True)
def _panel(panels: Panels, numbers: FloatArray, s: int) -> FloatArray:
    """Panel s as a matrix: its columns' rows first, then the rows below."""
    width = panels.first[s + 1] - panels.first[s]
    return numbers[panels.panel_start[s] : panels.panel_start[s + 1]].reshape(-1, width)


@njit(cache=True)
def _matrix(space: FloatArray, rows: int, columns: int) -> FloatArray:
    """Return the beginning of ``space`` as a matrix."""
    return space[: rows * columns].reshape(rows, columns)


@njit(cache=True)
def _group_end(rows: Int64Array, k: int, last: int) -> int:
    """Where the rows from k on leave the columns before ``last``."""
    while k < rows.size and rows[k] < last:
        k += 1
    return k


@njit(cache=True)
def _factorise(
    panels: Panels, numbers: FloatArray, space: FloatArray, lost_space: FloatArray
) -> bool:
    """Turn the panels of a matrix into those of its factor; False if it has a pivot <= 0."""
    S = panels.first.size - 1
    # the earlier panels whose next rows are columns of a panel, as linked lists
    head, following, done = np.full(S, -1), np.full(S, -1), np.zeros(S, np.int64)
    local = np.empty(panels.owner.size, np.int64)  # row of the panel at hand
    for s in range(S):
        first, last = panels.first[s], panels.first[s + 1]
        target = _panel(panels, numbers, s)
        rows = panels.rows[panels.row_start[s] : panels.row_start[s + 1]]
        for j in range(first, last):
            local[j] = j - first
        for k in range(rows.size):
            local[rows[k]] = last - first + k
        lost = _matrix(lost_space, target.shape[0], target.shape[1])
        for i in range(target.shape[0]):
            for k in range(target.shape[1]):
                lost[i, k] = 0.0
        d = head[s]
        while d != -1:
            d_next = following[d]
            d_rows = panels.rows[panels.row_start[d] : panels.row_start[d + 1]]
            begin = done[d]
            end = _group_end(d_rows, begin, last)
            source = _panel(panels, numbers, d)
            width = source.shape[1]
            below, to = source[width + begin :], d_rows[begin:]
            _subtract(target, lost, below, local, to, end - begin, space)
            if end < d_rows.size:
                done[d], t = end, panels.owner[d_rows[end]]
                following[d], head[t] = head[t], d
            d = d_next
        if not _factorise_panel(target):
            return False
        if rows.size:
            t = panels.owner[rows[0]]
            following[s], head[t] = head[t], s
    return True


@njit(cache=True)
def _subtract(
    target: FloatArray,
    lost: FloatArray,
    below: FloatArray,
    local: Int64Array,
    rows: Int64Array,
    count: int,
    space: FloatArray,
) -> None:
    """Take below below' off the target; the first ``count`` rows are columns of the target."""
    height, width = below.shape
    if height * width * count < SMALL:
        for i in range(height):
            row = local[rows[i]]
            for k in range(min(i + 1, count)):
                total = 0.0
                for c in range(width):
                    total += below[i, c] * below[k, c]
                _take_off(target, lost, row, local[rows[k]], total)
        return
    product = _matrix(space, height, count)
    np.dot(below, below[:count].T, product)
    begin = local[rows[0]]
    is_plain = width > NARROW and local[rows[count - 1]] - begin == count - 1
    for i in range(height):
        row = local[rows[i]]
        if is_plain:
            for k in range(count):
                target[row, begin + k] -= product[i, k]
        else:
            for k in range(count):
                _take_off(target, lost, row, local[rows[k]], product[i, k])


@njit(cache=True)
def _take_off(x: FloatArray, lost: FloatArray, i: int, j: int, amount: float) -> None:
    """Take an amount off x[i, j].

    A level that meets a hundred thousand others gets as many small numbers taken off; what
    rounding loses of each is kept in ``lost`` and taken off with the next (Kahan's summation).
    """
    more = amount + lost[i, j]
    less = x[i, j] - more
    lost[i, j] = more - (x[i, j] - less)
    x[i, j] = less


@njit(cache=True)
def _factorise_panel(panel: FloatArray) -> bool:
    """Cholesky factor of the triangle on top, and the rows below times its transposed inverse."""
    height, width = panel.shape
    for j in range(width):
        pivot = panel[j, j]
        if not pivot > 0.0:
            return False
        root = np.sqrt(pivot)
        panel[j, j] = root
        for i in range(j + 1, width):
            panel[i, j] /= root
        for i in range(j + 1, width):
            for k in range(j + 1, i + 1):
                panel[i, k] -= panel[i, j] * panel[k, j]
    upper = panel[:width].T.copy()
    for i in range(width, height):
        line = panel[i]
        for j in range(width):
            x = line[j] / upper[j, j]
            line[j] = x
            for k in range(j + 1, width):
                line[k] -= x * upper[j, k]
    return True


@njit(cache=True)
def _over_triangle(lines: FloatArray, L: FloatArray) -> None:
    """Replace each line x by x L^-1 for a lower triangle L."""
    width = L.shape[1]
    for i in range(lines.shape[0]):
        line = lines[i]
        for j in range(width - 1, -1, -1):
            x = line[j] / L[j, j]
            line[j] = x
            for k in range(j):
                line[k] -= x * L[j, k]


@njit(cache=True)
def _forward(panels: Panels, L: FloatArray, x: FloatArray, space: FloatArray) -> None:
    c = x.shape[1]
    lost = np.zeros(x.shape)
    for s in range(panels.first.size - 1):
        panel = _panel(panels, L, s)
        width = panel.shape[1]
        own = x[panels.first[s] : panels.first[s + 1]]
        for j in range(width):
            for a in range(c):
                own[j, a] /= panel[j, j]
            for k in range(j + 1, width):
                for a in range(c):
                    own[k, a] -= panel[k, j] * own[j, a]
        rows = panels.rows[panels.row_start[s] : panels.row_start[s + 1]]
        product = _matrix(space, rows.size, c)
        if rows.size * width * c < SMALL:
            for i in range(rows.size):
                for a in range(c):
                    product[i, a] = 0.0
                    for k in range(width):
                        product[i, a] += panel[width + i, k] * own[k, a]
        else:
            np.dot(panel[width:], own, product)
        for i in range(rows.size):
            for a in range(c):
                _take_off(x, lost, rows[i], a, product[i, a])


@njit(cache=True)
def _backward(panels: Panels, L: FloatArray, x: FloatArray, space: FloatArray) -> None:
    c = x.shape[1]
    for s in range(panels.first.size - 2, -1, -1):
        panel = _panel(panels, L, s)
        width = panel.shape[1]
        own = x[panels.first[s] : panels.first[s + 1]]
        rows = panels.rows[panels.row_start[s] : panels.row_start[s + 1]]
        if rows.size * width * c < SMALL:
            for i in range(rows.size):
                for k in range(width):
                    for a in range(c):
                        own[k, a] -= panel[width + i, k] * x[rows[i], a]
        else:
            gathered = _matrix(space, rows.size, c)
            for i in range(rows.size):
                for a in range(c):
                    gathered[i, a] = x[rows[i], a]
            product = np.dot(panel[width:].T, gathered)
            for k in range(width):
                for a in range(c):
                    own[k, a] -= product[k, a]
        for j in range(width - 1, -1, -1):
            for a in range(c):
                own[j, a] /= panel[j, j]
            for k in range(j):
                for a in range(c):
                    own[k, a] -= panel[j, k] * own[j, a]


@njit(cache=True)
def _invert(
    panels: Panels,
    L: FloatArray,
    Z: FloatArray,
    space: FloatArray,
    more: FloatArray,
    Y_space: FloatArray,
) -> None:
    """Fill Z with the inverse on the pattern, from the last panel to the first."""
    local = np.empty(panels.owner.size, np.int64)
    for s in range(panels.first.size - 2, -1, -1):
        panel, out = _panel(panels, L, s), _panel(panels, Z, s)
        width = panel.shape[1]
        rows = panels.rows[panels.row_start[s] : panels.row_start[s + 1]]
        Y = _matrix(Y_space, rows.size, width)
        X = out[width:]
        for i in range(rows.size):
            for c in range(width):
                Y[i, c], X[i, c] = panel[width + i, c], 0.0
        _over_triangle(Y, panel[:width])
        begin = 0
        while begin < rows.size:
            t = panels.owner[rows[begin]]
            end = _group_end(rows, begin, panels.first[t + 1])
            _find_rows(panels, t, rows[begin:], local)
            columns = rows[begin:end] - panels.first[t]
            block = _panel(panels, Z, t)
            _spread(X[begin:], block, local, columns, Y[begin:], space, more)
            begin = end
        _close_inverse(out[:width], panel[:width], Y, X)


@njit(cache=True)
def _close_inverse(own: FloatArray, L: FloatArray, Y: FloatArray, X: FloatArray) -> None:
    """Set own to (L L')^-1 - Y'X."""
    width = own.shape[0]
    inverse = np.eye(width)
    _over_triangle(inverse, L)
    if (width + Y.shape[0]) * width * width < SMALL:
        for a in range(width):
            for b in range(a + 1):
                total = 0.0
                for k in range(a, width):
                    total += inverse[k, a] * inverse[k, b]
                for k in range(Y.shape[0]):
                    total -= Y[k, a] * X[k, b]
                own[a, b] = own[b, a] = total
        return
    first, second = np.dot(inverse.T, inverse), np.dot(Y.T, X)
    for a in range(width):
        for b in range(width):
            own[a, b] = first[a, b] - second[a, b]


@njit(cache=True)
def _find_rows(panels: Panels, t: int, wanted: Int64Array, local: Int64Array) -> None:
    """Set local[:wanted.size] to the rows of panel t that hold the wanted ones, ascending."""
    first, width = panels.first[t], panels.first[t + 1] - panels.first[t]
    rows = panels.rows[panels.row_start[t] : panels.row_start[t + 1]]
    is_run = rows.size == 0 or rows[-1] - first == width + rows.size - 1
    low = 0
    for i in range(wanted.size):
        place = wanted[i] - first
        if not is_run and place >= width:
            low += np.searchsorted(rows[low:], wanted[i])
            place = width + low
        local[i] = place


@njit(cache=True)
def _spread(
    X: FloatArray,
    block: FloatArray,
    local: Int64Array,
    columns: Int64Array,
    Y: FloatArray,
    space: FloatArray,
    more: FloatArray,
) -> None:
    """Take off X what the columns of one later panel of the inverse contribute to Z22 Y.

    The first rows of X and Y are the panel's ``columns``; ``local`` says where all their rows are
    in the panel.
    """
    height, width = Y.shape
    count = columns.size
    if height * width * count < SMALL:
        for i in range(height):
            line = block[local[i]]
            for k in range(count):
                z = line[columns[k]]
                for c in range(width):
                    X[i, c] -= z * Y[k, c]
                    if i >= count:
                        X[k, c] -= z * Y[i, c]
        return
    if count == block.shape[1] and local[height - 1] - local[0] == height - 1:
        part = block[local[0] : local[0] + height]
    else:
        part = _matrix(space, height, count)
        for i in range(height):
            line = block[local[i]]
            for k in range(count):
                part[i, k] = line[columns[k]]
    product = _matrix(more, height, width)
    np.dot(part, Y[:count], product)
    for i in range(height):
        for c in range(width):
            X[i, c] -= product[i, c]
    if height > count:
        product = np.dot(part[count:].T, Y[count:])
        for i in range(count):
            for c in range(width):
                X[i, c] -= product[i, c]
