"""Bayes factors: of two models, of a term, of an inequality."""

from typing import Any, overload

import numpy as np

from hierbayes.bayes.posterior import sample
from hierbayes.calls import checked_call
from hierbayes.comparison.marginal_ratio import check_marginal, ratio_of
from hierbayes.comparison.restricted_factor import restricted
from hierbayes.comparison.standardised_bayes_factor import of_standardised
from hierbayes.comparison.term_bayes_factor import of_term
from hierbayes.errors import OptionError
from hierbayes.families.parameter_formulas import check_no_formulas
from hierbayes.options import EffectSide, check_option, random_generator
from hierbayes.prior_sensitivity.conditional import is_conditional
from hierbayes.priors.standardised import JZS
from hierbayes.results.comparison import BayesFactor, RestrictedFactor
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.specification.specified import Specified
from hierbayes.wording import shown


@overload
def bayes_factor(
    a: PosteriorFit, b: PosteriorFit, *, names: tuple[str, str] = ...
) -> BayesFactor: ...
@overload
def bayes_factor(
    a: Specified,
    *,
    drop: str,
    side: EffectSide | None = ...,
    priors: JZS | None = ...,
    random_seed: Any = ...,
) -> BayesFactor: ...
@overload
def bayes_factor(a: Specified, *, hypothesis: str, random_seed: Any = ...) -> RestrictedFactor: ...
@checked_call("hb.bayes_factor")
def bayes_factor(
    a: Specified,
    b: PosteriorFit | None = None,
    *,
    names: tuple[str, str] = ("a", "b"),
    drop: str | None = None,
    side: EffectSide | None = None,
    hypothesis: str | None = None,
    priors: JZS | None = None,
    random_seed: Any = None,
) -> BayesFactor | RestrictedFactor:
    """Compare how likely the data are under two models, averaged over their priors.

    Two posteriors ``a`` and ``b`` are compared as they are. With ``drop`` a model is compared with
    the one without a term, with ``hypothesis`` with itself restricted to an inequality.

    Parameters
    ----------
    a, b : PosteriorFit
        From the collapsed sampler, with proper priors, of the same rows and response. Without
        ``b`` also a model, which is sampled then.
    names : two different names for the text
    drop : a term
        Of the fixed part, ``"A:B"``, which goes with all terms that contain it, the intercept
        ``"(Intercept)"``, or a random effect, ``"Days in (Days | Subject)"``, ``"(1 | plate)"``.
    side : {"greater", "less"}
        Of a single coefficient that is dropped: the model has it on one side of zero.
    hypothesis : statement about parameters, as of ``fit.hypothesis``: ``"-1 < Days & Days < 1"``
    priors : JZS, optional
        With ``drop``: priors of standardised effects in place of the model's own.
    random_seed : int, Generator or SeedSequence
        For what is sampled.

    Returns
    -------
    BayesFactor
        Of ``a`` against ``b``, or of the model against the one without the term: above 1 the data
        speak for the first. Of a term with Savage and Dickey's ratio and the factor under narrower
        and wider priors.
    RestrictedFactor
        With ``hypothesis``.

    Raises
    ------
    NotSupportedError
        If a fit has no marginal likelihood: from NUTS, or with flat priors.
    DataError
        If the fits have different rows or responses.
    OptionError
        If there is no such term, or not one of ``b``, ``drop`` and ``hypothesis``.

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> a = hb.Model("Reaction ~ Days + (Days | Subject)", sleep).sample(random_seed=1)
    >>> b = hb.Model("Reaction ~ Days + (Days || Subject)", sleep).sample(random_seed=1)
    >>> bool(hb.bayes_factor(a, b).bf < 1)
    True
    >>> bool(hb.bayes_factor(a, drop="Days", random_seed=1).bf > 100)
    True
    """
    asked = [
        name
        for name, given in (("b", b), ("drop", drop), ("hypothesis", hypothesis))
        if given is not None
    ]
    if len(asked) != 1:
        raise OptionError(
            "bayes_factor compares a posterior with another one, b, or a model with the one "
            f"without a term, drop=, or with a hypothesis=; it got {' and '.join(asked) or 'none'}."
        )
    if side is not None:
        check_option("side", side, EffectSide)
    if (side is not None or priors is not None) and drop is None:
        raise OptionError("side= and priors= are for a term that is dropped; name it by drop=.")
    if b is not None:
        labels = _checked_names(names)
        check_marginal(labels[0], a)
        assert isinstance(a, PosteriorFit)
        return ratio_of(a, b, labels)
    if not isinstance(a, Specified):
        raise OptionError(f"bayes_factor takes a model or its posterior; it got {shown(a)}.")
    rng = random_generator(random_seed)
    if hypothesis is not None:
        return restricted(_posterior(a, rng), hypothesis, rng)
    assert drop is not None
    if priors is not None:
        check_no_formulas(a.spec.design, "hb.bayes_factor")
        return of_standardised(a.spec, drop, side, priors, rng)
    return of_term(_posterior(a, rng), drop, side, rng)


def _posterior(given: Specified, rng: np.random.Generator) -> PosteriorFit:
    """Return the posterior given, or that of a model."""
    if not is_conditional(given.spec):
        check_no_formulas(given.spec.design, "hb.bayes_factor")
    return given if isinstance(given, PosteriorFit) else sample(given.spec, random_seed=rng)


def _checked_names(names: Any) -> tuple[str, str]:
    good = isinstance(names, (tuple, list)) and len(names) == 2 and names[0] != names[1]
    if good and all(isinstance(name, str) and name for name in names):
        return names[0], names[1]
    raise OptionError(f"names={shown(names)} must be two different names, one a fit.")
