"""The priors of a model: the defaults of ``default_priors`` with the user's in their places.

The prior of the intercept is on the linear predictor at centred predictors,
alpha = beta[intercept] + centre' beta with centre the column means of X, so it says what is known
about the average response, wherever the predictors have their zero. All other priors are on the
user's own scale. Densities are with respect to (beta, sds, correlations, sigma).
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.design import Design
from hierbayes.design.predictor import RandomTerm
from hierbayes.families.builtin import GAUSSIAN
from hierbayes.families.family import Family
from hierbayes.families.family import Parameter as FamilyParameter
from hierbayes.families.parameter_formulas import ParameterLink, links_of
from hierbayes.gaussian.covariance import Structure
from hierbayes.gaussian.products import covariance_shape
from hierbayes.priors.default_priors import (
    CORRELATIONS,
    ResponseScale,
    coefficient_priors,
    column_spreads,
    family_priors,
    formula_coefficient_priors,
    link_scale,
    pattern_priors,
    response_scale,
    sd_priors,
    sigma_prior,
    spreads_of,
)
from hierbayes.priors.distributions import Flat, Normal, Prior
from hierbayes.priors.lkj import LKJ, lkj_log_density
from hierbayes.priors.parameter_names import Parameter, parameters_of
from hierbayes.priors.residual_priors import residual_parameters, visit_correlations
from hierbayes.priors.user_priors import chosen_priors

QUANTILES = (0.05, 0.5, 0.95)


@record
class ModelPriors:
    """The priors of one model.

    Attributes
    ----------
    beta : priors of the p kept coefficients; the intercept's is at centred predictors
    centre : array, shape (p,), column means of X, 0 for the intercept; all 0 without one, but for
        ordinal models, whose thresholds have their priors at centred predictors
    intercept : position of the intercept among the kept columns, or None
    sd : per grouping factor, the priors of the sds of its q columns
    lkj : per covariance term, eta of the LKJ prior of its correlations; None for one column, and
        for a covariance with a structure of its own
    patterns : per covariance term, the priors of what its structure has besides scales, None of a
        parameter that has its own; columns of one scale have the same prior in ``sd``
    scales : per covariance term, the columns whose sds are the scales of its structure
    sigma : prior of the residual sd; None where it is known or the family has none
    family : priors of the further parameters of the response family, and of correlated residuals
    visits : eta of the LKJ prior of the correlations of ``us`` residuals; None without
    formulas : priors of the predictor of each further parameter that has a formula, by its name
    from_user : names of the parameters whose prior the user gave
    parameters : every parameter with a prior, in the order of printing, but those of ``formulas``
    """

    beta: tuple[Prior, ...]
    centre: FloatArray
    intercept: int | None
    sd: tuple[tuple[Prior, ...], ...]
    lkj: tuple[float | None, ...]
    sigma: Prior | None
    patterns: tuple[tuple[Prior | None, ...], ...] = ()
    scales: tuple[tuple[tuple[int, int], ...], ...] = ()
    family: dict[str, Prior] = field(default_factory=dict)
    visits: float | None = None
    formulas: dict[str, "ModelPriors"] = field(default_factory=dict)
    from_user: frozenset[str] = frozenset()
    parameters: tuple[Parameter, ...] = ()

    @property
    def is_proper(self) -> bool:
        """Whether all priors integrate to 1, so that a marginal likelihood exists."""
        scales = [prior for priors in self.sd for prior in priors]
        rest = [] if self.sigma is None else [self.sigma]
        every = [*self.beta, *scales, *rest, *self.family.values()]
        is_own = not any(isinstance(prior, Flat) for prior in every)
        return is_own and all(own.is_proper for own in self.formulas.values())

    @property
    def all_parameters(self) -> tuple[Parameter, ...]:
        """Every parameter with a prior, those of formulas of further parameters last."""
        taken = {parameter.name for parameter in self.parameters}
        more = [
            parameter.of_formula(name, taken)
            for name, own in self.formulas.items()
            for parameter in own.parameters
        ]
        return (*self.parameters, *more)

    def of(self, parameter: Parameter) -> Prior | LKJ:
        """Return the prior of a parameter."""
        at = parameter.place
        if parameter.formula:
            return self.formulas[parameter.formula].of(replace(parameter, formula=""))
        if parameter.kind == "beta":
            return self.beta[at[0]]
        if parameter.kind == "sd":
            return self.sd[at[0]][at[1]]
        if parameter.kind == "cor":
            eta = self.lkj[at[0]]
            assert eta is not None
            return LKJ(eta)
        if parameter.kind == "visits":
            assert self.visits is not None
            return LKJ(self.visits)
        if parameter.kind == "pattern":
            law = self.patterns[at[0]][at[1]]
            assert law is not None
            return law
        if parameter.kind == "sigma":
            assert self.sigma is not None
            return self.sigma
        return self.family[parameter.name]

    @property
    def tied(self) -> frozenset[tuple[int, int]]:
        """Factor and column of sds that are that of another column of their term."""
        sds = [parameter.place for parameter in self.parameters if parameter.kind == "sd"]
        return frozenset((place[0], column) for place in sds for column in place[2:])

    def of_structure(self, term: int) -> tuple[Prior | None, ...]:
        """Return the priors of the parameters of a term's structure, scales first."""
        return (*(self.sd[f][c] for f, c in self.scales[term]), *self.patterns[term])

    def of_further(self, parameters: Sequence[FamilyParameter]) -> tuple[Prior, ...]:
        """Return the priors of further parameters of the family."""
        own = {} if self.sigma is None else {"sigma": self.sigma}
        return tuple((own | self.family)[parameter.name] for parameter in parameters)

    def gaussian_beta(self) -> tuple[FloatArray, FloatArray] | None:
        """Joint Gaussian prior of beta on the user's scale.

        Returns
        -------
        mean (p,) and precision (p, p), or None when a prior is neither Normal nor Flat. Flat
        adds nothing to the precision.
        """
        means, precisions = np.zeros(len(self.beta)), np.zeros(len(self.beta))
        for k, prior in enumerate(self.beta):
            if isinstance(prior, Normal):
                means[k], precisions[k] = prior.mu, prior.sigma**-2
            elif type(prior) is not Flat:  # a HalfFlat has a bound
                return None
        if self.intercept is None:
            return means, np.diag(precisions)
        mean = means.copy()
        mean[self.intercept] -= self.centre @ means
        to_centred = np.eye(means.size)
        to_centred[self.intercept] += self.centre
        return mean, to_centred.T @ (precisions[:, None] * to_centred)

    def log_density(
        self,
        *,
        beta: FloatArray | None = None,
        sds: Sequence[FloatArray] = (),
        corrs: Sequence[FloatArray | None] = (),
        sigma: npt.ArrayLike | None = None,
    ) -> FloatArray:
        """Log prior density of the parameters given, with all constants.

        Parameters
        ----------
        beta : array, shape (..., p), on the user's scale; None leaves it out
        sds : per grouping factor, array (..., q)
        corrs : per covariance term, array (..., k, k); None where it has one column
        sigma : array, shape (...)

        Returns
        -------
        array, shape (...), the sum over what was given
        """
        total: FloatArray = np.zeros(())
        if beta is not None:
            total = total + self._beta_log_density(np.asarray(beta, dtype=np.float64))
        tied = self.tied
        for f, (priors, values) in enumerate(zip(self.sd, sds, strict=False)):
            for k, prior in enumerate(priors):
                if (f, k) not in tied:
                    total = total + prior.log_density(np.asarray(values)[..., k])
        for eta, corr in zip(self.lkj, corrs, strict=False):
            if eta is not None and corr is not None:
                total = total + lkj_log_density(corr, eta)
        if sigma is not None and self.sigma is not None:
            total = total + self.sigma.log_density(sigma)
        return total

    def _beta_log_density(self, beta: FloatArray) -> FloatArray:
        values = beta.copy()
        if self.intercept is not None:
            values[..., self.intercept] += beta @ self.centre
        parts = [prior.log_density(values[..., k]) for k, prior in enumerate(self.beta)]
        return np.sum(parts, axis=0) if parts else np.zeros(beta.shape[:-1])


