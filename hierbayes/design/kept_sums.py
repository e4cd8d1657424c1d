"""What a design without rows knows of them: moments, rows per level, products for other columns.

``gaussian`` makes products and ``streams`` keeps them; a design only hands them on to whoever asks
for a smaller model of the same rows.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.design.moments import RowMoments
from hierbayes.design.values import Column
from hierbayes.formula.expressions import Expression


class KeptSums(Protocol):
    """Sums over rows that are gone."""

    @property
    def moments(self) -> RowMoments:
        """Moments of the columns of the design."""

    @property
    def made(self) -> Mapping[Expression, Column]:
        """Made-up rows of every variable, in which columns of any formula have their ranks."""

    @property
    def n_made(self) -> int:
        """Number of made-up rows."""

    def rows_per_level(self, name: str) -> IntArray:
        """Rows of each level of a grouping factor, shape (J,)."""

    def level_squares(
        self, design: Any, name: str, beta: FloatArray, effects: FloatArray
    ) -> FloatArray:
        """Sum of squares of the rows of each level without X beta and Z effects, shape (J,).

        Parameters
        ----------
        design : whose X and Z these are
        name : of the grouping factor
        beta : array, shape (p,), of all columns of X, 0 for dropped ones
        effects : array, shape (J, q), of its levels
        """

    def surrogate(self, columns: FloatArray) -> FloatArray:
        """Return p rows with the cross-products of all rows, (p, m).

        Parameters
        ----------
        columns : combinations of the fixed-effects columns, in the made-up rows (n_made, m)
        """

    def products(self, design: Any) -> Any:
        """Cross-products of a design whose columns are combinations of those summed.

        Raises
        ------
        NotSupportedError
            If they are not.
        """
