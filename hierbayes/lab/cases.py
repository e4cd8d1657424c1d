"""Data and model of a state, before anything is estimated: a preset, a simulation or a file.

Observations that the reader moved or deleted are in the data already; everything after this is an
ordinary fit of an ordinary frame.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import IntArray
from hierbayes.errors import DataError
from hierbayes.lab.presets import (
    OWN,
    PRESETS,
    SIMULATED,
    SIMULATED_FORMULA,
    Simulation,
    check_levels,
    own_table,
    simulated,
)
from hierbayes.lab.state import LabState
from hierbayes.model.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A reader's own file: its content, its name and the formula."""

    content: bytes = b""
    name: str = ""
    formula: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """Data and model before anything is estimated; equal only to itself, so results can be kept.

    Attributes
    ----------
    data : the frame with moved and deleted observations
    rows : array of int, position of each row of ``data`` before any was deleted
    formula, known_sd, x, units, title, question : as those of a preset
    model : the model with default priors
    response : column of the response, None where it is no plain column
    """

    data: pd.DataFrame
    rows: IntArray
    formula: str
    known_sd: str | None
    x: str | None
    units: dict[str, str]
    title: str
    question: str
    model: Model
    response: str | None


def case_of(state: LabState, own: Own | None = None) -> Case:
    """Return data and model of a state; the same settings give the same object again."""
    own = own if state.data == OWN else None
    return _case(state.data, own, state.simulation, state.edits)


@lru_cache(maxsize=16)
def _case(
    data: str, own: Own | None, simulation: Simulation, edits: tuple[tuple[int, float | None], ...]
) -> Case:
    given, about = _given(data, own, simulation)
    whole = Model(about["formula"], given, known_sd=about["known_sd"], data_name=about["name"])
    response = whole.design.formula.response_label.strip("`")
    plain = response if response in given.columns else None
    edited, rows = _edited(given, edits, plain)
    if edits:
        options = {"known_sd": about["known_sd"], "data_name": about["name"]}
        whole = Model(about["formula"], edited, **options)
    for factor in whole.design.factors:
        check_levels(factor.name, len(factor.levels))
    x = about["x"] or _predictor(whole)
    return Case(
        data=edited,
        rows=rows,
        model=whole,
        response=plain,
        x=x,
        **{key: about[key] for key in ("formula", "known_sd", "units", "title", "question")},
    )


def _given(
    data: str, own: Own | None, simulation: Simulation
) -> tuple[pd.DataFrame, dict[str, Any]]:
    if data in PRESETS:
        preset = PRESETS[data]
        about = {
            "formula": preset.formula,
            "known_sd": preset.known_sd,
            "x": preset.x,
            "units": dict(preset.units),
            "title": preset.title,
            "question": preset.question,
            "name": data,
        }
        return preset.load(), about
    plain: dict[str, Any] = {"known_sd": None, "x": None, "units": {}}
    if data == SIMULATED:
        question = "You know the truth here: set it, and see which pooling comes closest to it."
        about = {"formula": SIMULATED_FORMULA, "title": "Simulated data", "name": "simulated"}
        return simulated(simulation), plain | about | {"question": question, "x": "x"}
    if own is None or not own.content:
        raise DataError("No file yet: upload a CSV file whose first line names the columns.")
    about = {"formula": own.formula, "title": own.name, "name": own.name, "question": ""}
    return own_table(own.content), plain | about


def _edited(
    data: pd.DataFrame, edits: tuple[tuple[int, float | None], ...], response: str | None
) -> tuple[pd.DataFrame, IntArray]:
    """Return the data with observations moved and deleted, and the old position of each row."""
    rows = np.arange(len(data), dtype=np.intp)
    known = [(row, y) for row, y in edits if row < len(data)]
    moved = {row: y for row, y in known if y is not None}
    if moved and response is not None:
        y = data[response].to_numpy(dtype=np.float64, copy=True)
        y[list(moved)] = list(moved.values())
        data = data.assign(**{response: y})
    deleted = [row for row, y in known if y is None]
    if not deleted:
        return data, rows
    rows = np.delete(rows, deleted)
    return data.iloc[rows].reset_index(drop=True), rows


def _predictor(model: Model) -> str | None:
    """Return the numeric column that the pictures' x axis shows: the first of the fixed part."""
    for name in (*(c for f in model.design.factors for c in f.columns), *model.design.coef_names):
        values = model.design.variables.get(name)
        if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "fiu":
            return str(name)
    return None
