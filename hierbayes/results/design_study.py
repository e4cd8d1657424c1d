"""What designs of different sizes would find: one row a design, coefficient and estimator.

Goals are what is wanted of a design: ``{"power": 0.8, "width": 20}``. The smallest design that
meets one is that with the fewest rows.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.results import verbs
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.results.rich_text import RichText
from hierbayes.results.tabled import Tabled
from hierbayes.wording import listed, meant, shown

SIZES = ("subjects", "items", "trials")
# goal -> the column it is about, and whether more is better
GOALS: Mapping[str, tuple[str, bool]] = {
    "power": ("power", True),
    "assurance": ("power", True),
    "width": ("width", False),
    "p_bf": ("p_bf", True),
    "type_s": ("type_s", False),
    "type_m": ("type_m", False),
}


@record(repr=False)
class DesignStudy(Tabled):
    """Power, precision and errors of sign and magnitude over a grid of designs.

    Attributes
    ----------
    table : one row a design, coefficient and estimator: the sizes; ``rows`` of a data set;
        ``parameter``; ``estimator``; ``power`` with its Monte-Carlo error ``power_mcse`` and 95 %
        limits ``lower`` and ``upper``; ``width`` of the interval, ``type_s``, ``type_m`` and
        ``p_bf`` with their ``_mcse``; data sets that ``failed``, ``singular`` fits, and ``nsim``,
        all data sets; ``effective``, the median number of points that a posterior is an average
        over
    goals : what is wanted, by name
    formula_text, data_name : of the model
    sizes : the sizes that were given, of ``"subjects"``, ``"items"`` and ``"trials"``
    counted : what each size counts, in words, by name
    tests : how each estimator decides, in words, by name
    parameters_from : where the parameters come from, in words
    is_assurance : whether they were drawn from a posterior, so that ``power`` is averaged over it
    truths : the true value of each coefficient, the mean of those drawn
    level : of the intervals
    bf : the Bayes factor of ``p_bf``
    nsim : data sets of each design
    priors : priors of the tested coefficients, by name, where there is a posterior
    notes : on designs that have no numbers
    seconds : wall time

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> study = hb.design_study(fit, subjects=[6, 12], nsim=50, random_seed=1)
    >>> study.to_frame()["rows"].tolist()
    [60, 120]
    """

    FRAME: ClassVar = ("table", "design_study")
    KNOWN: ClassVar = ("notes",)

    table: pd.DataFrame
    goals: Mapping[str, float]
    formula_text: str
    data_name: str
    sizes: tuple[str, ...]
    counted: Mapping[str, str]
    tests: Mapping[str, str]
    parameters_from: str
    is_assurance: bool
    truths: Mapping[str, float]
    level: float
    bf: float
    nsim: int
    priors: Mapping[str, str]
    notes: tuple[str, ...]
    seconds: float

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return the table."""
        return {"": self.to_frame()}

    def smallest(self) -> ResultTable:
        """Return the smallest design that meets each goal.

        Returns
        -------
        pandas.DataFrame
            One row a goal, coefficient and estimator: ``goal``, ``wanted``, ``parameter``,
            ``estimator``, ``met``, then the sizes and ``rows`` of the design with the fewest rows
            that meets it (missing where none does), the ``value`` there and its ``mcse``.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        >>> study = hb.design_study(
        ...     fit, subjects=[4, 8, 16], goals={"power": 0.8}, nsim=100, random_seed=1)
        >>> int(study.smallest()["subjects"].iloc[0])
        8
        """
        rows = []
        for goal, wanted in self.goals.items():
            column, more = GOALS[goal]
            for (name, estimator), own in self.table.groupby(
                ["parameter", "estimator"], sort=False
            ):
                values = own[column]
                if goal == "p_bf" and estimator != "posterior":
                    continue
                enough = own[values >= wanted] if more else own[values <= wanted]
                first = enough.sort_values(["rows", *self.sizes]).head(1)
                row: dict[str, Any] = {
                    "goal": goal, "wanted": wanted, "parameter": name, "estimator": estimator,
                    "met": bool(len(first)),
                }  # fmt: skip
                known: Any = first.iloc[0] if len(first) else {}
                row |= {size: known.get(size, np.nan) for size in (*self.sizes, "rows")}
                row |= {"value": known.get(column, np.nan)}
                row |= {"mcse": known.get(f"{column}_mcse", np.nan)}
                rows.append(row)
        table = pd.DataFrame(rows)
        whole = dict.fromkeys((name for name in (*self.sizes, "rows") if name in table), "Int64")
        return result_table(table.astype(whole), "design_study_smallest")

    def sentence(self) -> RichText:
        """Return what was done and found as a paragraph of a report.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        >>> study = hb.design_study(fit, subjects=[6, 12], nsim=50, random_seed=1)
        >>> "50 data sets" in str(study.sentence())
        True
        """
        found: RichText = verbs.ask(self, "sentence")
        return found


def checked_goals(goals: Any, *, is_assurance: bool, has_posterior: bool) -> dict[str, float]:
    """Return the goals that were given, by name.

    Raises
    ------
    OptionError
        If one is unknown, can't be reached by such a study, or is no number it could have.
    """
    if goals is None:
        return {}
    names = listed([repr(name) for name in GOALS], "or")
    if not isinstance(goals, Mapping):
        raise OptionError(
            f'goals={shown(goals)} must be a dict such as {{"power": 0.8}}; a goal is {names}.'
        )
    out = {}
    for goal, wanted in goals.items():
        if goal not in GOALS:
            raise OptionError(
                f"goals has {shown(goal)}; a goal is {names}{meant(goal, tuple(GOALS))}"
            )
        number = np.asarray(wanted)
        is_number = number.ndim == 0 and number.dtype.kind in "iuf" and bool(np.isfinite(number))
        most = 1.0 if goal not in ("width", "type_m") else np.inf
        if not is_number or not 0 < number < most:
            kind = "a number above 0" if most > 1 else "a share between 0 and 1"
            raise OptionError(f"goals[{goal!r}]={shown(wanted)} must be {kind}.")
        if goal == "assurance" and not is_assurance:
            raise OptionError(
                'goals: "assurance" is power averaged over a posterior of the parameters; give '
                'design_study a posterior, or ask for "power" at parameters that are written down.'
            )
        if goal == "power" and is_assurance:
            raise OptionError(
                'goals: with parameters drawn from a posterior the goal is "assurance", power '
                'averaged over what they may be; "power" is of a fit or of parameters written down.'
            )
        if goal == "p_bf" and not has_posterior:
            raise OptionError(
                'goals: "p_bf" is the share of Bayes factors above bf=, which are read from '
                'posteriors; add estimator="posterior" or "both".'
            )
        out[str(goal)] = float(number)
    return out
