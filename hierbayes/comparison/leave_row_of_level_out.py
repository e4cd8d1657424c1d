"""Log p(y_i | y_-i, phi) of single rows of a generalised model, the effects of a factor integrated.

phi are the coefficients, the covariance of the effects, further parameters of the family, and the
effects of all grouping factors but the finest. Given these
the levels of the finest one are independent, and with I_j the integral over the effects of the
level of row i (``level_integrals.py``),

    1 / p(y_i | y_-i, phi) = E(1 / f(y_i | u) | y, phi) = I_j without row i / I_j,

both from the nodes of I_j where a row is one of many. For a row that carries much of what is known
of its level these are too narrow, as more of them show, and the level without it has nodes of its
own.

Source: Vehtari, Mononen, Tolvanen, Sivula & Winther (2016), JMLR 17(103); Merkle, Furr &
Rabe-Hesketh (2019), Psychometrika 84:802.
"""

from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.bayes.mixture import log_sum_exp
from hierbayes.comparison.leave_level_out import CHECKED, LADDERS, levels_of, log_integrals
from hierbayes.gaussian.weighted import WeightedLevels
from hierbayes.generalised.level_integrals import LevelRows, Points
from hierbayes.results.posterior_fit import PosteriorFit

POINTS = {1: (9, 19), 2: (5, 9)}  # nodes a column of all rows, and more to compare with
MOST_ERROR = 1e-3  # change of a term by more nodes, from which a row has nodes of its own
EVALUATIONS = 2e8  # of a row at a node and draw, at most: half a minute of work


def level_row_log_densities(fit: PosteriorFit) -> FloatArray | None:
    """Log p(y_i | y_-i, phi) of every row and draw, shape (n, S).

    None without a grouping factor or a smooth density, with a formula of a further parameter, more
    than two columns of effects of the finest factor, or too many rows and draws.
    """
    design, family = fit.design, fit.response_family
    is_smooth = family.log_density is not None and family.is_smooth and not design.formulas
    if not design.factors or len(design.factors[0].columns) not in LADDERS or not is_smooth:
        return None
    levels = levels_of(fit, 0)
    rows, at = levels.rows, levels.at
    q, S = rows.size[2], fit.n_draws
    used, more = POINTS[q]
    checked = at[slice(None, None, max(S // CHECKED, 1))]
    error = np.abs(_log_rows(rows, checked, used) - _log_rows(rows, checked, more)).max(axis=1)
    hard = np.flatnonzero(~(error <= MOST_ERROR))
    sizes = np.bincount(rows.codes)[rows.codes[hard]]
    if S * (rows.size[0] * used**q + sizes.sum() * max(LADDERS[q][:2]) ** q) > EVALUATIONS:
        return None
    found = _log_rows(rows, at, used)
    if hard.size:
        found[hard] = log_integrals(rows, at, most_error=MOST_ERROR)[rows.codes[hard]] - _without(
            rows, at, hard
        )
    return found[rows.place]


def _log_rows(rows: LevelRows, at: Points, n_points: int) -> FloatArray:
    """Log p(y_i | y_-i, phi) of the rows (n, S) by the nodes of their levels."""
    out = np.empty((rows.size[0], at.beta.shape[0]))
    for which, own, found in rows.integrated(at, n_points):
        parts = found.log_parts[rows.codes]
        with np.errstate(invalid="ignore"):
            without = parts - rows.row_densities(own, found.nodes)
        without = np.where(np.isnan(without), -np.inf, without)
        out[:, which] = log_sum_exp(parts, axis=2) - log_sum_exp(without, axis=2)
    return out


def _without(rows: LevelRows, at: Points, hard: IntArray) -> FloatArray:
    """Log integrals (H, S) of the levels of some rows, each without that row."""
    counts = np.ones(rows.size[0]) if rows.counts is None else rows.counts
    ends = np.append(rows.starts[1:], counts.size)
    parts, left, codes = [], [], []
    alone = np.zeros(hard.size, dtype=np.bool_)
    for h, i in enumerate(hard.tolist()):
        level = rows.codes[i]
        own = np.arange(rows.starts[level], ends[level])
        n = counts[own] - (own == i)
        alone[h] = not n.any()
        parts.append(own[n > 0])
        left.append(n[n > 0])
        codes.append(np.full(parts[-1].size, h - alone[: h + 1].sum()))
    found = np.zeros((hard.size, at.beta.shape[0]))  # without any row an integral is one
    if alone.all():
        return found
    index, which = np.concatenate(parts), np.concatenate(codes).astype(np.intp)
    z = np.ascontiguousarray(rows.model.levels.z[0][:, index])
    H = int((~alone).sum())
    levels = WeightedLevels(n_rows=index.size, codes=(which,), z=(z,), n_levels=(H,))
    each = LevelRows(
        model=replace(rows.model.of_rows(index), levels=levels, counts=None, cell=None),
        starts=np.searchsorted(which, np.arange(H)),
        counts=None if rows.counts is None else np.concatenate(left),
        place=np.arange(index.size),
    )
    others = None if at.others is None else at.others[:, index]
    found[~alone] = log_integrals(each, replace(at, others=others), most_error=MOST_ERROR)
    return found
