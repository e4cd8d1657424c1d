"""Contrasts within groups of marginal quantities, and products of contrasts of several predictors.

An interaction contrast of predictors with weights W1 and W2 has the weights W2 (x) W1 (Kronecker's
product; the first predictor varies fastest): differences of differences, trends of differences.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.errors import OptionError
from hierbayes.marginal_means.contrast_families import Contrasts
from hierbayes.marginal_means.emmeans_contrasts import Asked, contrast_rows, no_contrasts
from hierbayes.marginal_means.emmeans_estimates import shown_exp
from hierbayes.results.marginal_quantities import Family, Marginals, joined
from hierbayes.wording import listed, shown


@record
class Interaction:
    """One family of contrasts for each predictor.

    Attributes
    ----------
    methods : predictor -> what ``contrasts`` takes for it
    """

    methods: Mapping[str, Any]

    @classmethod
    def read(
        cls, given: Any, contrasts: Any, own: Marginals, *, by: tuple[str, ...]
    ) -> "Interaction":
        """Read the argument ``interaction``.

        Raises
        ------
        OptionError
            If it does not fit the predictors.
        """
        names = [name for name in (*own.specs, *own.by) if name not in by]
        given = contrasts if given is True else given
        if isinstance(given, str):
            return cls(methods=dict.fromkeys(names, given))
        if isinstance(given, Mapping):
            wrong = [name for name in given if name not in names]
            if wrong:
                raise OptionError(
                    f"interaction: {shown(wrong[0])} is not among what is contrasted, "
                    f"{listed(names)}."
                )
            missing = [name for name in names if name not in given]
            if missing:
                raise OptionError(
                    f"interaction has no contrasts of {listed(missing)}; add 'identity' or by=."
                )
            return cls(methods={name: given[name] for name in names})
        if not isinstance(given, list | tuple) or len(given) != len(names):
            raise OptionError(
                f"interaction={shown(given)} must be one family of contrasts for each of "
                f"{listed(names)}, such as {['pairwise'] * len(names)!r}."
            )
        return cls(methods=dict(zip(names, given, strict=True)))


def contrasts_of(
    own: Marginals, asked: Asked, *, by: tuple[str, ...], interaction: Interaction | None
) -> Marginals:
    """Return the contrasts of quantities within groups, with their family.

    Raises
    ------
    OptionError
        If a group has no such contrasts.
    """
    own = regrouped(own, by)
    values = [own.labels[list(own.specs)].iloc[group] for group in own.groups]
    if interaction is not None:
        found = [_products(part, interaction, asked) for part in values]
    else:
        several = any(len(part) > 1 for part in values)
        found = [_of_group(part, asked, several=several) for part in values]
    parts, frames, groups, start = [], [], [], 0
    for group, rows in zip(own.groups, found, strict=True):
        count = len(rows.contrasts.names)
        groups.append(slice(start, start + count))
        start += count
        frame = rows.labels
        if "contrast" in by:
            frame = frame.rename(columns={"contrast": _free_name(by)})
        for place, name in enumerate(by):
            frame.insert(place, name, own.labels[name].iloc[group.start])
        frames.append(frame)
        part = own.contrasted.taken(np.arange(group.start, group.stop))
        parts.append(part.combined(rows.contrasts.weights))
    tested = joined(parts)
    some = next(rows.contrasts for rows in found if rows.contrasts.names)
    return Marginals(
        labels=pd.concat(frames, ignore_index=True),
        specs=tuple(name for name in frames[0].columns if name not in by),
        by=by,
        groups=tuple(groups),
        tested=tested,
        carried=shown_exp(own),
        contrasted=tested,
        exp_of_difference=own.exp_of_difference,
        shows_exp=own.shows_exp,
        scale=own.scale,
        family=Family(
            adjust=some.adjust,
            all_pairs=some.all_pairs,
            n_means=tuple(
                len(part) if len(rows.contrasts.names) else 0
                for part, rows in zip(values, found, strict=True)
            ),
        ),
    )


def _free_name(taken: tuple[str, ...]) -> str:
    """Name the column of contrasts where what groups are told apart by is called so, as emmeans."""
    return next(f"contrast{i}" for i in range(1, len(taken) + 2) if f"contrast{i}" not in taken)


@record
class _Rows:
    contrasts: Contrasts
    labels: pd.DataFrame


def _of_group(values: pd.DataFrame, asked: Asked, *, several: bool) -> _Rows:
    """Contrasts of one group; one mean alone has none where others have some."""
    alone = isinstance(asked.contrasts, str) and several and len(values) == 1
    found = no_contrasts(1) if alone else contrast_rows(asked, values)
    return _Rows(
        contrasts=found, labels=pd.DataFrame({"contrast": list(found.names)}, dtype=object)
    )


def _products(values: pd.DataFrame, interaction: Interaction, asked: Asked) -> _Rows:
    names = list(values.columns)
    levels = {name: list(dict.fromkeys(values[name])) for name in names}
    expected = pd.MultiIndex.from_product([levels[name] for name in reversed(names)])
    order = list(values[names[::-1]].itertuples(index=False, name=None))
    if len(names) > 1 and list(expected) != order:
        raise OptionError(
            f"interaction= needs all combinations of {listed(names)}; some of them do not exist."
        )
    found = []
    for name in names:
        one = Asked(
            contrasts=interaction.methods[name], ref=None, reverse=asked.reverse, sign=asked.sign
        )
        found.append(contrast_rows(one, pd.DataFrame({name: levels[name]}), plain=True))
    weights: FloatArray = np.ones((1, 1))
    for own in found:
        weights = np.asarray(np.kron(own.weights, weights), dtype=np.float64)
    texts = pd.MultiIndex.from_product([own.names for own in reversed(found)])
    labels = pd.DataFrame(list(texts), columns=[_column(n, interaction) for n in reversed(names)])
    labels = labels[labels.columns[::-1]]
    combined = Contrasts(names=tuple(map(str, labels.index)), weights=weights)
    return _Rows(contrasts=combined, labels=labels)


def _column(name: str, interaction: Interaction) -> str:
    method = interaction.methods[name]
    return f"{name}_{method if isinstance(method, str) else 'custom'}"


def regrouped(own: Marginals, by: tuple[str, ...]) -> Marginals:
    """Return quantities in groups of other columns, the rows of one group together."""
    if by == own.by:
        return own
    labels = own.labels.reset_index(drop=True)
    specs = tuple(name for name in (*own.specs, *own.by) if name not in by)
    if not specs:
        raise OptionError("by= has all columns, so nothing is left to contrast.")
    codes = [pd.factorize(labels[name])[0] for name in (*specs, *by)]
    order = np.lexsort(codes) if len(codes) else np.arange(len(labels))
    labels = labels.iloc[order].reset_index(drop=True)
    keys = list(labels[list(by)].itertuples(index=False, name=None)) if by else [()] * len(labels)
    starts = [i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]
    ends = [*starts[1:], len(keys)]
    contrasted = own.contrasted.taken(order)
    return replace(
        own,
        labels=labels,
        specs=specs,
        by=by,
        groups=tuple(slice(a, b) for a, b in zip(starts, ends, strict=True)),
        tested=contrasted,
        contrasted=contrasted,
        carried=None,
        response=None,
    )
