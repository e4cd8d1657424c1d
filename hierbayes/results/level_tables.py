"""Tables of the random effects or coefficients of every level, one a grouping factor."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import pandas as pd

from hierbayes.errors import OptionError, UnknownNameError
from hierbayes.results import verbs
from hierbayes.results.exporting import Exportable
from hierbayes.results.table_pictures import picture_of
from hierbayes.wording import meant

Kind = Literal["ranef", "ranef_sd", "coef"]
Tables = Mapping[str, pd.DataFrame]


class UnknownFactorError(OptionError, KeyError):
    """A name that is no grouping factor."""

    __str__ = Exception.__str__


class LevelTables(Exportable, dict[str, pd.DataFrame]):
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

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return the tables by grouping factor, sds beside the estimates where they are known."""
        sds = self.sds or {}
        found = {}
        for name, frame in self.items():
            beside = {f"{term} (sd)": sds[name][term] for term in frame} if name in sds else {}
            found[name] = pd.DataFrame(frame).assign(**beside).rename_axis("level")
        return found

    def _picture(self) -> verbs.Function:
        return picture_of(self.kind)

    def __missing__(self, name: str) -> pd.DataFrame:
        """Refuse a name that is no grouping factor."""
        raise UnknownFactorError(f"There is no grouping factor {name!r}{meant(name, list(self))}")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Refuse a name that isn't there: the tables are the values of a dict."""
            if name.startswith("_"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            factor = name if name in self else next(iter(self), "g")
            kind = vars(self).get("kind", "ranef")
            raise UnknownNameError(
                f"These are tables by grouping factor and have no {name!r}; fit.{kind}()"
                f"[{factor!r}] is a data frame."
            )

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
