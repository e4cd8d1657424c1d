"""How often intervals hold the truth: every method, every parameter, few subjects and many.

Data sets are drawn from a model with the REML estimates of sleepstudy as its truth, with 6, 12 or
18 subjects of ten days each, and fitted; every method gives 95 % intervals of every parameter it
has one for. Printed: the share of intervals that hold the truth with its Monte-Carlo error, the
shares that lie too low and too high (2.5 % each would be right), the share of data sets without an
interval (a correlation where an sd is estimated as zero), and the median width. `!` marks a
coverage below 93 %.

    .venv/bin/python benchmarks/interval_coverage.py [--datasets 2000] [--subjects 6 12 18]
        [--methods ...] [--out out/coverage.csv] [--markdown table.md] [--jobs 1]

Results are appended to the CSV (one row an interval) every few data sets, and data sets that are
in it are not done again: an interrupted run goes on where it stopped, and more data sets or methods
can be added. Every data set has its own seed, whatever the order, the methods and the number of
processes. All of it takes 20 minutes of one core.

Wald intervals of sds and correlations do not exist here. Profile and bootstrap limits are those of
``hb.confint``; the three kinds of bootstrap limits share their replicates. The posterior has the
default priors and the collapsed sampler, also where "auto" would go over to NUTS (1 to 4 % of the
data sets, where Pareto k is between 0.7 and 1). "predict" is ``fit.predict(interval=...)`` on day
9, of the expected response of a fitted subject ("mean"), of its next response, and of the response
of a subject not in the data.
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # matrices of two rows: threads only wait

import hierbayes as hb
from hierbayes.results.interval_parameters import parameter_names, parameter_values

FloatArray = npt.NDArray[np.float64]

FORMULA = "Reaction ~ Days + (Days | Subject)"
LEVEL = 0.95
LOW = 0.93  # coverage below it is marked
NSIM = 300  # bootstrap replicates
DRAWS = 500  # draws of each of four chains
DAY = 9.0  # of the predictions
BATCH = 25  # data sets between two writes
COLUMNS = ("subjects", "dataset", "method", "parameter", "estimate", "lower", "upper", "truth")
METHODS = (
    "wald",
    "satterthwaite",
    "kenward-roger",
    "profile",
    "percentile",
    "basic",
    "bca",
    "posterior",
    "predict",
)
BOOTSTRAPS = ("percentile", "basic", "bca")
PREDICTIONS = ("mean, fitted subject", "response, fitted subject", "response, new subject")
Limits = dict[str, tuple[float, float, float]]  # parameter -> estimate, lower, upper


@dataclass(frozen=True)
class Study:
    """The model with some number of subjects, and the truth data sets are drawn from."""

    n_subjects: int
    seed: int = 1

    @cached_property
    def truth(self) -> hb.LikelihoodFit:
        """The fit whose estimates are the truth."""
        return hb.lmer(FORMULA, hb.load_dataset("sleepstudy"))

    @cached_property
    def parameters(self) -> dict[str, float]:
        """The true parameters under lme4's names."""
        truth = self.truth
        sigma = np.array([truth.sigma])
        values = parameter_values(truth, truth.theta[None], sigma, beta=truth.beta[None])[0]
        return dict(zip(parameter_names(truth), values.tolist(), strict=True))

    @cached_property
    def model(self) -> hb.Model:
        """The model on the rows of the first subjects."""
        data = hb.load_dataset("sleepstudy")
        data = data[data["Subject"].isin(data["Subject"].cat.categories[: self.n_subjects])]
        return hb.Model(FORMULA, data.astype({"Subject": str}))

    def seeds(self, number: int) -> list[np.random.SeedSequence]:
        """Return the seeds of data set ``number``: of its response and of each random method."""
        own = np.random.SeedSequence(self.seed, spawn_key=(self.n_subjects, number))
        return own.spawn(3)

    def dataset(self, number: int) -> "DataSet":
        """Draw data set ``number``."""
        rng = np.random.default_rng(self.seeds(number)[0])
        truth, design = self.truth, self.model.design
        root = truth.sigma * truth.kernel.shape.unpack(truth.theta[None])[0][0]
        b = rng.standard_normal((self.n_subjects + 1, 2)) @ root.T  # the last one is not observed
        factor = design.factors[0]
        y = design.X @ truth.beta + (factor.z * b[factor.codes]).sum(axis=1)
        y += truth.sigma * rng.standard_normal(y.size)
        row = np.array([1.0, DAY])
        mean, other = row @ (truth.beta + b[0]), row @ (truth.beta + b[-1])
        e = truth.sigma * rng.standard_normal(2)
        predicted = dict(zip(PREDICTIONS, (mean, mean + e[0], other + e[1]), strict=True))
        return DataSet(study=self, number=number, y=y, truth=self.parameters | predicted)


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """One response (n,), with the true values of what intervals are for."""

    study: Study
    number: int
    y: FloatArray
    truth: dict[str, float]

    @cached_property
    def fit(self) -> hb.LikelihoodFit:
        """The REML fit."""
        return self.study.model.with_response(self.y).fit("reml")

    @cached_property
    def bootstrap(self) -> Any:
        """The replicates of the three kinds of bootstrap limits."""
        return hb.bootstrap(self.fit, nsim=NSIM, random_seed=self.study.seeds(self.number)[1])

    def limits(self, method: str) -> Limits:
        """Intervals of one method by parameter."""
        if method == "predict":
            return predicted(self.fit)
        if method in ("wald", "satterthwaite", "kenward-roger"):
            ddf = "normal" if method == "wald" else method
            table = self.fit.tidy("fixed", level=LEVEL, ddf=ddf).set_index("term")
            return rows_of(table[["estimate", "conf_low", "conf_high"]])
        if method == "profile":
            return rows_of(hb.confint(self.fit, method="profile", level=LEVEL))
        if method == "posterior":
            seed = self.study.seeds(self.number)[2]
            post = self.fit.model.sample(draws=DRAWS, sampler="collapsed", random_seed=seed)
            return rows_of(hb.confint(post, level=LEVEL))
        return rows_of(self.bootstrap.confint(LEVEL, interval=method))


