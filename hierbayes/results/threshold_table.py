"""Thresholds and the like with their intervals: a DataFrame that says what it is of."""

from hierbayes.results.result_table import ResultTable

THRESHOLD_COLUMNS = (
    "level", "condition", "estimate", "std_error", "lower", "upper", "method",
)  # fmt: skip


class ThresholdTable(ResultTable):
    """A table ``level condition estimate std_error lower upper method``; a DataFrame otherwise.

    ``attrs`` hold ``words``, what is estimated and on which scale, ``interval``, what the limits
    are, ``confidence``, their level, and ``notes``.

    Examples
    --------
    >>> import hierbayes as hb
    >>> formula = "cbind(faster, trials - faster) ~ speed * vibration + (speed | subject)"
    >>> model = hb.psychometric(formula, hb.load_dataset("touch_speed"), stimulus="speed",
    ...     guess="lapse", lapse="estimate")
    >>> model.fit().pse(groups="none").columns.tolist()
    ['level', 'condition', 'estimate', 'std_error', 'lower', 'upper', 'method']
    """

    origin = "thresholds"
