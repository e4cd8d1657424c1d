"""What an F test of a term tests: hypotheses of type I, II and III, and single-term deletions.

X is taken in one coding (type III: treatment contrasts; otherwise R's defaults, polynomials for
ordered factors), so that tests do not depend on how the fit codes its factors, and mapped to the
columns of the fit. A term *contains* another if it has all its variables, further factors, and the
same continuous variables.

- Type I: what a term adds to the terms before it. With X = QR, the rows of R of its columns.
- Type II: what it adds to all terms that do not contain it; type I with the terms containing it
  put last.
- Type III: what is left of its parameters after taking out those of the terms that contain it,
  in the space of the model with an indicator for every level (SAS's estimable functions). With
  balanced or filled cells: equality of means averaged with equal weights.
- Deletion: what is lost by leaving the term out, the columns of X outside the smaller model.

Source: Goodnight (1978), SAS Technical Report R-101 (types I to III); Kuznetsova, Brockhoff &
Christensen (2017), J. Stat. Softw. 82(13).
"""

from collections.abc import Mapping

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.coding import fill_columns, indicator_columns
from hierbayes.design.design import Design
from hierbayes.design.layout import Layout, TermLayout
from hierbayes.design.smaller import without_fixed_term
from hierbayes.design.values import Column, Factor
from hierbayes.formula.expressions import Expression
from hierbayes.linalg.rank import column_basis
from hierbayes.options import AnovaType, Coding

# Of the length of a column, what may be left outside a smaller model through rounding alone; a
# column with less adds nothing (the same bound as for dependent columns of X).
OUTSIDE = 1e-7


@record
class _Coded:
    """X in the coding of the tests, without dependent columns.

    ``assign`` (p,) is the term of each column (0 the intercept), and ``to_fit`` (p, p) maps the
    coefficients of the fit to those of these columns.
    """

    X: FloatArray
    assign: IntArray
    to_fit: FloatArray


def type_hypotheses(
    design: Design, kept: IntArray, *, type: AnovaType, weights: FloatArray | None = None
) -> dict[str, FloatArray]:
    """Hypotheses L beta = 0 of every term, by its label.

    Parameters
    ----------
    design : Design
    kept : array of int, shape (p,), columns of X that were not dropped
    type : {1, 2, 3}
    weights : array, shape (n,), or None
        Weights of the rows, or of cells, under which terms "add" something (type I and II).

    Returns
    -------
    dict of array, shape (q, p)
        ``q`` is 0 for a term all of whose columns were dropped.
    """
    layout, design = design.mean.layout, design.summands
    if design.counts is not None:
        counts = design.counts.astype(np.float64)
        weights = counts if weights is None else weights * counts
    coded = _coded(design, kept, treatment=type == 3)
    own = [np.flatnonzero(coded.assign == k + 1) for k in range(len(layout.terms))]
    if type == 1:
        R = _triangle(coded.X, weights)
        found = [R[columns] for columns in own]
    elif type == 2:
        found = [_type_two(coded, own, k, layout=layout, weights=weights) for k in range(len(own))]
    else:
        N = _in_indicators(coded, design)
        found = [_type_three(N, own, k, layout=layout) for k in range(len(own))]
    return {label: L @ coded.to_fit for label, L in zip(layout.labels, found, strict=True)}


def _coded(design: Design, kept: IntArray, *, treatment: bool = False) -> _Coded:
    layout, values = design.mean.layout, _values(design)
    X = _columns(design, layout)[:, kept]
    codings: dict[str, Coding] = {}
    for variable in layout.variables():
        value = values[variable.expression]
        ordered = isinstance(value, Factor) and value.ordered
        codings[variable.label] = "poly" if ordered and not treatment else "treatment"
    other = layout.recoded(codings)
    if other is layout:
        return _Coded(X=X, assign=design.assign[kept], to_fit=np.eye(kept.size))
    Y = _columns(design, other)
    columns = column_basis(Y).kept
    Y = Y[:, columns]
    return _Coded(X=Y, assign=design.assign[columns], to_fit=_projected(Y, X))


def _values(design: Design) -> Mapping[Expression, Column]:
    """Values of the variables; of a stream those of made-up rows."""
    return design.rows.values if design.rows.sums is None else design.rows.sums.made


def _columns(design: Design, layout: Layout) -> FloatArray:
    """Columns of a layout; of a stream so many rows as it has columns, of the same products."""
    sums = design.rows.sums
    if sums is None or design.weights is not None:  # without sums of plain products: says so
        own = layout is design.mean.layout
        return design.X if own else fill_columns(layout, design.rows.values, design.X.shape[0])
    return sums.surrogate(fill_columns(layout, sums.made, sums.n_made))


