"""One Python package in its own process, told by `peers.py` through stdin what to do.

    python_worker.py PACKAGE FOLDER

    hello                          -> {"version": ...}
    prepare TASK DATASET FORMULA FAMILY SMALL -> {"rss_kb": ...} load the rows; nothing is timed
    turn FIRST COUNT               -> {"seconds": [...], ...}   timed calls
    first                          -> {"peak_kb": ...}          the only call of this process

A turn also says what came out: for "fit" and "refit" the criterion of each call, for intervals and
tests the answers of all calls in one list (limits, or a p value).

A timed call is the whole way from the text of a formula and a pandas frame to the fitted
object; for the tasks after a fit, from the fitted model to the answer. Each call has its number
and gets a new copy of the frame and other white space in the formula (or a model fitted anew
from these), made before the clock starts: a package that remembers earlier calls gains nothing.
`lme4_worker.R` is the same program in R.
"""

import gc
import importlib
import importlib.metadata
import json
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cases import OURS
from peers import REPLY_MARK, memory_kb


def version_of(package: str) -> str:
    """Return the version of an installed package; ours may not be installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        if package != OURS:
            raise
        return "(source tree)"


def load(dataset: str, folder: Path) -> pd.DataFrame:
    """Read the rows of a data set, grouping factors as categoricals."""
    if (folder / f"{dataset}.columns").exists():
        return simulated(dataset, folder)
    frame = importlib.import_module("hierbayes").load_dataset(dataset)
    if dataset == "cbpp":  # some take two columns only
        return frame.assign(healthy=frame["size"] - frame["incidence"])
    if dataset == "VerbAgg":  # and some numbers
        return frame.assign(yes=(frame["r2"] == "Y").astype(int))
    return frame


def simulated(dataset: str, folder: Path) -> pd.DataFrame:
    """Read the raw arrays of a simulated data set, its groups as categoricals."""
    lines = (folder / f"{dataset}.columns").read_text().splitlines()
    numbers, factors = (line.split() for line in lines)
    rows = pd.DataFrame(
        {name: np.fromfile(folder / f"{dataset}_{name}.f64", dtype=np.float64) for name in numbers}
    )
    for name in factors:
        codes = np.fromfile(folder / f"{dataset}_{name}.i32", dtype=np.int32)
        levels = [str(level) for level in range(1, codes.max() + 2)]
        rows[name] = pd.Categorical.from_codes(codes, categories=levels)
    return rows


def respaced(formula: str, number: int) -> str:
    """Write the formula with other gaps: gap i is one space plus digit i of number in base 4."""
    words = formula.split(" ")
    gaps = [" " * (1 + number // 4**place % 4) for place in range(len(words) - 1)]
    return words[0] + "".join(gap + word for gap, word in zip(gaps, words[1:], strict=True))


def fitter(package: str, family: str) -> Callable[[str, pd.DataFrame], Any]:
    """Return the call that fits, with nothing computed beyond the estimates.

    By REML, of another family than the Gaussian by maximum likelihood (Laplace).
    """
    if package == "statsmodels":
        return fit_by_statsmodels
    module = importlib.import_module(package)
    if package == "glmm":  # its t tests are extra work that no other peer does in the fit
        return lambda formula, frame: module.fit(frame, formula, family=family, satterthwaite=False)
    if family == "gaussian":
        return module.lmer
    if package == "mixedlm":
        family = getattr(importlib.import_module("mixedlm.families"), family.title())()
    return lambda formula, frame: module.glmer(formula, frame, family)


def fit_by_statsmodels(formula: str, frame: pd.DataFrame) -> Any:
    """Fit a model of one factor by REML; statsmodels takes the formula in three pieces."""
    from statsmodels.formula.api import mixedlm

    fixed, _, random = " ".join(formula.split()).partition(" + (")
    columns, _, factor = random.removesuffix(")").partition(" | ")
    return mixedlm(fixed, frame, groups=frame[factor], re_formula=f"~ {columns}").fit(reml=True)


def criterion(package: str, fit: Any, family: str) -> float:
    """Read the REML criterion, or -2 log-likelihood, at the estimate, with all constants."""
    if package == "glmm":
        return -2.0 * fit.loglik
    if package == "statsmodels":
        return -2.0 * float(fit.llf)
    if package == "mixedlm":
        return float(fit.REMLcrit() if family == "gaussian" else -2.0 * fit.logLik().value)
    return float(fit.criterion)


def bootstrapped(model: Any, seed: int) -> Any:
    """Compute intervals by 500 parametric bootstrap refits."""
    return hierbayes().confint(model, method="bootstrap", nsim=500, random_seed=seed)


def profiled(model: Any, _: int) -> Any:
    """Compute intervals by profiles of all parameters."""
    return hierbayes().confint(model, method="profile")


def tested(models: list[Any], seed: int) -> Any:
    """Test the larger of two models by 1,000 samples of the smaller."""
    small, large = models
    return hierbayes().pb_test(small, large, nsim=1000, random_seed=seed)


def left_out(post: Any, _: int) -> Any:
    """Leave out every row of a posterior's data."""
    return hierbayes().loo(post)