def rows_of(table: pd.DataFrame) -> Limits:
    """Return the rows of a table of estimate and limits by their names."""
    rows = zip(table.index, table.to_numpy().tolist(), strict=True)
    return {str(name): tuple(row) for name, row in rows}


def predicted(fit: hb.LikelihoodFit) -> Limits:
    """Return the intervals of the three predictions."""
    known = {"Days": [DAY], "Subject": [fit.design.factors[0].levels[0]]}
    new = {"Days": [DAY], "Subject": ["not in the data"]}
    tables = (
        fit.predict(known, interval="confidence", level=LEVEL),
        fit.predict(known, interval="prediction", level=LEVEL),
        fit.predict(new, interval="prediction", level=LEVEL, new_levels="population"),
    )
    found = {}
    for name, table in zip(PREDICTIONS, tables, strict=True):
        found[name] = tuple(table[["prediction", "lower", "upper"]].iloc[0].tolist())
    return found


def intervals_of(study: Study, number: int, methods: Sequence[str]) -> list[tuple[Any, ...]]:
    """Rows of the CSV of one data set."""
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)  # few subjects: often on the boundary
        data = study.dataset(number)
        for method in methods:
            for name, limits in data.limits(method).items():
                key = (study.n_subjects, number, method, name)
                rows.append((*key, *limits, data.truth[name]))
    return rows


def run(study: Study, datasets: int, methods: Sequence[str], path: Path, *, jobs: int = 1) -> None:
    """Append the intervals that are not in the CSV yet."""
    todo = sorted(missing(path, study.n_subjects, datasets, methods).items())
    started = time.perf_counter()
    for done, batch in enumerate(batches(todo, BATCH * jobs)):
        if jobs == 1:
            parts = [intervals_of(study, number, some) for number, some in batch]
        else:
            from joblib import Parallel, delayed

            call = delayed(intervals_of)
            parts = Parallel(n_jobs=jobs)(call(study, number, some) for number, some in batch)
        table = pd.DataFrame([row for part in parts for row in part], columns=list(COLUMNS))
        table.to_csv(path, mode="a", header=not path.exists(), index=False, float_format="%.10g")
        count = min((done + 1) * BATCH * jobs, len(todo))
        if sys.stderr.isatty():
            seconds = time.perf_counter() - started
            left = seconds / count * (len(todo) - count)
            text = f"\r{study.n_subjects} subjects: {count} of {len(todo)}, {left:.0f} s left  "
            print(text, end="", file=sys.stderr, flush=True)


def batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    """Cut a list into parts of one size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def missing(
    path: Path, n_subjects: int, datasets: int, methods: Sequence[str]
) -> dict[int, list[str]]:
    """Methods that are not in the CSV, by number of the data set."""
    done: set[tuple[int, str]] = set()
    if path.exists():
        old = pd.read_csv(path, usecols=["subjects", "dataset", "method"]).drop_duplicates()
        old = old[old["subjects"] == n_subjects]
        done = set(zip(old["dataset"].tolist(), old["method"].tolist(), strict=True))
    left = {i: [m for m in methods if (i, m) not in done] for i in range(datasets)}
    return {i: some for i, some in left.items() if some}


def coverage_table(intervals: pd.DataFrame) -> pd.DataFrame:
    """Coverage by number of subjects, parameter and method.

    Returns
    -------
    DataFrame
        Columns ``coverage error low high`` (shares of the data sets with an interval: that hold
        the truth, its Monte-Carlo standard error, that lie below it, above it), ``none`` (share of
        data sets without one), ``width`` (median) and ``datasets``.
    """
    known = intervals.assign(
        none=intervals[["lower", "upper"]].isna().any(axis=1),
        low=intervals["upper"] < intervals["truth"],
        high=intervals["lower"] > intervals["truth"],
        width=intervals["upper"] - intervals["lower"],
    )
    keys = ["subjects", "parameter", "method"]
    groups = known.groupby(keys, sort=False)
    some = known[~known["none"]].groupby(keys, sort=False)
    table = some[["low", "high"]].mean()
    table["width"] = some["width"].median()
    table["coverage"] = 1 - table["low"] - table["high"]
    table["error"] = np.sqrt(table["coverage"] * (1 - table["coverage"]) / some.size())
    table["none"] = groups["none"].mean()
    table["datasets"] = groups.size()
    return table[["coverage", "error", "low", "high", "none", "width", "datasets"]]


def in_order(table: pd.DataFrame, n_subjects: int) -> list[tuple[str, str, pd.Series]]:
    """Rows of one number of subjects: parameters in lme4's order, methods in ours."""
    names = [*Study(n_subjects).parameters, *PREDICTIONS]
    keys = [(n_subjects, name, method) for name in names for method in METHODS]
    return [(name, method, table.loc[(n, name, method)]) for n, name, method in keys
            if (n, name, method) in table.index]  # fmt: skip


def report(table: pd.DataFrame) -> str:
    """Write the table as text."""
    lines = []
    for n_subjects in sorted(set(table.index.get_level_values("subjects"))):
        rows = in_order(table, n_subjects)
        lines += [
            "",
            f"{n_subjects} subjects, {int(rows[0][2]['datasets'])} data sets: 95 % intervals",
        ]
        lines.append(
            f"{'parameter':<31}{'method':<15}{'coverage %':>16}{'too low %':>11}"
            f"{'too high %':>12}{'none %':>8}{'width':>9}"
        )
        before = ""
        for name, method, row in rows:
            mark = "!" if row["coverage"] < LOW else " "
            per_cent = {key: 100 * row[key] for key in ("coverage", "error", "low", "high", "none")}
            lines.append(
                f"{name if name != before else '':<31}{method:<15}"
                "{coverage:>8.1f} +/- {error:<4.1f}".format(**per_cent)
                + f"{mark}"
                + "{low:>9.1f}{high:>12.1f}{none:>8.1f}".format(**per_cent)
                + f"{row['width']:>9.3g}"
            )
            before = name
    return "\n".join(lines[1:])


def markdown(table: pd.DataFrame) -> str:
    """Write coverage in per cent as Markdown: a row a parameter, a column a method."""
    lines = []
    for n_subjects in sorted(set(table.index.get_level_values("subjects"))):
        rows = in_order(table, n_subjects)
        methods = [m for m in METHODS if m != "predict" and m in {method for _, method, _ in rows}]
        cells: dict[str, dict[str, str]] = {}
        for name, method, row in rows:
            text = f"{100 * row['coverage']:.1f} ({100 * row['low']:.1f}, {100 * row['high']:.1f})"
            if row["none"] >= 0.005:
                text += f", none in {100 * row['none']:.0f} %"
            cells.setdefault(name, {})[method] = f"**{text}**" if row["coverage"] < LOW else text
        title = f"{n_subjects} subjects: coverage % (too low, too high) of 95 % intervals"
        lines += ["", f"| {title} | {' | '.join(methods)} |", "|---|" + "---|" * len(methods)]
        for name, found in cells.items():
            if "predict" not in found:
                shown = (found.get(method, "") for method in methods)
                lines.append(
                    f"| `{name}` | {' | '.join(shown)} |".replace("|Subject", r"\|Subject")
                )
        if any("predict" in found for found in cells.values()):
            lines += ["", f"| {n_subjects} subjects: predictions of day 9 | predict |", "|---|---|"]
            lines += [f"| {n} | {f['predict']} |" for n, f in cells.items() if "predict" in f]
    return "\n".join(lines[1:])


def main() -> None:
    """Run what is left to do and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", type=int, default=2000)
    parser.add_argument("--subjects", type=int, nargs="+", default=[6, 12, 18])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--out", type=Path, default=Path("out/coverage.csv"))
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    for n_subjects in given.subjects:
        study = Study(n_subjects, given.seed)
        run(study, given.datasets, given.methods, given.out, jobs=given.jobs)
    intervals = pd.read_csv(given.out)
    chosen = intervals["method"].isin(given.methods) & intervals["subjects"].isin(given.subjects)
    table = coverage_table(intervals[chosen & (intervals["dataset"] < given.datasets)])
    print(report(table))
    if given.markdown:
        given.markdown.write_text(markdown(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
