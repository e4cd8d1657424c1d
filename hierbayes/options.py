"""Options of the public functions: their allowed values, and the one check of them.

Each option is a ``Literal`` alias, so editors complete it; ``check_option`` runs once at the
public border and turns a wrong value into one sentence that names the nearest allowed one.
"""

from difflib import get_close_matches
from typing import Any, Literal, get_args

from hierbayes.errors import OptionError

Method = Literal["reml", "ml"]
NewLevels = Literal["error", "population", "sample", "missing"]
Interval = Literal["confidence", "prediction"]
PredictionType = Literal["response", "link"]
ResidualKind = Literal["response", "pearson", "deviance", "working"]
Ddf = Literal["satterthwaite", "kenward-roger", "normal", "none"]
Effect = Literal["fixed", "ran_pars", "ran_vals"]
Coding = Literal["treatment", "sum", "helmert", "poly"]


def nearest(given: str, allowed: tuple[str, ...]) -> str | None:
    """Return the allowed word closest to ``given``, or None when nothing is close."""
    folded = {word.casefold(): word for word in allowed}
    close = get_close_matches(given.casefold(), folded, n=1, cutoff=0.5)
    return folded[close[0]] if close else None


def check_option(argument: str, given: Any, options: Any) -> Any:
    """Return ``given`` if the ``Literal`` alias ``options`` allows it; else raise OptionError."""
    allowed = get_args(options)
    if isinstance(given, str) and given in allowed:
        return given
    listed = ", ".join(repr(word) for word in allowed)
    guess = nearest(given, allowed) if isinstance(given, str) else None
    hint = f"; did you mean {guess!r}?" if guess else "."
    raise OptionError(f"{argument}={given!r} is not one of {listed}{hint}")
