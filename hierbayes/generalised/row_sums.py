"""Sums of log densities over the rows of a level, short for the two families most models have.

    logit of a probability  sum_i y_i eta_i - n_i log(1 + exp(eta_i)) + constant
    log of Poisson's mean   sum_i y_i eta_i - exp(eta_i) + constant

The first part is linear in the effects, and needs sums of y z over rows once. In the second the
factor exp of an effect is common to all rows of a level where its column is one, so that it is
taken once a level and not once a row; and a sum of logarithms is the logarithm of a product.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy.special import gammaln

from hierbayes.arrays import FloatArray, IntArray, record

SEGMENT = 16  # rows whose product is taken at a time
# Largest eta for which such a product is a number, with a margin: 16 times 40 is less than 709.
LARGEST = 40.0


@record
class RowSums:
    """What the sums of one model need; rows are sorted, as those of ``ChainRows``.

    Attributes
    ----------
    is_count : whether the response is a Poisson count
    y, trials, counts : arrays (n,); how often each row counts
    starts : array, shape (J,), where each level of the finest factor begins
    z : per factor of the chain, array (q, n)
    parents : per factor of the chain, array (J,), the level of it that each finest one is in
    """

    is_count: bool
    y: FloatArray
    trials: FloatArray
    counts: FloatArray
    starts: IntArray
    z: tuple[FloatArray, ...]
    parents: tuple[IntArray, ...]

    @cached_property
    def _constant(self) -> FloatArray:
        y, n = self.y, self.trials
        if self.is_count:
            return self._summed(-gammaln(y + 1))
        return self._summed(gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1))

    @cached_property
    def _slopes(self) -> list[FloatArray]:
        """Sums of y z by finest level, per factor (q, J)."""
        return [np.stack([self._summed(self.y * column) for column in z]) for z in self.z]

    @cached_property
    def _is_constant(self) -> bool:
        return all((z == 1).all() for z in self.z)

    @cached_property
    def _weights(self) -> FloatArray | None:
        """How much each row's second part counts; None where each counts once."""
        weights = self.counts if self.is_count else self.counts * self.trials
        return None if (weights == 1).all() else weights

    @cached_property
    def _segments(self) -> tuple[IntArray, IntArray]:
        """Where segments of rows begin, and where those of each level do."""
        ends = np.append(self.starts[1:], self.y.size)
        pieces = -(-(ends - self.starts) // SEGMENT)
        first = np.append(0, np.cumsum(pieces)[:-1])
        within = np.arange(pieces.sum()) - np.repeat(first, pieces)
        return np.repeat(self.starts, pieces) + SEGMENT * within, first

    def _summed(self, rows: FloatArray) -> FloatArray:
        weights = self.counts.reshape(-1, *[1] * (rows.ndim - 1))
        return np.add.reduceat(rows * weights, self.starts, axis=0)

    def log_density(self, base: FloatArray, b: Sequence[FloatArray]) -> FloatArray | None:
        """Log density of the rows of each level of the finest factor, (J, T, M).

        Parameters
        ----------
        base : array, shape (n, T), eta without the effects of the chain
        b : per factor of the chain, finest first, effects (J_k, T, q_k, M_k)

        Returns
        -------
        None where products of rows are too large for a number.
        """
        linear = self._linear(base, b)
        if self._is_constant:
            common, rows = self._common(b), None
        else:
            common, rows = None, self._rows(base, b)
        return self._with_second(linear, base, common, rows)

    def second_order(self, eta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log densities of the rows at eta (n, T), up to a constant, slopes and curvatures."""
        y = self.y[:, None]
        if self.is_count:
            mean = np.exp(eta)
            return y * eta - mean, y - mean, mean
        n = self.trials[:, None]
        small = np.exp(-np.abs(eta))
        share = 1 / (1 + small)
        mean = np.where(eta > 0, share, small * share)
        value = y * eta - n * (np.maximum(eta, 0.0) + np.log1p(small))
        return value, y - n * mean, n * small * share**2

    def _with_second(
        self,
        linear: FloatArray,
        base: FloatArray,
        common: FloatArray | None,
        rows: FloatArray | None,
    ) -> FloatArray | None:
        if self.is_count:
            if common is not None:
                sums = self._summed(np.exp(base))
                return linear - sums[:, :, None] * np.exp(common)
            assert rows is not None
            return linear - self._summed(np.exp(rows))
        if common is not None:
            if base.max(initial=0.0) + common.max(initial=0.0) > LARGEST:
                return None
            sizes = np.diff(np.append(self.starts, self.y.size))
            odds = np.repeat(np.exp(common), sizes, axis=0)
            odds *= np.exp(base)[:, :, None]
        else:
            assert rows is not None
            if rows.max(initial=0.0) > LARGEST:
                return None
            odds = np.exp(rows, out=rows)
        if self._weights is not None:
            np.log1p(odds, out=odds)
            odds *= self._weights[:, None, None]
            return linear - np.add.reduceat(odds, self.starts, axis=0)
        odds += 1.0
        segments, levels = self._segments
        products = np.multiply.reduceat(odds, segments, axis=0)
        return linear - np.add.reduceat(np.log(products, out=products), levels, axis=0)

    def _linear(self, base: FloatArray, b: Sequence[FloatArray]) -> FloatArray:
        total = (self._summed(self.y[:, None] * base) + self._constant[:, None])[:, :, None]
        for slopes, up, own in zip(
            reversed(self._slopes), reversed(self.parents), reversed(b), strict=True
        ):
            part = slopes[0][:, None, None] * own[up, :, 0]
            for a in range(1, slopes.shape[0]):
                part += slopes[a][:, None, None] * own[up, :, a]
            total = _finer(total, part)
        return total

    def _common(self, b: Sequence[FloatArray]) -> FloatArray:
        """Sum of the effects of each finest level, (J, T, M)."""
        total = np.zeros((1, 1, 1))
        for up, own in zip(reversed(self.parents), reversed(b), strict=True):
            total = _finer(total, own[up, :, 0] if own.shape[2] == 1 else own[up].sum(axis=2))
        return total

    def _rows(self, base: FloatArray, b: Sequence[FloatArray]) -> FloatArray:
        """Eta of each row, (n, T, M)."""
        sizes = np.diff(np.append(self.starts, self.y.size))
        total = base[:, :, None]
        for z, up, own in zip(reversed(self.z), reversed(self.parents), reversed(b), strict=True):
            for a, column in enumerate(z):
                part = np.repeat(own[up, :, a], sizes, axis=0)
                if not (column == 1).all():
                    part *= column[:, None, None]
                total = _finer(total, part) if a == 0 else total + part
        return total


def _finer(total: FloatArray, own: FloatArray) -> FloatArray:
    """Add (J, T, M) to a total of fewer nodes, (J, T, M / N)."""
    J, T, M = own.shape
    above = total.shape[2]
    if above == M:
        return total + own
    split = own.reshape(J, T, above, M // above)
    return np.asarray((total[..., None] + split).reshape(J, T, M))
