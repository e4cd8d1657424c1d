"""Columns of a table of effects, whatever estimated them."""

from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record

COLUMNS = ("estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high")


@record
class Estimates:
    """Numbers of m results, for C categories each, arrays (m C,); what is not there is missing.

    Attributes
    ----------
    estimate, std_error, df, statistic, p_value, conf_low, conf_high : as tables have them
    p_direction : of a posterior, the probability of the sign that is more probable, of a ratio that
        of being above or below one
    draws : array, shape (S, m C), of a posterior or the replicates of a bootstrap; None of others
    words : what intervals and tests are
    notes : what else is to be said
    """

    estimate: FloatArray
    std_error: FloatArray
    conf_low: FloatArray
    conf_high: FloatArray
    df: FloatArray | None = None
    statistic: FloatArray | None = None
    p_value: FloatArray | None = None
    p_direction: FloatArray | None = None
    draws: FloatArray | None = None
    words: str = ""
    notes: tuple[str, ...] = ()

    def columns(self, *, tested: bool) -> dict[str, FloatArray]:
        """Return the columns by name, those of tests if asked for."""
        missing = np.full(self.estimate.shape, np.nan)
        wanted = [n for n in COLUMNS if tested or n not in ("statistic", "p_value")]
        values: dict[str, Any] = {name: getattr(self, name) for name in wanted}
        found = {name: missing if value is None else value for name, value in values.items()}
        if tested and self.p_direction is not None:
            found["p_direction"] = self.p_direction
        return found
