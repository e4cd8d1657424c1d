"""Sampling a specification: which sampler, and the posterior as its result.

``sampler="auto"`` takes the collapsed sampler where it applies (a Gaussian response with the
identity link; other families with a smooth density, unless many effects of crossed factors are
left) and NUTS elsewhere; it also goes over to NUTS when the collapsed sampler's Pareto k says that
its draws can't be trusted.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierbayes.bayes.generalised_scope import (
    MOST_KEPT,
    generalised_applies,
    most_kept,
    n_kept,
)
from hierbayes.bayes.predictive import flat_draws, linear_predictor, row_blocks
from hierbayes.capabilities import not_supported
from hierbayes.errors import DataError, NotSupportedError, OptionError, SamplingError
from hierbayes.families.mean_ends import mean_ends
from hierbayes.families.parameter_formulas import (
    check_no_formulas,
)
from hierbayes.gaussian.kernel import are_determined
from hierbayes.gaussian.pattern.related import is_related
from hierbayes.gaussian.structures import UNSTRUCTURED
from hierbayes.options import Sampler, check_count, check_option, is_whole, random_generator
from hierbayes.results import verbs
from hierbayes.results.design_findings import design_findings
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.finding import Finding, issue
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.mean_findings import chance_of_impossible, impossible_means
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.psychometric_fits import PsychometricPosterior
from hierbayes.results.undetermined_findings import undetermined_findings
from hierbayes.results.visit_correlations import matrix_variable, one_by_one
from hierbayes.specification.build import with_formula
from hierbayes.specification.specification import Specification
from hierbayes.wording import listed

if TYPE_CHECKING:
    from hierbayes.bayes.structured_residuals import StructuredResiduals

# Vehtari et al. (2021): draws are used when R-hat is below 1.01 and 100 draws a chain of four are
# effective.
R_HAT = 1.01
ENOUGH = 400
NOT_TRUSTED = ("pareto_k", "quadrature_error")  # findings of the collapsed sampler
NUTS_INSTEAD = "So the posterior was sampled by NUTS instead; nothing needs to be done."
LOOKED_AT = 200  # draws whose new levels are asked for their means: more say the same
# Independent draws have an R-hat above 1 + 4 / (draws a chain) once in hundreds of parameters.
R_HAT_NOISE = 4


def sample(
    spec: Specification,
    *,
    draws: int = 1000,
    chains: int = 4,
    tune: int = 1000,
    sampler: Sampler = "auto",
    random_seed: Any = None,
    progress: bool | None = None,
    target_accept: float = 0.9,
) -> PosteriorFit:
    """Sample; the arguments are those of ``Model.sample``."""
    settings: dict[str, Any] = {
        "draws": check_count("draws", draws),
        "chains": check_count("chains", chains),
        "tune": check_count("tune", tune, least=0),
    }
    check_option("sampler", sampler, Sampler)
    settings |= {"sampler": sampler, "target_accept": _checked_target(target_accept)}
    if is_whole(random_seed):
        settings["random_seed"] = int(random_seed)
    random_seed = random_generator(random_seed)
    family = spec.family
    residual = None if sampler == "nuts" else _structured_residuals(spec, sampler)
    if sampler == "collapsed" and residual is None:
        check_no_formulas(spec.design, 'sampler="collapsed"')
    shares_sd = spec.design.residual is None and not spec.design.formulas
    is_collapsible = residual is not None or (
        shares_sd and (family.is_linear or generalised_applies(spec))
    )
    if sampler == "collapsed" and not is_collapsible:
        has_factors = bool(spec.design.factors)
        raise not_supported(
            "collapsed-of-family",
            family=family.name,
            link=family.link.name,
            effects=n_kept(spec) if has_factors else "no",
            most=most_kept(spec) if has_factors else MOST_KEPT,
        )
    first: tuple[Finding, ...] = ()
    found: PosteriorDraws | None = None
    if sampler != "nuts" and is_collapsible:
        try:
            found = _collapsed(spec, residual, draws=draws, chains=chains, random_seed=random_seed)
        except SamplingError as error:
            if sampler == "collapsed":
                raise
            first = (_nowhere(error),)
        other = sampler == "auto"
        if found and other and any(f.code in NOT_TRUSTED for f in found.findings):
            first, found = _fallback(found.findings), None
    if found is None:
        found = _nuts(
            spec,
            draws=draws,
            chains=chains,
            tune=tune,
            random_seed=random_seed,
            progress=progress,
            target_accept=settings["target_accept"],
        )
    fit = posterior_fit(spec, found, settings=settings, before=first)
    issue(fit.findings)
    return fit


def _structured_residuals(spec: Specification, sampler: Sampler) -> "StructuredResiduals | None":
    """Return residuals with a structure as the collapsed sampler knows them, None without one.

    Nor are there any where NUTS knows what the collapsed sampler refuses, unless it was asked for.
    """
    from hierbayes.bayes.structured_residuals import structured_residuals

    if not spec.has_residual_structure:
        return None
    try:
        return structured_residuals(spec)
    except (DataError, NotSupportedError):
        if sampler == "collapsed":
            raise
        return None


def _collapsed(
    spec: Specification, residual: "StructuredResiduals | None", **options: Any
) -> PosteriorDraws:
    from hierbayes.bayes.collapsed import nowhere, sample_collapsed
    from hierbayes.bayes.generalised import sample_generalised

    try:
        if not spec.family.is_linear:
            return sample_generalised(spec, **options)
        if residual is None:
            return sample_collapsed(spec.kernel("reml"), spec.priors, spec.design, **options)
        kernel = residual.kernel.at(residual.start)
        return sample_collapsed(kernel, spec.priors, spec.design, residual=residual, **options)
    except (np.linalg.LinAlgError, FloatingPointError) as error:
        raise nowhere(spec.family) from error


def _checked_target(target_accept: Any) -> float:
    """Return the acceptance rate NUTS aims at, a number between 0 and 1."""
    is_number = isinstance(target_accept, (float, np.floating))
    if not is_number or not 0 < target_accept < 1:
        raise OptionError(
            f"target_accept={target_accept!r} must be a number between 0 and 1, for example 0.95."
        )
    return float(target_accept)


def _nuts(spec: Specification, **options: Any) -> PosteriorDraws:
    """Sample by NUTS: the compiled density of all models where it has this one, else PyMC's."""
    from hierbayes.bayes.hierarchical_nuts import hierarchical_density, sample_hierarchical
    from hierbayes.bayes.nuts import NutsSettings, sample_nuts

    settings = NutsSettings(**options)
    target = hierarchical_density(spec)
    if target is not None:
        return sample_hierarchical(target, spec.design, settings)
    if spec.design.residual is None and not is_related(spec.design):
        check_no_formulas(spec.design, "NUTS by PyMC (of a density in PyMC's own words)")
    from hierbayes.bayes.pymc_model import build_model
    from hierbayes.bayes.starting_points import free_values

    pymc_model = build_model(spec, priors_as_data=True)
    start = free_values(spec.design, _start(spec))
    family, matrix = tuple(spec.priors.family), matrix_variable(spec.design)
    if matrix is None:
        return sample_nuts(pymc_model, spec.design, settings, start=start, family=family)
    found = sample_nuts(pymc_model, spec.design, settings, start=start, family=(*family, matrix))
    names = spec.residuals.names[spec.residuals.structure.n_spreads :]
    return replace(found, family=one_by_one(found.family, matrix, names))


