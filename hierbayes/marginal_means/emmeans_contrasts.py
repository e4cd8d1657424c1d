"""Which contrasts between marginal means are asked for, as rows of weights with names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.design.values import reads_as_number
from hierbayes.errors import OptionError
from hierbayes.marginal_means.contrast_families import (
    NAMES,
    Contrasts,
    family,
    is_family,
    known_family,
)
from hierbayes.wording import did_you_mean, shown


@record
class Asked:
    """Which contrasts are wanted.

    Attributes
    ----------
    contrasts : name of a family, dict, list or matrix, see ``emmeans``
    ref : the control, or several, by their values; None for the family's own
    reverse : whether differences are taken the other way round
    sign : between the two sides of a difference
    """

    contrasts: Any
    ref: Any = None
    reverse: bool = False
    sign: str = "-"


def contrast_rows(asked: Asked, values: pd.DataFrame, *, plain: bool = False) -> Contrasts:
    """Read what contrasts are asked for.

    Parameters
    ----------
    asked : the contrasts
    values : the values of the means of one group, one row a mean
    plain : whether numbers stand without the name of their column
    """
    labels = _labels(values) if not plain else [_text(value) for value in values.iloc[:, 0]]
    given, places = asked.contrasts, _places(values, labels)
    if isinstance(given, str):
        if not is_family(given):
            hint = did_you_mean(given, NAMES)
            raise OptionError(
                f"contrasts={shown(given)} must be a family such as 'pairwise', a dict of weights "
                f"or a list of pairs{hint}"
            )
        _check_several(given, values)
        ref = None if asked.ref is None else _references(asked.ref, places)
        if ref is not None and len(ref) == len(labels):
            raise OptionError("ref= names every mean, so none is left to compare.")
        return family(given, labels, ref=ref, reverse=asked.reverse, sign=asked.sign)
    if asked.ref is not None or asked.reverse:
        what = "ref=" if asked.ref is not None else "reverse=True"
        raise OptionError(f"{what} is for contrasts by name, such as 'trt.vs.ctrl'.")
    return _own(given, labels, places, sign=asked.sign)


def _own(given: Any, labels: list[str], places: dict[str, int], *, sign: str) -> Contrasts:
    """Read contrasts of the user's own."""
    matrix = _matrix(given, len(labels))
    if matrix is not None:
        given = matrix
    if isinstance(given, Mapping):
        weights = [
            _weights(str(name), own, places, n_means=len(labels)) for name, own in given.items()
        ]
        names = tuple(str(name) for name in given)
    elif isinstance(given, Iterable):
        pairs = [_pair(own, places) for own in given]
        weights = list(_differences(pairs, len(labels)))
        names = _pair_names(pairs, labels, sign)
    else:
        raise OptionError(
            f"contrasts={shown(given)} must be 'pairwise', a dict of weights or a list of pairs."
        )
    if not names:
        raise OptionError(f"contrasts={shown(given)} asks for no contrast.")
    return Contrasts(names=names, weights=np.array(weights))


def _matrix(given: Any, n_means: int) -> dict[str, Any] | None:
    """Contrasts as a matrix: rows of an array, or columns of a frame with a row a mean."""
    if isinstance(given, pd.DataFrame) and len(given) == n_means and n_means > 1:
        return {str(name): given[name].tolist() for name in given}
    is_array = isinstance(given, np.ndarray) and given.ndim == 2
    if is_array and given.shape[1] == n_means and np.issubdtype(given.dtype, np.number):
        return {f"contrast {i + 1}": row.tolist() for i, row in enumerate(given)}
    return None


def _check_several(name: str, values: pd.DataFrame) -> None:
    if len(values) < 2 and known_family(name) != "identity":
        raise OptionError(
            f"contrasts={name!r} needs two means or more; {', '.join(values.columns)} has "
            "one. Give values by at=, for example at={'x': [0, 1]}."
        )


