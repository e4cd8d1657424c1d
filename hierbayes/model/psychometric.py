"""Psychometric functions as models: the formula of a mixed model between two asymptotes."""

from typing import Any

import numpy as np
from scipy.special import bdtr

from hierbayes.calls import checked_call
from hierbayes.capabilities import not_supported
from hierbayes.design.values import Factor, as_numbers
from hierbayes.errors import DesignWarning, OptionError
from hierbayes.families.observations import checked_observations
from hierbayes.families.parameter_formulas import PARAMETERS
from hierbayes.families.psychometric import LINKS, Curve, psychometric_family
from hierbayes.model.model import Model
from hierbayes.options import check_flag
from hierbayes.psychometrics.lines import lines
from hierbayes.wording import listed, meant, shown, warn

ESTIMATE, AS_LAPSE, OF_SUBJECTS = "estimate", "lapse", "subject"
BINS = 8  # of stimuli, whose responses are counted together
# Chance below which so few successes are none: a warning in a million of right models.
IMPOSSIBLE = 1e-6
# What psychophysics calls links, and the scale of the stimulus they are called so on.
SHAPES = {"gumbel": ("cloglog", False), "weibull": ("cloglog", True)}


@checked_call("hb.psychometric", options_of=Model)
def psychometric(
    formula: str,
    data: Any,
    stimulus: str,
    guess: float | str = 0.5,
    lapse: float | str = 0.0,
    link: str = "probit",
    n: Any = None,
    overdispersed: bool = False,
    **model_options: Any,
) -> Model:
    """Make the model of a psychometric function, for one observer or many.

        psi(x) = guess + (1 - guess - lapse) F(eta)

    with eta as the formula says: linear in the stimulus x or in log(x), with conditions, their
    interactions with the stimulus, and random effects of observers. ``model.fit()`` (maximum
    likelihood) and ``model.sample()`` (posterior) return fits that have ``pse()``, ``jnd()``,
    ``threshold(p)``, ``width()``, ``slope()`` and ``goodness_of_fit()`` besides what other fits
    have; ``hb.plot.psychometric`` draws them.

    Parameters
    ----------
    formula : str
        Such as ``"correct ~ x * condition + (x | subject)"``. The response is 0 or 1, true or
        false, ``cbind(successes, failures)``, or numbers of successes with ``n``.
    data : data frame, dict of arrays or path
    stimulus : str
        Column the function runs along; in the formula as it is or as ``log(x)``.
    guess : number, "estimate" or "lapse"
        Lower asymptote: the rate of successes where the stimulus tells nothing. 1/n for a choice
        of n alternatives, so 0.5 for two; 0 for yes or no; "estimate" to estimate it; "lapse" for
        equal asymptotes, the lapse rate at both ends.
    lapse : number or "estimate"
        One minus the upper asymptote: the rate of failures where the stimulus tells all.
        "estimate" for one rate that all observers share.
    link : {"probit", "logit", "cloglog", "loglog", "cauchit", "gumbel", "weibull"}
        Of the core function F: normal, logistic, Gumbel of smallest ("cloglog", "gumbel") and
        largest values ("loglog"), Cauchy. "weibull" is "cloglog" in log(x).
    n : column name, expression or whole number
        Trials of each row, where the response is a number of successes.
    overdispersed : bool
        Let the probability of each row vary as Beta(psi kappa, (1 - psi) kappa), kappa estimated.
    **model_options : contrasts, offset, priors, data_name
        As for ``Model``. Rates that are estimated have the prior Beta(1, 10) unless said
        (``priors={"lapse": hb.Beta(2, 50)}``).

    Returns
    -------
    Model

    Raises
    ------
    OptionError, DataError, FormulaError
        One sentence each, for rates that leave no curve between them, a stimulus the function does
        not run along, a predictor that bends along it, and responses that can't be.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.psychometric("faster ~ speed * vibration + (speed | subject)",
    ...     hb.load_dataset("touch_speed"), stimulus="speed", guess=0.0, lapse="estimate",
    ...     n="trials")
    >>> fit = model.fit()
    >>> bool(0.005 < fit.dispersion["lapse"] < 0.05)
    True
    """
    for name in ("family", "weights", "known_sd"):
        if model_options.get(name) is not None:
            raise OptionError(
                f"{name}= has no place in hb.psychometric: the response is binomial, with its "
                "trials in n= or cbind(successes, failures)."
            )
    for name in PARAMETERS:
        if model_options.get(name) is not None:
            raise OptionError(
                f"{name}= has no place in hb.psychometric: one lapse and one guess rate hold for "
                "all rows."
            )
    if not isinstance(stimulus, str):
        raise OptionError(f"stimulus={shown(stimulus)} must be the name of a column of the data.")
    check_flag("overdispersed", overdispersed, "True (a beta-binomial response) or False")
    is_symmetric = guess == AS_LAPSE
    curve = Curve(
        stimulus=stimulus,
        guess=None if is_symmetric else _rate("guess", guess),
        lapse=_rate("lapse", lapse),
        is_symmetric=is_symmetric,
        is_overdispersed=overdispersed,
    )
    _check_span(curve)
    core, is_log = _core(link)
    options = {key: value for key, value in model_options.items() if key != "family"}
    model = Model(
        formula if n is None else _with_trials(formula, n),
        data,
        psychometric_family(curve, core),
        **options,
    )
    laid = lines(model.spec, with_levels=False)
    if is_log is not None and is_log != laid.is_log:
        raise OptionError(
            f"link={link!r} is the name of this shape in {'log(x)' if is_log else 'x itself'}; "
            f"write {f'log({stimulus})' if is_log else stimulus} in the formula, or "
            f"link='cloglog'."
        )
    _check_trials(model, n)
    _warn_below_guess(model, curve)
    return model


