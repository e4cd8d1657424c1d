"""The Python lines that make a result again, as a report shows them.

Whatever the model was given is written out: weights, offset, known sds, codings, family and
priors. What can't be written in a line, such as an array, is named with what it held.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hierbayes.datasets import list_datasets, load_dataset
from hierbayes.design.build import build_design
from hierbayes.errors import HierBayesError
from hierbayes.families.family import Family
from hierbayes.families.psychometric import Curve
from hierbayes.priors.distributions import Prior
from hierbayes.priors.lkj import LKJ
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.specification.used_data import ARRAY_ARGUMENTS

WIDTH = 88  # a call that is longer is broken after each argument
TUNE, ACCEPT = 1000, 0.9  # the defaults of Model.sample


def fit_code(fit: Fit, data: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the lines that make one fit again and print its summary.

    Parameters
    ----------
    fit : Fit
    data : lines that make the data and the arrays given beside them, where these are known
    """
    return (
        "import hierbayes as hb",
        *_family_lines(fit),
        *((*data_lines(fit), *_array_lines(fit)) if data is None else data),
        *_model_line("model", fit),
        f"fit = {_fitted('model', fit)}",
        "print(fit.summary())",
    )


def comparison_code(fits: Sequence[Fit]) -> tuple[str, ...]:
    """Return the lines that make several fits again and compare them.

    Each model is written once, however many of the fits are its own.
    """
    made: dict[tuple[str, ...], str] = {}
    for fit in fits:
        made.setdefault(_model_line("model", fit), "model")
    if len(made) > 1:
        made = {lines: f"model{number}" for number, lines in enumerate(made, start=1)}
    names = [made[_model_line("model", fit)] for fit in fits]
    lines = ["import hierbayes as hb"]
    lines += dict.fromkeys(line for fit in fits for line in _family_lines(fit))
    lines += data_lines(fits[0])
    lines += dict.fromkeys(line for fit in fits for line in _array_lines(fit))
    owners: dict[str, Fit] = {}
    for name, fit in zip(names, fits, strict=True):
        owners.setdefault(name, fit)
    for name, fit in owners.items():
        lines += _model_line(name, fit)
    for number, (name, fit) in enumerate(zip(names, fits, strict=True), start=1):
        lines.append(f"fit{number} = {_fitted(name, fit)}")
    shown = ", ".join(f"fit{number}" for number in range(1, len(fits) + 1))
    return (*lines, f"print(hb.compare({shown}))")


def data_lines(fit: Fit) -> tuple[str, ...]:
    """Return the line that makes the data: a bundled data set's, or the file that was read."""
    name = fit.data_name
    if name in list_datasets().index and _is_bundled(fit, name):
        return (f"data = hb.load_dataset({literal(name)})",)
    called = f" ({' '.join(name.split())})" if name else ""
    source = fit.spec.table.source
    lines = [f"data = ...  # the data frame of this report{called}"]
    if source is not None:
        lines = [f"data = {literal(source)}"]
    if fit.spec.response_given:
        lines.append("# its response was replaced after the model was made")
    return tuple(lines)


