"""What a report by a guideline is made of: a posterior, perhaps a reanalysis, the author's words.

The report is a list of entries. An entry is filled from the fit, is the author's to write, or says
that the analysis did nothing of the kind. Every number that draws gave stands beside its
Monte-Carlo standard error (MCSE).
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.render.blocks import Block, Column, Paragraph, Table
from hierbayes.render.numbers import format_plain
from hierbayes.reports.coefficients import decimals_of, fixed_cell, limit_names
from hierbayes.results.chains import drawn_summary, mean_errors
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.reanalysis import Reanalysis

State = Literal["filled", "author", "not done"]
LEVEL = 0.95  # of intervals where no analysis says another
SEED = 1  # of checks: a report is the same whenever it is written
MCSE = "MCSE"
ERRORS = (
    f"{MCSE} is the Monte-Carlo standard error of the number before it: by so much it would differ "
    "with other draws of the same posterior."
)


@record
class Study:
    """What is reported.

    Attributes
    ----------
    post : the posterior
    reanalysis : the reanalysis it is of, or None
    statements : slot -> the author's words
    rope : parameter -> ends of its region of practical equivalence, in its units
    """

    post: PosteriorFit
    reanalysis: Reanalysis | None = None
    statements: Mapping[str, str] = field(default_factory=dict)
    rope: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def level(self) -> float:
        """Level of the intervals."""
        return LEVEL if self.reanalysis is None else self.reanalysis.level

    @property
    def names(self) -> list[str]:
        """Names of the fixed effects and variance parameters."""
        return [name for part in self.post.parameters() for name in part.names]

    @property
    def draws(self) -> FloatArray:
        """Draws of the fixed effects and variance parameters, (C, D, P)."""
        return np.concatenate([part.draws for part in self.post.parameters()], axis=2)

    def draws_of(self, name: str) -> FloatArray:
        """Draws of one parameter, by any of its spellings, (C, D, 1)."""
        return self.draws[
            :, :, [self.post.addresses.place(name, "rope: {text} is not one of {listed}")]
        ]


@record(kw_only=False)
class Entry:
    """What a report says on one matter."""

    blocks: Sequence[Block]
    state: State = "filled"


def not_done(reason: str) -> Entry:
    """Return an entry that says why there is nothing to report."""
    return Entry([Paragraph(reason)], "not done")


def drawn_table(
    names: Sequence[str],
    draws: FloatArray,
    level: float,
    *,
    caption: str = "",
    before: Sequence[Column] = (),
    after: Sequence[Column] = (),
) -> Table:
    """Return a table of quantities: mean, sd and interval, each with its Monte-Carlo error.

    Parameters
    ----------
    names : of the P quantities
    draws : array, shape (C, D, P)
    level : of the equal-tailed interval
    caption : of the table
    before, after : further columns at either side
    """
    found = drawn_summary(draws, level)
    low, high = limit_names(level)
    columns = [*before]
    for name, values, errors in (
        ("mean", found.mean, found.mean_mcse),
        ("sd", found.sd, found.sd_mcse),
        (low, found.low, found.low_mcse),
        (high, found.high, found.high_mcse),
    ):
        columns += with_errors(name, values, errors)
    return Table([*columns, *after], list(names), caption)


def with_errors(name: str, values: FloatArray, errors: FloatArray) -> list[Column]:
    """Return a column of numbers to the digits their Monte-Carlo errors allow, and one of these."""
    decimals = [decimals_of(error, least=0) for error in errors]
    cells = [fixed_cell(float(v), d) for v, d in zip(values, decimals, strict=True)]
    known = [
        error if np.isfinite(value) else np.nan for value, error in zip(values, errors, strict=True)
    ]
    return [(name, cells), (MCSE, [error_cell(float(error)) for error in known])]


def error_cell(error: float) -> str:
    """Write a Monte-Carlo error to two digits."""
    return format_plain(error, 2) if np.isfinite(error) else "-"


def probabilities(name: str, events: BoolArray) -> list[Column]:
    """Return probabilities of events, truth values (C, D, K), with their Monte-Carlo errors.

    Where no draw or every draw has it, how many draws there are says how far it is from 0 or 1.
    """
    own = events.astype(np.float64)
    values, errors = own.mean(axis=(0, 1)), mean_errors(own)
    n = own.shape[0] * own.shape[1]
    (_, cells), column = with_errors(name, values, errors)
    ends = {0.0: f"0 (none of {n} draws)", 1.0: f"1 (all {n} draws)"}
    said = [ends.get(float(value), cell) for value, cell in zip(values, cells, strict=True)]
    return [(name, said), column]
