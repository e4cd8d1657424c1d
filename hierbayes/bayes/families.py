"""Response families and links: what each response may hold, and its likelihood in PyMC.

The linear predictor eta = X beta + Z b + offset belongs to one parameter of the response's
distribution (its parent), through the inverse link; further parameters (the shape of a gamma, the
thresholds of an ordinal model) have priors of their own. Families, links and parametrisations are
bambi's objects, so any of its families with one linear predictor works, correlated random effects
included. Importing this module does not import bambi.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from hierbayes.design.design import Design
from hierbayes.errors import DataError, NotSupportedError, OptionError
from hierbayes.options import Link, check_family_name, check_option, nearest

FloatArray = npt.NDArray[np.float64]

TRIALS = ("binomial", "beta_binomial", "zero_inflated_binomial")
ORDINAL = ("cumulative", "sratio")
BINARY = ("bernoulli", *TRIALS)  # a response of two categories means failure and success
SCALED = ("gaussian", "t")  # their sd takes precision weights: sigma / sqrt(weight)
# Successes computed as proportion x trials are whole up to the rounding of the proportion, which
# is often printed with few digits.
WHOLE = 1e-4


# Per family its default link and bambi's names of its further parameters.
DEFAULTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "gaussian": ("identity", ("sigma",)),
    "bernoulli": ("logit", ()),
    "binomial": ("logit", ()),
    "poisson": ("log", ()),
    "negativebinomial": ("log", ("alpha",)),
    "gamma": ("inverse", ("alpha",)),
    "beta": ("logit", ("kappa",)),
    "t": ("identity", ("sigma", "nu")),
    "wald": ("inverse_squared", ("lam",)),
    "exponential": ("log", ()),
    "weibull": ("log", ("alpha",)),
    "lognormal": ("identity", ("sigma",)),
    "laplace": ("identity", ("b",)),
    "asymmetriclaplace": ("identity", ("b", "kappa")),
    "exgaussian": ("identity", ("sigma", "nu")),
    "vonmises": ("identity", ("kappa",)),
    "cumulative": ("logit", ("threshold",)),
    "sratio": ("logit", ("threshold",)),
    "categorical": ("softmax", ()),
    "beta_binomial": ("logit", ("kappa",)),
    "zero_inflated_poisson": ("log", ("psi",)),
    "zero_inflated_negativebinomial": ("log", ("alpha", "psi")),
    "zero_inflated_binomial": ("logit", ("psi",)),
    "hurdle_poisson": ("log", ("psi",)),
    "hurdle_negativebinomial": ("log", ("alpha", "psi")),
    "hurdle_gamma": ("log", ("alpha", "psi")),
    "hurdle_lognormal": ("identity", ("sigma", "psi")),
}


@dataclass(frozen=True, slots=True)
class Range:
    """Which values a response may take."""

    words: str
    holds: Callable[[FloatArray], npt.NDArray[np.bool_]]


COUNTS = Range("whole numbers of at least 0", lambda y: (y >= 0) & (y == np.floor(y)))
POSITIVE = Range("positive numbers", lambda y: y > 0)
NOT_NEGATIVE = Range("numbers of at least 0", lambda y: y >= 0)
RANGES = {
    "bernoulli": Range("0 or 1", lambda y: (y == 0) | (y == 1)),
    "beta": Range("proportions between 0 and 1, neither 0 nor 1", lambda y: (y > 0) & (y < 1)),
    "vonmises": Range("angles between -pi and pi", lambda y: np.abs(y) <= np.pi),
    "cumulative": Range("categories 1, 2, 3, ... in their order", lambda y: y == np.floor(y)),
    "sratio": Range("categories 1, 2, 3, ... in their order", lambda y: y == np.floor(y)),
    **dict.fromkeys(
        (
            "poisson",
            "negativebinomial",
            "zero_inflated_poisson",
            "zero_inflated_negativebinomial",
            "hurdle_poisson",
            "hurdle_negativebinomial",
        ),
        COUNTS,
    ),
    **dict.fromkeys(("gamma", "exponential", "weibull", "wald", "lognormal"), POSITIVE),
    **dict.fromkeys(("hurdle_gamma", "hurdle_lognormal"), NOT_NEGATIVE),
}


def check_family(family: Any, link: Any) -> None:
    """Check the names of a family and of its link; bambi is asked only about a given link.

    Raises
    ------
    OptionError
        For unknown names, and for a link the family doesn't have.
    """
    check_family_name(family)
    if link is None or (family, link) == ("gaussian", "identity"):
        return
    check_option("link", link, Link)
    allowed = links_of(family)
    if link not in allowed:
        listed = ", ".join(repr(name) for name in allowed)
        guess = nearest(link, allowed)
        hint = f"; did you mean {guess!r}?" if guess else "."
        raise OptionError(f"link={link!r}: family={family!r} has the links {listed}{hint}")


def default_link(family: str) -> str:
    """Return the link a family has when none is given."""
    return DEFAULTS[family][0]


def further_parameters(family: str) -> tuple[str, ...]:
    """Return bambi's names of the parameters of a family besides its mean and a residual sd."""
    names = DEFAULTS[family][1]
    return tuple(name for name in names if name != "sigma") if family in SCALED else names


def links_of(family: str) -> tuple[str, ...]:
    """Names of the links of a family's linear predictor."""
    found = response_family(family, None)
    supported = found.SUPPORTED_LINKS[found.likelihood.parent]
    return tuple(name for name in get_args(Link) if name in supported)


