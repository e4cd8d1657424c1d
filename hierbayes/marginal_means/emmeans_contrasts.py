"""Which contrasts between marginal means are asked for, as rows of weights with names."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.design.values import reads_as_number
from hierbayes.errors import OptionError
from hierbayes.options import Adjust
from hierbayes.wording import did_you_mean, shown


@record
class ContrastRows:
    """Contrasts within one group of means.

    Attributes
    ----------
    names : of the contrasts
    weights : array, shape (c, k), one weight a mean
    all_pairs : whether these are all pairwise differences
    """

    names: tuple[str, ...]
    weights: FloatArray
    all_pairs: bool = False

    def adjustment(self, asked: Adjust | None) -> Adjust:
        """Return the adjustment for several tests: Tukey for all pairs, none for others.

        Raises
        ------
        OptionError
            For Tukey's method of other contrasts.
        """
        if asked is None:
            return "tukey" if self.all_pairs else "none"
        if asked == "tukey" and not self.all_pairs:
            raise OptionError(
                "adjust='tukey' is for contrasts='pairwise', all differences of the means; use "
                "adjust='holm' for contrasts of your own."
            )
        return asked


def contrast_rows(asked: Any, values: pd.DataFrame, *, sign: str = "-") -> ContrastRows:
    """Read the argument ``contrasts``.

    Parameters
    ----------
    asked : "pairwise", dict or list, see ``emmeans``
    values : the values of the means of one group, one row a mean
    sign : between the two means of a pair
    """
    labels = _labels(values)
    if isinstance(asked, str):
        if asked != "pairwise":
            hint = did_you_mean(asked, ["pairwise"])
            raise OptionError(
                f"contrasts={shown(asked)} must be 'pairwise', a dict of weights or a list of pairs"
                f"{hint}"
            )
        if len(labels) < 2:
            raise OptionError(
                f"contrasts='pairwise' needs two means or more; {', '.join(values.columns)} has "
                "one. Give values by at=, for example at={'x': [0, 1]}."
            )
        pairs = list(combinations(range(len(labels)), 2))
        return ContrastRows(
            names=_pair_names(pairs, labels, sign),
            weights=_differences(pairs, len(labels)),
            all_pairs=True,
        )
    places = _places(values, labels)
    if isinstance(asked, Mapping):
        weights = [
            _weights(str(name), given, places, n_means=len(labels)) for name, given in asked.items()
        ]
        names = tuple(str(name) for name in asked)
    elif isinstance(asked, Iterable):
        pairs = [_pair(given, places) for given in asked]
        weights = list(_differences(pairs, len(labels)))
        names = _pair_names(pairs, labels, sign)
    else:
        raise OptionError(
            f"contrasts={shown(asked)} must be 'pairwise', a dict of weights or a list of pairs."
        )
    if not names:
        raise OptionError(f"contrasts={shown(asked)} asks for no contrast.")
    return ContrastRows(names=names, weights=np.array(weights))


def no_contrasts(n_means: int) -> ContrastRows:
    """Return no contrast of a group of means."""
    return ContrastRows(names=(), weights=np.zeros((0, n_means)), all_pairs=True)


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
