"""Posterior draws by one Python package in its own process, told by `posteriors.py` what to do.

    posterior_worker.py PEER FOLDER

    hello                                       -> {"version": ...}
    first SEED DATASET FACTORS FORMULA CHAINS DRAWS FAMILY -> {"peak_kb": ...}  import, read, draw
    turn FIRST COUNT                            -> {"seconds": [...], ...}  timed calls
    effective                                   -> {"parameters": ..., "all": ...}

The cold time is taken outside, from the start of the process to the reply to `first`. A timed
call is the whole way from the text of a formula and a pandas frame to labelled draws of all
parameters and random effects; frame and white space are new each time. `rstanarm_worker.R`
is the same program in R.
"""

import gc
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
from cases import BAMBI, OURS
from peers import REPLY_MARK, memory_kb
from python_worker import respaced, version_of


class Worker:
    """What is kept between the commands: the model's text, its rows, the last draws."""

    def __init__(self, peer: str, folder: Path) -> None:
        self.peer = peer
        self.folder = folder

    def hello(self) -> dict[str, Any]:
        """Say which versions take part."""
        if self.peer == OURS:
            return {"version": version_of(OURS)}
        packages = ("bambi", "nutpie") if self.peer == BAMBI else ("bambi", "pymc")
        return {"version": ", ".join(f"{name} {version_of(name)}" for name in packages)}

    def draw(self, formula: str, frame: pd.DataFrame, seed: int) -> Any:
        """Build the model and sample it; each package with its own settings and priors."""
        if self.peer == OURS:
            import hierbayes

            model = hierbayes.Model(formula, frame, self.family)
            fit = model.sample(draws=self.draws, chains=self.chains, random_seed=seed)
            fit.idata["posterior"].dataset.load()  # nothing is left to be computed when read
            return fit.idata
        import bambi

        # Chains are named because bambi's own number depends on the number of cores.
        return bambi.Model(formula, frame, family=self.family).fit(
            draws=self.draws,
            chains=self.chains,
            inference_method="nutpie" if self.peer == BAMBI else "pymc",
            random_seed=seed,
            progressbar=False,
        )

    def first(self, seed: str, dataset: str, factors: str, *words: str) -> dict[str, Any]:
        """Read the rows and make the first call of this process."""
        self.formula = words[0]
        self.chains, self.draws, self.family = int(words[1]), int(words[2]), words[3]
        types = dict.fromkeys(factors.split(","), "category")
        self.frame = pd.read_csv(self.folder / f"{dataset}.csv", dtype=types)
        self.tree = self.draw(self.formula, self.frame.copy(), seed=int(seed))
        return {"peak_kb": memory_kb("VmHWM")}

    def turn(self, first: str, count: str) -> dict[str, Any]:
        """Time the calls number first, first + 1, ...; all they need is made before."""
        seconds, processor = [], []
        for number in range(int(first), int(first) + int(count)):
            formula, frame = respaced(self.formula, number), self.frame.copy()
            gc.collect()
            used, start = time.process_time(), time.perf_counter()
            self.tree = self.draw(formula, frame, seed=number)
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - used)
        return {"seconds": seconds, "processor": processor}

    def effective(self) -> dict[str, Any]:
        """Compute the smallest bulk effective sample size of the last call.

        Parameters are fixed effects, sds, correlations and sigma; "all" are these and the
        random effects. A correlation of a column with itself is constant and counts as all
        its draws.
        """
        import arviz

        sizes = arviz.ess(self.tree, method="bulk").data_vars
        smallest = {str(name): float(values.min()) for name, values in sizes.items()}
        parameters = [size for name, size in smallest.items() if not self.is_effect(name)]
        return {"parameters": min(parameters), "all": min(smallest.values())}

    def is_effect(self, name: str) -> bool:
        """Say whether a variable holds random effects."""
        if self.peer == OURS:
            return name.startswith("b_")
        return "|" in name and not name.endswith("_sigma")


def main() -> None:
    """Answer the commands on stdin until it is closed."""
    warnings.simplefilter("ignore")
    worker = Worker(sys.argv[1], Path(sys.argv[2]))
    for line in sys.stdin:
        command, *arguments = line.rstrip("\n").split("\t")
        print(REPLY_MARK + json.dumps(getattr(worker, command)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
