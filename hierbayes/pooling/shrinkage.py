"""The one table behind every shrinkage picture, for likelihood fits and posteriors.

The coefficients of level j are beta + b_j. Without shrinkage they would be the unpenalised ones
(``unpenalised.py``), without differences between levels those of the population; what is
estimated lies between, b_j = S_j (unpenalised_j - beta) in a model of one grouping factor, with the
shrinkage matrix S_j of ``shrinkage_matrices.py``.

A posterior of a Gaussian model has means and sds of its draws as effects and coefficients, and
averages S_j and the reliability over draws. What is compared with it, the unpenalised estimate, is
at the posterior means of beta and of the variances. Other families: ``posterior_shrinkage.py``.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.predictive import flat_draws
from hierbayes.bayes.residual_draws import residual_draws
from hierbayes.calls import checked_call
from hierbayes.design.level_counts import rows_per_level
from hierbayes.errors import OptionError
from hierbayes.gaussian.marginal import Kernel, modes, times
from hierbayes.gaussian.residual.precision import Precision
from hierbayes.naming.addresses import effect_labels, fixed_partners, level_columns
from hierbayes.options import ShrinkageType, check_option
from hierbayes.pooling.generalised_shrinkage import generalised_shrinkage
from hierbayes.pooling.level_covariances import (
    AT_ONCE,
    LevelCovariances,
    check_shrinks,
    covariance_draws,
    level_covariances,
    mean_phi,
    relative_roots,
    sigma_draws,
    some_draws,
)
from hierbayes.pooling.posterior_shrinkage import posterior_shrinkage
from hierbayes.pooling.shrinkage_matrices import matrices_at, reliabilities
from hierbayes.pooling.unpenalised import LevelEstimates, level_scores, own_rows, unpenalised
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.shrinkage_table import (
    FactorShrinkage,
    ShrinkageTable,
    gathered_table,
    shrinkage_table,
)

ARRAYS = ("covariance", "unpenalised_covariance", "effect_covariance")
BATCH = 8  # temporary arrays of the size of the factors


@checked_call("hb.shrinkage")
def shrinkage(fit: Fit, *, type: ShrinkageType = "link") -> ShrinkageTable:
    """Return what every level's own data say, what the population says, and what lies between.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
        With random effects.
    type : {"link", "response"}
        Coefficients on the scale of the link, or of other families the expected response of the
        rows of each level, one a level: where all responses of a level are of one kind its own
        coefficient is infinite, and its own expected response 0 or 1.

    Returns
    -------
    ShrinkageTable
        A DataFrame, one row a grouping factor, level and term: ``group level term n within_group
        within_group_se unpenalised unpenalised_se population effect effect_sd coefficient
        coefficient_sd reliability``, in units of eta (of the response for a linear model) per unit
        of the term. ``matrices`` holds the shrinkage matrices by factor, arrays (levels, terms,
        terms).

    Raises
    ------
    NotSupportedError
        Without random effects, or for the posterior of a family without a smooth density.
    OptionError
        For ``type="response"`` of a linear model, whose coefficients have that scale.

    Notes
    -----
    Columns of X that are no columns of Z (a common slope beside a random intercept) are held at
    their estimates in every estimate of a level. Residuals that are correlated or of unequal
    variance count by their covariance in the estimates of a level too, its correlations and ratios
    of sds held. The unpenalised estimate lets the variance of one
    factor grow and keeps the others': of a factor nested in another (``cask:batch``) it has the
    outer level's effect in it. Of related levels (``cov=``) own estimates are of a level's rows
    alone, its relatives left out; what is estimated has learnt from these, and the reliability is
    that of a breeding value, 1 - PEV / (sd^2 A_jj). ``effect_sd`` of a likelihood fit is lme4's
    conditional sd; ``coefficient_sd`` has the uncertainty of the fixed effects in it too.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> table = hb.shrinkage(fit)
    >>> row = table[(table.level == "308") & (table.term == "Days")].iloc[0]
    >>> [round(float(row[name]), 2) for name in ("unpenalised", "coefficient", "population")]
    [21.76, 19.67, 10.47]
    >>> table.matrices["Subject"].shape
    (18, 2, 2)
    """
    check_shrinks(fit, "hb.shrinkage", of_families=True, of_related=True)
    check_option("type", type, ShrinkageType)
    if isinstance(fit, GeneralisedFit):
        return generalised_shrinkage(fit, type)
    if isinstance(fit, PosteriorFit) and not fit.response_family.is_linear:
        return posterior_shrinkage(fit, type)
    if type == "response":
        raise OptionError(
            "type='response' is for generalised models; the coefficients of a linear model are in "
            "units of the response."
        )
    if isinstance(fit, LinearFit) and fit.kernel.undetermined is not None:
        return _determined(fit)
    return _table(fit)


def _determined(fit: LinearFit) -> ShrinkageTable:
    """Return the table with NaN for all that the data do not determine."""
    whole = _table(fit.representing)
    assert whole.details is not None
    names = [name for name in whole.columns if name not in ("group", "level", "term", "n")]
    scales = {
        (factor.name, column): fit.row_scale / size
        for factor in fit.design.factors
        for column, size in zip(
            factor.columns, np.sqrt((factor.z**2).mean(axis=0)).tolist(), strict=True
        )
    }
    scale = [scales[pair] for pair in zip(whole["group"], whole["term"], strict=True)]
    shown = fit.shown(
        lambda one: _table(one)[names].to_numpy(dtype=np.float64), np.array(scale)[:, None]
    )
    columns = {name: whole[name].to_numpy() for name in whole.columns}
    columns |= dict(zip(names, shown.T, strict=True))
    factors = {
        factor.name: _determined_factor(fit, whole.details.factors[factor.name], position=f)
        for f, factor in enumerate(fit.design.factors)
    }
    return shrinkage_table(columns, replace(whole.details, factors=factors))


def _determined_factor(fit: LinearFit, found: FactorShrinkage, *, position: int) -> FactorShrinkage:
    factor = fit.design.factors[position]
    scale = fit.row_scale / np.sqrt((factor.z**2).mean(axis=0))
    scales: dict[str, Any] = dict.fromkeys(ARRAYS, scale[:, None] * scale)
    scales |= {"population": scale, "matrices": scale[:, None] / scale}
    shown: dict[str, Any] = {
        name: fit.shown(partial(_array_of, factor.name, name), size)
        for name, size in scales.items()
    }
    return replace(found, **shown)


def _array_of(group: str, name: str, fit: LinearFit) -> FloatArray:
    details = _table(fit).details
    assert details is not None
    return np.asarray(getattr(details.factors[group], name))


def _table(fit: Fit) -> ShrinkageTable:
    """Return the table of a fit whose covariances are taken as determined."""
    if isinstance(fit, PosteriorFit):
        estimates = _posterior(fit)
    else:
        assert isinstance(fit, LinearFit)  # see check_shrinks
        estimates = _likelihood(fit)
    factors, parts = {}, []
    for position, factor in enumerate(fit.design.factors):
        factors[factor.name], columns = _factor(fit, estimates, position=position)
        parts.append(columns)
    return gathered_table(fit, factors, parts, scale="link")


def _factor(
    fit: Fit, estimates: "_Estimates", *, position: int
) -> tuple[FactorShrinkage, dict[str, Any]]:
    """Return the matrices of one factor, and its columns of the table as arrays (J, q)."""
    at, factor = estimates.at, fit.design.factors[position]
    products = at.kernel.products
    basis = products.anchor.z_bases[position]
    alone = own_rows(products.zz[position], level_scores(at.kernel, at.gamma)[position])
    free = unpenalised(at.kernel, at.Lambdas, at.gamma, position=position)
    partners = fixed_partners(fit.design, fit.kept.tolist(), position)
    population = np.append(fit.beta, 0.0)[list(partners)]
    terms = effect_labels(fit.design, position)
    effect, effect_covariance = fit.modes[position], fit.mode_covariances[position]
    covariance = _covariance(free, basis, at.sigma)
    within, within_se = _within(fit, alone, basis, position=position)
    J, q = effect.shape
    columns = {
        "group": np.repeat(np.array(factor.name, dtype=object), J * q),
        "level": np.repeat(factor.levels, q),
        "term": np.tile(np.array(terms, dtype=object), J),
        "n": np.repeat(rows_per_level(fit.design, position), q),
        "within_group": population + within,
        "within_group_se": within_se,
        "unpenalised": population + free.effect @ basis.T,
        "unpenalised_se": _sds(covariance),
        "population": np.tile(population, (J, 1)),
        "effect": effect,
        "effect_sd": _sds(effect_covariance),
        "coefficient": population + effect,
        "coefficient_sd": estimates.coefficient_sds[position],
        "reliability": estimates.reliabilities[position],
    }
    found = FactorShrinkage(
        levels=tuple(factor.levels.tolist()),
        terms=terms,
        population=population,
        covariance=estimates.covariances[position],
        matrices=estimates.matrices[position],
        unpenalised_covariance=covariance,
        effect_covariance=effect_covariance,
        own_effect=free.effect @ basis.T,
    )
    return found, columns


@record
class _Estimates:
    """What the two estimators answer in their own way; per factor, on the user's scale.

    Attributes
    ----------
    at : where the fit stands, for the unpenalised estimates
    covariances : Var(b) of a level, (q, q)
    matrices : S_j, (J, q, q)
    reliabilities, coefficient_sds : (J, q)
    """

    at: LevelCovariances
    covariances: list[FloatArray]
    matrices: list[FloatArray]
    reliabilities: list[FloatArray]
    coefficient_sds: list[FloatArray]


def _likelihood(fit: LinearFit) -> _Estimates:
    kernel, at = fit.kernel, fit.at
    bases = kernel.products.anchor.z_bases
    kept, left = matrices_at(kernel, at.Lambdas)
    covariances, matrices, shares = [], [], []
    for basis, Lambda, S, C in zip(bases, at.Lambdas, kept, left, strict=True):
        root = fit.sigma * basis @ Lambda[0]
        covariances.append(root @ root.T)
        matrices.append(basis @ S[0] @ np.linalg.inv(basis))
        own = fit.sigma**2 * (basis @ C @ basis.T)
        shares.append(reliabilities(own, covariances[-1][None])[0])
    return _Estimates(
        at=level_covariances(fit),
        covariances=covariances,
        matrices=matrices,
        reliabilities=shares,
        coefficient_sds=_coefficient_sds(fit),
    )


def _coefficient_sds(fit: LinearFit) -> list[FloatArray]:
    """Return standard errors of beta + b_j, per factor (J, q), from the mixed-model equations.

    Given theta, beta-hat + b-hat_j - (beta + b_j) has the variance sigma^2 (d'(X'V^-1X)^-1 d +
    z'Lambda V_j Lambda'z) with d = x - (Z'V^-1X)_j' Lambda Lambda'z (Henderson, 1975).
    """
    anchor, at = fit.kernel.products.anchor, fit.at
    p = fit.beta.size
    found = []
    u = modes(fit.kernel, at).u
    parts = zip(anchor.z_bases, at.Lambdas, u, strict=True)
    for f, (basis, Lambda, uC) in enumerate(parts):
        d = -(basis @ times(Lambda, uC)[0])[..., :p]
        for t, partner in enumerate(fixed_partners(fit.design, fit.kept.tolist(), f)):
            if partner >= 0:
                d[:, t] += anchor.x_basis[partner] @ at.orthonormal[0, :p, :p]
        own = np.diagonal(fit.mode_covariances[f], axis1=1, axis2=2)
        found.append(np.sqrt(fit.sigma**2 * (d**2).sum(axis=2) + own))
    return found


def _posterior(fit: PosteriorFit) -> _Estimates:
    at = level_covariances(fit)
    kernel, factors = at.kernel, fit.design.factors
    bases = kernel.products.anchor.z_bases
    draws = [covariance_draws(fit.draws, factor.name) for factor in factors]
    sigma = sigma_draws(fit)
    totals: list[list[Any]] = [[0.0, 0.0] for _ in factors]
    size = kernel.pattern.n_numbers
    used = some_draws(fit, size)
    kernels = _kernels(fit)
    batches = -(-used.size * size * BATCH // AT_ONCE) if kernels is None else used.size
    for some in np.array_split(used, batches):
        s = sigma[some, None, None]
        Sigmas = [values[some] for values in draws]
        own_kernel = kernel if kernels is None else kernels(int(some[0]))
        kept, left = matrices_at(own_kernel, relative_roots(kernel, Sigmas, s))
        for f, basis in enumerate(bases):
            own = s[..., None] ** 2 * (basis @ left[f] @ basis.T)
            totals[f][0] = totals[f][0] + (basis @ kept[f] @ np.linalg.inv(basis)).sum(axis=0)
            totals[f][1] = totals[f][1] + reliabilities(own, Sigmas[f]).sum(axis=0)
    sds, columns = fit.coef_sd(), level_columns(fit.design, fit.kept.tolist())
    return _Estimates(
        at=at,
        covariances=[values.mean(axis=0) for values in draws],
        matrices=[total[0] / used.size for total in totals],
        reliabilities=[total[1] / used.size for total in totals],
        coefficient_sds=[
            sds[f.name].to_numpy()[:, list(own)]
            for f, own in zip(factors, columns.random, strict=True)
        ],
    )


def _kernels(fit: PosteriorFit) -> Callable[[int], Kernel] | None:
    """Return the kernel as a function of the draw, where residuals have a structure."""
    if fit.residual_structure is None:
        return None
    phi = residual_draws(fit.spec, flat_draws(fit.draws, fit.design)).phi
    own = fit.spec.residual_kernel("reml")
    return lambda draw: own.at(phi[draw])


def _covariance(estimates: LevelEstimates, basis: FloatArray, sigma: float) -> FloatArray:
    """Covariance of unpenalised estimates (J, q, q), infinite where the rows say nothing."""
    found = sigma**2 * (basis @ estimates.covariance @ basis.T)
    lost = basis @ estimates.unknown @ basis.T
    scale = np.diag(basis @ basis.T)
    missing = np.diagonal(lost, axis1=1, axis2=2) > 1e-8 * scale  # rounding of a projector
    if missing.any():
        both = missing[:, :, None] | missing[:, None, :]
        found = np.where(both, np.nan, found)
        level, term = np.nonzero(missing)
        found[level, term, term] = np.inf
    return found


def _within(
    fit: Fit, alone: LevelEstimates, basis: FloatArray, *, position: int
) -> tuple[FloatArray, FloatArray]:
    """Deviations by least squares on each level's rows, and their standard errors, (J, q) both."""
    factor, design = fit.design.factors[position], fit.design
    unknown = np.abs(alone.unknown).max(axis=(1, 2)) > 0
    effect = np.where(unknown[:, None], np.nan, alone.effect @ basis.T)
    J, q = effect.shape
    n = rows_per_level(design, position)
    if design.rows.sums is not None:
        beta = np.zeros(design.X.shape[1])
        beta[fit.kept] = fit.beta
        squares = design.rows.sums.level_squares(design, factor.name, beta, effect)
    else:
        rest = design.y - fit.fixed_part - (factor.z * effect[factor.codes]).sum(axis=1)
        squares = np.bincount(factor.codes, weights=rest * _weighed(fit, rest), minlength=J)
    if design.known_sd is not None:
        variance = np.ones(J)
    else:
        variance = np.divide(squares, n - q, out=np.full(J, np.nan), where=n > q)
    unit = np.diagonal(basis @ alone.covariance @ basis.T, axis1=1, axis2=2)
    unit = np.where(unknown[:, None], np.nan, unit)  # rounding about zero there
    return effect, np.sqrt(variance[:, None] * unit)


def _weighed(fit: Fit, rest: FloatArray) -> FloatArray:
    """Return residuals (n,) times the inverse of their covariance over sigma^2."""
    if isinstance(fit, LinearFit) and fit.residual is not None:
        precision = Precision(found=fit.spec.residuals, phi=fit.residual.phi)
        return precision.times(rest[:, None])[:, 0]
    if isinstance(fit, PosteriorFit) and fit.residual_structure is not None:
        precision = Precision(found=fit.spec.residuals, phi=mean_phi(fit))
        return precision.times(rest[:, None])[:, 0]
    return rest if fit.weights is None else fit.weights * rest


def _sds(covariances: FloatArray) -> FloatArray:
    return np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
