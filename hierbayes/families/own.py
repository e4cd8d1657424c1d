"""Families of one's own: whether a record does what it says, at a few points, before it is used.

Each link is followed to mu and back, responses are drawn at some linear predictors, and the log
density of these is differentiated in eta and in each further parameter, exactly and by differences
of fourth order,

    f'(x) = (8 (f(x + h) - f(x - h)) - (f(x + 2h) - f(x - 2h))) / 12h + O(h^4).
"""

from collections.abc import Callable, Mapping
from typing import Any, get_args
from weakref import WeakSet

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.errors import OptionError
from hierbayes.families.expression import known_functions
from hierbayes.families.family import (
    Family,
    Law,
    Mean,
    Parameter,
    Response,
    Scale,
    Support,
)
from hierbayes.families.links import LINKS, Link
from hierbayes.families.series import Series, Value, variable
from hierbayes.wording import listed, meant, shown

# What models call their own variables, data and dimensions, and formulas their classes of priors.
TAKEN = frozenset({
    "b", "sd", "cor", "beta", "eta", "sigma", "X", "weights", "offset", "known_sd", "trials",
    "predictor_means", "threshold", "threshold_dim", "trials_dim",
    "chain", "draw", "sample", "coef", "obs",
})  # fmt: skip
PREFIXES = ("b_", "sd_", "corr_", "code_", "z_", "level_")
ETA = (-1.3, -0.4, 0.6, 1.1)  # linear predictors of the check
TRIALS = 7.0
VALUES = {
    "units": 1.3,
    "mean": 1.7,
    "shape": 1.7,
    "share": 0.4,
    "rare": 0.03,
    "df": 4.2,
    "skew": 1.2,
}
SEED = 1  # of the responses drawn in a check
STEP = 1e-3  # of a difference, relative to a parameter
# Of a slope, relative to itself and the density: differences of fourth order lose h^4 = 1e-12 of
# it, and 1e-13 to the rounding of the density; a term that is forgotten is a part of it.
SLOPE_MARGIN = 1e-6
LINK_MARGIN = 1e-8  # of mu there and back, relative: what rounds loses less than 1e-10 at ETA
LONGEST = 120  # letters of what another function said
_checked: WeakSet[Family] = WeakSet()


@record
class _Points:
    """Responses drawn at one linear predictor, (draws, rows), and the parameters they came from."""

    eta: float
    y: FloatArray
    parameters: Mapping[str, FloatArray]


def check_family(family: Family) -> None:
    """Check a family of one's own, once.

    Raises
    ------
    OptionError
        One sentence: what is missing or contradicts what else.
    """
    if family in _checked:
        return
    _check_name("family", family.name)
    _check_fields(family)
    _check_parameters(family)
    with np.errstate(all="ignore"):  # outside of its range a link is NaN
        for name in family.link_names:
            linked = family.with_link(name)
            if linked.link is not LINKS.get(name):
                _check_link(linked.link)
            _check_density(linked)
    _checked.add(family)


def unwritable(family: Family, error: Exception, kind: type[Value]) -> OptionError:
    """Return the error of a density that can't be made of something else than arrays."""
    form = "a series, to be differentiated" if kind is Series else "tensors, for a PyMC model"
    remedy = "" if kind is Series else "; or give add_likelihood, which adds the response"
    return OptionError(
        f"family {family.name!r}: log_density can't be written in {form} "
        f"({_said(error).rstrip('.')}). It may use {known_functions(kind)}{remedy}."
    )


def _check_name(what: str, name: Any) -> None:
    if not (isinstance(name, str) and name.isidentifier()):
        raise OptionError(
            f"The name {shown(name)} of a {what} must be one word of letters, digits and _."
        )


def _check_fields(family: Family) -> None:
    start = f"family {family.name!r}"
    if not isinstance(family.links, tuple | list) or not family.links:
        raise OptionError(f'{start}: links={shown(family.links)} must be like ("log", "identity").')
    for link in family.links:
        if isinstance(link, Link):
            _check_name("link", link.name)
            if link.name in LINKS:
                raise OptionError(f"{start}: {link.name!r} is a built-in link; call yours else.")
        elif not (isinstance(link, str) and link in LINKS):
            raise OptionError(
                f"{start}: {shown(link)} is none of the links {listed(list(LINKS), 'and')}"
                f"{meant(link, list(LINKS), '; make one by hb.Link(...).')}"
            )
    needed = {"log_density": "y, mean, at", "draw": "rng, mu, at"}
    for field, arguments in needed.items():
        if not callable(getattr(family, field)):
            raise OptionError(f"{start} needs {field}, a function of ({arguments}).")
    if family.support is not None and not isinstance(family.support, Support):
        raise OptionError(
            f"{start}: support={shown(family.support)} must be like "
            'hb.Support("positive numbers", lambda y: y > 0).'
        )
    if family.response not in get_args(Response)[:2]:
        raise OptionError(
            f"{start}: response={shown(family.response)} must be 'numbers' or 'trials'; families "
            "of ordered categories are built in."
        )
    if family.expectation is not None and not family.has_expectation:
        raise OptionError(
            f"{start}: expectation= may be left out, where mu is the expected response, or None."
        )


