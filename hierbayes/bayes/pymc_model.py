"""The model as a ``pm.Model``: a Bayesian multilevel model people can read, change and sample.

With eta = X beta + sum over factors of (b_f[code_f] * z_f) + offset and, for a Gaussian response,
y ~ N(eta, sigma^2 / w):

- beta: the intercept's prior is on eta at the mean of the predictors; ``beta`` itself is on the
  user's scale.
- The columns of a random-effects term have correlations with an LKJ prior and sds of their own; or
  they follow a pattern (``cs(f | g)``), whose correlation, and one sd where all columns share it,
  is all that is free in ``corr_`` and ``sd_``;
  the columns of ``(x || g)``, and different terms of a factor, are independent. Every factor has
  one ``sd_``, one ``b_`` and, where two of its columns may be correlated, one ``corr_`` over the
  columns of all its terms.
- "noncentered": samplers move u ~ N(0, 1) with b = Lambda u, good when the data say little about
  each level; "centered": they move b itself, good when they say much; "marginal": b is
  integrated out.

A further parameter that has a formula, ``sigma="~ x + (x | g)"``, has a linear predictor of its own
on the scale of its link, ``sigma_eta``, made of the same variables with its name before theirs:
``sigma_beta``, ``sigma_sd_g``, ``sigma_b_g``. Residuals that are correlated within series
(``pymc_residuals.py``) have their correlation besides, ``cor_ar1|subject``.

The free variables are those of the posterior, by name, so PyMC conditions on draws of ours: what
samplers move instead are value transforms (``pymc_transforms``).

Z is never formed: row i picks the effects of its level. All three have the same posterior.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hierbayes.arrays import IntArray, record
from hierbayes.bayes.marginal_logp import add_marginal_likelihood
from hierbayes.bayes.pymc_likelihood import add_likelihood
from hierbayes.bayes.pymc_residuals import add_correlated_response, visit_correlations
from hierbayes.bayes.pymc_variables import (
    Number,
    as_constant,
    as_data,
    coefficients,
    correlated_effects,
    correlations,
    independent,
    related_effects,
    scalar,
    thresholds,
)
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.families.observations import check_supported, checked_observations
from hierbayes.families.parameter_formulas import (
    check_no_formulas,
    links_of,
)
from hierbayes.families.symbolic import Symbolic, tensor
from hierbayes.gaussian.pattern.related import check_unrelated
from hierbayes.gaussian.patterned import Patterned, check_patterned
from hierbayes.gaussian.products import covariance_shape
from hierbayes.naming.addresses import coefficient_addresses, effect_labels
from hierbayes.naming.variable_names import (
    COEF,
    ETA,
    OBS,
    behind,
    factor_variables,
    response_variable,
    term_dims,
    visit_correlations_variable,
)
from hierbayes.options import Parameterization, check_option
from hierbayes.priors.distributions import Prior
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.specification.specification import Specification

if TYPE_CHECKING:
    import pymc as pm


@record(kw_only=False)
class EffectScale:
    """Scale of the random effects of one factor.

    Attributes
    ----------
    sd : tensor, shape (q,)
    root : tensor, shape (q, q), Cholesky factor of the covariance; None where it is diagonal
    """

    sd: Any
    root: Any

    @property
    def matrix(self) -> Any:
        """The Cholesky factor (q, q), a diagonal one written out."""
        import pytensor.tensor as pt

        return pt.diag(self.sd) if self.root is None else self.root


def build_model(
    spec: Specification,
    *,
    parameterization: Parameterization = "noncentered",
    priors_as_data: bool = False,
    add: Callable[[Any], Any] | None = None,
) -> "pm.Model":
    """Build the PyMC model.

    Parameters
    ----------
    spec : Specification
    parameterization : {"noncentered", "centered", "marginal"}
        How the random effects are written; "marginal" is for Gaussian models.
    priors_as_data : bool
        Make the parameters of the priors ``pm.Data`` too, for samplers compiled once.
    add : function of the model, called in its context
        Returns a further part of the linear predictor, a tensor of shape (n,) or ().

    Returns
    -------
    pymc.Model
        With the variables ``beta[coef]``, ``sigma``, per factor ``sd_``, ``corr_`` and ``b_``,
        and the linear predictor ``eta[obs]`` (the latter two not in "marginal").

    Raises
    ------
    DataError, NotSupportedError
        If the response can't come from the family, or the model is too large to marginalise.
    """
    design, kept, priors, family = spec.design, spec.kept_columns, spec.priors, spec.family
    check_patterned(design, "PyMC models and NUTS")
    import pymc as pm

    check_option("parameterization", parameterization, Parameterization)
    check_supported(design, family)
    if parameterization == "marginal" and not family.is_linear:
        raise not_supported("marginal-of-family", family=family.name)
    if parameterization == "marginal":
        check_unrelated(design, "parameterization='marginal'")
        check_no_formulas(design, "parameterization='marginal'")
    if parameterization == "marginal" and add is not None:
        raise not_supported("marginal-with-addition")
    number = as_data if priors_as_data else as_constant
    coords = {OBS: np.arange(design.X.shape[0])} | _coords(design, kept)
    for name in design.formulas:
        coords |= _coords(design.of(name), spec.kept_of[name], name)
    with pm.Model(coords=coords) as model:
        mean = _predictor(design, kept, priors, number)
        parameters = _parameters(spec, mean.beta, number)
        if parameterization == "marginal":
            roots = [scale.matrix for scale in mean.scales]
            add_marginal_likelihood(design, mean.beta, parameters.get("sigma"), roots)
            return model
        is_centered = parameterization == "centered"
        eta = mean.eta(centered=is_centered)
        if add is not None:
            eta = eta + add(model)
        eta.name = ETA
        model.add_named_variable(eta, dims=(OBS,))  # to be asked for; no sampler stores it
        for name, link in links_of(design, family).items():
            own = _predictor(
                design.of(name), spec.kept_of[name], priors.formulas[name], number, name
            )
            eta_of = own.eta(centered=is_centered)
            eta_of.name = behind(name) + ETA
            model.add_named_variable(eta_of, dims=(OBS,))
            parameters[link.parameter] = tensor(link.value(Symbolic(eta_of)))
        _add_response(spec, eta, parameters)
    return model


@record
class _Predictor:
    """A linear predictor in PyMC: its design, coefficients, and scales of random effects.

    ``before`` begins the names of its variables.
    """

    design: Design
    kept: IntArray
    beta: Any
    scales: tuple[EffectScale, ...]
    before: str

    def eta(self, *, centered: bool) -> Any:
        """Return X beta + Z b + offset, shape (n,)."""
        eta = _linear_predictor(self.design, self.kept, self.beta, self.before)
        return eta + _group_effects(self.design, self.scales, self.before, centered=centered)


def _predictor(
    design: Design, kept: IntArray, priors: ModelPriors, number: Number, parameter: str = ""
) -> _Predictor:
    """Add the coefficients, sds and correlations of a predictor: the mean's, or a parameter's."""
    before = behind(parameter)
    beta = _fixed_effects(priors, coef_labels(design, kept), number, before)
    factors = range(len(design.factors))
    scales = tuple(_effect_scale(design, f, priors, number, before) for f in factors)
    return _Predictor(design=design, kept=kept, beta=beta, scales=scales, before=before)


def coef_labels(design: Design, kept: IntArray) -> list[str]:
    """Return the names of the coefficients in the model, each once."""
    return list(coefficient_addresses(design, kept.tolist()).labels)


def _coords(design: Design, kept: IntArray, parameter: str = "") -> dict[str, Any]:
    before = behind(parameter)
    coords: dict[str, Any] = {before + COEF: coef_labels(design, kept)}
    names = factor_variables([factor.name for factor in design.factors])
    for number, factor in enumerate(design.factors):
        name = before + names[factor.name]
        coords[name] = [str(level) for level in factor.levels]
        coords |= {key: list(effect_labels(design, number)) for key in term_dims(name)}
    return coords


def _fixed_effects(priors: ModelPriors, names: Sequence[str], number: Number, before: str) -> Any:
    """Return ``beta`` (p,) on the user's scale."""
    import pytensor.tensor as pt

    if not names:
        return pt.zeros(0)
    if priors.intercept is None:
        return independent(before + "beta", priors.beta, dims=before + COEF, number=number)
    return coefficients(
        before + "beta",
        priors.beta,
        centre=priors.centre,
        intercept=priors.intercept,
        dims=before + COEF,
        number=number,
    )


