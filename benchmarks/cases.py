"""The models that are timed, who takes part, and the bars `hierbayes` has to clear.

A case is a line of data; adding one needs no other change unless it brings a new data set
(`simulated.py`, `python_worker.py` and `lme4_worker.R` say where the rows come from).
"""

import math
from dataclasses import dataclass
from typing import Literal

OURS = "hierbayes"
LME4 = "lme4"
LME4_NO_DERIVATIVES = "lme4, calc.derivs=FALSE"
GLMM = "glmm"
MIXEDLM = "mixedlm"
PBKRTEST = "pbkrtest"
STATSMODELS = "statsmodels"
BAMBI = "bambi + nutpie"
BAMBI_DEFAULT = "bambi, its default sampler"
RSTANARM = "rstanarm"

Task = Literal["fit", "refit", "bootstrap", "profile", "pb_test", "loo", "sensitivity"]
Quantity = Literal["time", "memory", "cold", "warm", "draws", "effective", "rate"]

# How far the answers of two packages may lie apart, for a bar to count. A profile is a
# computation: the bound is what two careful ones agree to. The others are drawn: the bound is
# about five times the Monte-Carlo error of one call with 500 or 1,000 samples.
ANSWERS_APART = {"profile": 1e-3, "bootstrap": 0.15, "pb_test": 0.07}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One claim about a measured quantity of ours.

    Attributes
    ----------
    quantity : "time" is the median of the repeats, "memory" the peak of a whole process (kB);
        of a posterior "cold" and "warm" are seconds, "draws" the smallest number of effective
        draws of a parameter, "rate" the smallest of a parameter or random effect per warm second
    peer : whom we are compared with; None for an absolute bar
    at_most, at_least : allowed for the ratio ours / peer; without a peer for the quantity
    words : the claim as it is printed
    """

    quantity: Quantity
    peer: str | None
    at_most: float = math.inf
    at_least: float = -math.inf
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model that every peer fits to the same rows.

    Attributes
    ----------
    name : what `--only` takes
    family : of the response, "gaussian" by REML, else by maximum likelihood (Laplace)
    task : "fit" is a whole call from formula and frame, "refit" a new response for a
        model that has been fitted; "bootstrap" and "profile" are the intervals of a fitted
        model by 500 samples and by its profiles; "pb_test" is a bootstrap test with 1,000
        samples of `small` against `formula`; "loo" and "sensitivity" start from draws of the
        posterior
    dataset : one of `SIMULATED`, or one that lme4 and `hierbayes` both have
    repeats : timed calls of each peer, unless one call is long (see `timing.py`)
    calls_per_turn : timed calls in a row before the next peer has its turn; more than one
        where a call is so short that it would mostly measure a cache gone cold meanwhile
    measure_memory : also run a load and one fit in a fresh process of each peer
    """

    name: str
    title: str
    task: Task
    dataset: str
    formula: str
    repeats: int
    peers: tuple[str, ...]
    bars: tuple[Bar, ...]
    calls_per_turn: int = 1
    measure_memory: bool = False
    small: str = ""
    family: str = "gaussian"


@dataclass(frozen=True, slots=True, kw_only=True)
class PosteriorCase:
    """A posterior that every peer draws from, each time in a fresh process.

    Attributes
    ----------
    factors : columns that are read as factors
    family : of the response, by the name that ours and bambi share
    formula_of_bambi : where bambi spells trials otherwise
    chains, draws : of each chain, after as many steps as the peer takes to adapt
    rounds : fresh processes of each peer
    warm_calls : timed calls of ours after the first in each process; the peers, whose
        calls take seconds, make one. 0 where the first call is all that is asked, which is then
        so long that an unmeasured run before would only cost time.
    """

    name: str
    title: str
    dataset: str
    formula: str
    factors: tuple[str, ...]
    draws: int
    warm_calls: int
    peers: tuple[str, ...]
    bars: tuple[Bar, ...]
    family: str = "gaussian"
    formula_of_bambi: str | None = None
    chains: int = 4
    rounds: int = 3


