"""Tables of the random effects or coefficients of every level, one a grouping factor."""

from collections.abc import Mapping
from typing import Literal

import pandas as pd

from hierbayes.results.printing import Printable


class LevelTables(Printable, dict[str, pd.DataFrame]):
    """Grouping factor -> table (levels x columns), printing as lme4 prints it.

    Parameters
    ----------
    tables : one table a grouping factor, in lme4's order
    kind : ``"ranef"`` for conditional modes, ``"coef"`` for modes plus fixed effects
    sds : conditional sds of the modes in the same shape, when they are known

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> fit.ranef()["Subject"].loc["308", "Days"].round(4)
    np.float64(9.199)
    """

    def __init__(
        self,
        tables: Mapping[str, pd.DataFrame],
        *,
        kind: Literal["ranef", "coef"] = "ranef",
        sds: Mapping[str, pd.DataFrame] | None = None,
    ) -> None:
        super().__init__(tables)
        self.kind = kind
        self.sds = sds