def response_family(family: str, link: str | None) -> Any:
    """Return bambi's family object with a link for its parent parameter, its default if None."""
    from bambi.defaults import get_builtin_family
    from bambi.families import Link as BambiLink

    found = get_builtin_family(family)
    if link is not None:
        found.link = {**found.link, found.likelihood.parent: BambiLink(link)}
    return found


def is_discrete(family: str) -> bool:
    """Whether the response of a family is a whole number."""
    return family in (*TRIALS, *ORDINAL, "bernoulli") or RANGES.get(family) is COUNTS


def check_supported(design: Design, family: str) -> None:
    """Raise NotSupportedError for what a family's model can't hold."""
    if family == "categorical":
        raise NotSupportedError(
            "family='categorical' needs one linear predictor a category; this version has one in "
            "all. Ordered categories: family='cumulative'."
        )
    if design.weights is not None and family not in (*SCALED, *TRIALS):
        raise NotSupportedError(
            f"weights with family={family!r}: weights are precisions of {' and '.join(SCALED)} "
            "responses, or numbers of trials of binomial proportions."
        )
    if design.known_sd is not None and family not in SCALED:
        raise NotSupportedError(
            f"known_sd with family={family!r}: only {' and '.join(SCALED)} responses have a "
            "residual sd."
        )


def checked_observations(design: Design, family: str) -> FloatArray:
    """Return the response as the family's likelihood takes it.

    Returns
    -------
    array
        Shape (n,); for binomial families (n, 2), successes and trials; for ordinal families the
        number of the category, from 0.

    Raises
    ------
    DataError
        If the response can't come from the family; the message names rows and remedy.
    """
    label = design.formula.response_label
    y = design.y
    if y.ndim == 2 and family not in TRIALS:
        raise DataError(
            f"The response {label} is for binomial models; family={family!r} has one response "
            "column."
        )
    if family in TRIALS:
        return _successes_and_trials(design)
    allowed = RANGES.get(family)
    if allowed is not None:
        _check_rows(allowed.holds(y), design, f"family={family!r} needs {allowed.words}")
    if family in ORDINAL:
        categories = np.unique(y)
        if categories.size > y.size // 2:
            raise DataError(
                f"The response {label!r} has {categories.size} categories in {y.size} rows; "
                f"family={family!r} is for few, repeated categories."
            )
        return np.searchsorted(categories, y).astype(np.float64)
    return y


def _successes_and_trials(design: Design) -> FloatArray:
    y, label = design.y, design.formula.response_label
    if y.ndim == 2:
        if design.weights is not None:
            raise DataError(
                f"weights and {label} were both given; cbind already says how many trials a row "
                "has. Leave weights out."
            )
        both = COUNTS.holds(y).all(axis=1)
        _check_rows(both, design, f"{label} needs {COUNTS.words}")
        return np.column_stack([y[:, 0], y.sum(axis=1)])
    inside = (y >= 0) & (y <= 1)
    if design.weights is None:
        advice = "without weights a binomial response is 0 or 1 (or write cbind(successes, "
        _check_rows((y == 0) | (y == 1), design, f"{advice}failures), or give trials as weights)")
        return np.column_stack([y, np.ones_like(y)])
    _check_rows(inside, design, "with weights a binomial response is a proportion from 0 to 1")
    trials = design.weights
    _check_rows(trials == np.floor(trials), design, "weights need whole numbers of trials")
    successes = np.round(y * trials)
    whole = np.abs(y * trials - successes) <= WHOLE * trials
    _check_rows(whole, design, "the proportion times its weight needs to be a whole number")
    return np.column_stack([successes, trials])


def _check_rows(good: npt.NDArray[np.bool_], design: Design, need: str) -> None:
    bad = np.flatnonzero(~good)
    if not bad.size:
        return
    y, label = design.y, design.formula.response_label
    first = int(bad[0])
    row = first if design.row_labels is None else design.row_labels[first]
    value = f"{y[first]:g}" if y.ndim == 1 else " and ".join(f"{part:g}" for part in y[first])
    more = f" and {bad.size - 1} more rows" if bad.size > 1 else ""
    raise DataError(f"The response {label!r}: {need}; row {row!r} holds {value}{more}.")


def add_likelihood(
    name: str, eta: Any, *, family: Any, parameters: Mapping[str, Any], observed: Any, dims: str
) -> Any:
    """Add the observed response to the PyMC model in context.

    Parameters
    ----------
    name : of the response variable
    eta : tensor, shape (n,), linear predictor
    family : from ``response_family``
    parameters : the further parameters of the family, tensors by name
    observed : tensor or array, (n,) or (n, 2) as from ``checked_observations``
    dims : dimension of the rows
    """
    from bambi.backend.pymc import PyMCModel
    from bambi.backend.utils import get_distribution_from_likelihood, get_linkinv

    parent = family.likelihood.parent
    arguments = {**parameters, "observed": observed, "dims": dims}
    if hasattr(family, "transform_backend_eta"):
        eta = family.transform_backend_eta(eta, arguments)
    arguments[parent] = get_linkinv(family.link[parent], PyMCModel.INVLINKS)(eta)
    if hasattr(family, "transform_backend_kwargs"):
        arguments = family.transform_backend_kwargs(arguments)
    distribution = get_distribution_from_likelihood(family.likelihood)
    return distribution(name, **arguments)
