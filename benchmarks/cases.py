"""The models that are timed, who takes part, and the bars `hierbayes` has to clear.

A case is a line of data; adding one needs no other change unless it brings a new data set
(`simulated.py`, `python_worker.py` and `lme4_worker.R` say where the rows come from).
"""

from dataclasses import dataclass
from typing import Literal

OURS = "hierbayes"
LME4 = "lme4"
LME4_NO_DERIVATIVES = "lme4, calc.derivs=FALSE"
GLMM = "glmm"
MIXEDLM = "mixedlm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One claim about a measured quantity of ours.

    Attributes
    ----------
    quantity : "time" is the median of the repeats, "memory" the peak of a whole process
    peer : whom we are compared with; None for an absolute bar
    at_most : with a peer the largest allowed ratio ours / peer, without one the largest
        allowed number of seconds
    words : the claim as it is printed
    """

    quantity: Literal["time", "memory"]
    peer: str | None
    at_most: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model that every peer fits to the same rows.

    Attributes
    ----------
    name : what `--only` takes
    task : "fit" is a whole call from formula and frame, "refit" a new response for a
        model that has been fitted
    dataset : "sleepstudy", "InstEval" or "million"
    repeats : timed calls of each peer, unless one call is long (see `timing.py`)
    calls_per_turn : timed calls in a row before the next peer has its turn; more than one
        where a call is so short that it would mostly measure a cache gone cold meanwhile
    measure_memory : also run a load and one fit in a fresh process of each peer
    """

    name: str
    title: str
    task: Literal["fit", "refit"]
    dataset: str
    formula: str
    repeats: int
    peers: tuple[str, ...]
    bars: tuple[Bar, ...]
    calls_per_turn: int = 1
    measure_memory: bool = False


CASES = (
    Case(
        name="sleepstudy",
        title="sleepstudy, 180 rows, 18 subjects, REML",
        task="fit",
        dataset="sleepstudy",
        formula="Reaction ~ Days + (Days | Subject)",
        repeats=100,
        calls_per_turn=5,
        peers=(OURS, LME4, LME4_NO_DERIVATIVES, GLMM, MIXEDLM),
        bars=(Bar(quantity="time", peer=LME4, at_most=1 / 3, words="at most 1/3 of lme4's time"),),
    ),
    Case(
        name="refit",
        title="a new response for the fitted sleepstudy model, REML",
        task="refit",
        dataset="sleepstudy",
        formula="Reaction ~ Days + (Days | Subject)",
        repeats=100,
        calls_per_turn=5,
        peers=(OURS, LME4, MIXEDLM),
        bars=(Bar(quantity="time", peer=None, at_most=1e-3, words="under 1 ms"),),
    ),
    Case(
        name="insteval",
        title="InstEval, 73,421 rows, 2,972 students x 1,128 lecturers, 28 dept:service, REML",
        task="fit",
        dataset="InstEval",
        formula="y ~ service + (1 | s) + (1 | d) + (1 | dept:service)",
        repeats=20,
        peers=(OURS, LME4, LME4_NO_DERIVATIVES, GLMM, MIXEDLM),
        bars=(
            Bar(quantity="time", peer=LME4, at_most=1 / 4, words="at most 1/4 of lme4's time"),
            Bar(quantity="time", peer=GLMM, at_most=1.0, words="not slower than glmm"),
        ),
    ),
    Case(
        name="million",
        title="simulated, 1,000,000 rows in random order, 20,000 groups, REML",
        task="fit",
        dataset="million",
        formula="y ~ x + (x | g)",
        repeats=20,
        peers=(OURS, LME4, GLMM, MIXEDLM),
        bars=(
            Bar(quantity="time", peer=LME4, at_most=1 / 5, words="at most 1/5 of lme4's time"),
            Bar(quantity="memory", peer=LME4, at_most=1.0, words="peak memory below lme4's"),
        ),
        measure_memory=True,
    ),
)