def model_priors(
    design: Design,
    kept: IntArray,
    *,
    family: Family = GAUSSIAN,
    user: Mapping[str, Any] | str | None = None,
    kept_of: Mapping[str, IntArray] | None = None,
) -> ModelPriors:
    """Return the default priors of a model with the user's in their places.

    Parameters
    ----------
    design : Design
    kept : array of int, shape (p,), the columns of X that are not dependent on earlier ones
    family : Family
    user : dict, name -> prior, or "flat"
        "flat" puts ``Flat()`` on every coefficient, the intercept included.
    kept_of : of each further parameter that has a formula, the columns of its X that are kept

    Raises
    ------
    PriorError
        If a name is unknown or a prior can't be one of what it names.
    """
    defaults = _default_priors(design, kept, family, kept_of or {})
    if user is None:
        return defaults
    chosen = chosen_priors(
        user, defaults.all_parameters, design=design, kept=kept, family=family.name
    )
    return _with(defaults, chosen)


def _default_priors(
    design: Design, kept: IntArray, family: Family, kept_of: Mapping[str, IntArray]
) -> ModelPriors:
    scale = response_scale(design, family)
    means, spreads, of_levels = _means_and_spreads(design, kept)
    intercept = _intercept(design, kept)
    is_centred = intercept is not None or family.is_ordinal
    sigma = sigma_prior(design, family=family, scale=scale)
    further = family_priors(family, scale=scale)
    laws = further if sigma is None else {"sigma": sigma, **further}
    links = links_of(design, family)
    formulas = {
        name: _formula_priors(design.of(name), kept_of[name], link, laws[link.parameter])
        for name, link in links.items()
    }
    about = {link.parameter for link in links.values()}
    correlations, visits = residual_parameters(design), visit_correlations(design)
    sigma = None if "sigma" in about else sigma
    beta = coefficient_priors(spreads, intercept=intercept, scale=scale, is_centred=is_centred)
    own = _of_predictor(
        design,
        kept,
        beta=beta,
        centre=_centre(means, intercept) if is_centred else np.zeros(kept.size),
        sd=tuple(sd_priors(own, scale=scale) for own in of_levels),
    )
    return replace(
        own,
        sigma=sigma,
        family={name: law for name, law in further.items() if name not in about}
        | {p.name: p.prior for p in correlations if isinstance(p.prior, Prior)},
        visits=None if visits is None else CORRELATIONS.eta,
        formulas=formulas,
        parameters=parameters_of(
            design,
            kept.tolist(),
            has_sigma=sigma is not None,
            family=[
                *(p for p in family.further_parameters if p.name not in about),
                *correlations,
            ],
        )
        + (() if visits is None else (visits,)),
    )