def _check_parameters(family: Family) -> None:
    start = f"family {family.name!r}"
    names = []
    for parameter in family.parameters:
        if not isinstance(parameter, Parameter):
            raise OptionError(
                f"{start}: {shown(parameter)} among its parameters must be like "
                'hb.Parameter("alpha", prior=hb.HalfNormal(2)).'
            )
        name, prior = parameter.name, parameter.prior
        _check_name("parameter", name)
        kinds = get_args(Scale)[:-1]
        if prior not in kinds if isinstance(prior, str) else not isinstance(prior, Law):
            raise OptionError(
                f"{start}: prior={shown(prior)} of {name!r} must be a prior such as "
                f"hb.HalfNormal(2), or one of {', '.join(map(repr, kinds))}"
                f"{meant(prior, kinds)}"
            )
        is_taken = name in TAKEN and not (name == "sigma" and family.weighs_sigma)
        if is_taken or name.startswith(PREFIXES) or name in names:
            raise OptionError(
                f"{start}: the name {name!r} of a parameter is taken; choose another."
            )
        names.append(name)
    if family.weighs_sigma and "sigma" not in names:
        raise OptionError(f"{start}: weighs_sigma=True needs a parameter called 'sigma'.")


def _check_link(link: Link) -> None:
    """Follow a link to mu and back, and compare the logarithms it gives."""
    eta = np.array(ETA)
    try:
        mu = np.asarray(link.inverse(eta), dtype=np.float64)
        again = np.asarray(link.inverse(link.forward(mu)), dtype=np.float64)
        logs = [np.asarray(of(eta)) for of in (link.log_mu, link.log_complement)]
        slope = link.inverse(variable(eta, order=1)).derivative(1)
    except Exception as error:
        raise OptionError(
            f"link {link.name!r} fails at eta={ETA}: {str(error).splitlines()[0]:.120}"
        ) from error
    known = np.isfinite(mu)
    if not known.any():
        raise OptionError(f"link {link.name!r}: inverse gives no number at any of eta={ETA}.")
    for k in np.flatnonzero(known):
        if not _near(again[k], mu[k], LINK_MARGIN):
            raise OptionError(
                f"link {link.name!r}: inverse is not the inverse of forward: eta={eta[k]:g} is "
                f"mu={mu[k]:.6g}, whose eta is that of mu={again[k]:.6g}."
            )
        exact = {"exact_log": np.log(mu[k]), "exact_log_complement": np.log1p(-mu[k])}
        for (field, expected), found in zip(exact.items(), logs, strict=True):
            if np.isfinite(expected) and not _near(found[k], expected, LINK_MARGIN):
                raise OptionError(
                    f"link {link.name!r}: {field} is {found[k]:.6g} at eta={eta[k]:g}, where mu "
                    f"is {mu[k]:.6g} and its logarithm {expected:.6g}."
                )
        differences = _difference(lambda x: np.asarray(link.inverse(x)), eta[k])
        if not _near(slope[k], differences, SLOPE_MARGIN, 1.0):
            raise OptionError(
                f"link {link.name!r}: the derivative of inverse at eta={eta[k]:g} is "
                f"{slope[k]:.6g}, and by differences {differences:.6g}."
            )


def _check_density(family: Family) -> None:
    """Draw responses where the family has some, and differentiate their log densities."""
    found, reason = [], ""
    for eta in ETA:
        mu = float(family.mean(np.array(eta)))
        try:
            if np.isfinite(mu):
                found.append(_drawn(family, eta, mu))
        except _ImpossibleError as error:
            reason = str(error)
    if not found:
        raise OptionError(
            f"family {family.name!r}, link {family.link.name!r}: draw has no response of it at any "
            f"of eta={ETA}{'; ' if reason else '.'}{reason}"
        )
    for points in found:
        _check_values(family, points)
        if family.is_smooth:
            _check_slopes(family, points)


class _ImpossibleError(Exception):
    """A mean that can't be, as that of counts below 0 under the identity link."""


