"""How far a posterior depends on its priors: power-scaling, curves and grids over widths.

One public function; ``explorer.py`` reweights, ``power_scaling.py`` raises parts to powers and
``reverse.py`` asks which prior would change the answer.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_call
from hierbayes.capabilities import not_supported
from hierbayes.errors import OptionError
from hierbayes.families.parameter_formulas import check_no_formulas
from hierbayes.gaussian.patterned import check_patterned
from hierbayes.naming.addresses import Addresses
from hierbayes.options import check_flag, random_generator
from hierbayes.prior_sensitivity.explorer import Explorer, Found, is_normal
from hierbayes.prior_sensitivity.power_scaling import power_scaling
from hierbayes.prior_sensitivity.reference import reference_of
from hierbayes.prior_sensitivity.reverse import reverse_bayes
from hierbayes.priors.distributions import Prior
from hierbayes.priors.lkj import LKJ
from hierbayes.priors.parameter_names import Parameter
from hierbayes.priors.prior_widths import can_be_flat, width_of, with_width
from hierbayes.priors.user_priors import checked_prior
from hierbayes.results.chains import errors_of_means
from hierbayes.results.finding import Finding
from hierbayes.results.posterior_fit import PosteriorFit, needs_posterior
from hierbayes.results.sensitivity import PowerScaling, Sensitivity
from hierbayes.results.tidy import check_level
from hierbayes.results.unconverged import unconverged
from hierbayes.wording import shown

CURVE, GRID = 20, 5  # widths of one prior, and of each of two
SAMPLED = 10  # of one, where the model may have to be sampled for many of them
WIDEST = 4.0  # times the width of the fit
NARROWEST = (0.5, 0.25)  # times the posterior sd (an sd's mean); times the width of the fit
ETAS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
FEW_ETAS = (1.0, 2.0, 4.0, 8.0, 16.0)
WIDTHS = frozenset(
    f"{name}{end}" for name in ("width", "factor", "prior") for end in ("", "_1", "_2")
)
NUMBERS = ("estimate", "std_error", "lower", "upper", "prob_positive")
ERRORS = ("estimate", "lower", "upper", "prob_positive", "log_bf", "log_bf_prior")
LEAST_DRAWS = 100
LEAST_LEVELS = 3  # fewer leave a flat prior of their sd no posterior (Gelman 2006)
FAR = 1e3  # a log width beyond all others
NOISY = 0.02  # error of a log Bayes factor from which the null model is sampled for a better one


@overload
def sensitivity(fit: PosteriorFit) -> PowerScaling: ...
@overload
def sensitivity(
    fit: PosteriorFit,
    parameter: str | Sequence[str],
    *,
    of: str | None = ...,
    widths: ArrayLike | Mapping[str, ArrayLike] | None = ...,
    prior: Prior | LKJ | None = ...,
    level: float = ...,
    refit: bool = ...,
    random_seed: Any = ...,
) -> Sensitivity: ...
@checked_call("hb.sensitivity")
def sensitivity(
    fit: PosteriorFit,
    parameter: str | Sequence[str] | None = None,
    *,
    of: str | None = None,
    widths: ArrayLike | Mapping[str, ArrayLike] | None = None,
    prior: Prior | LKJ | None = None,
    level: float = 0.95,
    refit: bool = True,
    random_seed: Any = None,
) -> PowerScaling | Sensitivity:
    """Say how far a posterior depends on its priors.

    Without a parameter: how much every parameter moves as all priors, each of them, or the
    likelihood count more or less. With one: what is said of it as its prior narrows and widens, up
    to the flat prior, beside REML's answer (ML's in other families), and which sceptic the data
    just convince. With two: the same over a grid of both widths.

    Parameters
    ----------
    fit : PosteriorFit
    parameter : name, or two names
        Whose prior changes, as in ``Model(priors=)``: ``"Days"``, ``"sd(Days|Subject)"``,
        ``"cor(Subject)"``, ``"sigma"``.
    of : name, optional
        The parameter asked about, as in ``tidy()``; the first one whose prior changes unless said.
    widths : sequence of numbers, or of two parameters a dict name -> numbers
        Scales of the prior in units of the parameter, of correlations eta; ``inf`` is flat. From
        half a posterior sd to four times the present width and flat, unless said.
    prior : prior, optional
        Of one parameter, whose family is taken in place of the present one: ``hb.Cauchy(0, 1)``.
    level : of equal-tailed intervals, and of the decision in ``least_prior_odds``
    refit : bool
        Sample the model where weights cannot be trusted; otherwise nothing is said there.
    random_seed : int, Generator or SeedSequence
        For that.

    Returns
    -------
    PowerScaling without a parameter, else Sensitivity

    Raises
    ------
    OptionError
        If a name or a width can't be one.
    NotSupportedError
        If the prior has no width, or a term has a covariance structure of its own.

    Notes
    -----
    In Gaussian models with Normal priors of the coefficients weights run over the few variance
    parameters and reach far: a curve takes a fraction of a second. In others they run over all
    parameters, and the model is sampled again for some of the widths.

    Source: Kallioinen et al. (2024), Statistics and Computing 34:57 (power-scaling); Held,
    Matthews, Ott & Pawel (2022), Research Synthesis Methods 13:295 (reverse-Bayes); Gelman (2006),
    Bayesian Analysis 1:515 (flat priors of sds).

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> post = hb.Model("Reaction ~ Days + (Days | Subject)", sleep).sample(random_seed=1)
    >>> found = hb.sensitivity(post, "Days", random_seed=1)
    >>> 1.5 < found.reverse.width < 1.7
    True
    """
    _check_fit(fit)
    check_level(level)
    check_flag("refit", refit, "True (sample where weights can't be trusted) or False")
    check_patterned(fit.design, "Sensitivity to priors")
    if parameter is None:
        return power_scaling(fit)
    changed = _parameters(fit, parameter)
    laws = _laws(fit, changed, prior)
    axes = _axes(fit, laws, widths)
    explorer = Explorer(
        fit,
        changed,
        _place(fit, changed[0], of),
        level=level,
        is_normal=all(is_normal(law) for p, law in laws.items() if p.kind == "beta"),
        refit=refit,
        rng=random_generator(random_seed),
    )
    return _explored(explorer, laws, axes)


def _explored(
    explorer: Explorer, laws: Mapping[Parameter, Prior | LKJ], axes: Sequence[FloatArray]
) -> Sensitivity:
    fit, level = explorer.fit, explorer.level
    own = [width_of(law) or math.inf for law in explorer.own.values()]
    explorer.start(_place_of(own))
    cells = list(product(*axes))
    asked = {
        cell: {p: with_width(law, w) for (p, law), w in zip(laws.items(), cell, strict=True)}
        for cell in cells
    }
    found = explorer.every(asked, {cell: _place_of(cell) for cell in cells})
    parameters = tuple(p.name for p in laws)
    of = [name for part in fit.parameters() for name in part.names][explorer.of]
    table = _table(explorer, found, cells, own, laws)
    reverse = None
    first = next(iter(laws))
    is_own = first.kind == "beta" and not first.formula and first.place[0] == explorer.of
    if len(laws) == 1 and is_own:
        reverse = reverse_bayes(explorer, next(iter(laws.items())), table)
    return Sensitivity(
        parameters=parameters,
        of=of,
        table=table,
        fitted=tuple(own),
        reference=reference_of(fit, explorer.of, level),
        reverse=reverse,
        level=level,
        n_refits=explorer.n_refits,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
        findings=_findings(fit, table),
    )


def _table(
    explorer: Explorer,
    found: Sequence[Found],
    cells: Sequence[tuple[float, ...]],
    own: Sequence[float],
    laws: Mapping[Parameter, Prior | LKJ],
) -> pd.DataFrame:
    """One row a prior, in the order of the axes."""
    table = pd.DataFrame([_widths(cell, own, laws) for cell in cells])
    for name in NUMBERS:
        table[name] = [getattr(one.answer, name) for one in found]
    table["log_bf"] = [one.log_bf for one in found]
    table["log_bf_prior"] = [one.log_bf_prior for one in found]
    shape = explorer.fit.draws.beta.shape[:2]
    influences = np.concatenate([one.answer.influences for one in found], axis=1)
    errors = errors_of_means(influences.reshape(*shape, -1)).reshape(len(found), len(ERRORS))
    table[[f"{name}_mcse" for name in ERRORS]] = errors
    table["prob_positive_mcse"] = np.maximum(
        table["prob_positive_mcse"], [one.answer.least_error for one in found]
    )
    of_draws = [one.log_bf_prior_mcse for one in found]
    table["log_bf_prior_mcse"] = np.hypot(table["log_bf_prior_mcse"], of_draws)
    _against_null(explorer, table)
    wanted = math.log(explorer.level / (1 - explorer.level))
    with np.errstate(over="ignore"):
        table["least_prior_odds"] = np.exp(wanted - table["log_bf"])
    if not explorer.is_coefficient and _is_positive(explorer):
        table[["prob_positive", "prob_positive_mcse"]] = math.nan
    untrusted = [not one.is_trusted for one in found]
    table.loc[untrusted, [name for name in table if name not in WIDTHS]] = math.nan
    table["ess"] = [one.answer.ess for one in found]
    table["pareto_k"] = [one.answer.pareto_k for one in found]
    table["refitted"] = [one.base.is_refit for one in found]
    return table


def _widths(
    cell: Sequence[float], own: Sequence[float], laws: Mapping[Parameter, Prior | LKJ]
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for k, (law, width) in enumerate(zip(laws.values(), cell, strict=True)):
        end = f"_{k + 1}" if len(laws) > 1 else ""
        row |= {f"width{end}": width, f"factor{end}": width / own[k]}
        row[f"prior{end}"] = str(with_width(law, width))
    return row


def _against_null(explorer: Explorer, table: pd.DataFrame) -> None:
    """Take Bayes factors from marginal likelihoods where that is more exact.

    The density of a coefficient at zero is known by few draws where the data exclude zero.
    """
    direct = table["log_bf_mcse"].where(table["log_bf"].notna())
    known = table["log_bf_prior"].notna()
    if explorer.null_of is None or not (known & ~(direct <= NOISY)).any():
        return
    null = explorer.of_null()
    if null is None:
        return
    mcse = np.hypot(table["log_bf_prior_mcse"], null.mcse)
    better = known & ~(direct <= mcse)
    table.loc[better, "log_bf"] = (table["log_bf_prior"] + null.value)[better]
    table.loc[better, "log_bf_mcse"] = mcse[better]


def _is_positive(explorer: Explorer) -> bool:
    """Whether the parameter asked about can't be negative."""
    terms = [term for part in explorer.fit.parameters() for term in part.term]
    return terms[explorer.of].startswith("sd__")


