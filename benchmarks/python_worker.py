"""One Python package in its own process, told by `peers.py` through stdin what to do.

    python_worker.py PACKAGE FOLDER

    hello                          -> {"version": ...}
    prepare TASK DATASET FORMULA   -> {"rss_kb": ...}       load the rows; nothing is timed
    turn FIRST COUNT               -> {"seconds": [...], "criteria": [...]}   timed calls
    first                          -> {"peak_kb": ...}      the only call of this process

A timed call is the whole way from the text of a formula and a pandas frame to the fitted
object. Each call has its number and gets a new copy of the frame and other white space in the
formula, made before the clock starts: a package that remembers earlier calls gains nothing.
`lme4_worker.R` is the same program in R.
"""

import gc
import importlib
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peers import REPLY_MARK, memory_kb


def load(dataset: str, folder: Path) -> pd.DataFrame:
    """Read the rows of a data set, grouping factors as categoricals."""
    if dataset != "million":
        return importlib.import_module("hierbayes").load_dataset(dataset)
    codes = np.fromfile(folder / "million_g.i32", dtype=np.int32)
    levels = [str(level) for level in range(1, codes.max() + 2)]
    return pd.DataFrame(
        {
            "y": np.fromfile(folder / "million_y.f64", dtype=np.float64),
            "x": np.fromfile(folder / "million_x.f64", dtype=np.float64),
            "g": pd.Categorical.from_codes(codes, categories=levels),
        }
    )


def respaced(formula: str, number: int) -> str:
    """Write the formula with other gaps: gap i is one space plus digit i of number in base 4."""
    words = formula.split(" ")
    gaps = [" " * (1 + number // 4**place % 4) for place in range(len(words) - 1)]
    return words[0] + "".join(gap + word for gap, word in zip(gaps, words[1:], strict=True))


def fitter(package: str) -> Callable[[str, pd.DataFrame], Any]:
    """Return the call that fits by REML, with nothing computed beyond the estimates."""
    module = importlib.import_module(package)
    if package == "glmm":  # its t tests are extra work that no other peer does in the fit
        return lambda formula, frame: module.fit(frame, formula, satterthwaite=False)
    return module.lmer


def criterion(package: str, fit: Any) -> float:
    """Read the REML criterion at the estimate, with all constants."""
    if package == "glmm":
        return -2.0 * fit.loglik
    if package == "mixedlm":
        return float(fit.REMLcrit())
    return float(fit.criterion)


class Worker:
    """What is kept between the commands: the rows, and for `refit` the first fit."""

    def __init__(self, package: str, folder: Path) -> None:
        self.package = package
        self.folder = folder
        self.fit = fitter(package)

    def prepare(self, task: str, dataset: str, formula: str) -> dict[str, Any]:
        """Load the rows; say how much memory the process holds before any fit."""
        self.task, self.formula = task, formula
        self.frame = load(dataset, self.folder)
        if task == "refit":
            self.fitted = self.fit(formula, self.frame)
            responses = np.fromfile(self.folder / "responses.f64", dtype=np.float64)
            self.responses = responses.reshape(-1, len(self.frame))
        gc.collect()
        return {"rss_kb": memory_kb("VmRSS")}

    def turn(self, first: int, count: int) -> dict[str, Any]:
        """Time the calls number first, first + 1, ...; all they need is made before."""
        numbers = range(first, first + count)
        calls: list[Callable[[], Any]]
        if self.task == "refit":
            known = [self.responses[number % len(self.responses)].copy() for number in numbers]
            calls = [partial(self.fitted.refit, y) for y in known]
        else:
            calls = [
                partial(self.fit, respaced(self.formula, number), self.frame.copy())
                for number in numbers
            ]
        gc.collect()
        seconds, criteria = [], []
        for call in calls:
            start = time.perf_counter()
            fit = call()
            seconds.append(time.perf_counter() - start)
            criteria.append(criterion(self.package, fit))
        return {"seconds": seconds, "criteria": criteria}

    def first_call(self) -> dict[str, Any]:
        """Fit once, untimed, for the memory of a load and a fit."""
        fit = self.fit(self.formula, self.frame)
        return {"criterion": criterion(self.package, fit), "peak_kb": memory_kb("VmHWM")}


def answer(worker: Worker, command: str, arguments: list[str]) -> dict[str, Any]:
    """Carry out one line of the conversation."""
    if command == "hello":
        try:
            return {"version": importlib.metadata.version(worker.package)}
        except importlib.metadata.PackageNotFoundError:
            return {"version": "(source tree)"}
    if command == "prepare":
        return worker.prepare(*arguments)
    if command == "turn":
        return worker.turn(*(int(word) for word in arguments))
    return worker.first_call()


def main() -> None:
    """Answer the commands on stdin until it is closed."""
    worker = Worker(sys.argv[1], Path(sys.argv[2]))
    for line in sys.stdin:
        command, *arguments = line.rstrip("\n").split("\t")
        print(REPLY_MARK + json.dumps(answer(worker, command, arguments)), flush=True)


if __name__ == "__main__":
    main()
