"""Random data frames: mostly ordinary columns, some of every kind that users' files hold.

A frame has a response ``y``, covariates ``x`` and ``z``, a fixed factor ``f``, and grouping
factors ``g`` and ``h``. Any of them may be odd: missing values, constants, infinities, integers
beyond 64 bits, dates, mixed objects, categories nobody has, another scale; so may a name.
"""

import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

SIZES = (0, 1, 2, 3, 8, *(24, 40, 60) * 5)
ODD_NAMES = ("my x", "größe", "sigma", "Residual", "(Intercept)", "a:b", "x|y", "1", "", "if", "变")


def random_frame(rng):
    """Give a frame of pandas with columns of random kinds, and the name that has each role."""
    odd = float(rng.choice([0.03, 0.15, 0.4]))
    n = int(rng.choice(SIZES))
    n_groups = int(rng.choice([1, 2, 3, 6, 8, max(n, 1)], p=[0.05, 0.1, 0.15, 0.35, 0.3, 0.05]))
    groups = rng.integers(0, n_groups, n)
    items = rng.integers(0, 4, n)
    x, z = rng.normal(size=n), rng.uniform(0.1, 3, n)
    effects = rng.normal(size=(n_groups, 2)) * rng.choice([0.0, 0.3, 1.0, 30.0])
    y = 2 + 0.5 * x + effects[groups, 0] + effects[groups, 1] * x + rng.normal(size=n)
    numbers = {"y": y, "x": x, "z": z, "w": rng.uniform(0.5, 2, n)}
    labels = {"f": rng.integers(0, 3, n), "g": groups, "h": items}
    columns = {name: _numbers(rng, column, odd=odd) for name, column in numbers.items()}
    columns |= {name: _labels(rng, codes, odd=odd) for name, codes in labels.items()}
    names = {name: name for name in columns}
    if rng.random() < 0.15:
        role = str(rng.choice(["x", "z", "f", "g", "h"]))
        names[role] = str(rng.choice(ODD_NAMES))
    frame = pd.DataFrame({role: pd.Series(column) for role, column in columns.items()})
    frame.columns = list(names.values())
    return _of_index(rng, frame), names


def as_kind(rng, frame):
    """Give the same rows as another kind of data that may be passed; pandas where it can't be."""
    kind = rng.choice(["pandas", "polars", "arrow", "dict", "lists"], p=[0.6, 0.15, 0.1, 0.1, 0.05])
    try:
        if kind == "polars":
            return pl.from_pandas(frame)
        if kind == "arrow":
            return pa.Table.from_pandas(frame)
        if kind == "dict":
            return {name: frame.iloc[:, i] for i, name in enumerate(frame)}
        if kind == "lists":
            return {name: frame.iloc[:, i].tolist() for i, name in enumerate(frame)}
    except Exception:  # what the other library can't hold is no matter of ours
        return frame
    return frame


def new_rows(rng, frame, names):
    """Rows to predict for: the frame, some of it, other levels, missing values, missing columns."""
    kind = rng.choice(["same", "some", "none", "levels", "missing", "column", "list", "bad"])
    if kind == "some":
        return frame.head(2)
    if kind == "none":
        return frame.head(0)
    if kind == "levels":
        return frame.assign(**{names["g"]: "never seen"})
    if kind == "missing":
        return frame.astype(object).mask(rng.random(frame.shape) < 0.2)
    if kind == "column":
        return frame.drop(columns=[names["x"]], errors="ignore")
    if kind == "list":
        return {name: frame.iloc[:, i].tolist() for i, name in enumerate(frame)}
    if kind == "bad":
        return [None, 3, "text", {"x": 1}, pd.DataFrame()][int(rng.integers(5))]
    return as_kind(rng, frame)