def _place_of(widths: Sequence[float]) -> FloatArray:
    """Place on the axes: log widths, the flat end far beyond them."""
    return np.array([math.log(w) if math.isfinite(w) else FAR for w in widths])


def _check_fit(fit: PosteriorFit) -> None:
    if not isinstance(fit, PosteriorFit):
        raise needs_posterior("sensitivity", fit, "REML and ML fits have no priors.")
    if fit.residual_structure is None:
        check_no_formulas(fit.design, "hb.sensitivity")
    if fit.n_draws < LEAST_DRAWS:
        raise OptionError(
            f"sensitivity reweighs the draws, and {fit.n_draws} are too few for that; sample at "
            f"least {LEAST_DRAWS}."
        )


def _parameters(fit: PosteriorFit, given: Any) -> list[Parameter]:
    """Return the one or two parameters whose priors change."""
    names = [given] if isinstance(given, str) or not isinstance(given, Sequence) else list(given)
    if len(names) not in (1, 2):
        raise OptionError(f"parameter={shown(given)} must be one name or two.")
    known = fit.priors.all_parameters
    addresses = Addresses([p.spellings for p in known])
    unknown = "parameter={text} is none that has a prior: {listed}"
    printed = {p.name: p for p in known}  # which may be a spelling of another one, too
    found = [
        printed[name] if name in printed else known[addresses.place(name, unknown)]
        for name in names
    ]
    for parameter in found:
        if parameter.kind == "pattern":
            raise OptionError(
                f"parameter={shown(given)}: the prior of {parameter.name!r} lies between the ends "
                "of its range and has no width to change. hb.sensitivity(post) tells how much it "
                "matters; sample under another prior to see."
            )
    if len(set(found)) < len(found):
        raise OptionError(f"parameter={shown(given)} names one parameter twice; name two.")
    return found


