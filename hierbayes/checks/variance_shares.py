"""The variance of the linear predictor, split into fixed part, grouping factors and residual.

With Sigma_f the covariance of the random effects of factor f and z_i its row of columns,

    fixed       variance of X beta over the rows
    random, f   mean over the rows of z_i' Sigma_f z_i = tr(Sigma_f mean(z_i z_i'))
    residual    sigma^2; on a link scale the variance the distribution of the response has there

for one set of estimates or many (replicates of a bootstrap, posterior draws) at once. The offset
is no part of it. With precision weights sigma^2 is that of a row of weight one. Where residual sds
follow a formula, or visits have their own, their variances are averaged over the rows, as those of
random slopes are; a correlation of residuals within series is in none of the three.

Source: Nakagawa & Schielzeth (2013), Methods Ecol. Evol. 4:133; Johnson (2014), Methods Ecol.
Evol. 5:944 (random slopes); Nakagawa, Johnson & Schielzeth (2017), J. R. Soc. Interface 14:20170213
(other families).
"""

from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.predictive import FlatDraws, flat_draws
from hierbayes.bayes.residual_draws import residual_draws
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.errors import OptionError
from hierbayes.families.parameter_formulas import check_no_formulas
from hierbayes.gaussian.products import covariance_shape
from hierbayes.gaussian.residual.of_design import SIGMA
from hierbayes.intervals.bootstrap import bootstrap
from hierbayes.options import R2Interval, check_option
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.interval_parameters import interval_parameters
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.tidy import check_level
from hierbayes.wording import shown

# Variance of the latent variable whose sign a binary response is.
SUPPORTED = (
    "gaussian with the identity link, bernoulli and binomial with logit, probit or cloglog, "
    "poisson, negativebinomial and gamma with log"
)


@record
class VarianceShares:
    """Variances in squared units of the linear predictor, for S sets of estimates.

    Attributes
    ----------
    fixed : array, shape (S,), of the fixed part over the rows
    random : per grouping factor, array (S,)
    residual : array, shape (S,)
    """

    fixed: FloatArray
    random: dict[str, FloatArray]
    residual: FloatArray

    @property
    def all_random(self) -> FloatArray:
        """Sum over the grouping factors, shape (S,)."""
        return np.asarray(sum(self.random.values(), np.zeros_like(self.fixed)))


@record
class ShareEstimates:
    """Variances of a fit with what intervals are read from.

    Attributes
    ----------
    point : of the fit (S = 1); None for a posterior, whose point estimates are means over draws
    others : of covariances that fit equally well, where the data do not determine all
    undetermined : grouping factors with a variance that the data do not determine
    draws : of replicates or posterior draws; None without intervals
    residual_words : what the residual variance is
    interval_words : what the intervals are
    """

    point: VarianceShares | None
    draws: VarianceShares | None
    residual_words: str
    interval_words: str
    others: tuple[VarianceShares, ...] = ()
    undetermined: tuple[str, ...] = ()


def share_estimates(
    fit: Fit,
    interval: R2Interval | None,
    *,
    level: float,
    nsim: int,
    random_seed: Any,
    purpose: str,
) -> ShareEstimates:
    """Variance shares of a fit, with replicates where intervals are asked for.

    Raises
    ------
    OptionError
        If ``fit`` is no fit, or an option has a value that is not allowed.
    NotSupportedError
        For a posterior of a family whose residual variance has no standard definition.
    """
    check_level(level)
    if interval is not None:
        check_option("interval", interval, R2Interval)
    if isinstance(fit, PosteriorFit):
        if interval is not None:
            raise OptionError(
                f"interval={shown(interval)}: a posterior has its credible intervals from its "
                "draws, without asking; leave interval out."
            )
        return _of_posterior(fit, level)
    if not isinstance(fit, LikelihoodFit):
        raise OptionError(f"{purpose} is about a fit or a posterior; it got {type(fit).__name__}.")
    own = _of_likelihood(fit)
    if interval is None:
        return own
    return _with_replicates(fit, own, level=level, nsim=nsim, random_seed=random_seed)


