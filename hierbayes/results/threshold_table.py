"""Thresholds and the like with their intervals: a DataFrame that says what it is of."""

import pandas as pd

from hierbayes.results.printing import Printable

THRESHOLD_COLUMNS = (
    "level", "condition", "estimate", "std_error", "lower", "upper", "method",
)  # fmt: skip


class ThresholdTable(Printable, pd.DataFrame):
    """A table ``level condition estimate std_error lower upper method``; a DataFrame otherwise.

    ``attrs`` hold ``words``, what is estimated and on which scale, ``interval``, what the limits
    are, ``confidence``, their level, and ``notes``.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.psychometric("cbind(faster, trials - faster) ~ speed * vibration + "
    ...     "(speed | subject)", hb.load_dataset("touch_speed"), stimulus="speed",
    ...     guess="lapse", lapse="estimate")
    >>> model.fit().pse(groups="none").columns.tolist()
    ['level', 'condition', 'estimate', 'std_error', 'lower', 'upper', 'method']
    """

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return ThresholdTable
