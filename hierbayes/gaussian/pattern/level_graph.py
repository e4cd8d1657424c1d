"""Which levels of which grouping factors meet in a row: all that a pattern is made from."""

from functools import cached_property

import numpy as np

from hierbayes.arrays import IntArray, record
from hierbayes.errors import DataError
from hierbayes.gaussian.products import Products, Squares
from hierbayes.wording import listed


@record
class LevelGraph:
    """Levels of all grouping factors, and where two of them meet.

    Attributes
    ----------
    sizes : per factor, its number of levels J and of columns q
    meetings : per pair f < g of factors, the levels of f and of g, two arrays of shape (m,), sorted
        by (f, g)
    """

    sizes: tuple[tuple[int, int], ...]
    meetings: dict[tuple[int, int], tuple[IntArray, IntArray]]

    @property
    def is_nested(self) -> bool:
        """Whether each factor's levels belong to one level of every later factor.

        Every level must have rows: leaving a group out makes levels that belong to none or that
        none belongs to.
        """
        return all(
            rows.size == self.sizes[f][0]
            and bool((np.diff(rows) > 0).all())
            and np.unique(partners).size == self.sizes[g][0]
            for (f, g), (rows, partners) in self.meetings.items()
        )

    @property
    def n_rest(self) -> int:
        """Columns of all factors but the first, r."""
        return sum(J * q for J, q in self.sizes[1:])

    @cached_property
    def n_pairs(self) -> int:
        """Pairs of columns of other factors that meet in a level of the first."""
        counts = np.zeros(self.sizes[0][0], dtype=np.int64)
        for (f, g), (rows, _) in self.meetings.items():
            if f == 0:
                counts += np.bincount(rows, minlength=counts.size) * self.sizes[g][1]
        return int((counts * (counts + 1)).sum() // 2)

    @property
    def n_blocks(self) -> int:
        """Numbers in the blocks of Z'WZ."""
        between = sum(
            rows.size * self.sizes[f][1] * self.sizes[g][1]
            for (f, g), (rows, _) in self.meetings.items()
        )
        return between + sum(J * q * q for J, q in self.sizes)

    def does_not_fit(self, why: str, *, sample_of: str) -> DataError:
        """Return the error of a factor that does not fit in memory, saying why and what to do."""
        counts = [f"{J:,}" for J, _ in self.sizes]
        return DataError(
            f"Crossed factors of {listed(counts)} levels meet in so many places{why}. Fit a sample "
            f"of {sample_of}, leave a random-effects term out, or use a computer with more memory."
        )


def level_graph(products: Products | Squares) -> LevelGraph:
    """Return the graph of the levels that cross-products were made of."""
    return LevelGraph(
        sizes=tuple((A.shape[0], A.shape[1]) for A in products.zz),
        meetings={pair: (c.rows, c.columns) for pair, c in products.couplings.items()},
    )