NEAR_GLMM = Bar(quantity="time", peer=GLMM, at_most=1.2, words="at most 1.2 times glmm's time")


def many_effects_case(name: str, title: str, formula: str, repeats: int = 20) -> Case:
    """Make a case of simulated data with many random effects, with the bar beside glmm."""
    return Case(
        name=name,
        title=f"simulated, {title}, REML",
        task="fit",
        dataset=name,
        formula=formula,
        repeats=repeats,
        peers=(OURS, LME4, GLMM, MIXEDLM),
        bars=(NEAR_GLMM,),
    )


MANY = " + ".join(f"x{i}" for i in range(1, 7))

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
        bars=(
            Bar(quantity="time", peer=LME4, at_most=1 / 3, words="at most 1/3 of lme4's time"),
            Bar(quantity="time", peer=GLMM, at_most=2.0, words="at most 2 times glmm's time"),
        ),
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
            NEAR_GLMM,
            Bar(quantity="memory", peer=LME4, at_most=1.0, words="peak memory below lme4's"),
        ),
        measure_memory=True,
    ),
    many_effects_case("crossed-slopes", "8,000 rows, 100 x 80 levels", "y ~ x + (x | a) + (x | b)"),
    many_effects_case(
        "crossed-maximal",
        "3,600 rows, 60 x 60 levels, maximal",
        "y ~ u + v + uv + (u + v + uv | a) + (u + v + uv | b)",
    ),
    many_effects_case(
        "crossed-wide", "20,000 rows, 1,000 x 100 levels", "y ~ x + (1 | a) + (1 | b)"
    ),
    Case(
        name="crossed-large",
        title="simulated, 1,000,000 rows, 20,000 x 5,000 levels, REML",
        task="fit",
        dataset="crossed-large",
        formula="y ~ x + (1 | a) + (1 | b)",
        repeats=5,
        peers=(OURS, LME4, GLMM),
        bars=(
            Bar(quantity="time", peer=LME4, at_most=1.0, words="not slower than lme4"),
            Bar(quantity="time", peer=GLMM, at_most=1.0, words="not slower than glmm"),
            Bar(quantity="memory", peer=GLMM, at_most=1.0, words="peak memory below glmm's"),
        ),
        measure_memory=True,
    ),
    many_effects_case(
        "many-columns",
        "100,000 rows in random order, 2,000 groups, seven columns that vary",
        f"y ~ {MANY} + ({MANY} | g)",
    ),
)

GENERALISED_REPEATS = 30


def generalised_case(
    name: str, title: str, formula: str, *, family: str, peers: tuple[str, ...] = (GLMM, MIXEDLM),
    dataset: str = "", calls_per_turn: int = 1, further: tuple[Bar, ...] = (),
) -> Case:  # fmt: skip
    """Make a case of a generalised model, with the bar beside lme4, and further ones."""
    words = "at most 1/3 of lme4's time"
    return Case(
        name=name,
        title=f"{title}, Laplace",
        task="fit",
        dataset=dataset or name,
        formula=formula,
        family=family,
        repeats=GENERALISED_REPEATS,
        calls_per_turn=calls_per_turn,
        peers=(OURS, LME4, *peers),
        bars=(Bar(quantity="time", peer=LME4, at_most=1 / 3, words=words), *further),
    )


GENERALISED_CASES = (
    generalised_case(
        "cbpp", "cbpp, 56 rows, 15 herds", "cbind(incidence, healthy) ~ period + (1 | herd)",
        family="binomial", peers=(GLMM,), calls_per_turn=5,
    ),
    generalised_case(
        "grouseticks", "grouseticks, 403 rows, one effect each, 118 broods, 63 locations",
        "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)", family="poisson",
    ),
    generalised_case(
        "verbagg", "VerbAgg, 7,584 answers of 316 people to 24 items",
        "yes ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)", family="binomial",
        dataset="VerbAgg",
        further=(Bar(quantity="time", peer=MIXEDLM, at_most=1.0, words="not slower than mixedlm"),),
    ),
    generalised_case(
        "women", "simulated like a survey of contraception, 1,934 women of 60 districts",
        "use ~ age + age2 + urban + children + (urban | district)", family="binomial",
    ),
)  # fmt: skip

