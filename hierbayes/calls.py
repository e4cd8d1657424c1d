"""The public border: a call that doesn't fit gets a sentence, not Python's TypeError.

A function's own checks say what is wrong with a value. Here it is said that there are more or fewer
arguments than it takes, or that it knows none of that name. That is looked at only once a call has
failed, so that importing and calling cost nothing; signatures stay what ``help`` and editors show.
Fits and models that not every function knows say so themselves, by a method ``_refuses(called)``.
"""

import inspect
from collections.abc import Callable, Collection
from functools import lru_cache, wraps
from typing import Any

from hierbayes.errors import MissingPackageError, OptionError, RowsNotKeptError
from hierbayes.spellings import ARGUMENTS
from hierbayes.wording import nearest

# Packages by the names of their modules, where these differ; xarray comes with ArviZ.
DISTRIBUTIONS = {"arviz_base": "arviz", "arviz_stats": "arviz", "xarray": "arviz"}
WRITTEN = "to_html(), to_markdown(), to_latex() and to_pandas() need none."
SAMPLED = "REML, ML and the collapsed posterior do without PyMC, nutpie, ArviZ and bambi."
# What does without a package; SAMPLED of all others.
INSTEAD = {
    "graphviz": "latex() shows the model without it.",
    **dict.fromkeys(("great_tables", "openpyxl", "polars"), WRITTEN),
}


def checked_call[**Given, Found](
    called: str, *, options_of: Callable[..., Any] | None = None, is_method: bool = False
) -> Callable[[Callable[Given, Found]], Callable[Given, Found]]:
    """Return a decorator that checks the calls of a function.

    Parameters
    ----------
    called : how it is written in a call, ``"hb.lmer"``
    options_of : function or class that takes the further options ``**options``; their names are
        checked and shown as the function's own
    is_method : whether the first argument is what it is called on
    """

    def decorate(function: Callable[Given, Found]) -> Callable[Given, Found]:
        @wraps(function)
        def checked(*args: Given.args, **options: Given.kwargs) -> Found:
            try:
                if known and not known.issuperset(options):
                    raise TypeError
                _ask((*args, *options.values()), called)
                return function(*args, **options)
            except TypeError:
                _refuse(inspect.signature(checked), called, is_method, args, options)
                raise
            except RowsNotKeptError as error:
                error.called = called  # the outermost call is the one the user made
                raise
            except ModuleNotFoundError as error:
                raise missing_package(called, error) from error

        known: frozenset[str] = frozenset()
        if options_of is not None:
            whole = _with_options(inspect.signature(function), inspect.signature(options_of))
            vars(checked)["__signature__"] = whole
            known = frozenset(whole.parameters)
        return checked

    return decorate


def _ask(given: Collection[Any], called: str) -> None:
    """Ask what is given, and what lists and dicts of it hold, whether the call is for it.

    Their types are looked at first: lists may be columns of a million numbers.
    """
    asked = set(filter(_may_refuse, set(map(type, given))))
    for one in given if asked else ():
        if type(one) not in asked:
            continue
        if isinstance(one, list | tuple):
            _ask(one, called)
        elif isinstance(one, dict):
            _ask(one.values(), called)
        else:
            type(one)._refuses(one, called)


@lru_cache(maxsize=256)
def _may_refuse(kind: type) -> bool:
    """Whether what is of a kind, or what it holds, may refuse a call."""
    return issubclass(kind, list | tuple | dict) or hasattr(kind, "_refuses")


def checked_methods[Checked: type](called: str) -> Callable[[Checked], Checked]:
    """Return a decorator that checks the calls of a class's public methods."""

    def decorate(cls: Checked) -> Checked:
        for name, method in list(vars(cls).items()):
            if inspect.isfunction(method) and not name.startswith("_"):
                setattr(cls, name, checked_call(f"{called}.{name}", is_method=True)(method))
        return cls

    return decorate


def checked_init[Checked: type](called: str) -> Callable[[Checked], Checked]:
    """Return a decorator that checks the calls that make an object of a class."""

    def decorate(cls: Checked) -> Checked:
        name = "__init__"
        setattr(cls, name, checked_call(called, is_method=True)(vars(cls)[name]))
        return cls

    return decorate


def missing_package(called: str, error: ModuleNotFoundError) -> MissingPackageError:
    """Return the error of a call that needs a package that isn't there."""
    package = (error.name or str(error)).partition(".")[0]
    package = DISTRIBUTIONS.get(package, package)
    return MissingPackageError(
        f"{called} needs the package {package}, which isn't installed here: pip install {package}. "
        f"{INSTEAD.get(package, SAMPLED)}"
    )


def _with_options(own: inspect.Signature, further: inspect.Signature) -> inspect.Signature:
    """Return a signature whose ``**options`` are the parameters of another one."""
    kept = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
    known = {p.name for p in kept}
    added = [
        p.replace(kind=p.KEYWORD_ONLY) for p in further.parameters.values() if p.name not in known
    ]
    return own.replace(parameters=[*kept, *added])


def _refuse(
    signature: inspect.Signature,
    called: str,
    is_method: bool,
    args: tuple[Any, ...],
    options: dict[str, Any],
) -> None:
    """Raise OptionError if arguments don't fit a signature."""
    try:
        signature.bind(*args, **options)
    except TypeError as error:
        names = list(signature.parameters)[is_method:]
        unknown = next((name for name in options if name not in names), None)
        hint = _hint(unknown, options[unknown], tuple(names)) if unknown else ""
        reason = str(error).replace("'self'", f"'{called.split('.')[0]}'")
        if unknown is not None:  # before what is missing for its sake
            reason = f"there is no argument {unknown!r}"
        raise OptionError(
            f"{called}: {reason}.{hint} It is called as {called}({written(signature, is_method)})."
        ) from None


def _hint(unknown: str, value: Any, names: tuple[str, ...]) -> str:
    """Say what an unknown argument is called here, or which one is written like it."""
    word = ARGUMENTS.get(unknown)
    if word is not None and (said := word.hint(names, value)):
        return said
    guess = nearest(unknown, names)
    return f" Did you mean {guess}=?" if guess else ""


def written(signature: inspect.Signature, is_method: bool = False) -> str:
    """Write parameters as in a call: what can be left out with its equals sign."""
    names, starred = [], False
    for parameter in list(signature.parameters.values())[is_method:]:
        name = parameter.name
        if parameter.kind is parameter.VAR_KEYWORD:
            names.append(f"**{name}")
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            names.append(f"*{name}")
            starred = True
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            names.append("*")
            starred = True
        has_default = parameter.default is not parameter.empty
        is_named = has_default or parameter.kind is parameter.KEYWORD_ONLY
        names.append(f"{name}=" if is_named else name)
    return ", ".join(names)
