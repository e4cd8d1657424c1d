"""The reference fits with their data, and their R arguments as hierbayes takes them."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from hierbayes.datasets import load_dataset

FOLDER = Path(__file__).with_name("reference")

# The R conditions under `subset`, as rows of a data frame.
SUBSETS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    '!(recipe == "A" & temperature == "175")': lambda d: (
        ~((d.recipe == "A") & (d.temperature == "175"))
    ),
    "Days >= 2": lambda d: d.Days >= 2,
}


@dataclass(frozen=True, kw_only=True)
class ReferenceFit:
    """One fit of the reference.

    Attributes
    ----------
    record : the whole JSON; ``tests/reference/README.md`` explains its fields
    formula, dataset, family, link : as hierbayes takes them
    reml : whether the criterion is REML
    n_quadrature : quadrature points of a generalized fit; None for a linear one
    options : those of weights, offset and contrasts that the fit has, as keyword arguments
    """

    record: dict[str, Any]
    formula: str
    dataset: str
    family: str
    link: str
    reml: bool
    n_quadrature: int | None
    options: dict[str, Any]

    @property
    def data(self) -> pd.DataFrame:
        """The data set, with the fit's row condition applied, rows numbered from 0."""
        data = load_dataset(self.dataset)
        subset = self.record["subset"]
        return data if subset is None else data[SUBSETS[subset](data)].reset_index(drop=True)

    def new_data(self) -> pd.DataFrame:
        """The rows the reference predicts for (``record["predict"]["newdata"]``)."""
        data = load_dataset(self.dataset)
        rows = pd.DataFrame(self.record["predict"]["newdata"])
        for column in rows.columns.intersection(data.columns):
            if isinstance(data[column].dtype, pd.CategoricalDtype):
                rows[column] = pd.Categorical(rows[column].astype("str"), dtype=data[column].dtype)
        return rows


def load_fit(fit_id: str) -> ReferenceFit:
    """Return one reference fit by its id, for example ``"ss_max_reml"``."""
    record = load_reference(f"fits/{fit_id}")
    options = {name: record[name] for name in ("weights", "offset") if record[name] is not None}
    if record["contrasts"] is not None:
        options["contrasts"] = _contrasts(record["contrasts"])
    return ReferenceFit(
        record=record,
        formula=record["formula"],
        dataset=record["dataset"],
        family=record["family"].lower(),
        link=record["link"],
        reml=record["REML"],
        n_quadrature=record["nAGQ"],
        options=options,
    )


def linear_fits(*datasets: str, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Ids of the linear fits, of the named data sets if any is named."""
    return _ids("LMM", datasets, without)


def generalized_fits(*datasets: str, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Ids of the generalized fits, of the named data sets if any is named."""
    return _ids("GLMM", datasets, without)


@cache
def load_reference(name: str) -> Any:
    """Return a JSON of the reference folder by its path without ending; don't change it."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def _ids(model: str, datasets: tuple[str, ...], without: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        entry["id"]
        for entry in load_reference("index")
        if entry["model"] == model
        and (not datasets or entry["dataset"] in datasets)
        and entry["id"] not in without
    )


def _contrasts(text: str) -> dict[str, str]:
    """``list(recipe = "contr.sum")`` of R as ``{"recipe": "sum"}``."""
    inside = text.removeprefix("list(").removesuffix(")")
    pairs = re.findall(r'"?([\w.()]+)"? = "contr\.(\w+)"', inside)
    return dict(pairs)
