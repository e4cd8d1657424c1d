"""How the time grows: with the rows, levels, random columns, crossed terms, and draws.

A curve is a list of models that differ in one size; every peer fits each as in the other cases,
taking turns. A peer leaves a curve after the size at which a call took longer than `GIVE_UP`.
"""

import math
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from cases import BAMBI, GLMM, LME4, MIXEDLM, OURS, POSTERIOR_CASES, RSTANARM, STATSMODELS, Case
from kept import Point
from peers import PeerError
from posteriors import measure, write_rows
from simulated import SEED, SIGMA, varying, write_columns
from timing import Patience, Timings, progress, time_case

GIVE_UP = 3.0  # processor seconds of one call
PATIENCE = Patience(long_call=2.0, repeats=1)
Rows = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One size that grows.

    Attributes
    ----------
    name, title : of the curve; `size` what grows, as the axis has it
    sizes : from small to large
    formula, rows : of a size: the model, and its columns with the names of its factors
    peers : who takes part
    about : what stays the same
    """

    name: str
    title: str
    size: str
    sizes: tuple[int, ...]
    peers: tuple[str, ...]
    about: str
    formula: Callable[[int], str] | None = None
    rows: Callable[[int], tuple[Rows, tuple[str, ...]]] | None = None


ONE_FACTOR = (OURS, LME4, GLMM, MIXEDLM, STATSMODELS)
CROSSED = (OURS, LME4, GLMM, MIXEDLM)
ROWS, LEVELS = 20_000, 500


def one_factor(n: int, levels: int, columns: int = 2) -> tuple[Rows, tuple[str, ...]]:
    """Draw rows in random order of one factor, a constant and columns - 1 numbers that vary."""
    rng = np.random.default_rng(SEED + n + levels + columns)
    group = np.concatenate([np.arange(levels), rng.integers(0, levels, n - levels)])
    rng.shuffle(group)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, columns - 1))])
    y = X.sum(axis=1) + varying(rng, X, group, np.linspace(1.0, 0.5, columns))
    names = {f"x{k}": X[:, k] for k in range(1, columns)}
    return {"y": y + SIGMA * rng.standard_normal(n), **names, "g": group}, ("g",)


def crossed(terms: int) -> tuple[Rows, tuple[str, ...]]:
    """Draw rows of factors that meet at random."""
    rng = np.random.default_rng(SEED + terms)
    x = rng.standard_normal(ROWS)
    y, columns = 10 + x + SIGMA * rng.standard_normal(ROWS), {}
    for k in range(terms):
        codes = rng.integers(0, 100, ROWS)
        y = y + varying(rng, np.ones((ROWS, 1)), codes, np.array([1.0 / (k + 1)]))
        columns[f"f{k + 1}"] = codes
    return {"y": y, "x": x, **columns}, tuple(columns)


def many_columns(columns: int) -> str:
    """Write the model in which so many columns vary."""
    names = " + ".join(f"x{k}" for k in range(1, columns)) or "1"
    return f"y ~ {names} + ({names} | g)"


CURVES = (
    Curve(
        name="scaling-rows",
        title="rows",
        size="rows",
        sizes=(2_000, 10_000, 100_000, 1_000_000),  # above twice the number of levels
        peers=ONE_FACTOR,
        about=f"`y ~ x1 + (x1 | g)`, {LEVELS} levels, REML",
        formula=lambda _: "y ~ x1 + (x1 | g)",
        rows=lambda n: one_factor(n, LEVELS),
    ),
    Curve(
        name="scaling-levels",
        title="levels",
        size="levels of the grouping factor",
        sizes=(30, 300, 3_000, 30_000),
        peers=ONE_FACTOR,
        about="`y ~ x1 + (x1 | g)`, 100,000 rows, REML",
        formula=lambda _: "y ~ x1 + (x1 | g)",
        rows=lambda levels: one_factor(100_000, levels),
    ),
    Curve(
        name="scaling-columns",
        title="columns that vary",
        size="columns that vary between levels",
        sizes=(1, 2, 4, 7),
        peers=ONE_FACTOR,
        about=f"`y ~ x1 + ... + (x1 + ... | g)`, {ROWS:,} rows, {LEVELS} levels, REML",
        formula=many_columns,
        rows=lambda q: one_factor(ROWS, LEVELS, q),
    ),
    Curve(
        name="scaling-terms",
        title="crossed terms",
        size="crossed grouping factors of 100 levels",
        sizes=(1, 2, 4, 8),
        peers=CROSSED,
        about=f"`y ~ x + (1 | f1) + (1 | f2) + ...`, {ROWS:,} rows, REML",
        formula=lambda k: "y ~ x + " + " + ".join(f"(1 | f{i + 1})" for i in range(k)),
        rows=crossed,
    ),
    Curve(
        name="scaling-draws",
        title="draws",
        size="draws kept, in 4 chains",
        sizes=(1_000, 4_000, 16_000, 64_000),
        peers=(OURS, BAMBI, RSTANARM),
        about="Posterior of `Reaction ~ Days + (Days | Subject)`, a warm call",
    ),
)


def measure_curve(curve: Curve, peers: list[str], folder: Path) -> list[Point]:
    """Time every size of a curve."""
    points: list[Point] = []
    left = list(peers)
    for size in curve.sizes:
        progress(f"  {curve.name}: {size:,}")
        found = draws_of(curve, size, left, folder) if curve.rows is None else fits_of(
            curve, size, left, folder
        )  # fmt: skip
        points += found
        slow = {one.peer for one in found if one.problem or (one.processor or 0.0) > GIVE_UP}
        left = [peer for peer in left if peer not in slow]
    return points


def fits_of(curve: Curve, size: int, peers: list[str], folder: Path) -> list[Point]:
    """Time the fits of one size, more of them where they are quick."""
    assert curve.rows is not None
    assert curve.formula is not None
    name = f"{curve.name}-{size}"
    columns, factors = curve.rows(size)
    numbers = tuple(column for column in columns if column not in factors)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        write_columns(name, columns, (numbers, factors), Path(place))
        is_small = columns["y"].size * len(factors) <= ROWS
        case = Case(
            name=name,
            title=curve.title,
            task="fit",
            dataset=name,
            formula=curve.formula(size),
            repeats=6 if is_small else 3,
            peers=tuple(peers),
            bars=(),
        )
        timed = time_case(case, peers, Path(place), case.repeats, PATIENCE)
    return [point(one, size) for one in timed]


def point(timings: Timings, size: int) -> Point:
    """Make a point of the calls of a peer."""
    return Point(
        peer=timings.peer,
        size=size,
        seconds=timings.median,
        processor=timings.processor_median,
        calls=len(timings.seconds),
        problem=timings.problem or "",
    )


def draws_of(curve: Curve, size: int, peers: list[str], folder: Path) -> list[Point]:
    """Time warm calls for so many draws, in a fresh process of each peer."""
    known = next(case for case in POSTERIOR_CASES if case.name == "posterior")
    case = replace(known, draws=size // known.chains, warm_calls=3)
    write_rows(case, folder)
    points = []
    for peer in peers:
        seconds = processor = None
        problem = ""
        try:
            run = measure(case, peer, folder, first=1)
            seconds, processor = run.warm, run.processor
        except PeerError as error:
            problem = str(error)
        points.append(
            Point(
                peer=peer, size=size, seconds=seconds, processor=processor,
                calls=case.warm_calls if peer == OURS else 1, problem=problem,
            )
        )  # fmt: skip
    return points


def exponent(points: list[Point], peer: str) -> tuple[float, int] | None:
    """Fit the power of the size by least squares on logarithms, to the last three sizes.

    Returns the exponent and the number of sizes, or None with fewer than two.
    """
    found = [
        (math.log(one.size), math.log(one.processor))
        for one in points
        if one.peer == peer and one.processor
    ][-3:]
    if len(found) < 2:
        return None
    x, y = zip(*found, strict=True)
    mean_x, mean_y = statistics.mean(x), statistics.mean(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in found) / sum((a - mean_x) ** 2 for a in x)
    return slope, len(found)
