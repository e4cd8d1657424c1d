"""The border of the pictures: a call that doesn't fit gets a sentence, not Python's TypeError.

A picture's own checks say what is wrong with a value; here it is checked that there are as many
arguments as the picture takes, by names it knows, and that what should be a fit is one.
"""

from collections.abc import Callable, Sequence
from typing import Any

from hierbayes.calls import checked_call
from hierbayes.errors import OptionError
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit


def picture[**Given, Drawn](draw: Callable[Given, Drawn]) -> Callable[Given, Drawn]:
    """Return the function with its calls checked."""
    return checked_call(f"plot.{draw.__name__}")(draw)


def checked_fits(fits: Sequence[Any], function: str) -> tuple[Any, ...]:
    """Return fits if all are; else raise OptionError saying what came in place of one."""
    for fit in fits:
        if not isinstance(fit, LikelihoodFit | PosteriorFit):
            raise OptionError(
                f"plot.{function} takes fits, hb.lmer(...) or Model(...).sample(); it got "
                f"{_kind(fit)}"
            )
    return tuple(fits)


def _kind(given: Any) -> str:
    """Say what was given in place of a fit, and what to do with it."""
    if isinstance(given, list | tuple):
        return f"a {type(given).__name__}. Give the fits one by one."
    if isinstance(given, str):
        return f"the text {given!r:.60}."
    if type(given).__name__ == "Model":
        return "a Model. Fit it first, model.fit(), or sample it, model.sample()."
    if isinstance(given, type):
        return f"the class {given.__name__}."
    return f"a {type(given).__name__}." if given is not None else "None."