def _effect_scale(
    design: Design, f: int, priors: ModelPriors, number: Number, before: str
) -> EffectScale:
    """Add the sds and correlations of one factor."""
    import pytensor.tensor as pt

    factor = design.factors[f]
    name = factor_variables([factor.name for factor in design.factors])[factor.name]
    dims, dims_bis = term_dims(before + name)
    tied = list(range(len(factor.columns)))
    blocks: list[tuple[int, ...]] = []
    etas: list[float] = []
    patterns: list[Patterned | None] = []
    laws: list[tuple[Prior, ...]] = []
    for t, (term, eta) in enumerate(zip(design.terms, priors.lkj, strict=True)):
        own = covariance_shape(design).structures[t]
        if term.factor != f:
            continue
        if isinstance(own, Patterned) and own.hom:
            for c in term.columns:
                tied[c] = term.columns[0]
        if eta is not None or (isinstance(own, Patterned) and own.correlation_names):
            blocks.append(tuple(term.columns))
            etas.append(1.0 if eta is None else eta)
            patterns.append(own if isinstance(own, Patterned) else None)
            laws.append(tuple(law for law in priors.patterns[t] if law is not None))
    stem = f"{before}sd_{name}"
    sd = independent(stem, priors.sd[f], dims=dims, number=number, positive=True, tied=tied)
    if not blocks:
        return EffectScale(sd, None)
    corr = correlations(
        f"{before}corr_{name}",
        size=len(factor.columns),
        blocks=blocks,
        etas=etas,
        patterns=patterns,
        laws=laws,
        dims=(dims, dims_bis),
    )
    return EffectScale(sd, sd[:, None] * pt.linalg.cholesky(corr))


