"""Tables of the random effects or coefficients of every level, one a grouping factor."""

from collections.abc import Callable, Mapping
from typing import Literal

import pandas as pd

from hierbayes.results.printing import Printable

Kind = Literal["ranef", "ranef_sd", "coef"]
Tables = Mapping[str, pd.DataFrame]


class LevelTables(Printable, dict[str, pd.DataFrame]):
    """Grouping factor -> table (levels x columns), printing as lme4 prints it.

    Parameters
    ----------
    tables : one table a grouping factor, in lme4's order
    kind : ``"ranef"`` for conditional modes, ``"ranef_sd"`` for their conditional sds,
        ``"coef"`` for modes plus fixed effects
    sds : conditional sds of the modes in the same shape, or a function that computes them when
        they are asked for; None when they are not known

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> round(float(fit.ranef()["Subject"].loc["308", "Days"]), 4)
    9.199
    """

    def __init__(
        self,
        tables: Tables,
        *,
        kind: Kind = "ranef",
        sds: Tables | Callable[[], Tables] | None = None,
    ) -> None:
        super().__init__(tables)
        self.kind = kind
        self._sds = sds

    @property
    def has_sds(self) -> bool:
        """Whether conditional sds are known."""
        return self._sds is not None

    @property
    def sds(self) -> Tables | None:
        """Conditional sds in the same shape, or None."""
        if callable(self._sds):
            self._sds = self._sds()
        return self._sds