def _drawn(family: Family, eta: float, mu: float) -> _Points:
    """Draw 3 x 2 responses, as predictions do."""
    assert family.draw is not None
    at: dict[str, FloatArray] = {p.name: np.full((3, 1), _value(p)) for p in family.parameters}
    if family.counts_trials:
        at["trials"] = np.full(2, TRIALS)
    start = f"family {family.name!r}: draw"
    try:
        drawn = family.draw(np.random.default_rng(SEED), np.full((3, 2), mu), at)
        y = np.asarray(drawn, dtype=np.float64)
    except ValueError as error:  # NumPy's, of a mean that can't be
        raise _ImpossibleError(f"{start} fails at mu={mu:.6g}: {_said(error)}") from error
    except Exception as error:
        raise OptionError(f"{start} fails at mu={mu:.6g}: {_said(error)}") from error
    if y.shape != (3, 2):
        raise OptionError(f"{start} gives responses of shape {y.shape} for mu of shape (3, 2).")
    holds = np.isfinite if family.support is None else family.support.holds
    good = np.asarray(holds(y), dtype=bool)
    if not good.all():
        words = "numbers" if family.support is None else family.support.words
        raise _ImpossibleError(f"{start} gives {y[~good][0]:.6g} at mu={mu:.6g}, not {words}.")
    return _Points(eta=eta, y=y, parameters=at)


def _said(error: Exception) -> str:
    """Return the first line of what an error of somebody else's function says."""
    first = (str(error) or type(error).__name__).splitlines()[0]
    name = f"{type(error).__name__} " if isinstance(error, KeyError) else ""
    return f"{name}{first[:LONGEST]}".rstrip(".") + "."


def _value(parameter: Parameter) -> float:
    if isinstance(parameter.prior, str):
        return VALUES[parameter.prior]
    middle = float(parameter.prior.quantile(0.5))
    return middle if np.isfinite(middle) else VALUES["units"]  # a flat prior has none


def _check_values(family: Family, points: _Points) -> None:
    """Check that drawn responses have a density, one a draw and row."""
    assert family.log_density is not None
    mean = Mean(eta=np.full(points.y.shape, points.eta), link=family.link)
    try:
        found = np.asarray(family.log_density(points.y[0], mean, points.parameters))
    except Exception as error:
        raise OptionError(
            f"family {family.name!r}: log_density fails at y={points.y[0, 0]:.6g}: {_said(error)}"
        ) from error
    if found.shape != points.y.shape:
        raise OptionError(
            f"family {family.name!r}: log_density gives {found.shape} numbers for 3 draws of 2 "
            "rows, y of shape (2,) and eta of shape (3, 2)."
        )
    if not np.isfinite(found).all():
        raise OptionError(
            f"family {family.name!r}: log_density is {found[~np.isfinite(found)][0]} at "
            f"y={points.y[0, 0]:.6g}, which draw drew at eta={points.eta:g}."
        )


def _check_slopes(family: Family, points: _Points) -> None:
    """Compare derivatives in eta, its square and each parameter with differences."""
    at = {name: value[0] if value.ndim == 2 else value for name, value in points.parameters.items()}
    y = points.y[0]

    def log_density(eta: Any, order: int = 0, **given: Any) -> Series:
        try:
            return family.derivatives(y, np.full(y.shape, eta), at | given, order=order)
        except (TypeError, AttributeError, IndexError) as error:
            raise unwritable(family, error, Series) from error

    found = log_density(points.eta, order=2)
    size = float(np.abs(found.value).max())
    slope = _difference(lambda x: log_density(x).value, points.eta)
    _compare_slopes(family, "derivative in eta", found.derivative(1), slope, size)
    slope = _difference(lambda x: log_density(x, order=1).derivative(1), points.eta)
    _compare_slopes(family, "second derivative in eta", found.derivative(2), slope, size)
    for name in (parameter.name for parameter in family.parameters):
        eta = np.full(y.shape, points.eta)
        exact = family.derivatives(y, eta, at, order=0, of=name).derivative(0, 1)
        slope = _difference(_of_parameter(log_density, points.eta, name), float(at[name][0]))
        _compare_slopes(family, f"derivative in {name!r}", exact, slope, size)


def _of_parameter(
    log_density: Callable[..., Series], eta: float, name: str
) -> Callable[[float], FloatArray]:
    return lambda value: log_density(eta, **{name: value}).value


def _compare_slopes(
    family: Family, what: str, found: FloatArray, differences: FloatArray, size: float
) -> None:
    near_by = np.broadcast_to(differences, found.shape)
    for exact, near in zip(found.ravel(), near_by.ravel(), strict=True):
        if not _near(exact, near, SLOPE_MARGIN, 1.0 + size):
            raise OptionError(
                f"family {family.name!r}: the {what} of log_density is {exact:.6g}, and by "
                f"differences {near:.6g}."
            )


def _near(found: float, expected: float, margin: float, size: float = 0.0) -> bool:
    return bool(abs(found - expected) <= margin * (abs(expected) + size))


def _difference(function: Callable[[Any], FloatArray], x: float) -> Any:
    """Return the slope at x by differences of fourth order."""
    h = STEP * max(1.0, abs(x))
    near, far = function(x + h) - function(x - h), function(x + 2 * h) - function(x - 2 * h)
    return (8 * near - far) / (12 * h)
