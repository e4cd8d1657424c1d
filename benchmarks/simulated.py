"""The data that no package ships: a million rows, crossed factors, many slopes, women, responses.

All are drawn once per run from a fixed seed and written as raw arrays that R
(`readBin`) and numpy (`fromfile`) read without a parser, so every peer gets the same bits.
"""

from collections.abc import Callable
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

# Levels of two crossed factors, and rows for each pair or in all.
SLOPES_LEVELS = (100, 80)
MAXIMAL_LEVELS = (60, 60)
WIDE_LEVELS, WIDE_ROWS = (1000, 100), 20_000
LARGE_LEVELS, LARGE_ROWS = (20_000, 5000), 1_000_000
# Six columns and a constant that vary between groups.
N_MANY, MANY_GROUPS, MANY_ROWS = 6, 2000, 100_000

# Per simulated data set its columns of numbers, and its grouping factors.
SIMULATED = {
    "million": (("y", "x"), ("g",)),
    "crossed-slopes": (("y", "x"), ("a", "b")),
    "crossed-maximal": (("y", "u", "v", "uv"), ("a", "b")),
    "crossed-wide": (("y", "x"), ("a", "b")),
    "crossed-large": (("y", "x"), ("a", "b")),
    "many-columns": (("y", *(f"x{i + 1}" for i in range(N_MANY))), ("g",)),
    "women": (("use", "age", "age2", "urban", "children"), ("district",)),
}


def write_simulated(dataset: str, folder: Path) -> None:
    """Write one of the data sets above."""
    write_columns(dataset, WRITERS[dataset](), SIMULATED[dataset], folder)


def write_columns(
    dataset: str,
    columns: dict[str, np.ndarray],
    names: tuple[tuple[str, ...], tuple[str, ...]],
    folder: Path,
) -> None:
    """Write a data set's columns `NAME_COLUMN.f64` and groups `NAME_FACTOR.i32` (from 0).

    `NAME.columns` lists them, the numbers in its first line and the factors in its second.
    """
    numbers, factors = names
    for name in numbers:
        columns[name].astype(np.float64).tofile(folder / f"{dataset}_{name}.f64")
    for name in factors:
        columns[name].astype(np.int32).tofile(folder / f"{dataset}_{name}.i32")
    lines = [" ".join(numbers), " ".join(factors)]
    (folder / f"{dataset}.columns").write_text("\n".join(lines) + "\n")


def million() -> dict[str, np.ndarray]:
    """Draw a million rows of 20,000 groups.

    Groups are drawn for each row, so the groups are of unequal size (about 50 rows) and the
    rows of a group are scattered over the file: nobody profits from sorted data.
    """
    rng = np.random.default_rng(SEED)
    group = rng.integers(0, N_GROUPS, size=N_ROWS, dtype=np.int32)
    x = rng.standard_normal(N_ROWS)
    b = rng.multivariate_normal((0.0, 0.0), GROUP_COVARIANCE, size=N_GROUPS)
    y = BETA[0] + b[group, 0] + (BETA[1] + b[group, 1]) * x + SIGMA * rng.standard_normal(N_ROWS)
    return {"y": y, "x": x, "g": group}


def varying(
    rng: np.random.Generator, X: np.ndarray, codes: np.ndarray, sds: np.ndarray
) -> np.ndarray:
    """Draw correlated effects of the columns X (n, q) for the levels; return their sum (n,)."""
    q = X.shape[1]
    mix = np.linalg.cholesky(0.7 * np.eye(q) + 0.3)
    effects = rng.standard_normal((codes.max() + 1, q)) @ mix.T * sds
    return (X * effects[codes]).sum(axis=1)


def crossed_slopes() -> dict[str, np.ndarray]:
    """Draw 8,000 rows, one for each pair of 100 and 80 levels, with a slope that varies by both."""
    rng = np.random.default_rng(SEED + 3)
    a, b = (grid.ravel() for grid in np.indices(SLOPES_LEVELS))
    x = rng.standard_normal(a.size)
    X, sds = np.column_stack([np.ones(a.size), x]), np.array([1.0, 0.5])
    y = 10 + 2 * x + varying(rng, X, a, sds) + varying(rng, X, b, sds / 2)
    return {"y": y + SIGMA * rng.standard_normal(a.size), "x": x, "a": a, "b": b}


def crossed_maximal() -> dict[str, np.ndarray]:
    """Draw 3,600 rows of an experiment: 60 people x 60 items, two conditions of two values each.

    Each item comes in one of the four cells, another one for the next person (a Latin square).
    """
    rng = np.random.default_rng(SEED + 4)
    a, b = (grid.ravel() for grid in np.indices(MAXIMAL_LEVELS))
    cell = (a + b) % 4
    u, v = (cell % 2) - 0.5, (cell // 2) - 0.5
    X, sds = np.column_stack([np.ones(a.size), u, v, u * v]), np.array([1.0, 0.5, 0.4, 0.6])
    y = 10 + u - 0.5 * v + varying(rng, X, a, sds) + varying(rng, X, b, sds / 2)
    return {"y": y + rng.standard_normal(a.size), "u": u, "v": v, "uv": u * v, "a": a, "b": b}


def crossed_wide() -> dict[str, np.ndarray]:
    """Draw 20,000 rows whose levels of two factors, 1,000 and 100, meet at random."""
    return crossed_at_random(WIDE_LEVELS, WIDE_ROWS, seed=SEED + 5)


def crossed_large() -> dict[str, np.ndarray]:
    """Draw a million rows whose levels of two factors, 20,000 and 5,000, meet at random."""
    return crossed_at_random(LARGE_LEVELS, LARGE_ROWS, seed=SEED + 7)


def crossed_at_random(levels: tuple[int, int], n: int, *, seed: int) -> dict[str, np.ndarray]:
    """Draw n rows of two factors."""
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, J, n) for J in levels)
    x = rng.standard_normal(n)
    one = np.ones((n, 1))
    y = 10 + 2 * x + varying(rng, one, a, np.array([1.0])) + varying(rng, one, b, np.array([0.5]))
    return {"y": y + SIGMA * rng.standard_normal(n), "x": x, "a": a, "b": b}


def many_columns() -> dict[str, np.ndarray]:
    """Draw 100,000 rows in random order of 2,000 groups between which seven columns vary."""
    rng = np.random.default_rng(SEED + 6)
    group = rng.integers(0, MANY_GROUPS, MANY_ROWS)
    X = np.column_stack([np.ones(MANY_ROWS), rng.standard_normal((MANY_ROWS, N_MANY))])
    y = X.sum(axis=1) + varying(rng, X, group, np.linspace(1.0, 0.4, N_MANY + 1))
    columns = {f"x{i + 1}": X[:, i + 1] for i in range(N_MANY)}
    return {"y": y + SIGMA * rng.standard_normal(MANY_ROWS), "g": group, **columns}


def women() -> dict[str, np.ndarray]:
    """Draw the women of a survey in 60 districts."""
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
    return {**columns, "district": district}


WRITERS: dict[str, Callable[[], dict[str, np.ndarray]]] = {
    "million": million,
    "crossed-slopes": crossed_slopes,
    "crossed-maximal": crossed_maximal,
    "crossed-wide": crossed_wide,
    "crossed-large": crossed_large,
    "many-columns": many_columns,
    "women": women,
}


def rows_of(dataset: str) -> pd.DataFrame:
    """Rows of a data set, with what some packages cannot read spelled out for all."""
    if dataset == "women":
        return pd.DataFrame(women())
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
