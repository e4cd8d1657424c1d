"""The border of the pictures: a call that doesn't fit gets a sentence, not Python's TypeError.

A picture's own checks say what is wrong with a value; here it is checked that there are as many
arguments as the picture takes, by names it knows, and that what should be a fit is one.
"""

import inspect
from collections.abc import Callable, Sequence

from hierbayes.calls import checked_call
from hierbayes.errors import OptionError
from hierbayes.plots.sheet import DESCRIBED, options
from hierbayes.results.fit import Fit

BEFORE = "\nReturns\n"  # of a docstring: here come the options of all pictures


def picture[**Given, Drawn](draw: Callable[Given, Drawn]) -> Callable[Given, Drawn]:
    """Return the function with its calls checked.

    One that takes ``**look: Unpack[Options]`` shows the options of every picture in its signature
    and its docstring.
    """
    kinds = {p.kind for p in inspect.signature(draw).parameters.values()}
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        return checked_call(f"plot.{draw.__name__}")(draw)
    checked = checked_call(f"plot.{draw.__name__}", options_of=options)(draw)
    head, returns, tail = inspect.cleandoc(draw.__doc__ or "").partition(BEFORE)
    checked.__doc__ = (
        f"{head}{inspect.cleandoc(DESCRIBED)}\n{returns}{tail}" if returns else draw.__doc__
    )
    return checked


def checked_fits(given: Sequence[object], function: str) -> tuple[Fit, ...]:
    """Return fits if all are; else raise OptionError saying what came in place of one."""
    fits = []
    for one in given:
        if not isinstance(one, Fit):
            raise OptionError(
                f"plot.{function} takes fits, hb.lmer(...) or Model(...).sample(); it got "
                f"{_kind(one)}"
            )
        fits.append(one)
    return tuple(fits)


def fits_and_word(
    given: tuple[Fit | str, ...], word: str | None, *, function: str, most: int
) -> tuple[tuple[Fit, ...], str | None]:
    """Return one to ``most`` fits, and the text that may stand after them; else OptionError."""
    last = given[-1] if len(given) > 1 else None
    if word is None and isinstance(last, str):
        given, word = given[:-1], last
    if not 1 <= len(given) <= most:
        raise OptionError(f"{function} takes one to {most} fits; it got {len(given)}.")
    return checked_fits(given, function), word


def _kind(given: object) -> str:
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
