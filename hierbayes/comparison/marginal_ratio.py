"""The ratio of two marginal likelihoods, and what touches it.

BF = p(y | a) / p(y | b). The collapsed sampler gives log p(y) with a Monte-Carlo standard error;
the two are independent, so the error of the log Bayes factor is the root of the summed squares.
"""

import math
from collections.abc import Sequence

from hierbayes.capabilities import not_supported
from hierbayes.comparison.same_data import check_same_data
from hierbayes.errors import OptionError
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.results.comparison import BayesFactor
from hierbayes.results.finding import Finding
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.specification.specified import Specified

NOISY = 0.5  # Monte-Carlo error of the log above which a Bayes factor says little
UNTRUSTED = (
    "pareto_k",
    "quadrature_error",
    "r_hat",
)  # findings of a fit that touch its marginal likelihood


def ratio_of(a: PosteriorFit, b: PosteriorFit, labels: tuple[str, str]) -> BayesFactor:
    """Compare two posteriors by their marginal likelihoods, ``labels`` naming them."""
    for name, fit in zip(labels, (a, b), strict=True):
        check_marginal(name, fit)
    check_same_data((a, b), purpose="a Bayes factor does not compare them")
    logs, errors = [], []
    for fit in (a, b):
        assert fit.log_marginal_likelihood is not None
        logs.append(float(fit.log_marginal_likelihood))
        errors.append(float(fit.log_marginal_likelihood_mcse or 0.0))
    of_a, of_b = _prior_lines(a.priors), _prior_lines(b.priors)
    mcse = math.hypot(*errors)
    return BayesFactor(
        names=labels,
        formulas=(a.spec.model_text, b.spec.model_text),
        log_marginal_likelihoods=(logs[0], logs[1]),
        mcses=(errors[0], errors[1]),
        log_bf=logs[0] - logs[1],
        log_bf_mcse=mcse,
        prior_differences=(
            tuple(line for line in of_a if line not in of_b),
            tuple(line for line in of_b if line not in of_a),
        ),
        n_obs=a.nobs,
        data_name=a.data_name,
        findings=_findings(labels, (a, b), mcse),
    )


def _data_centred(names: tuple[str, str], fits: tuple[PosteriorFit, PosteriorFit]) -> list[Finding]:
    """Say where a prior that the data have centred does not stand in both models alike."""
    own, other = (_centred_intercept(fit.priors) for fit in fits)
    if own == other:
        return []
    name, prior, against = (names[0], own, names[1]) if own else (names[1], other, names[0])
    return [
        Finding(
            "data_centred_prior",
            f"The default prior of the intercept of {name}, {prior}, is centred at the mean of the "
            f"data, and {against} has another or none: the data are used twice, and the Bayes "
            "factor with them.",
            "Give the intercept a prior that could be known before the data, for example "
            'priors={"(Intercept)": hb.Normal(0, 10)}.',
        )
    ]


def _centred_intercept(priors: ModelPriors) -> str:
    """Return the default prior of an intercept as text; empty where there is none."""
    for parameter in priors.parameters:
        if parameter.kind == "beta" and parameter.place[0] == priors.intercept:
            return "" if parameter.name in priors.from_user else str(priors.of(parameter))
    return ""


def check_marginal(name: str, fit: Specified) -> None:
    """Raise an error if a fit has no marginal likelihood."""
    if not isinstance(fit, PosteriorFit):
        raise OptionError(
            f"bayes_factor takes two posteriors, model.sample(...); {name} is a "
            f"{type(fit).__name__}. REML and ML fits are compared by hb.anova."
        )
    if fit.sampler != "collapsed":
        raise not_supported("bayes-factor-nuts", name=name, sampler=fit.sampler.upper())
    flat = improper(fit.priors)
    if flat or fit.log_marginal_likelihood is None:
        listed = ", ".join(flat) or "the coefficients"
        raise not_supported("bayes-factor-flat", name=name, parameters=listed)


def improper(priors: ModelPriors) -> list[str]:
    """Names of the parameters whose priors are flat."""
    from hierbayes.priors.distributions import Flat

    return [p.name for p in priors.all_parameters if isinstance(priors.of(p), Flat)]


def _prior_lines(priors: ModelPriors) -> list[str]:
    return [f"{p.name} ~ {priors.of(p)}" for p in priors.all_parameters]


def untrusted(names: Sequence[str], fits: Sequence[PosteriorFit]) -> tuple[Finding, ...]:
    """Say whose marginal likelihoods can't be trusted."""
    return tuple(
        Finding(
            "untrusted_marginal_likelihood",
            f"The collapsed sampler of {name} misses part of the posterior, so its "
            "marginal likelihood may be too small.",
            f"See the findings of {name}.",
        )
        for name, fit in zip(names, fits, strict=True)
        if any(finding.code in UNTRUSTED for finding in fit.findings)
    )


def _findings(
    names: tuple[str, str], fits: tuple[PosteriorFit, PosteriorFit], mcse: float
) -> tuple[Finding, ...]:
    found = [*untrusted(names, fits), *_data_centred(names, fits)]
    if mcse > NOISY:
        found.append(
            Finding(
                "noisy_bayes_factor",
                f"The Monte-Carlo error of the log Bayes factor is {mcse:.2g}.",
                "Sample more, for example sample(draws=10000).",
                {"log_bf_mcse": mcse},
            )
        )
    return tuple(found)
