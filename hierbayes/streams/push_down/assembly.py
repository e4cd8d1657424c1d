"""From what the queries brought back to ``Products``: bases first, then block by block."""

from collections.abc import Mapping, Sequence

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.design import Design
from hierbayes.design.values import Column
from hierbayes.formula.expressions import Expression
from hierbayes.gaussian.products import Anchor, Coupling, Products, basis_within_terms
from hierbayes.linalg.rank import column_basis
from hierbayes.streams.push_down.basis import Basis
from hierbayes.streams.push_down.blocks import (
    Cells,
    Mixed,
    block,
    coupling_of,
    mixed,
    response_in,
    stand_ins,
)
from hierbayes.streams.push_down.columns import Ingredients, Part
from hierbayes.streams.push_down.expressions import NotPushed

# Part of the response's square that X has to leave: what is less would be a difference of sums,
# with fewer than ten digits.
LEAST_LEFT = 1e-5

Answers = Mapping[tuple[int, ...], "Answer"]


@record
class Answer:
    """What came back of one query.

    Attributes
    ----------
    cells : sums by levels and categories
    levels : per grouping factor that was grouped by, the level of each cell
    categories : of each combination of categories
    n_combinations : how many there are
    """

    cells: Cells
    levels: dict[int, IntArray]
    categories: Mapping[Expression, Column]
    n_combinations: int

    def mixed(self, part: Part, basis: Basis) -> Mixed:
        """Return the columns of X or of a factor as mixtures of the summed columns."""
        contrasts = part.contrasts(self.categories, self.n_combinations)
        return mixed(basis, part.monomials, contrasts)

    def sum(self, pair: tuple[int, int]) -> float:
        """Return one of the sums over all rows."""
        return float(self.cells.values[self.cells.pairs.index(pair)].sum())


def products_from(
    answers: Answers, design: Design, ingredients: Ingredients, *, basis: Basis, n_used: int
) -> Products:
    """Assemble the products; the sum of the logs of the weights is left at zero.

    Parameters
    ----------
    answers : what came back, by the grouping factors whose levels rows were grouped by
    design : layout and terms
    ingredients : what was computed from a row
    basis : how the summed columns follow from the monomials and the response
    n_used : number of rows

    Raises
    ------
    NotPushed
        If the fixed effects leave next to nothing of the response.
    """
    last = basis.size - 1
    host = next(answer for answer in answers.values() if (last, last) in answer.cells.pairs)
    kept, x_basis, beta0 = _fixed_basis(host, ingredients.x, basis, n_used=n_used)
    # [X y] in the basis: y has its first fit taken off
    turn = np.zeros((ingredients.x.monomials.size + 1, kept.size + 1))
    turn[kept, :-1] = x_basis
    turn[kept, -1] = -beta0
    turn[-1, -1] = 1.0

    def fixed(answer: Answer) -> FloatArray:
        return _with_response(answer, ingredients.x, basis).times(turn)

    c = fixed(host)
    everywhere = np.zeros(host.cells.combination.size, dtype=np.intp)
    cc = _symmetric(block(host.cells, c, c, index=everywhere, n_places=1)[0])
    if not cc[-1, -1] > LEAST_LEFT * host.sum((last, last)) * basis.U[last, last] ** 2:
        raise NotPushed(
            "The fixed effects leave next to nothing of the response, which sums over rows do not "
            "show in all digits."
        )
    z_bases, zz, zx, zy = [], [], [], []
    for f, part in enumerate(ingredients.factors):
        answer, n_levels = answers[f,], design.factors[f].levels.size
        columns = answer.mixed(part, basis)
        terms = [term.columns for term in design.terms if term.factor == f]
        z_bases.append(_term_basis(answer, columns, terms, n_used=n_used))
        z, index = columns.times(z_bases[f]), answer.levels[f]
        zz.append(_symmetric(block(answer.cells, z, z, index=index, n_places=n_levels)))
        both = block(answer.cells, z, fixed(answer), index=index, n_places=n_levels)
        zx.append(np.ascontiguousarray(both[:, :, :-1]))
        zy.append(np.ascontiguousarray(both[:, :, -1]))
    return Products(
        anchor=Anchor(kept=kept, x_basis=x_basis, beta0=beta0, z_bases=tuple(z_bases)),
        n_obs=n_used,
        sum_log_weights=0.0,
        xx=cc[:-1, :-1].copy(),
        xy=cc[:-1, -1].copy(),
        yy=float(cc[-1, -1]),
        zz=tuple(zz),
        zx=tuple(zx),
        zy=tuple(zy),
        couplings=_couplings(answers, design, ingredients, basis, z_bases=z_bases),
    )


def _with_response(answer: Answer, x: Part, basis: Basis) -> Mixed:
    return answer.mixed(x, basis).beside(response_in(basis, answer.n_combinations))


def _fixed_basis(
    answer: Answer, x: Part, basis: Basis, *, n_used: int
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Kept columns of X, their orthogonal basis, and the first fit; as ``anchor_of`` has them."""
    plain = _with_response(answer, x, basis).times(np.eye(x.monomials.size + 1))
    rows = stand_ins(answer.cells.over_levels(answer.n_combinations), plain)
    rows *= np.sqrt(rows.shape[0] / n_used)
    X, y = rows[:, :-1], rows[:, -1]
    found = column_basis(X)
    first = X[:, found.kept] @ found.to_basis
    beta0 = found.to_basis @ (first.T @ y) / rows.shape[0]
    return found.kept, found.to_basis, beta0


def _term_basis(
    answer: Answer, columns: Mixed, terms: Sequence[tuple[int, ...]], *, n_used: int
) -> FloatArray:
    plain = columns.times(np.eye(columns.high.shape[2]))
    rows = stand_ins(answer.cells.over_levels(answer.n_combinations), plain)
    rows *= np.sqrt(rows.shape[0] / n_used)
    return basis_within_terms(rows, terms, weights=None)


def _couplings(
    answers: Answers,
    design: Design,
    ingredients: Ingredients,
    basis: Basis,
    *,
    z_bases: Sequence[FloatArray],
) -> dict[tuple[int, int], Coupling]:
    found = {}
    for f in range(len(z_bases)):
        for g in range(f + 1, len(z_bases)):
            answer = answers[f, g] if (f, g) in answers else answers[f,]
            left, right = (
                answer.mixed(ingredients.factors[k], basis).times(z_bases[k]) for k in (f, g)
            )
            found[f, g] = coupling_of(
                answer.cells,
                left,
                right,
                levels=(answer.levels[f], answer.levels[g]),
                n_second=design.factors[g].levels.size,
            )
    return found


def _symmetric(blocks: FloatArray) -> FloatArray:
    return np.asarray((blocks + np.swapaxes(blocks, -1, -2)) / 2)