def _laws(
    fit: PosteriorFit, changed: Sequence[Parameter], prior: Prior | LKJ | None
) -> dict[Parameter, Prior | LKJ]:
    """Return the priors whose widths change."""
    laws = {p: fit.priors.of(p) for p in changed}
    if prior is not None:
        if len(changed) > 1:
            raise OptionError("prior= is for one parameter; sample under the priors for two.")
        if not isinstance(prior, Prior | LKJ):
            raise OptionError(
                f"prior={shown(prior)} must be a prior, for example hb.Normal(0, 10)."
            )
        laws = {changed[0]: checked_prior("prior", prior, changed[0])}
    for parameter, law in laws.items():
        if width_of(law) is None:
            raise not_supported("sensitivity-width", parameter=parameter.name, prior=law)
    return laws


def _place(fit: PosteriorFit, parameter: Parameter, of: str | None) -> int:
    """Position among the parameters of ``tidy()`` of the one asked about."""
    if of is not None:
        return fit.addresses.place(of, "of={text} is not one of {listed}")
    for name in (parameter.name, *parameter.spellings):
        if len(found := fit.addresses.find(name)) == 1:
            return found[0]
    raise OptionError(
        f"{parameter.name} stands for several parameters; say which one is asked about, "
        f"of= one of {fit.addresses.listed()}."
    )


