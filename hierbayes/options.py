"""Options of the public functions: their allowed values, and the one check of them.

Each option is a ``Literal`` alias, so editors complete it; ``check_option`` runs once at the
public border and turns a wrong value into one sentence that names the nearest allowed one.
"""

import re
from typing import Any, Literal, get_args

import numpy as np

from hierbayes.errors import OptionError
from hierbayes.wording import meant, shown

Method = Literal["reml", "ml"]
NewLevels = Literal["error", "population", "sample", "missing"]
SeriesRows = Literal["new", "observed"]
AnovaType = Literal[1, 2, 3]
DeletionTest = Literal["F", "Chisq"]
Interval = Literal["confidence", "prediction"]
IntervalKind = Literal["eti", "hdi"]
ConfintMethod = Literal["wald", "profile", "bootstrap"]
BootstrapKind = Literal["parametric", "residual", "cases"]
BootstrapInterval = Literal["percentile", "basic", "bca"]
Against = Literal["n", "se"]
Adjust = Literal[
    "tukey", "mvt", "dunnettx", "scheffe", "sidak", "bonferroni", "holm", "hochberg", "hommel",
    "fdr", "by", "none",
]  # fmt: skip
Side = Literal["two-sided", "<", ">"]
MeanWeights = Literal["equal", "proportional", "outer", "cells", "flat"]
GridTransform = Literal["response", "log", "log2", "log10", "sqrt", "inverse", "logit", "probit"]
ContrastKind = Literal["difference", "ratio", "odds_ratio"]
ComparisonKind = Literal["difference", "ratio", "odds_ratio", "risk_ratio"]
Target = Literal["typical group", "observed groups", "new groups"]
EffectMethod = Literal["delta", "bootstrap"]
EffectAdjust = Literal["none", "bonferroni", "sidak", "holm", "hochberg", "hommel", "fdr", "by"]
DrawsCentre = Literal["mean", "median"]
R2Interval = Literal["bootstrap"]
SimulatedGroups = Literal["fitted", "new"]
ThemeName = Literal["paper", "lecture", "grey", "dark"]
WidthName = Literal["page", "column"]
EffectPointKind = Literal["data", "residuals"]
PredictiveKind = Literal["density", "statistic", "group", "intervals"]
RowsShown = Literal["used", "all"]
Sampler = Literal["auto", "collapsed", "nuts"]
PredictionType = Literal["response", "link", "probability", "count"]
ResidualKind = Literal["response", "pearson", "deviance", "working", "normalized"]
CurvePart = Literal["core", "curve"]
ThresholdLevels = Literal["all", "none"]
ThresholdMethod = Literal["delta", "fieller", "profile", "bootstrap", "posterior"]
Ddf = Literal["satterthwaite", "kenward-roger", "normal", "none"]
Effect = Literal["fixed", "ran_pars", "ran_vals"]
ParameterView = Literal["posterior", "prior"]
EffectSide = Literal["greater", "less"]
SensitivityColumn = Literal["estimate", "lower", "upper", "prob_positive", "log_bf"]
SentencePart = Literal["both", "methods", "results"]
Guideline = Literal["BARG", "WAMBS", "JARS-Bayes"]
Coding = Literal["treatment", "sum", "helmert", "poly"]
Family = Literal[
    "gaussian",
    "bernoulli",
    "binomial",
    "poisson",
    "negativebinomial",
    "gamma",
    "beta",
    "t",
    "wald",
    "exponential",
    "weibull",
    "lognormal",
    "laplace",
    "asymmetriclaplace",
    "exgaussian",
    "vonmises",
    "cumulative",
    "sratio",
    "categorical",
    "beta_binomial",
    "zero_inflated_poisson",
    "zero_inflated_negativebinomial",
    "zero_inflated_binomial",
    "hurdle_poisson",
    "hurdle_negativebinomial",
    "hurdle_gamma",
    "hurdle_lognormal",
]
_WITH_LINK = re.compile(r"""([\w. ]+)\((?:link *= *)?["']?(\w*)["']?\)""")