def _parameters(spec: Specification, beta: Any, number: Number) -> dict[str, Any]:
    """Add the further parameters of the response's distribution."""
    import pymc as pm

    design, family, priors = spec.design, spec.family, spec.priors
    found = {}
    if priors.sigma is not None:
        found["sigma"] = scalar("sigma", priors.sigma, number=number, positive=True)
    if priors.visits is not None:
        assert design.residual is not None
        name = visit_correlations_variable(design.residual.group)
        found[name] = visit_correlations(name, spec.residuals, eta=priors.visits)
    cuts = {p.name: p for p in family.parameters if p.prior == "cuts"}
    for name, prior in priors.family.items():
        if name not in cuts:
            found[name] = scalar(name, prior, number=number)
            continue
        n_cuts = int(checked_observations(design, family).max())
        pm.modelcontext(None).add_coord("threshold_dim", np.arange(1, n_cuts + 1))
        found[name] = thresholds(
            name,
            prior,
            size=n_cuts,
            increasing=cuts[name].increasing,
            shift=number("predictor_means", priors.centre) @ beta if priors.centre.any() else None,
            dims="threshold_dim",
            number=number,
        )
    return found


def _linear_predictor(design: Design, kept: IntArray, beta: Any, before: str) -> Any:
    """Return X beta + offset, shape (n,)."""
    import pymc as pm
    import pytensor.tensor as pt

    n = design.X.shape[0]
    eta = pt.zeros(n)
    if kept.size:
        columns = np.ascontiguousarray(design.X[:, kept])
        X = pm.Data(before + "X", columns, dims=(OBS, before + COEF))
        eta = X @ beta
    if design.offset is not None:
        eta = eta + pm.Data(before + "offset", design.offset, dims=OBS)
    return eta


def _group_effects(
    design: Design, scales: Sequence[EffectScale], before: str, *, centered: bool
) -> Any:
    """Return the sum over factors of Z b, shape (n,): each row picks the effects of its level."""
    import pymc as pm

    names = factor_variables([factor.name for factor in design.factors])
    total: Any = 0.0
    for factor, scale in zip(design.factors, scales, strict=True):
        name = names[factor.name]
        dims = (before + name, term_dims(before + name)[0])
        stem = f"{before}b_{name}"
        if factor.relation is None:
            b = _effects(stem, dims, scale, centered=centered)
        else:
            relation = pm.Data(f"{before}relation_{name}", factor.relation.root)
            root = scale.matrix
            b = related_effects(stem, root, relation, dims=dims, spherical=not centered)
        codes = np.asarray(factor.codes, dtype=np.int64)
        code = pm.Data(f"{before}code_{name}", codes, dims=OBS)
        z = pm.Data(f"{before}z_{name}", np.ascontiguousarray(factor.z), dims=(OBS, dims[1]))
        total = total + (b[code] * z).sum(axis=-1)
    return total


def _effects(stem: str, dims: tuple[str, str], scale: EffectScale, *, centered: bool) -> Any:
    """Return the random effects (J, q) of one factor, called ``stem``."""
    import pymc as pm

    from hierbayes.bayes.pymc_transforms import Scaled

    if scale.root is None:
        transform = {} if centered else {"transform": Scaled()}
        return pm.Normal(stem, mu=0, sigma=scale.sd, dims=dims, **transform)
    return correlated_effects(stem, scale.root, dims=dims, spherical=not centered)


def _add_response(spec: Specification, eta: Any, parameters: dict[str, Any]) -> None:
    import pymc as pm

    design, family = spec.design, spec.family
    observed = checked_observations(design, family)
    if family.is_discrete:
        observed = observed.astype(np.int64)
    factors = factor_variables([factor.name for factor in design.factors])
    name = response_variable(design.formula.response_label, factors)
    dims: Any = OBS
    if observed.ndim == 2:
        pm.modelcontext(None).add_coord("trials_dim", ["successes", "trials"])
        dims = (OBS, "trials_dim")
    data = pm.Data(f"{name}_data", observed, dims=dims)
    if family.weighs_sigma and design.known_sd is not None:
        parameters = parameters | {"sigma": pm.Data("known_sd", design.known_sd, dims=OBS)}
    elif family.weighs_sigma and design.weights is not None:
        weights = pm.Data("weights", design.weights, dims=OBS)
        parameters = parameters | {"sigma": parameters["sigma"] / weights**0.5}
    if design.residual is not None:
        add_correlated_response(
            name,
            eta,
            residuals=spec.residuals,
            parameters=parameters,
            observed=data,
            dims=OBS,
        )
        return
    add_likelihood(
        name,
        eta,
        family=family,
        parameters=parameters,
        observed=data,
        dims=OBS,
    )