def _axes(
    fit: PosteriorFit, laws: Mapping[Parameter, Prior | LKJ], widths: Any
) -> list[FloatArray]:
    """Return the widths of each prior, ascending, that of the fit among them."""
    several = len(laws) > 1
    given: dict[str, Any] = {}
    if isinstance(widths, Mapping):
        given = dict(widths)
    elif widths is not None and several:
        raise OptionError("widths of two priors is a dict, {name: numbers} for each.")
    elif widths is not None:
        given = {next(iter(laws)).name: widths}
    found = []
    for parameter, law in laws.items():
        ways = [name for name in (parameter.name, *parameter.spellings) if name in given]
        own = width_of(law)
        assert own is not None
        if ways:
            axis = _checked_widths(given.pop(ways[0]), _may_be_flat(fit, parameter, law), law)
        else:
            n = CURVE if fit.response_family.is_linear else SAMPLED
            axis = _default_widths(fit, parameter, law, own, GRID if several else n)
        found.append(np.unique(np.append(axis, own)))
    if given:
        raise OptionError(
            f"widths={shown(next(iter(given)))} is no parameter whose prior changes here."
        )
    return found


def _checked_widths(given: Any, may_be_flat: bool, law: Prior | LKJ) -> FloatArray:
    try:
        axis = np.atleast_1d(np.asarray(given, dtype=np.float64)).ravel()
    except (TypeError, ValueError):
        axis = np.array([np.nan])
    if not axis.size or not (axis > 0).all():
        raise OptionError(f"widths={shown(given)} must be positive numbers.")
    if np.isinf(axis).any() and not may_be_flat:
        raise OptionError(
            f"widths: {law} is not flat where it is wide, or has no posterior there, as the sd of "
            f"fewer than {LEAST_LEVELS} levels; leave inf out."
        )
    return axis


def _default_widths(
    fit: PosteriorFit, parameter: Parameter, law: Prior | LKJ, own: float, n: int
) -> FloatArray:
    """From half of what the data leave open to four times the present width, and flat."""
    if isinstance(law, LKJ):
        return np.array(FEW_ETAS if n == GRID else ETAS)
    place = _place(fit, parameter, None) if parameter.kind != "family" else None
    low = NARROWEST[1] * own
    if place is not None:
        parts = np.concatenate([part.draws for part in fit.parameters()], axis=2)
        draws = parts[:, :, place]
        size = float(draws.std() if parameter.kind == "beta" else draws.mean())
        low = min(low, NARROWEST[0] * size)
    wider = n // 4
    above = np.geomspace(own, WIDEST * own, wider + 1)[1:]
    axis = np.concatenate([np.geomspace(low, own, n - wider), above])
    return np.append(axis, np.inf) if n > GRID and _may_be_flat(fit, parameter, law) else axis


def _may_be_flat(fit: PosteriorFit, parameter: Parameter, law: Prior | LKJ) -> bool:
    """Whether an infinite width is a flat prior, under which there is a posterior."""
    if parameter.kind != "sd":
        return can_be_flat(law)
    levels = fit.design.factors[parameter.place[0]].levels.size
    return can_be_flat(law) and levels >= LEAST_LEVELS


def _findings(fit: PosteriorFit, table: pd.DataFrame) -> tuple[Finding, ...]:
    found = unconverged(fit, "what is said of priors")
    missing = int(table["estimate"].isna().sum())
    if not missing:
        return found
    return (
        *found,
        Finding(
            "pareto_k",
            f"Under {missing} of {len(table)} priors the posterior is too far from the draws to be "
            "reached by weights.",
            "refit=True samples it there; where that fails too, take widths that the data bear.",
            {"missing": missing},
        ),
    )