def _start(spec: Specification) -> Any:
    """Where NUTS starts: the REML estimates of a Gaussian model, else the prior medians."""
    from hierbayes.bayes.starting_points import Start, inside, start_from_priors

    priors = spec.priors
    if not spec.family.is_linear:
        return start_from_priors(spec.design, priors)
    try:  # what REML finds is no matter of the posterior
        fit: LikelihoodFit = verbs.ask(spec, "fit", "reml", quietly=True)
    except (DataError, NotSupportedError):
        # correlations of residuals start where PyMC puts them
        return replace(start_from_priors(spec.design, priors), family={})
    sds, corrs = [], []
    for number, factor in enumerate(spec.design.factors):
        q = len(factor.columns)
        sd, corr = np.zeros(q), np.eye(q)
        for term, found in zip(spec.design.terms, fit.varcorr().terms, strict=True):
            if term.factor == number:
                at = np.array(term.columns)
                sd[at] = found.sd
                corr[at[:, None], at] = found.corr
        sds.append(sd)
        corrs.append(corr)
    start = Start(
        beta=fit.beta,
        beta_sd=fit.std_errors,
        sigma=None if priors.sigma is None else fit.sigma,
        sd=tuple(sds),
        corr=tuple(corrs),
        b=fit.modes,
    )
    return inside(start, priors)


