"""Random effects and variance components of a posterior: ``ranef``, ``coef``, ``varcorr``.

Those of residuals that are correlated or of unequal variance are among the variance components.
"""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_methods
from hierbayes.errors import DataError
from hierbayes.gaussian.residual.of_design import DesignResiduals
from hierbayes.naming.addresses import level_columns
from hierbayes.results.effects_on_demand import (
    level_blocks,
    level_covariances,
)
from hierbayes.results.level_tables import LevelTables
from hierbayes.results.posterior_numbers import PosteriorNumbers
from hierbayes.results.posterior_parameters import structure_draws
from hierbayes.results.residual_estimate import (
    ResidualQuantity,
    reference_sd,
    residual_quantities,
    residual_rows,
)
from hierbayes.results.result_table import result_table
from hierbayes.results.varcorr import VarCorr, VarCorrTerm


@checked_methods("fit")
class PosteriorEffects(PosteriorNumbers):
    """Means, sds and covariances of random effects; sds and correlations."""

    @cached_property
    def modes(self) -> tuple[FloatArray, ...]:
        """Posterior means of the random effects per factor, (J, q), on the user's scale."""
        return tuple(self.draws.b[f.name].mean(axis=(0, 1)) for f in self.design.factors)

    @cached_property
    def mode_covariances(self) -> tuple[FloatArray, ...]:
        """Posterior covariances of the random effects per factor, arrays (J, q, q)."""
        return tuple(level_covariances(self.draws.b[f.name]) for f in self.design.factors)

    def ranef(self) -> LevelTables:
        """Posterior means of the random effects: per factor a table levels x terms."""
        return self._level_tables(self.modes, kind="ranef", sds=self.ranef_sd)

    def ranef_sd(self) -> LevelTables:
        """Posterior sds of the random effects, same shapes as ``ranef()``.

        Unlike the conditional sds of a REML fit they include the uncertainty of the fixed effects
        and of the variance parameters.
        """
        sds = [np.sqrt(np.diagonal(V, axis1=1, axis2=2)) for V in self.mode_covariances]
        return self._level_tables(sds, kind="ranef_sd")

    def ranef_cov(self) -> dict[str, FloatArray]:
        """Posterior covariances of the random effects: per factor an array (levels, q, q)."""
        pairs = zip(self.design.factors, self.mode_covariances, strict=True)
        return {factor.name: cov.copy() for factor, cov in pairs}

    def coef(self) -> LevelTables:
        """Coefficients of each level: fixed plus random effects, with their posterior sds."""
        return LevelTables(super().coef(), kind="coef", sds=self.coef_sd)

    def coef_sd(self) -> LevelTables:
        """Posterior sds of the coefficients of each level, same shapes as ``coef()``."""
        tables = {}
        columns = level_columns(self.design, self.kept.tolist())
        for f, factor in enumerate(self.design.factors):
            sds = np.empty((factor.levels.size, len(columns.labels)))
            for at, b in level_blocks(self.draws.b[factor.name]):
                for place, fixed in enumerate(columns.fixed):
                    total: Any = np.zeros((*self.draws.beta.shape[:2], 1))
                    if place in columns.random[f]:
                        total = b[:, :, :, columns.random[f].index(place)]
                    if fixed >= 0:
                        total = total + self.draws.beta[:, :, [fixed]]
                    sds[at, place] = total.reshape(self.n_draws, -1).std(axis=0, ddof=1)
            tables[factor.name] = result_table(
                sds, "ranef_sd", index=pd.Index(factor.levels), columns=list(columns.labels)
            )
        return LevelTables(tables, kind="ranef_sd")

    def varcorr(self) -> VarCorr:
        """Return posterior means of the sds and correlations, and of the residual sd."""
        terms = []
        for t, term in enumerate(self.design.terms):
            factor, columns = self.design.factors[term.factor], list(term.columns)
            own = structure_draws(self.draws, self.design, t)
            corr = np.eye(len(columns))
            if len(columns) > 1 and factor.name in self.draws.corr:
                mean = self.draws.corr[factor.name].mean(axis=(0, 1))
                corr = mean[np.ix_(columns, columns)]
            terms.append(
                VarCorrTerm(
                    name=term.name,
                    columns=tuple(factor.columns[c] for c in columns),
                    sd=self.draws.sd[factor.name].mean(axis=(0, 1))[columns],
                    corr=corr,
                    structure=term.covariance,
                    parameters=tuple((name, float(value.mean())) for name, value in own),
                )
            )
        found = self.residual_structure
        if found is not None:
            return self._with_residual_structure(tuple(terms), found)
        has_residual = self.draws.sigma is not None
        return VarCorr(terms=tuple(terms), sigma=self.sigma, has_residual=has_residual)

    @property
    def residual_structure(self) -> DesignResiduals | None:
        """Strata and correlations of the residuals; None without, or of a formula without any."""
        if not self.spec.has_residual_structure:
            return None
        try:
            return self.spec.residuals
        except DataError:  # a formula of sigma that has no reference, which NUTS knows
            return None

    def _with_residual_structure(
        self, terms: tuple[VarCorrTerm, ...], found: DesignResiduals
    ) -> VarCorr:
        values, sigma = self._residual_values(found)
        rows = residual_rows(found, values, sigma)
        return VarCorr(terms=terms, sigma=float(sigma.mean()), has_residual=True, residual=rows)

    def _residual_values(self, found: DesignResiduals) -> tuple[FloatArray, FloatArray]:
        """Draws (S, d) of the parameters of the structure, and (S,) of the reference's sd."""
        draws = self.residual_draws
        reference = draws.get("sigma_(Intercept)", np.empty(0))
        sigma = np.exp(reference) if self.draws.sigma is None else self.draws.sigma
        return np.stack([draws[name].ravel() for name in found.names], axis=1), sigma.ravel()

    @property
    def residual_quantities(self) -> tuple[ResidualQuantity, ...]:
        """Sds, sigma's first, and correlations of residuals that have a structure; none without."""
        found = self.residual_structure
        if found is None:
            return ()
        values, sigma = self._residual_values(found)
        return (reference_sd(sigma), *residual_quantities(found, values, sigma))

    @cached_property
    def residual_draws(self) -> dict[str, FloatArray]:
        """Draws (C, D) of coefficients of log sigma, and of correlations of residuals, by name."""
        if not self.response_family.is_linear:
            return {}
        found: dict[str, FloatArray] = {}
        for name, own in self.draws.formulas.items():
            columns = [self.design.of(name).coef_names[k] for k in self.spec.kept_of[name]]
            found |= {f"{name}_{c}": own.beta[..., k] for k, c in enumerate(columns)}
        return found if self.design.residual is None else found | dict(self.draws.family)

    @property
    def residual_names(self) -> tuple[str, ...]:
        """Names of the parameters of correlated residuals, or of unequal variance."""
        return tuple(self.residual_draws)
