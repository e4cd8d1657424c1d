"""The data that no package ships: a million rows, women of a survey, responses for `refit`.

All are drawn once per run from a fixed seed and written as raw arrays that R
(`readBin`) and numpy (`fromfile`) read without a parser, so every peer gets the same bits.
"""

from pathlib import Path

import numpy as np
import pandas as pd

SEED = 20_240_607
N_ROWS = 1_000_000
N_GROUPS = 20_000
BETA = (10.0, 2.0)
SIGMA = 1.5
# Covariance of intercept and slope of a group: sds 1 and 0.5, correlation 0.3.
GROUP_COVARIANCE = ((1.0, 0.15), (0.15, 0.25))

N_RESPONSES = 50
RESPONSE_BETA = (250.0, 10.0)
RESPONSE_SDS = (25.0, 6.0)
RESPONSE_SIGMA = 25.0

# Women of a survey: whether they use contraception, by age, town and number of children, with
# towns that differ between districts.
N_WOMEN = 1934
N_DISTRICTS = 60
WOMEN_BETA = (-1.5, 0.0, -0.4, 0.8, 0.8)
WOMEN_COVARIANCE = ((0.36, -0.36), (-0.36, 0.64))

# Per simulated data set its columns of numbers, and its grouping factor.
SIMULATED = {
    "million": (("y", "x"), "g"),
    "women": (("use", "age", "age2", "urban", "children"), "district"),
}


def write_million(folder: Path) -> None:
    """Write `million_y.f64`, `million_x.f64` and `million_g.i32` (codes from 0) to a folder.

    Groups are drawn for each row, so the groups are of unequal size (about 50 rows) and the
    rows of a group are scattered over the file: nobody profits from sorted data.
    """
    rng = np.random.default_rng(SEED)
    group = rng.integers(0, N_GROUPS, size=N_ROWS, dtype=np.int32)
    x = rng.standard_normal(N_ROWS)
    b = rng.multivariate_normal((0.0, 0.0), GROUP_COVARIANCE, size=N_GROUPS)
    y = BETA[0] + b[group, 0] + (BETA[1] + b[group, 1]) * x + SIGMA * rng.standard_normal(N_ROWS)
    y.tofile(folder / "million_y.f64")
    x.tofile(folder / "million_x.f64")
    group.tofile(folder / "million_g.i32")


def write_women(folder: Path) -> None:
    """Write the columns of `women` to a folder, its districts as codes from 0."""
    rng = np.random.default_rng(SEED + 2)
    sizes = rng.dirichlet(np.full(N_DISTRICTS, 2.0))
    district = np.sort(rng.choice(N_DISTRICTS, N_WOMEN, p=sizes))
    district = np.unique(district, return_inverse=True)[1].astype(np.int32)
    age = rng.normal(0.0, 0.9, N_WOMEN)
    urban = (rng.random(N_WOMEN) < 0.3).astype(float)
    children = (rng.random(N_WOMEN) < 0.7).astype(float)
    b = rng.multivariate_normal((0.0, 0.0), WOMEN_COVARIANCE, size=N_DISTRICTS)[district]
    columns = {"age": age, "age2": age**2, "urban": urban, "children": children}
    eta = WOMEN_BETA[0] + b[:, 0] + b[:, 1] * urban
    for beta, values in zip(WOMEN_BETA[1:], columns.values(), strict=True):
        eta += beta * values
    columns["use"] = (rng.random(N_WOMEN) < 1 / (1 + np.exp(-eta))).astype(float)
    for name, values in columns.items():
        values.tofile(folder / f"women_{name}.f64")
    district.tofile(folder / "women_district.i32")


def rows_of(dataset: str, folder: Path) -> pd.DataFrame:
    """Rows of a data set, with what some packages cannot read spelled out for all."""
    if dataset == "women":
        write_women(folder)
        columns, factor = SIMULATED[dataset]
        frame = pd.DataFrame({name: np.fromfile(folder / f"women_{name}.f64") for name in columns})
        return frame.assign(**{factor: np.fromfile(folder / f"women_{factor}.i32", dtype="i4")})
    import hierbayes

    frame = hierbayes.load_dataset(dataset)
    if dataset == "cbpp":
        return frame.assign(healthy=frame["size"] - frame["incidence"])
    if dataset == "VerbAgg":
        return frame.assign(yes=1 * (frame["r2"] == "Y"))
    return frame


def write_responses(folder: Path) -> None:
    """Write `responses.f64`: 50 responses for the rows of sleepstudy, one after the other.

    Drawn from a model near the one estimated from sleepstudy; 18 subjects with days 0 to 9
    each, in the order of the data set.
    """
    rng = np.random.default_rng(SEED + 1)
    days = np.tile(np.arange(10.0), 18)
    subject = np.repeat(np.arange(18), 10)
    b = rng.standard_normal((N_RESPONSES, 18, 2)) * RESPONSE_SDS
    mean = RESPONSE_BETA[0] + b[:, subject, 0] + (RESPONSE_BETA[1] + b[:, subject, 1]) * days
    noise = RESPONSE_SIGMA * rng.standard_normal(mean.shape)
    (mean + noise).tofile(folder / "responses.f64")