def _fallback(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Keep the finding of the collapsed sampler, now as the reason for using the other one."""
    return tuple(
        Finding(
            "fallback_to_nuts" if finding.code in NOT_TRUSTED else finding.code,
            finding.sentence,
            NUTS_INSTEAD,
            finding.numbers,
        )
        for finding in findings
    )


def _nowhere(error: SamplingError) -> Finding:
    """Return the reason for NUTS where the collapsed sampler could not compute the density."""
    found, _, _ = str(error).partition(". ")
    return Finding("fallback_to_nuts", f"{found}.", NUTS_INSTEAD)


def posterior_fit(
    spec: Specification,
    draws: PosteriorDraws,
    *,
    settings: dict[str, Any],
    before: tuple[Finding, ...] = (),
    findings: tuple[Finding, ...] | None = None,
) -> PosteriorFit:
    """Return the result of sampling ``draws``.

    Parameters
    ----------
    spec : Specification
    draws : PosteriorDraws
    settings : how it was sampled
    before : findings met before these draws
    findings : those of a saved posterior; found from design and draws when not given
    """
    kind = PosteriorFit if spec.family.curve is None else PsychometricPosterior

    def made(found: tuple[Finding, ...]) -> PosteriorFit:
        return kind(spec=spec, draws=draws, findings=found, settings=settings)

    if findings is not None:
        return made(findings)
    kept = set(spec.kept_columns.tolist())
    in_thresholds = spec.family.is_ordinal  # the intercept of an ordinal model
    dropped = [
        name
        for i, name in enumerate(spec.design.coef_names)
        if i not in kept and not (in_thresholds and spec.design.assign[i] == 0)
    ]
    for name, own in spec.kept_of.items():
        columns = spec.design.of(name).coef_names
        dropped += [f"{name}_{c}" for k, c in enumerate(columns) if k not in own]
    known = (
        *design_findings(spec.design, dropped),
        *_undetermined(spec),
        *before,
        *draws.findings,
        *_impossible(spec, draws),
    )
    fit = made(known)
    more = _convergence(fit, {finding.code for finding in known})
    if not more:
        return fit
    converged = fit.chain_statistics  # not computed twice
    fit = made((*known, *more))
    vars(fit)["chain_statistics"] = converged
    return fit


def _undetermined(spec: Specification) -> tuple[Finding, ...]:
    """Name what the data of a Gaussian model cannot determine, so that its prior decides."""
    saturated = _saturated(spec)
    if not spec.family.is_linear or spec.design.formulas or spec.design.residual is not None:
        return saturated
    kernel = spec.kernel("reml")
    if not are_determined(spec.design, kernel):
        return (*saturated, _not_told_apart(spec))
    found = undetermined_findings(spec.design, kernel.undetermined, posterior=True)
    if saturated:  # says it of sigma in plainer words
        found = tuple(f for f in found if "sigma" not in f.numbers["parameters"])
    return (*saturated, *found)


def _not_told_apart(spec: Specification) -> Finding:
    """Say that parameters of patterns are not determined by the data."""
    terms = [t.label for t in spec.design.terms if t.covariance != UNSTRUCTURED]
    return Finding(
        "not_identified",
        f"The data do not tell the parameters of the covariance of {listed(terms)} from each "
        "other, from other variances, or from the residual sd.",
        "What is printed for them comes largely from their priors, and REML and ML have no answer. "
        "Use fewer random effects, or a covariance with fewer parameters.",
        {"terms": len(terms)},
    )


def _saturated(spec: Specification) -> tuple[Finding, ...]:
    """Name the terms with as many random effects as rows: their sds and sigma are confounded."""
    design = spec.design
    if not spec.family.is_linear or design.known_sd is not None or design.formulas:
        return ()
    found = []
    for term in design.terms:
        factor = design.factors[term.factor]
        if term.covariance != UNSTRUCTURED:  # few parameters, whatever the number of effects
            continue
        if factor.levels.size * len(term.columns) < design.X.shape[0]:
            continue
        sds = [f"sd({factor.columns[c]}|{factor.name})" for c in term.columns]
        found.append(
            Finding(
                "not_identified",
                f"The term {term.label} has as many random effects as there are rows: the data "
                f"say little or nothing about how variation divides between {' and '.join(sds)} "
                "and sigma.",
                "What is printed for them comes largely from their priors, and REML and ML have no "
                "answer. Group by a column with repeated values, or give known_sd.",
                {"rows": design.X.shape[0]},
            )
        )
    return tuple(found)


def _impossible(spec: Specification, draws: PosteriorDraws) -> tuple[Finding, ...]:
    """Say where new levels may have means that the family does not have."""
    design = spec.design.summands
    if not design.factors or mean_ends(spec.family) is None:
        return ()
    flat = flat_draws(draws, design)
    flat = flat.take(np.linspace(0, flat.n_draws - 1, min(flat.n_draws, LOOKED_AT)).astype(np.intp))
    X, n = design.X[:, spec.kept_columns], design.X.shape[0]
    nothing = (None,) * len(design.factors)
    chance = np.empty(n)
    for rows in row_blocks(flat.n_draws, n):
        eta = linear_predictor(flat, X, nothing, offset=design.offset, rows=rows)
        variance = np.zeros_like(eta)
        for factor, root in zip(design.factors, flat.roots, strict=True):
            variance += ((factor.z[rows] @ root) ** 2).sum(axis=2)
        chance[rows] = chance_of_impossible(spec, eta, variance).mean(axis=0)
    return impossible_means(spec, chance)


def _convergence(fit: PosteriorFit, known: set[str]) -> tuple[Finding, ...]:
    """Say where chains disagree or have too few effective draws, unless the sampler said so."""
    statistics = fit.chain_statistics
    names = [name for part in fit.parameters() for name in part.names]
    if not names or known & {"r_hat", "low_ess", "pareto_k"}:
        return ()
    r_hat, ess = statistics.r_hat, np.fmin(statistics.ess_bulk, statistics.ess_tail)
    trusted = max(R_HAT, 1 + R_HAT_NOISE * fit.n_chains / fit.n_draws)
    if not np.isnan(r_hat).all() and np.nanmax(r_hat) > trusted:
        at = int(np.nanargmax(r_hat))
        sentence = (
            f"The chains do not agree: R-hat of {names[at]} is {r_hat[at]:.3f} (trusted up to "
            f"{trusted:.3g})."
        )
        longer = "draws=4000, tune=4000" if fit.sampler == "nuts" else "draws=4000"
        advice = f"Sample longer, for example sample({longer})."
        return (Finding("r_hat", sentence, advice, {"r_hat": float(r_hat[at])}),)
    if np.isnan(ess).all() or fit.n_draws <= ENOUGH or np.nanmin(ess) >= ENOUGH:
        return ()
    at = int(np.nanargmin(ess))
    sentence = f"{names[at]} has {ess[at]:.0f} effective draws of {fit.n_draws}."
    advice = f"Intervals want about {ENOUGH}; sample longer, for example sample(draws=4000)."
    return (Finding("low_ess", sentence, advice, {"ess": float(ess[at])}),)


def refit(fit: PosteriorFit, y: Any, **options: Any) -> PosteriorFit:
    """Sample the same specification of another response; see ``PosteriorFit.refit``."""
    return sample(fit.spec.with_response(y), **(_again(fit) | options))


def update(fit: PosteriorFit, formula: str, **options: Any) -> PosteriorFit:
    """Sample a changed formula; see ``PosteriorFit.update``."""
    return sample(with_formula(fit.spec, formula), **(_again(fit) | options))


def _again(fit: PosteriorFit) -> dict[str, Any]:
    """How a fit was sampled, without its seed: other data want other draws."""
    return {name: value for name, value in fit.settings.items() if name != "random_seed"}
