"""R2 and intraclass correlations of a fit."""

from collections.abc import Mapping
from typing import ClassVar

import pandas as pd

from hierbayes.arrays import record
from hierbayes.results.tabled import Tabled


@record(repr=False)
class _VarianceExplained(Tabled):
    """Shares of a variance, with intervals where there are replicates or draws.

    Attributes
    ----------
    table : one row a share, columns ``estimate conf_low conf_high``; the last two NaN without
        intervals
    variances : "fixed", "random" and "residual" -> variance, squared units of the linear predictor
    level : level of the intervals
    residual_words : what the residual variance is
    interval_words : what the intervals are, may be empty
    formula_text, data_name : the model and its data
    """

    FRAME: ClassVar = ("table", "variance_explained")

    table: pd.DataFrame
    variances: Mapping[str, float]
    level: float
    residual_words: str
    interval_words: str
    formula_text: str
    data_name: str

    def _estimate(self, row: str) -> float:
        return float(self.table["estimate"].loc[row])


@record(repr=False)
class R2(_VarianceExplained):
    """Marginal and conditional R2; see ``hb.r2``."""

    @property
    def marginal(self) -> float:
        """Variance of the fixed part over the total variance."""
        return self._estimate("marginal")

    @property
    def conditional(self) -> float:
        """Variance of fixed and random part over the total variance."""
        return self._estimate("conditional")

    def to_dict(self) -> dict[str, float]:
        """Return ``{"marginal": ..., "conditional": ...}``.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        >>> {name: round(value, 3) for name, value in hb.r2(fit).to_dict().items()}
        {'marginal': 0.279, 'conditional': 0.799}
        """
        return {"marginal": self.marginal, "conditional": self.conditional}


@record(repr=False)
class Icc(_VarianceExplained):
    """Intraclass correlations; see ``hb.icc``.

    ``related`` are the grouping factors whose levels have a known covariance: their part is the
    heritability, or phylogenetic signal, of a level whose own entry in it is 1.
    """

    related: tuple[str, ...] = ()

    @property
    def adjusted(self) -> float:
        """Random variance over random plus residual variance."""
        return self._estimate("adjusted")

    @property
    def unadjusted(self) -> float:
        """Random variance over the total variance, that of the fixed part included."""
        return self._estimate("unadjusted")

    @property
    def by_group(self) -> dict[str, float]:
        """Per grouping factor its part of the adjusted one."""
        return {str(name): self._estimate(str(name)) for name in self.table.index[2:]}

    def to_dict(self) -> dict[str, float]:
        """Return the estimates: "adjusted", "unadjusted" and each grouping factor's."""
        return {"adjusted": self.adjusted, "unadjusted": self.unadjusted, **self.by_group}
