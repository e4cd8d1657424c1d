"""Pattern of factors whose levels have a known covariance: any two effects may go together."""

from functools import cached_property

import numpy as np
import scipy.linalg

from hierbayes.arrays import FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.design.level_covariance import LevelCovariance
from hierbayes.wording import listed

MOST_EFFECTS = 6000  # a factor of 288 MB


@record
class RelatedPattern:
    """Every entry of the factor may be there.

    Attributes
    ----------
    sizes : per factor its number of levels J and of columns q
    relations : per factor the covariance between its levels; None where they are independent
    """

    sizes: tuple[tuple[int, int], ...]
    relations: tuple[LevelCovariance | None, ...]
    name: str = "related"

    @property
    def n_effects(self) -> int:
        """Random effects of all factors, N."""
        return sum(J * q for J, q in self.sizes)

    @property
    def n_numbers(self) -> int:
        """How many numbers the factor of one theta holds."""
        return (
            self.n_effects if self.sizes[1:] == () and self.sizes[0][1] == 1 else self.n_effects**2
        )

    @cached_property
    def root(self) -> FloatArray:
        """R with R R' = A x I for each factor, block diagonal, shape (N, N)."""
        parts = [
            np.eye(J * q) if own is None else np.kron(own.root, np.eye(q))
            for (J, q), own in zip(self.sizes, self.relations, strict=True)
        ]
        return np.asarray(scipy.linalg.block_diag(*parts))


def related_pattern(
    sizes: tuple[tuple[int, int], ...], relations: tuple[LevelCovariance | None, ...]
) -> RelatedPattern:
    """Return the pattern of factors of which at least one has related levels.

    Raises
    ------
    NotSupportedError
        If there are more effects than a dense matrix is made of.
    """
    pattern = RelatedPattern(sizes=sizes, relations=relations)
    if pattern.n_effects > MOST_EFFECTS:
        raise not_supported("cov-large", effects=pattern.n_effects, most=MOST_EFFECTS)
    return pattern


def is_related(design: Design) -> bool:
    """Whether levels of some grouping factor have a known covariance."""
    return any(factor.relation is not None for factor in design.factors)


def check_unrelated(design: Design, what: str) -> None:
    """Refuse what is true of independent levels only.

    Raises
    ------
    NotSupportedError
        If levels of some grouping factor have a known covariance.
    """
    names = [own.name for own in design.factors if own.relation is not None]
    if names:
        raise not_supported("cov", what=what, factors=listed(names))
