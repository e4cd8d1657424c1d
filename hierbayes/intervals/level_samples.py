"""The model on a sample of the levels of its top grouping factor, for cases and jackknife.

Data of different levels of the top factor are independent, so a sample of them, with or without
replacement, is a data set of the same kind; a level drawn twice counts as two levels. The
cross-products of a sample are those of its levels side by side (and of their sub-levels), so no
formula is read again. Without random effects every row is a level of its own, or every series of
correlated residuals.

Not for crossed factors: there no two groups of rows are independent.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design, GroupingFactor
from hierbayes.design.rows import Rows
from hierbayes.design.series import Series
from hierbayes.design.values import Factor, label_array
from hierbayes.errors import NotSupportedError
from hierbayes.gaussian.kernel import of_other_levels
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.pattern.level_graph import level_graph
from hierbayes.gaussian.pattern.related import check_unrelated
from hierbayes.gaussian.products import Coupling, Products, residual_response
from hierbayes.gaussian.remainder import Remainder
from hierbayes.results.linear_fit import LinearFit


def crossed_levels(factors: Sequence[GroupingFactor], *, purpose: str) -> NotSupportedError:
    """Return the error of levels that are not independent of each other."""
    names = " and ".join(factor.name for factor in factors)
    return not_supported("levels-crossed", purpose=purpose, factors=names)


class LevelSamples:
    """Makes kernels and designs of samples of top levels.

    Attributes
    ----------
    n_levels : number of levels of the top factor (of rows, without random effects)
    rows_top : array, shape (n,), the level of each row
    unit : what a level is, in words

    Raises
    ------
    NotSupportedError
        For crossed factors.
    """

    def __init__(self, fit: LinearFit, *, purpose: str) -> None:
        check_unrelated(fit.design, purpose)
        self._kernel, self._design = fit.kernel, fit.design
        products, factors = fit.kernel.products, fit.design.factors
        if not level_graph(products).is_nested:
            raise crossed_levels(factors, purpose=purpose)
        anchor = products.anchor
        self._X = fit.design.X[:, anchor.kept] @ anchor.x_basis
        self._y = residual_response(fit.design, anchor)
        self._w = np.ones(self._y.size) if fit.weights is None else fit.weights
        self._left = None
        if products.remainder is not None:
            self._left = np.column_stack([self._X, self._y])
            bases, levels = anchor.z_bases, products.remainder.levels
            for factor, basis, B in zip(factors, bases, levels, strict=True):
                self._left -= np.einsum("iq,iqc->ic", factor.z @ basis, B[0][factor.codes])
        series = fit.spec.residuals.series if fit.residual is not None else None
        self._series = series
        if factors:
            self.rows_top, self.n_levels = factors[-1].codes, factors[-1].levels.size
            self.unit = f"levels of {factors[-1].name}"
        elif series is not None:
            self.rows_top, self.n_levels = series.codes, series.labels.size
            self.unit = f"series of {series.term.group}"
        else:
            self.rows_top, self.n_levels, self.unit = np.arange(self._y.size), self._y.size, "rows"
        last = len(factors) - 1
        tops = [
            np.arange(self.n_levels) if f == last else products.couplings[f, last].columns
            for f in range(len(factors))
        ]
        self._members = [_Members(top, self.n_levels) for top in tops]
        self._row_members = _Members(self.rows_top, self.n_levels)

    def kernel(self, drawn: IntArray) -> Kernel:
        """Return the kernel of the levels ``drawn``, which may repeat."""
        products = self._products(drawn)
        return of_other_levels(self._kernel, products)

    def _products(self, drawn: IntArray) -> Products:
        old = self._kernel.products
        times = np.bincount(drawn, minlength=self.n_levels)[self.rows_top]
        weights = self._w * times
        Xw = self._X * weights[:, None]
        taken = [members.of(drawn) for members in self._members]
        couplings = {}
        for (f, g), coupling in old.couplings.items():
            copies = self._members[f].copies(drawn)
            parents = coupling.columns[taken[f]]
            couplings[f, g] = Coupling(
                rows=np.arange(taken[f].size),
                columns=self._members[g].new_position(drawn, copies, parents),
                blocks=coupling.blocks[taken[f]],
            )
        return replace(
            old,
            n_obs=int(times.sum()),
            sum_log_weights=float(times @ np.log(self._w)),
            xx=Xw.T @ self._X,
            xy=Xw.T @ self._y,
            yy=float((weights * self._y) @ self._y),
            zz=tuple(zz[at] for zz, at in zip(old.zz, taken, strict=True)),
            zx=tuple(zx[at] for zx, at in zip(old.zx, taken, strict=True)),
            zy=tuple(zy[at] for zy, at in zip(old.zy, taken, strict=True)),
            couplings=couplings,
            remainder=self._remainder(weights, taken),
        )

    def _remainder(self, weights: FloatArray, taken: list[IntArray]) -> Remainder | None:
        """Return what the levels ``taken`` leave of the rows, which have these weights."""
        old = self._kernel.products.remainder
        if old is None or self._left is None:
            return None
        return Remainder(
            levels=tuple(B[:, at] for B, at in zip(old.levels, taken, strict=True)),
            zr=tuple(z[:, at] for z, at in zip(old.zr, taken, strict=True)),
            rr=(self._left.T @ (weights[:, None] * self._left))[None],
        )

    def design(self, drawn: IntArray) -> Design:
        """Return the design of the levels ``drawn``; a level drawn again has a number appended."""
        rows = self._row_members.of(drawn)
        part = self._design.with_rows(rows)
        row_copies = self._row_members.copies(drawn)
        factors = []
        for factor, members in zip(part.factors, self._members, strict=True):
            copies = members.copies(drawn)
            labels = [
                f"{label} #{copy + 1}"
                for label, copy in zip(factor.levels[members.of(drawn)], copies, strict=True)
            ]
            codes = members.new_position(drawn, row_copies, factor.codes)
            factors.append(replace(factor, levels=np.array(labels), codes=codes))
        if self._series is not None:
            part = replace(part, rows=_with_series(part.rows, self._series, rows, row_copies))
        return part.with_mean(replace(part.mean, factors=tuple(factors)))


def _with_series(rows: Rows, series: Series, taken: IntArray, copies: IntArray) -> Rows:
    """Return rows whose series are those of their copies: a series drawn again is another one."""
    pairs = np.column_stack([copies, series.codes[taken]])
    distinct, codes = np.unique(pairs, axis=0, return_inverse=True)
    labels = [f"{series.labels[code]} #{copy + 1}" for copy, code in distinct.tolist()]
    first = series.term.formula.bars[0].grouping[0]
    column = Factor(codes.ravel().astype(np.intp), label_array(labels))
    return replace(rows, values={**rows.values, first: column})


class _Members:
    """Which members (levels of a finer factor, or rows) each top level has."""

    def __init__(self, top: IntArray, n_levels: int) -> None:
        self.order = np.argsort(top, kind="stable")
        self.counts = np.bincount(top, minlength=n_levels)
        self.starts = np.cumsum(self.counts) - self.counts
        self.position = np.empty(top.size, dtype=np.intp)  # within its top level
        self.position[self.order] = np.arange(top.size) - np.repeat(self.starts, self.counts)

    def of(self, drawn: IntArray) -> IntArray:
        """Members of the levels drawn, level by level."""
        counts = self.counts[drawn]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.asarray(self.order[np.repeat(self.starts[drawn], counts) + within])

    def copies(self, drawn: IntArray) -> IntArray:
        """For each of those members the place of its level among the drawn ones."""
        return np.repeat(np.arange(drawn.size), self.counts[drawn])

    def new_position(self, drawn: IntArray, copies: IntArray, members: IntArray) -> IntArray:
        """Positions that members have among ``of(drawn)`` in given copies of their levels."""
        counts = self.counts[drawn]
        return np.asarray((np.cumsum(counts) - counts)[copies] + self.position[members])