def _formula_priors(design: Design, kept: IntArray, link: ParameterLink, law: Prior) -> ModelPriors:
    """Priors of the predictor of a further parameter, whose design it is.

    ``law`` is the prior that the parameter has where no formula is given.
    """
    scale = link_scale(law, link)
    means, _, of_levels = _means_and_spreads(design, kept)
    intercept = _intercept(design, kept)
    unit = ResponseScale(0.0, 1.0, 1.0, 0.0, 1.0, scale.wide)
    own = _of_predictor(
        design,
        kept,
        beta=formula_coefficient_priors(design.X[:, kept], intercept=intercept, scale=scale),
        centre=np.zeros(kept.size) if intercept is None else _centre(means, intercept),
        sd=tuple(sd_priors(spreads, scale=unit) for spreads in of_levels),
    )
    return replace(own, parameters=parameters_of(design, kept.tolist(), has_sigma=False))


def _intercept(design: Design, kept: IntArray) -> int | None:
    places = np.flatnonzero(design.assign[kept] == 0)
    return int(places[0]) if places.size else None


def _centre(means: FloatArray, intercept: int | None) -> FloatArray:
    if intercept is not None:
        means[intercept] = 0.0
    return means


def _of_predictor(
    design: Design,
    kept: IntArray,
    *,
    beta: tuple[Prior, ...],
    centre: FloatArray,
    sd: tuple[tuple[Prior, ...], ...],
) -> ModelPriors:
    """Priors of a linear predictor: its coefficients, and the covariances of its effects."""
    structures = covariance_shape(design).structures
    centre.flags.writeable = False
    return ModelPriors(
        beta=beta,
        centre=centre,
        intercept=_intercept(design, kept),
        sd=sd,
        lkj=tuple(
            CORRELATIONS.eta if own is None and len(t.columns) > 1 else None
            for t, own in zip(design.terms, structures, strict=True)
        ),
        patterns=tuple(map(pattern_priors, structures)),
        scales=tuple(
            () if own is None else _scales(t, own)
            for t, own in zip(design.terms, structures, strict=True)
        ),
        sigma=None,
    )