def _projected(X: FloatArray, onto: FloatArray) -> FloatArray:
    """Coefficients of X (n, p) that give the columns of ``onto`` (n, m), shape (p, m)."""
    scale = np.sqrt((X**2).sum(axis=0))
    Q, R = np.linalg.qr(X / scale)
    return np.asarray(np.linalg.solve(R, Q.T @ onto) / scale[:, None])


def _triangle(X: FloatArray, weights: FloatArray | None) -> FloatArray:
    """R of X = QR with a unit diagonal, shape (p, p)."""
    if not X.shape[1]:
        return np.zeros((0, 0))
    R = np.linalg.qr(X if weights is None else X * np.sqrt(weights)[:, None], mode="r")
    return np.asarray(R / np.diag(R)[:, None])


def _type_two(
    coded: _Coded, own: list[IntArray], k: int, *, layout: Layout, weights: FloatArray | None
) -> FloatArray:
    p = coded.X.shape[1]
    containing = _containing(own, k, layout=layout)
    if not containing.size:
        return np.eye(p)[own[k]]
    last = np.concatenate([own[k], containing])
    order = np.concatenate([np.setdiff1d(np.arange(p), last), last])
    L = np.zeros((p, p))
    L[:, order] = _triangle(coded.X[:, order], weights)
    start = p - last.size
    return L[start : start + own[k].size]


def _type_three(N: FloatArray, own: list[IntArray], k: int, *, layout: Layout) -> FloatArray:
    containing = _containing(own, k, layout=layout)
    L = np.eye(N.shape[0])[own[k]]
    if containing.size and own[k].size:
        C = N[containing]
        L[:, containing] = -np.linalg.solve(C @ C.T, C @ N[own[k]].T).T
    return L


def _containing(own: list[IntArray], k: int, *, layout: Layout) -> IntArray:
    """Columns of the terms that contain the k-th."""
    term = layout.terms[k]
    parts = [own[i] for i, other in enumerate(layout.terms) if _contains(other, term)]
    return np.concatenate(parts) if parts else np.arange(0)


def _contains(larger: TermLayout, smaller: TermLayout) -> bool:
    return larger.includes(smaller) and larger.numbers() == smaller.numbers()


def _in_indicators(coded: _Coded, design: Design) -> FloatArray:
    """Each coefficient of X as a combination of one parameter for every level, shape (p, m)."""
    sums, layout = design.rows.sums, design.mean.layout
    n = coded.X.shape[0] if sums is None else sums.n_made
    blocks = indicator_columns(layout, _values(design), n)
    blocks = [np.ones((n, 1))] * layout.intercept + blocks
    columns = np.concatenate([np.empty((n, 0)), *blocks], axis=1)
    return _projected(coded.X, columns if sums is None else sums.surrogate(columns))


@record
class TermDeletion:
    """One term left out.

    Attributes
    ----------
    label : of the term
    L : array, shape (q, p), the hypothesis that nothing is lost, on the columns of the fit
    design : the design without the term, on the same rows
    """

    label: str
    L: FloatArray
    design: Design


def term_deletions(design: Design, kept: IntArray) -> list[TermDeletion]:
    """List deletions of the terms that no other term's variables include, R's ``drop.scope``."""
    terms = design.mean.layout.terms
    coded = _coded(design.summands, kept)
    found = []
    for k, term in enumerate(terms):
        if any(other.includes(term) for other in terms):
            continue
        smaller = without_fixed_term(design, k)
        own = np.flatnonzero(coded.assign == k + 1)
        L = _lost(coded.X, _columns(smaller.summands, smaller.mean.layout), own) @ coded.to_fit
        found.append(TermDeletion(label=term.label, L=L, design=smaller))
    return found


def _lost(X: FloatArray, smaller: FloatArray, own: IntArray) -> FloatArray:
    """Hypothesis (q, p) that X beta lies in the columns of ``smaller``."""
    scale = np.sqrt((X**2).sum(axis=0))
    unit = X / scale
    basis = column_basis(smaller)
    Q = smaller[:, basis.kept] @ basis.to_basis / np.sqrt(X.shape[0])
    _, size, axes = np.linalg.svd(unit - Q @ (Q.T @ unit), full_matrices=False)
    q = int((size > OUTSIDE).sum())
    if q == own.size:  # the usual case: exactly the term's own coefficients
        return np.eye(X.shape[1])[own]
    return np.asarray(axes[:q] * scale)