def _check_trials(model: Model, n: Any) -> None:
    """Refuse a number of alternatives in the place of the number of trials."""
    if isinstance(n, str) or n is None or n == 1:
        return
    y = checked_observations(model.design, model.spec.family)[:, 0]
    if y.max() <= 1:
        raise OptionError(
            f"n={n} is the number of trials of each row, but all responses are 0 or 1, one trial a "
            f"row. Leave n out; of {n} alternatives the guess rate is 1/{n}: guess=1/{n}."
        )


def _warn_below_guess(model: Model, curve: Curve) -> None:
    """Say that responses are below the guess rate: successes that no curve above it makes."""
    if not curve.guess or curve.is_overdispersed:
        return
    design = model.design
    y, trials = checked_observations(design, model.spec.family).T
    x = design.rows.of(model.spec.table.column(curve.stimulus))
    assert not isinstance(x, Factor)
    x = as_numbers(x)
    edges = np.unique(np.quantile(x, np.linspace(0, 1, BINS + 1)))
    of = np.searchsorted(edges[1:-1], x, side="right")
    k, n = np.bincount(of, y), np.bincount(of, trials)
    chance = np.where(n > 0, bdtr(k, n.astype(np.intp), curve.guess), 1.0)
    worst = int(chance.argmin())
    if chance[worst] * k.size >= IMPOSSIBLE:
        return
    inside = x[of == worst]
    warn(
        f"guess={curve.guess:g}, but with {curve.stimulus} from {inside.min():g} to "
        f"{inside.max():g} only {k[worst]:.0f} of {n[worst]:.0f} responses are successes, which "
        "a curve above that rate does not make. guess=0 is for answers of yes or no.",
        DesignWarning,
    )


def _rate(name: str, given: Any) -> float | None:
    """Return a known rate, or None where it is to be estimated."""
    if given == ESTIMATE:
        return None
    if name == "lapse" and given == OF_SUBJECTS:
        raise not_supported("lapse-of-subjects")
    is_number = isinstance(given, int | float | np.number) and not isinstance(given, bool)
    if not is_number or not 0 <= given < 1:
        others = "'estimate' or 'lapse'" if name == "guess" else "or 'estimate'"
        raise OptionError(
            f"{name}={shown(given)} must be a rate from 0 to below 1, {others}"
            f"{'. Of n alternatives it is 1/n' if name == 'guess' else ''}."
        )
    return float(given)


def _check_span(curve: Curve) -> None:
    guess = curve.lapse if curve.is_symmetric else curve.guess
    if guess is not None and curve.lapse is not None and guess + curve.lapse >= 1:
        raise OptionError(
            f"guess={guess:g} and lapse={curve.lapse:g} leave no curve between them: their sum "
            "must be below 1."
        )


def _core(link: Any) -> tuple[str, bool | None]:
    """Return the link of the core function, and the scale its name belongs to."""
    names = [known if isinstance(known, str) else known.name for known in LINKS]
    if isinstance(link, str) and link in SHAPES:
        return SHAPES[link]
    if link not in names:
        allowed = [*names, *SHAPES]
        raise OptionError(
            f"link={shown(link)} is no core function; there are {listed(allowed)}"
            f"{meant(link, allowed)}"
        )
    return str(link), None


def _with_trials(formula: Any, n: Any) -> str:
    """Write the response as successes and failures of n trials."""
    if not isinstance(formula, str) or formula.count("~") != 1:
        raise OptionError(f"formula={shown(formula)} must be like 'correct ~ x + (x | subject)'.")
    response, predictors = formula.split("~")
    response = response.strip()
    if response.startswith("cbind"):
        raise OptionError(
            f"n={shown(n)} and {response} both say how many trials a row has; give one of them."
        )
    whole = isinstance(n, int | np.integer) and not isinstance(n, bool)
    if whole and n >= 1:
        trials = str(int(n))
    elif isinstance(n, str) and n.strip():
        trials = n.strip()
    else:
        raise OptionError(
            f"n={shown(n)} must name the column with the numbers of trials, or be a whole number "
            "of at least 1 for all rows. The number of alternatives is said by guess: 1/4 of four."
        )
    return f"cbind({response}, {trials} - {response}) ~{predictors}"
