"""The parametric bootstrap of a generalised fit: responses of its family, refitted together.

New random effects, a new response of every row, and the model fitted again by Laplace or
quadrature as the fit was (``likelihood/generalised_refits.py``). BCa intervals ask for the fits
without one level of the top grouping factor each, which is the same search with rows left out.
"""

from functools import cached_property

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.gaussian.pattern.nested import NestedPattern
from hierbayes.intervals.level_samples import crossed_levels
from hierbayes.intervals.resampling import drawn_responses
from hierbayes.intervals.statistics import UNUSUAL, Replicates, Statistic, named_numbers
from hierbayes.likelihood.generalised import fit_at, optimum_of
from hierbayes.likelihood.generalised_refits import GeneralisedRefits, Refitter
from hierbayes.options import BootstrapKind
from hierbayes.results.generalised_fit import GeneralisedFit, generalised_values
from hierbayes.results.interval_parameters import interval_parameters

BOUNDS = {"sd": (0.0, np.inf), "sigma": (0.0, np.inf), "cor": (-1.0, 1.0)}
MOST_JACKKNIFE = 1000  # fits for the acceleration of BCa intervals, which needs no more


@record
class GeneralisedBootstrap:
    """What every replicate needs.

    Attributes
    ----------
    names, estimates, bounds : of the m quantities, as in ``BootstrapResult``
    """

    fit: GeneralisedFit
    statistic: Statistic | None
    names: tuple[str, ...]
    estimates: FloatArray
    bounds: FloatArray

    @cached_property
    def refitter(self) -> Refitter:
        """What fits the model again."""
        return Refitter(optimum_of(self.fit))

    @property
    def drawn(self) -> str:
        """What is drawn anew."""
        what = "random effects and responses" if self.fit.design.factors else "responses"
        return f"{what} from the fitted model"

    def replicates(self, seed: int, count: int) -> Replicates:
        """Make replicates with the random numbers of one seed."""
        Y = drawn_responses(self.fit, count, np.random.default_rng(seed))
        found = self.refitter.fit(Y)
        failed, failures = ~found.converged, list(found.failures)
        if self.statistic is None:
            values = self._parameters(found)
        else:
            values = self._of_statistic(found, Y, failed, failures)
        values[failed] = np.nan
        return Replicates(values, failed, found.is_singular & ~failed, tuple(failures))

    def _parameters(self, found: GeneralisedRefits) -> FloatArray:
        return generalised_values(self.fit, found.theta, found.beta, found.further)

    def _of_statistic(
        self, found: GeneralisedRefits, Y: FloatArray, failed: BoolArray, failures: list[str]
    ) -> FloatArray:
        """Values of the statistic (T, m); where it fails that is noted."""
        assert self.statistic is not None
        values = np.full((Y.shape[1], len(self.names)), np.nan)
        for t in np.flatnonzero(found.converged).tolist():
            try:
                again = fit_at(self.fit, Y[:, t], found, t)
                named = named_numbers(self.statistic, again)
                values[t] = [named.get(name, np.nan) for name in self.names]
            except UNUSUAL as error:
                failed[t] = True
                failures.append(str(error))
        return values

    def jackknife(self) -> FloatArray:
        """Estimates without one level (or group of levels) of the top factor each, (J, m).

        Raises
        ------
        NotSupportedError
            For crossed factors, and a statistic of the user's.
        """
        if self.statistic is not None:
            raise not_supported("bca-of-statistic")
        model, factors = self.refitter.model, self.fit.design.factors
        if len(factors) > 1 and not isinstance(model.levels.pattern, NestedPattern):
            raise crossed_levels(factors, purpose="interval='bca'")
        n = model.y.size
        codes = factors[-1].codes if factors else np.arange(n)
        J = int(codes.max()) + 1
        groups = np.array_split(np.arange(J), min(J, MOST_JACKKNIFE))
        kept = np.column_stack([~np.isin(codes, group) for group in groups])
        found = self.refitter.fit(np.repeat(model.y[:, None], kept.shape[1], axis=1), kept)
        values = self._parameters(found)
        values[~found.converged] = np.nan
        return values


def generalised_bootstrap(
    fit: GeneralisedFit, statistic: Statistic | None, kind: BootstrapKind
) -> GeneralisedBootstrap:
    """Lay a bootstrap out.

    Raises
    ------
    NotSupportedError
        For another kind than "parametric".
    """
    if kind != "parametric":
        raise not_supported("bootstrap-kind-of-family", kind=kind, family=fit.family)
    if statistic is None:
        parameters = interval_parameters(fit)
        names = tuple(parameter.name for parameter in parameters)
        estimates = fit.interval_estimates
        coordinates = optimum_of(fit).model.coordinates
        ranges = {c.label: c.parameter.bounds for c in coordinates}
        bounds = np.array(
            [
                ranges[p.name] if p.kind == "further" else BOUNDS.get(p.kind, (-np.inf, np.inf))
                for p in parameters
            ]
        )
    else:
        named = named_numbers(statistic, fit)
        names, estimates = tuple(named), np.array(list(named.values()))
        bounds = np.tile([-np.inf, np.inf], (len(names), 1))
    return GeneralisedBootstrap(
        fit=fit, statistic=statistic, names=names, estimates=estimates, bounds=bounds
    )