def _of_posterior(fit: PosteriorFit, level: float) -> ShareEstimates:
    flat = flat_draws(fit.draws, fit.design)
    if fit.residual_structure is not None:
        own = residual_draws(fit.spec, flat)
        residual = own.sigma**2 * _mean_square_sd(fit, own.found.values(own.phi))
        words = _gaussian_words(fit.design)
    else:
        check_no_formulas(fit.design, "R2 or ICC")
        residual, words = _residual_variance(fit, flat.sigma, flat.family)
    return ShareEstimates(
        point=None,
        draws=_shares(fit, beta=flat.beta, covariances=_covariances(flat), residual=residual),
        residual_words=words,
        interval_words=(
            f"{level:.0%} equal-tailed credible intervals from {fit.n_draws} draws; the "
            "estimates are posterior means."
        ),
    )


def _of_likelihood(fit: LikelihoodFit) -> ShareEstimates:
    if isinstance(fit, GeneralisedFit):
        at = {name: np.array([value]) for name, value in fit.dispersion.items()}
        residual, words = _residual_variance(fit, np.array([fit.sigma]), at)
        roots = fit.effect_roots
        covariances = [(root @ root.T)[None] for root in roots]
        own = _shares(fit, beta=fit.beta[None], covariances=covariances, residual=residual)
        return ShareEstimates(point=own, draws=None, residual_words=words, interval_words="")
    whole = fit.representing
    return ShareEstimates(
        point=_from_parameters(whole, _own_parameters(whole)),
        draws=None,
        residual_words=_gaussian_words(fit.design),
        interval_words=fit.undetermined_note,
        others=tuple(_from_parameters(one, _own_parameters(one)) for one in fit.alternatives),
        undetermined=_undetermined_groups(fit),
    )


def _with_replicates(
    fit: LikelihoodFit, own: ShareEstimates, *, level: float, nsim: int, random_seed: Any
) -> ShareEstimates:
    """Add the estimates of replicates of the parametric bootstrap."""
    whole = fit.representing
    found = bootstrap(whole, nsim=nsim, random_seed=random_seed)
    used = found.replicates[~np.isnan(found.replicates[:, -1])]
    failed = f" ({found.n_failed} refits failed)" if found.n_failed else ""
    told = f"{level:.0%} confidence intervals: percentiles of {used.shape[0]} parametric bootstrap "
    told += f"replicates{failed}."
    if not used.shape[0]:
        told = f"No confidence intervals: none of the {nsim} parametric bootstrap refits succeeded."
    return replace(
        own,
        draws=_from_parameters(whole, used) if used.shape[0] else None,
        interval_words=f"{told} {fit.undetermined_note}".strip(),
    )


def _undetermined_groups(fit: LikelihoodFit) -> tuple[str, ...]:
    """Name the grouping factors with a variance that the data do not determine."""
    terms = zip(fit.design.terms, fit.varcorr().terms, strict=True)
    return tuple(
        fit.design.factors[term.factor].name for term, found in terms if np.isnan(found.sd).any()
    )


def _own_parameters(fit: LikelihoodFit) -> FloatArray:
    return fit.interval_estimates[None]


def _from_parameters(fit: LikelihoodFit, values: FloatArray) -> VarianceShares:
    """Shares of parameters (S, m) in the order of ``interval_parameters``."""
    design, S = fit.design, values.shape[0]
    parameters = interval_parameters(fit)
    covariances = [np.zeros((S, f.z.shape[1], f.z.shape[1])) for f in design.factors]
    shape = covariance_shape(design)
    for t, own, part in shape.structured:
        # what is a correlation beside no variance says nothing
        root = own.root(np.nan_to_num(values[:, part]))
        factor, (rows, columns) = shape.blocks[t]
        covariances[factor][:, rows, columns] = root @ np.swapaxes(root, 1, 2)
    for parameter, value in zip(parameters, values.T, strict=True):
        if parameter.kind in ("sd", "cor") and parameter.place < 0:
            term = design.terms[parameter.term]
            row, column = term.columns[parameter.row], term.columns[parameter.column]
            known = 1.0 if row == column else np.nan_to_num(value)  # beside a zero sd: nothing
            covariances[term.factor][:, row, column] = known
            covariances[term.factor][:, column, row] = known
    for parameter, value in zip(parameters, values.T, strict=True):
        if parameter.kind == "sd" and parameter.place < 0:
            term = design.terms[parameter.term]
            at = term.columns[parameter.row]
            covariances[term.factor][:, at, :] *= value[:, None]
            covariances[term.factor][:, :, at] *= value[:, None]
    kinds = np.array([parameter.kind for parameter in parameters])
    sigma = values[:, kinds == "sigma"][:, 0] if (kinds == "sigma").any() else np.ones(S)
    named = zip(parameters, values.T, strict=True)
    further = {parameter.name: value for parameter, value in named if parameter.kind == "further"}
    residual, _ = _residual_variance(fit, sigma, further)
    if isinstance(fit, LinearFit) and fit.residual is not None:
        residual = residual * _mean_square_sd(fit, values[:, kinds == "residual"])
    beta = values[:, kinds == "fixed"]
    return _shares(fit, beta=beta, covariances=covariances, residual=residual)