MAXIMAL = "Reaction ~ Days + (Days | Subject)"
# Calls of R take seconds here and far over 20 s for the tests, so there are fewer repeats.
INTERVAL_REPEATS = 10


def interval_case(
    name: str, title: str, task: Task, *, at_most: float, formula: str = MAXIMAL,
    dataset: str = "sleepstudy", small: str = "", family: str = "gaussian",
    repeats: int = INTERVAL_REPEATS,
) -> Case:  # fmt: skip
    """Make a case whose calls start from a fitted model, with one bar."""
    peer = PBKRTEST if task == "pb_test" else LME4
    words = f"at most 1/{1 / at_most:.0f} of {peer}'s time"
    return Case(
        name=name,
        title=title,
        task=task,
        dataset=dataset,
        formula=formula,
        small=small,
        family=family,
        repeats=repeats,
        peers=(OURS, peer),
        bars=(Bar(quantity="time", peer=peer, at_most=at_most, words=words),),
    )


def draws_case(name: Task, title: str, *, seconds: float) -> Case:
    """Make a case whose calls start from a posterior of sleepstudy, ours alone."""
    return Case(
        name=name,
        title=title,
        task=name,
        dataset="sleepstudy",
        formula=MAXIMAL,
        repeats=INTERVAL_REPEATS,
        peers=(OURS,),
        bars=(Bar(quantity="time", peer=None, at_most=seconds, words=f"under {seconds:g} s"),),
    )


INTERVAL_CASES = (
    interval_case(
        "bootstrap",
        "intervals by 500 parametric bootstrap refits, sleepstudy",
        "bootstrap",
        at_most=1 / 20,
    ),
    interval_case(
        "bootstrap-crossed",
        "intervals by 500 parametric bootstrap refits, Penicillin: 24 plates x 6 samples",
        "bootstrap",
        at_most=1 / 10,
        formula="diameter ~ 1 + (1 | plate) + (1 | sample)",
        dataset="Penicillin",
    ),
    interval_case(
        "bootstrap-cbpp",
        "intervals by 500 parametric bootstrap refits, cbpp, binomial, Laplace",
        "bootstrap",
        at_most=1 / 20,
        formula="cbind(incidence, healthy) ~ period + (1 | herd)",
        dataset="cbpp",
        family="binomial",
        repeats=5,
    ),
    interval_case(
        "profile", "profiles of all parameters and their intervals, sleepstudy", "profile",
        at_most=1 / 20,
    ),
    interval_case(
        "pb-test-fixed",
        "bootstrap test of the effect of Days, 1,000 samples, sleepstudy",
        "pb_test",
        at_most=1 / 20,
        small="Reaction ~ 1 + (Days | Subject)",
    ),
    interval_case(
        "pb-test-slope",
        "bootstrap test of the slopes that vary between subjects, 1,000 samples, sleepstudy",
        "pb_test",
        at_most=1 / 20,
        small="Reaction ~ Days + (1 | Subject)",
    ),
    interval_case(
        "pb-test-correlation",
        "bootstrap test of the correlation of intercepts and slopes, 1,000 samples, sleepstudy",
        "pb_test",
        at_most=1 / 20,
        small="Reaction ~ Days + (Days || Subject)",
    ),
    draws_case("loo", "leaving out each of 180 rows, from a posterior of sleepstudy", seconds=0.2),
    draws_case(
        "sensitivity",
        "the curve over the width of the prior of Days, from a posterior of sleepstudy",
        seconds=1,
    ),
)  # fmt: skip