# What other packages call our families.
FAMILY_WORDS = {
    "normal": "gaussian", "gauss": "gaussian",
    "logistic": "bernoulli", "logit": "bernoulli", "binary": "bernoulli",
    "nbinom": "negativebinomial", "nbinom1": "negativebinomial", "nbinom2": "negativebinomial",
    "nb": "negativebinomial", "negbin": "negativebinomial", "negbinomial": "negativebinomial",
    "student": "t", "studentt": "t",
    "ordinal": "cumulative", "ordered": "cumulative", "clm": "cumulative", "clmm": "cumulative",
    "multinomial": "categorical", "softmax": "categorical", "multinom": "categorical",
    "inversegaussian": "wald", "invgaussian": "wald",
    "betabinomial": "beta_binomial", "betabinom": "beta_binomial",
    "zip": "zero_inflated_poisson", "zipoisson": "zero_inflated_poisson",
    "zeroinflatedpoisson": "zero_inflated_poisson",
    "zinb": "zero_inflated_negativebinomial", "zinegbin": "zero_inflated_negativebinomial",
    "zeroinflatednegbinomial": "zero_inflated_negativebinomial",
    "zib": "zero_inflated_binomial", "zibinomial": "zero_inflated_binomial",
    "zeroinflatedbinomial": "zero_inflated_binomial",
    "hurdle": "hurdle_poisson", "hurdlenegbinomial": "hurdle_negativebinomial",
    "lognorm": "lognormal", "gammadist": "gamma", "betaregression": "beta", "betareg": "beta",
    "exgauss": "exgaussian", "vonmisesfisher": "vonmises",
    "asymlaplace": "asymmetriclaplace", "sequential": "sratio", "acat": "sratio",
}  # fmt: skip
Parameterization = Literal["noncentered", "centered", "marginal"]
Link = Literal[
    "identity",
    "logit",
    "probit",
    "cloglog",
    "cauchit",
    "log",
    "sqrt",
    "inverse",
    "inverse_squared",
    "softmax",
]


ShrinkageType = Literal["link", "response"]


def check_option(argument: str, given: Any, options: Any) -> Any:
    """Return ``given`` if the ``Literal`` alias ``options`` allows it; else raise OptionError."""
    return _check_word(argument, given, get_args(options))


def _check_word(argument: str, given: Any, allowed: tuple[Any, ...]) -> Any:
    if isinstance(given, str) and given in allowed:
        return given
    listed = ", ".join(repr(word) for word in allowed)
    raise OptionError(f"{argument}={shown(given)} is not one of {listed}{meant(given, allowed)}")


def check_family_name(family: Any, registered: tuple[str, ...] = ()) -> str:
    """Return the name of a response family; OptionError with ours for another package's word.

    Parameters
    ----------
    family : what was given
    registered : names of families of the user's own
    """
    word = (
        family.casefold().replace("-", "_").replace(".", "_").replace(" ", "_")
        if (isinstance(family, str))
        else ""
    )
    with_link = _WITH_LINK.fullmatch(family.strip()) if isinstance(family, str) else None
    if with_link is not None:  # as R writes it
        link = f", link={with_link[2]!r}" if with_link[2] else ""
        raise OptionError(
            f"family={shown(family)} is no name of a family; write family={with_link[1]!r}{link}."
        )
    word_meant = FAMILY_WORDS.get(word, FAMILY_WORDS.get(word.replace("_", "")))
    known = (*get_args(Family), *registered)
    if word_meant is not None and family not in known:
        listed = ", ".join(repr(name) for name in known)
        raise OptionError(
            f"family={shown(family)} is not one of {listed}; did you mean {word_meant!r}?"
        )
    return str(_check_word("family", family, known))


def is_whole(given: Any) -> bool:
    """Whether it is a whole number, of Python or of NumPy; truth values are none."""
    return isinstance(given, int | np.integer) and not isinstance(given, bool)


def check_count(argument: str, given: Any, least: int = 1) -> int:
    """Return ``given`` if it is a whole number of at least ``least``; else raise OptionError."""
    if is_whole(given) and given >= least:
        return int(given)
    raise OptionError(f"{argument}={shown(given)} must be a whole number of at least {least}.")


def check_flag(argument: str, given: Any, meaning: str) -> bool:
    """Return ``given`` if it is True or False; else raise OptionError with their ``meaning``."""
    if isinstance(given, (bool, np.bool_)):
        return bool(given)
    raise OptionError(f"{argument}={shown(given)} must be {meaning}.")


def random_generator(random_seed: Any) -> np.random.Generator:
    """Return the generator of a ``random_seed`` argument.

    Parameters
    ----------
    random_seed : int, sequence of int, Generator, SeedSequence or None
        A Generator is used as it is, and moves on; None takes fresh entropy.

    Raises
    ------
    OptionError
        For anything else.
    """
    try:
        if not isinstance(random_seed, (bool, np.bool_)):
            return np.random.default_rng(random_seed)
    except (TypeError, ValueError):
        pass
    raise OptionError(
        f"random_seed={shown(random_seed)} must be a whole number of at least 0, a NumPy Generator "
        "or a SeedSequence."
    )