def _mean_square_sd(fit: Fit, values: FloatArray) -> FloatArray:
    """Mean over the rows of squared sds over the reference's, (S,), of parameters (S, d)."""
    found = fit.spec.residuals
    spread, G = found.structure.spread, found.structure.n_spreads
    formula = fit.design.predictors.get(SIGMA)
    offset = None if formula is None else formula.offset
    square = np.ones(fit.nobs) if offset is None else np.exp(2 * offset)
    share = np.bincount(spread.index, square, minlength=spread.D.shape[0]) / fit.nobs
    log_sds = spread.D @ (values[:, :G] * found.scale).T
    return np.asarray(share @ np.exp(2 * log_sds))


def _covariances(flat: FlatDraws) -> list[FloatArray]:
    """Covariances of the random effects of each factor, arrays (S, q, q)."""
    return [root @ np.swapaxes(root, 1, 2) for root in flat.roots]


def _shares(
    fit: Fit,
    *,
    beta: FloatArray,
    covariances: list[FloatArray],
    residual: FloatArray,
) -> VarianceShares:
    design = fit.design.summands
    X, n, counts = design.X[:, fit.kept], design.n_rows, design.counts
    times = np.ones(X.shape[0]) if counts is None else counts
    centred = X - np.average(X, axis=0, weights=counts)
    # of rows and columns, not of squares: means that are far from zero cancel without loss
    root = np.linalg.qr(centred * np.sqrt(times)[:, None], mode="r") / np.sqrt(max(n - 1, 1))
    random = {}
    for factor, covariance in zip(design.factors, covariances, strict=True):
        squares = factor.z.T @ (times[:, None] * factor.z) / n
        random[factor.name] = np.asarray((covariance * squares).sum(axis=(1, 2)))
    fixed = np.asarray(((beta @ root.T) ** 2).sum(axis=1))
    return VarianceShares(fixed=fixed, random=random, residual=residual)


def _known_variance(design: Design) -> float:
    """Mean of the known residual variances."""
    return 0.0 if design.known_sd is None else float((design.known_sd**2).mean())


def _gaussian_words(design: Design) -> str:
    if design.known_sd is not None:
        return "the mean of the known residual variances"
    of = "" if design.weights is None else " of weight 1"
    term = design.residual
    words = f"sigma^2, that of a row{of}" if of else "sigma^2"
    if SIGMA in design.formulas or (term is not None and term.word == "us"):
        words = f"the mean over the rows{of} of their residual variances"
    if term is not None:
        words += f"; the correlation of residuals, {term.call}, is not counted"
    return words


def _residual_variance(
    fit: Fit, sigma: FloatArray, further: dict[str, FloatArray]
) -> tuple[FloatArray, str]:
    """Residual variance on the scale of the linear predictor, and what it is.

    Parameters
    ----------
    fit : of any family
    sigma : array, shape (S,), residual sds
    further : by name, further parameters (S,) of the family
    """
    S = sigma.size
    family = fit.response_family
    if family.is_linear:
        known = fit.design.known_sd is not None
        residual = np.full(S, _known_variance(fit.design)) if known else sigma**2
        return residual, _gaussian_words(fit.design)
    if np.isfinite(family.latent_variance):
        words = f"that of the latent variable behind the {family.link} link"
        return np.full(S, family.latent_variance), words
    if family.link.power == 0 and family.relative_variance and family.variance is not None:
        mean = np.full(S, float(np.asarray(fit.design.y).mean()))
        spread = family.variance(mean, further) / mean**2
        words = f"log(1 + {family.relative_variance}), of a log-normal response"
        return np.log1p(spread), words
    raise not_supported(
        "variance-shares-of-family", family=fit.family, link=fit.link, families=SUPPORTED
    )