def call(name: str, arguments: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Write a call, in one line if it fits.

    Parameters
    ----------
    name : what is called, with what it is assigned to
    arguments : name (empty for one given by its place) and code
    """
    given = [f"{key}={code}" if key else code for key, code in arguments]
    line = f"{name}({', '.join(given)})"
    if len(line) <= WIDTH:
        return (line,)
    return (f"{name}(", *(f"    {argument}," for argument in given), ")")


def written(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return arguments with their code; one that can't be written stands under its own name."""
    given = []
    for name, value in arguments.items():
        if value is None or (name == "family" and value == "gaussian"):
            continue
        as_name = name in ARRAY_ARGUMENTS and not isinstance(value, str)
        as_name |= name == "random_seed" and not isinstance(value, (int, np.integer))
        given.append((name, name if as_name else literal(value)))
    return given


def literal(value: Any) -> str:
    """Write text, numbers, priors and dicts of them as Python."""
    if isinstance(value, str | Family):
        value = str(value)
        return json.dumps(value, ensure_ascii=False)  # its escapes are Python's too
    if isinstance(value, Prior | LKJ):
        given = ", ".join(literal(number) for number in value.parameters().values())
        return f"hb.{type(value).__name__}({given})"
    if isinstance(value, Mapping):
        pairs = (f"{literal(key)}: {literal(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, np.generic):
        return repr(value.item())
    return repr(value)


def array_lines(arguments: Mapping[str, Any], n_rows: int) -> tuple[str, ...]:
    """Return a line for each array among the arguments of a model, saying what it held."""
    return tuple(
        f"{name} = ...  # the {n_rows} numbers of this report"
        for name in ARRAY_ARGUMENTS
        if arguments.get(name) is not None and not isinstance(arguments[name], str)
    )


def _family_lines(fit: Fit) -> tuple[str, ...]:
    """Say where a family of the user's own comes from."""
    if fit.response_family.is_builtin or fit.response_family.curve is not None:
        return ()
    return (f"hb.register_family(...)  # the family {fit.response_family.name} of this report",)


def _array_lines(fit: Fit) -> tuple[str, ...]:
    return array_lines(fit.spec.arguments.options(), fit.spec.table.n_rows)


def _model_line(name: str, fit: Fit) -> tuple[str, ...]:
    options = fit.spec.arguments.options()
    curve, maker = fit.response_family.curve, "hb.Model"
    if curve is not None:
        options = _of_curve(curve) | {n: v for n, v in options.items() if n != "family"}
        maker = "hb.psychometric"
    arguments = [("", literal(fit.formula_text)), ("", "data"), *written(options)]
    return call(f"{name} = {maker}", arguments)


def _of_curve(curve: Curve) -> dict[str, Any]:
    """Return the arguments of ``hb.psychometric`` that say which function it is."""
    guess: Any = "lapse" if curve.is_symmetric else curve.guess
    return {
        "stimulus": curve.stimulus,
        "guess": "estimate" if guess is None else guess,
        "lapse": "estimate" if curve.lapse is None else curve.lapse,
        "overdispersed": curve.is_overdispersed or None,
    }


def _fitted(name: str, fit: Fit) -> str:
    if isinstance(fit, LikelihoodFit):
        nodes = getattr(fit, "n_quadrature", 1)
        return f'{name}.fit("{fit.method}"{"" if nodes == 1 else f", n_quadrature={nodes}"})'
    settings = fit.settings
    given = [(key, literal(settings[key])) for key in ("draws", "chains")]
    if settings["tune"] != TUNE:
        given.append(("tune", literal(settings["tune"])))
    given.append(("sampler", literal(settings["sampler"])))
    if fit.sampler == "nuts" and settings.get("target_accept", ACCEPT) != ACCEPT:
        given.append(("target_accept", literal(settings["target_accept"])))
    seed = settings.get("random_seed")
    if seed is not None:
        given.append(("random_seed", literal(seed)))
    code = f"{name}.sample({', '.join(f'{key}={value}' for key, value in given)})"
    return code if seed is not None else f"{code}  # of another seed: other draws"


def _is_bundled(fit: Fit, name: str) -> bool:
    """Whether the bundled data set gives the design of the fit: its rows and columns are as is."""
    given = {key: getattr(fit.spec.arguments, key) for key in (*ARRAY_ARGUMENTS, "contrasts")}
    family = fit.response_family
    try:
        again = build_design(
            fit.design.formula,
            load_dataset(name),
            **given,
            allow_saturated=True,
            binary_response=family.reads_categories,
            ordered_response=family.is_ordinal,
        )
    except HierBayesError:
        return False
    own = fit.design
    names = ("y", "X", "weights", "offset", "known_sd")
    pairs = [(getattr(own, part), getattr(again, part)) for part in names]
    if len(own.factors) != len(again.factors):
        return False
    for one, other in zip(own.factors, again.factors, strict=True):
        pairs += [(getattr(one, p), getattr(other, p)) for p in ("levels", "codes", "z")]
    return all(np.array_equal(np.asarray(one), np.asarray(other)) for one, other in pairs)