def _references(given: Any, places: dict[str, int]) -> list[int]:
    several = given if isinstance(given, list) else [given]
    found = []
    for one in several:
        parts = one if isinstance(one, tuple) else (one,)
        text = " ".join(_text(part) for part in parts)
        if text not in places:
            first = (
                " Controls go by their values; the first, second, ... mean is "
                "contrasts='trt.vs.ctrl1', 'trt.vs.ctrl2', ..."
                if isinstance(one, int)
                else ""
            )
            hint = did_you_mean(text, list(places))
            raise OptionError(f"ref: there is no mean {text!r}{hint}{first}")
        found.append(places[text])
    return list(dict.fromkeys(found))


def no_contrasts(n_means: int) -> Contrasts:
    """Return no contrast of a group of means."""
    return Contrasts(names=(), weights=np.zeros((0, n_means)))


def _labels(values: pd.DataFrame) -> list[str]:
    """Text of each mean: its levels; numbers with the name of their column in front."""
    texts = []
    for name in values.columns:
        own = [_text(value) for value in values[name]]
        numeric = all(reads_as_number(text) for text in own)
        texts.append([f"{name}{text}" if numeric else text for text in own])
    return [" ".join(parts) for parts in zip(*texts, strict=True)]


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _places(values: pd.DataFrame, labels: list[str]) -> dict[str, int]:
    """Position of each mean by its label, by its plain levels, and by the first that suffice."""
    rows = list(values.itertuples(index=False, name=None))
    found: dict[str, int] = {}
    for count in range(1, values.shape[1] + 1):  # a nested factor needs no more than itself
        plain = [" ".join(_text(v) for v in row[:count]) for row in rows]
        if len(set(plain)) == len(plain):
            found |= {text: i for i, text in enumerate(plain)}
    return found | {text: i for i, text in enumerate(labels)}


def _place(given: Any, places: dict[str, int]) -> int:
    parts = given if isinstance(given, tuple | list) else (given,)
    text = " ".join(_text(part) for part in parts)
    if text not in places:
        hint = did_you_mean(text, list(places))
        raise OptionError(f"contrasts: there is no mean {text!r}{hint}")
    return places[text]


def _pair(given: Any, places: dict[str, int]) -> tuple[int, int]:
    if isinstance(given, str) or not isinstance(given, Iterable) or len(tuple(given)) != 2:
        raise OptionError(
            f"contrasts: {given!r} is no pair of means, such as ('A', 'B') for A - B. Weights have "
            "a name: {'name': [1, -1, 0]}."
        )
    first, second = (_place(part, places) for part in given)
    if first == second:
        raise OptionError(f"contrasts: the pair {given!r} is one mean twice.")
    return first, second


def _weights(name: str, given: Any, places: dict[str, int], *, n_means: int) -> FloatArray:
    out = np.zeros(n_means)
    if isinstance(given, Mapping):
        for label, weight in given.items():
            out[_place(label, places)] = _number(name, weight)
        return out
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise OptionError(
            f"contrasts[{name!r}]={shown(given)} must be a list or a dict of weights."
        )
    values = [_number(name, weight) for weight in given]
    if len(values) != n_means:
        raise OptionError(
            f"contrasts[{name!r}] has {len(values)} weights for {n_means} means: "
            f"{', '.join(list(places)[-n_means:][:10])}."
        )
    return np.array(values)


def _number(name: str, weight: Any) -> float:
    is_number = isinstance(weight, int | float | np.integer | np.floating)
    if not is_number or not np.isfinite(weight):
        raise OptionError(f"contrasts[{name!r}]: the weight {weight!r} is not a number.")
    return float(weight)


def _pair_names(pairs: list[tuple[int, int]], labels: Sequence[str], sign: str) -> tuple[str, ...]:
    """Write pairs; means whose own labels hold the sign stand in parentheses, as in R."""
    between = f" {sign} "
    labels = [f"({label})" if between in label else label for label in labels]
    return tuple(f"{labels[i]}{between}{labels[j]}" for i, j in pairs)


def _differences(pairs: list[tuple[int, int]], n_means: int) -> FloatArray:
    out = np.zeros((len(pairs), n_means))
    for row, (i, j) in enumerate(pairs):
        out[row, i], out[row, j] = 1.0, -1.0
    return out