def _numbers(rng, values, *, odd):
    """Give the values, or with chance ``odd`` a column made of them that is odd in one way."""
    if rng.random() > odd:
        return values
    n, text = len(values), [f"{value:.3f}" for value in values]
    counts = np.abs(values * 3).astype(int)
    out = rng.random(n) < 0.2
    whole = list(zip(counts.tolist(), out, strict=True))
    makers = (
        lambda: values * 10.0 ** rng.choice([-300, -100, -12, -6, 6, 12, 100, 300]),
        lambda: values + 10.0 ** rng.choice([4, 8, 12]),
        lambda: np.where(out, np.nan, values),
        lambda: np.where(out, np.inf, values),
        lambda: np.full(n, np.nan),
        lambda: np.full(n, 3.0),
        lambda: np.zeros(n),
        lambda: counts,
        lambda: counts > 1,
        lambda: pd.array(np.where(out, np.nan, values), dtype="Float64"),
        lambda: pd.array([None if o else c for c, o in whole], "Int64"),
        lambda: pd.array([None if o else c > 1 for c, o in whole], "boolean"),
        lambda: values.astype("float32"),
        lambda: values + 1j,
        lambda: objects([10**30 * c for c, _ in whole]),
        lambda: objects([decimal.Decimal(t) for t in text]),
        lambda: objects([str(c) if o else c for c, o in whole]),
        lambda: objects([[c] if o else c for c, o in whole]),
        lambda: objects(text),
        lambda: pd.Timestamp("2024-01-01") + pd.to_timedelta(counts, unit="D"),
        lambda: pd.Series(values, dtype=pd.ArrowDtype(pa.float64())),
        lambda: objects([None] * n),
    )  # fmt: skip
    return makers[int(rng.integers(len(makers)))]()


def _labels(rng, codes, *, odd):
    """Give levels for the codes: letters, or with chance ``odd`` another type of label."""
    letters = objects([f"L{code}" for code in codes])
    if rng.random() > 2 * odd:
        return letters
    n, out = len(codes), rng.random(len(codes)) < 0.2
    some = list(zip(codes.tolist(), out, strict=True))
    first = datetime.date(2024, 1, 1)
    stamps = pd.Timestamp("2024-01-01") + pd.to_timedelta(codes, unit="D")
    makers = (
        lambda: codes,
        lambda: codes.astype(float),
        lambda: np.where(out, None, letters),
        lambda: np.where(out, np.nan, codes),
        lambda: pd.Categorical(letters, [f"L{i}" for i in range(max(codes, default=0), -4, -1)]),
        lambda: pd.Categorical(np.where(codes < 2, letters, None), ["L0", "L1"], ordered=True),
        lambda: pd.array(letters, dtype="string"),
        lambda: pd.array([None if o else c for c, o in some], "Int64"),
        lambda: pd.Series(letters, dtype=pd.ArrowDtype(pa.string())),
        lambda: codes > 1,
        lambda: objects([first + datetime.timedelta(days=c) for c, _ in some]),
        lambda: stamps,
        lambda: stamps.tz_localize("Europe/Berlin"),
        lambda: stamps.to_period("D"),
        lambda: pd.to_timedelta(codes, unit="h"),
        lambda: objects([10**25 + c for c, _ in some]),
        lambda: objects([(c, "t") if o else c for c, o in some]),
        lambda: objects([f" {c}:é|{c}\n" for c in codes]),
        lambda: objects(["" if c else "None" for c in codes]),
        lambda: objects(["one level"] * n),
        lambda: np.arange(n),
        lambda: objects([f"{i}" for i in range(n)]),
        lambda: objects([b"b%d" % c for c in codes]),
        lambda: objects([None] * n),
    )  # fmt: skip
    return makers[int(rng.integers(len(makers)))]()


def objects(values):
    """Give an array of objects, one an element, whatever they are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _of_index(rng, frame):
    """Give the frame another index, or a name twice."""
    n, kind = len(frame), rng.integers(12)
    if kind == 0:
        return frame.set_axis(pd.MultiIndex.from_arrays([np.arange(n) // 2, np.arange(n)]), axis=0)
    if kind == 1:
        return frame.set_axis(rng.permutation(n), axis=0)
    if kind == 2:
        return frame.set_axis(np.zeros(n, dtype=int), axis=0)
    if kind == 3:
        return frame.set_axis(pd.date_range("2024-01-01", periods=n), axis=0)
    if kind == 4 and rng.random() < 0.3:
        return pd.concat([frame, frame[["x"]] if "x" in frame else frame], axis=1)
    if kind == 5 and rng.random() < 0.3:
        return frame.set_axis(pd.MultiIndex.from_product([["top"], frame.columns]), axis=1)
    return frame
