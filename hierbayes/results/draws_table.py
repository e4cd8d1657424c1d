"""Posterior draws as a long table: a row for each draw of each parameter."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.results.posterior_parameters import Parameters


def draws_table(parts: Sequence[Parameters]) -> pd.DataFrame:
    """Return draws (C, D, P) of parameters as C D P rows, those of a parameter together.

    Columns ``chain draw effect group level term parameter value``; text is categorical, missing
    where a parameter has no group or level.
    """
    texts = ("effect", "group", "level", "term", "parameter")
    columns: dict[str, list[Any]] = {name: [] for name in texts}
    for part in parts:
        P = part.draws.shape[2]
        columns["effect"] += [part.effect] * P
        columns["group"] += list(part.group)
        columns["level"] += [None if level is None else str(level) for level in part.level]
        columns["term"] += list(part.term)
        columns["parameter"] += list(part.names)
    C, D = parts[0].draws.shape[:2]
    values = np.concatenate([np.moveaxis(part.draws, 2, 0).reshape(-1, C * D) for part in parts])
    each, P = C * D, values.shape[0]
    table: dict[str, Any] = {
        "chain": np.tile(np.repeat(np.arange(C), D), P),
        "draw": np.tile(np.arange(D), C * P),
    }
    for name in texts:
        codes, known = pd.factorize(np.array(columns[name], dtype=object))
        table[name] = pd.Categorical.from_codes(np.repeat(codes, each), categories=pd.Index(known))
    return pd.DataFrame(table | {"value": values.ravel()})
