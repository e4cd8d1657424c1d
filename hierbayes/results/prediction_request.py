"""What a prediction is asked for: rows, groups, new levels, interval and scale, checked once."""

from collections.abc import Iterable
from dataclasses import KW_ONLY
from typing import Any, TypedDict

from hierbayes.arrays import record
from hierbayes.options import (
    Interval,
    IntervalKind,
    NewLevels,
    PredictionType,
    SeriesRows,
    check_option,
)
from hierbayes.results.tidy import check_level


class PredictionOptions(TypedDict, total=False):
    """Options that ``predict`` of every fit has, for type checkers."""

    new_levels: NewLevels
    level: float
    type: PredictionType
    random_seed: Any


@record(kw_only=False)
class PredictionRequest:
    """The arguments of ``predict`` of a fit; see there.

    Raises
    ------
    OptionError
        If ``new_levels``, ``type``, ``kind``, ``series``, ``level`` or ``interval`` is none of
        those there are.
    """

    newdata: Any
    groups: str | Iterable[str]
    _: KW_ONLY
    new_levels: NewLevels
    interval: Interval | None
    level: float
    type: PredictionType
    random_seed: Any
    kind: IntervalKind = "eti"
    trials: Any = None
    series: SeriesRows = "new"

    def __post_init__(self) -> None:
        check_option("new_levels", self.new_levels, NewLevels)
        check_option("type", self.type, PredictionType)
        check_option("kind", self.kind, IntervalKind)
        check_option("series", self.series, SeriesRows)
        check_level(self.level)
        if self.interval is not None:
            check_option("interval", self.interval, Interval)

    @property
    def on_link(self) -> bool:
        """Whether the scale of the linear predictor was asked for."""
        return self.type == "link"