def weighed(post: Any, _: int) -> Any:
    """Follow a coefficient over the width of its prior."""
    return hierbayes().sensitivity(post, "Days")


AFTER_SAMPLE = {"loo": left_out, "sensitivity": weighed}
AFTER_FIT = {"bootstrap": bootstrapped, "profile": profiled, "pb_test": tested}


def hierbayes() -> Any:
    """Return our package, which a worker of another one does not load."""
    return sys.modules["hierbayes"]


def numbers_of(answer: Any) -> list[float]:
    """Read the p value of a test, or the limits row by row, lower before upper."""
    if hasattr(answer, "p_value"):
        return [float(answer.p_value)]
    return answer[["lower", "upper"]].to_numpy().ravel().tolist()


class Worker:
    """What is kept between the commands: the rows, and for `refit` the first fit."""

    def __init__(self, package: str, folder: Path) -> None:
        self.package = package
        self.folder = folder

    def prepare(
        self, task: str, dataset: str, formula: str, family: str, small: str
    ) -> dict[str, Any]:
        """Load the rows; say how much memory the process holds before any fit."""
        self.task, self.formula, self.family = task, formula, family
        self.small = "" if small == "-" else small
        self.fit = fitter(self.package, family)
        self.frame = load(dataset, self.folder)
        if task == "refit":
            self.fitted = self.fit(formula, self.frame)
            responses = np.fromfile(self.folder / "responses.f64", dtype=np.float64)
            self.responses = responses.reshape(-1, len(self.frame))
        gc.collect()
        return {"rss_kb": memory_kb("VmRSS")}

    def call(self, number: int) -> Callable[[], Any]:
        """Make the call of this number, with all it needs and nothing used before."""
        if self.task == "refit":
            return partial(self.fitted.refit, self.responses[number % len(self.responses)].copy())
        formulas = [respaced(text, number) for text in (self.small, self.formula) if text]
        if self.task == "fit":
            return partial(self.fit, formulas[0], self.frame.copy())
        if self.task in AFTER_SAMPLE:
            model = hierbayes().Model(formulas[0], self.frame.copy())
            return partial(AFTER_SAMPLE[self.task], model.sample(random_seed=number), number)
        models = [self.fit(formula, self.frame.copy()) for formula in formulas]
        return partial(AFTER_FIT[self.task], models[0] if len(models) == 1 else models, number)

    def turn(self, first: int, count: int) -> dict[str, Any]:
        """Time the calls number first, first + 1, ...; all they need is made before."""
        calls = [self.call(number) for number in range(first, first + count)]
        gc.collect()
        seconds, processor, criteria, answers = [], [], [], []
        for call in calls:
            used, start = time.process_time(), time.perf_counter()
            found = call()
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - used)
            if self.task in AFTER_FIT:
                answers += numbers_of(found)
            elif self.task in ("fit", "refit"):
                criteria.append(criterion(self.package, found, self.family))
        return {
            "seconds": seconds, "processor": processor, "criteria": criteria, "answers": answers
        }  # fmt: skip

    def first_call(self) -> dict[str, Any]:
        """Fit once, untimed, for the memory of a load and a fit."""
        fit = self.fit(self.formula, self.frame)
        return {
            "criterion": criterion(self.package, fit, self.family),
            "peak_kb": memory_kb("VmHWM"),
        }


def answer(worker: Worker, command: str, arguments: list[str]) -> dict[str, Any]:
    """Carry out one line of the conversation."""
    if command == "hello":
        return {"version": version_of(worker.package)}
    if command == "prepare":
        return worker.prepare(*arguments)
    if command == "turn":
        return worker.turn(*(int(word) for word in arguments))
    return worker.first_call()


def main() -> None:
    """Answer the commands on stdin until it is closed."""
    warnings.simplefilter("ignore")  # a boundary reported once a call is not what is timed
    worker = Worker(sys.argv[1], Path(sys.argv[2]))
    for line in sys.stdin:
        command, *arguments = line.rstrip("\n").split("\t")
        print(REPLY_MARK + json.dumps(answer(worker, command, arguments)), flush=True)


if __name__ == "__main__":
    main()