def generalised_posterior(
    name: str, title: str, formula: str, *, seconds: float, family: str, factors: tuple[str, ...],
    dataset: str | None = None, formula_of_bambi: str | None = None,
) -> PosteriorCase:  # fmt: skip
    """Make a case of a posterior of another family, with its bars."""
    return PosteriorCase(
        name=f"posterior-{name}",
        title=f"posterior of {title}, 4 chains of 1,000 draws",
        dataset=dataset or name,
        formula=formula,
        formula_of_bambi=formula_of_bambi,
        family=family,
        factors=factors,
        draws=1000,
        warm_calls=5,
        peers=(OURS, BAMBI),
        bars=(
            Bar(
                quantity="cold", peer=None, at_most=seconds, words=f"cold: under {seconds:.0f} s"
            ),
            Bar(quantity="cold", peer=BAMBI, at_most=1 / 4, words="cold: at most 1/4 of bambi's"),
            Bar(quantity="warm", peer=BAMBI, at_most=1 / 20, words="warm: at most 1/20 of bambi's"),
            Bar(
                quantity="draws", peer=None, at_least=3000,
                words="at least 3,000 effective draws of every parameter",
            ),
        ),
    )  # fmt: skip


POSTERIOR_CASES = (
    PosteriorCase(
        name="posterior",
        title="posterior of sleepstudy, 4 chains of 1,000 draws",
        dataset="sleepstudy",
        formula=MAXIMAL,
        factors=("Subject",),
        draws=1000,
        warm_calls=5,
        peers=(OURS, BAMBI, BAMBI_DEFAULT, RSTANARM),
        bars=(
            Bar(quantity="cold", peer=BAMBI, at_most=1 / 4, words="cold: at most 1/4 of bambi's"),
            Bar(
                quantity="cold", peer=RSTANARM, at_most=1 / 4,
                words="cold: at most 1/4 of rstanarm's",
            ),
            Bar(quantity="warm", peer=BAMBI, at_most=1 / 30, words="warm: at most 1/30 of bambi's"),
            Bar(
                quantity="warm", peer=RSTANARM, at_most=1 / 30,
                words="warm: at most 1/30 of rstanarm's",
            ),
            Bar(
                quantity="rate", peer=BAMBI_DEFAULT, at_least=100,
                words="effective draws per second: at least 100 times bambi's default",
            ),
            Bar(
                quantity="draws", peer=None, at_least=3000,
                words="at least 3,000 effective draws of every parameter",
            ),
        ),
    ),
    PosteriorCase(
        name="posterior-insteval",
        title="posterior of InstEval, 73,421 rows, three crossed factors, 4 chains of 1,000 draws",
        dataset="InstEval",
        formula="y ~ service + (1 | s) + (1 | d) + (1 | dept:service)",
        factors=("service", "s", "d", "dept"),
        draws=1000,
        warm_calls=0,
        peers=(OURS,),
        bars=(
            Bar(
                quantity="draws", peer=None, at_least=3000,
                words="at least 3,000 effective draws of every parameter",
            ),
            Bar(quantity="cold", peer=None, at_most=30.0, words="cold: under 30 s"),
            Bar(quantity="memory", peer=None, at_most=3e6, words="peak memory under 3 GB"),
        ),
    ),
    generalised_posterior(
        "cbpp", "cbpp, 56 rows, 15 herds", "cbind(incidence, healthy) ~ period + (1 | herd)",
        seconds=2, family="binomial", factors=("period", "herd"),
        formula_of_bambi="p(incidence, size) ~ period + (1 | herd)",
    ),
    generalised_posterior(
        "women", "1,934 women of 60 districts, simulated, correlated slopes",
        "use ~ age + age2 + urban + children + (urban | district)",
        seconds=4, family="bernoulli", factors=("district",),
    ),
    generalised_posterior(
        "verbagg", "VerbAgg, 7,584 answers of 316 people to 24 items",
        "yes ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)",
        seconds=8, family="bernoulli", factors=("Gender", "btype", "situ", "id", "item"),
        dataset="VerbAgg",
    ),
)  # fmt: skip