def _means_and_spreads(
    design: Design, kept: IntArray
) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
    """Means and spreads of the kept columns of X (p,), and per factor the spreads of z (q,)."""
    known = design.rows.moments
    if known is not None:
        spreads = spreads_of(known.X)[kept]
        of_levels = [spreads_of(own) for own in known.z]
        _share_spreads(design, of_levels, [own.rms for own in known.z])
        return known.X.mean[kept].copy(), spreads, of_levels
    X = design.X[:, kept]
    of_levels = [column_spreads(factor.z) for factor in design.factors]
    _share_spreads(design, of_levels, [root_mean_square(f.z) for f in design.factors])
    return X.mean(axis=0), column_spreads(X), of_levels


def _share_spreads(design: Design, spreads: list[FloatArray], sizes: list[FloatArray]) -> None:
    """Put the length of rows, from root mean squares ``sizes``, where columns have one sd."""
    for term, own in zip(design.terms, covariance_shape(design).structures, strict=True):
        if own is not None and own.is_scale.sum() == 1 < len(term.columns):
            at = list(term.columns)
            spreads[term.factor][at] = float(np.sqrt((sizes[term.factor][at] ** 2).sum())) or 1.0


def root_mean_square(z: FloatArray) -> FloatArray:
    """Root mean square of each column (n, q), shape (q,)."""
    return np.asarray(np.sqrt(np.mean(z**2, axis=0))) if z.shape[0] else np.zeros(z.shape[1])


def _scales(term: RandomTerm, own: Structure) -> tuple[tuple[int, int], ...]:
    """Factor and column whose sd each scale has the prior of; further ones that of the last."""
    last = len(term.columns) - 1
    return tuple((term.factor, term.columns[min(k, last)]) for k in range(own.is_scale.sum()))


def _with(defaults: ModelPriors, chosen: Mapping[Parameter, Prior | LKJ]) -> ModelPriors:
    """Put the user's priors in the places of the defaults."""
    formulas = {
        name: _with(
            own,
            {replace(p, formula=""): law for p, law in chosen.items() if p.formula == name},
        )
        for name, own in defaults.formulas.items()
    }
    from_user = frozenset(parameter.name for parameter in chosen)
    chosen = {parameter: law for parameter, law in chosen.items() if not parameter.formula}
    beta, sd = list(defaults.beta), [list(priors) for priors in defaults.sd]
    lkj, family, sigma = list(defaults.lkj), dict(defaults.family), defaults.sigma
    patterns, visits = [list(priors) for priors in defaults.patterns], defaults.visits
    for parameter, prior in chosen.items():
        at = parameter.place
        if isinstance(prior, LKJ) and parameter.kind == "visits":
            visits = prior.eta
        elif isinstance(prior, LKJ):
            lkj[at[0]] = prior.eta
        elif parameter.kind == "beta":
            beta[at[0]] = prior
        elif parameter.kind == "sd":
            for column in at[1:]:
                sd[at[0]][column] = prior
        elif parameter.kind == "pattern":
            patterns[at[0]][at[1]] = prior
        elif parameter.kind == "sigma":
            sigma = prior
        else:
            family[parameter.name] = prior
    return replace(
        defaults,
        beta=tuple(beta),
        sd=tuple(tuple(priors) for priors in sd),
        lkj=tuple(lkj),
        patterns=tuple(map(tuple, patterns)),
        sigma=sigma,
        family=family,
        visits=visits,
        formulas=formulas,
        from_user=from_user,
    )


def priors_table(priors: ModelPriors, design: Design) -> pd.DataFrame:
    """One row a parameter: its prior and what the prior thinks likely.

    Parameters
    ----------
    priors : ModelPriors
    design : Design

    Returns
    -------
    pandas.DataFrame
        A DataFrame: ``parameter``; ``prior`` as text; ``q05 q50 q95`` in units of the response
        (per unit of the column for a slope), NaN for an improper prior; ``source``, "default" or
        "user". The intercept's prior is at centred predictors; a correlation's quantiles are
        those of one of its term's correlations.
    """
    rows = []
    for parameter in priors.all_parameters:
        prior = priors.of(parameter)
        if isinstance(prior, LKJ):
            own = design.of(parameter.formula) if parameter.formula else design
            size = parameter.place[0]
            if parameter.kind != "visits":
                size = len(own.terms[size].columns)
            quantiles = prior.quantile(QUANTILES, size=size)
            quantiles[1] = 0.0  # the median by symmetry, without the rounding of its computation
        else:
            quantiles = prior.quantile(QUANTILES)
        source = "user" if parameter.name in priors.from_user else "default"
        rows.append((parameter.name, str(prior), *np.asarray(quantiles).tolist(), source))
    return pd.DataFrame(rows, columns=["parameter", "prior", "q05", "q50", "q95", "source"])
