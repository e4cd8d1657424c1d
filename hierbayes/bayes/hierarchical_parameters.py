"""Parameters of a hierarchical model as functions of coordinates without ends, on a tape.

Each sd, each further parameter of the family and, where one of their priors has an end, each
coefficient is a function of one coordinate that maps the line on the support of its prior; the
correlations of a term are those of ``coordinates.py``, and coefficients without ends are taken in
the basis of the model. The log prior density is that of the coordinates, Jacobians included.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import betaln

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.coordinates import beta_shapes
from hierbayes.families.recorded import Recorded, Recorder
from hierbayes.gaussian.patterned import Patterned, triangle_of
from hierbayes.generalised.conditional import Conditional
from hierbayes.generalised.parameter_rows import ParameterRows
from hierbayes.priors.distributions import REAL, Prior
from hierbayes.priors.model_priors import ModelPriors

FIRST_SD = 0.5  # of the random effects, in units of eta, where a search begins

Numbers = list[Any]  # recorded, or plain where a parameter is known


@record(kw_only=False)
class Support:
    """The line mapped on the numbers between two ends."""

    low: float
    high: float

    def value(self, x: Any) -> Any:
        """Return the parameter at coordinate x."""
        if self.low > -math.inf and self.high < math.inf:
            return self.low + (self.high - self.low) * _expit(x)
        if self.low > -math.inf:
            return self.low + np.exp(x)
        return self.high - np.exp(x) if self.high < math.inf else x

    def log_slope(self, x: Any) -> Any:
        """Return the log of the derivative of ``value`` in x."""
        if self.low > -math.inf and self.high < math.inf:
            return math.log(self.high - self.low) + _log_expit(x) + _log_expit(-x)
        return 0.0 if (self.low, self.high) == REAL else x

    def coordinate(self, value: float) -> float:
        """Return where the parameter has a value, or one near it inside of its ends."""
        if self.low > -math.inf and self.high < math.inf:
            share = np.clip((value - self.low) / (self.high - self.low), 0.01, 0.99)
            return float(np.log(share / (1 - share)))
        if self.low > -math.inf:
            return float(np.log(max(value - self.low, 1e-3)))
        return float(np.log(max(self.high - value, 1e-3))) if self.high < math.inf else value


def _expit(x: Any) -> Any:
    from scipy.special import expit

    return expit(x)


def _log_expit(x: Any) -> Any:
    from scipy.special import log_expit

    return log_expit(x)


@record(kw_only=False)
class SignedScale:
    """An sd as the size of a number of either sign, unit sinh(x).

    The density of effects b = s u is a smooth function of s through zero, so that an sd that may be
    none has its posterior in the middle of the line; far from there x is nearly a logarithm. Both
    signs are one sd, and each has half of its density.
    """

    unit: float

    def value(self, x: Any) -> Any:
        """Return the number at coordinate x."""
        return (0.5 * self.unit) * (np.exp(x) - np.exp(-x))

    def log_slope(self, x: Any) -> Any:
        """Return the log of half the derivative of ``value`` in x."""
        return math.log(self.unit / 4) - 0.5 * (_log_expit(2.0 * x) + _log_expit(-2.0 * x))

    def coordinate(self, value: float) -> float:
        """Return where the sd has a value."""
        return float(np.arcsinh(value / self.unit))


@record
class Parameters:
    """What the coordinates stand for, all on one tape.

    Attributes
    ----------
    sds : per factor, q numbers, of either sign
    roots : per factor, the root of its covariance, user's scale, rows of numbers
    beta : p numbers, user's scale
    v : p numbers, in the basis of the model
    family : by name, a number, or a tuple of thresholds at centred predictors
    shown : the same as the user knows them
    log_prior : of the coordinates
    """

    sds: tuple[Numbers, ...]
    roots: tuple[list[Numbers], ...]
    beta: Numbers
    v: Numbers
    family: dict[str, Any]
    shown: dict[str, Any]
    log_prior: Recorded


@record
class ParameterSpace:
    """The coordinates of a model's parameters: sds, correlations, family, coefficients.

    Attributes
    ----------
    model : the rows, of the mean or of a further parameter that has a formula
    priors : ModelPriors
    laws : priors of the further parameters, in the model's order
    """

    model: Conditional | ParameterRows
    priors: ModelPriors
    laws: tuple[Prior, ...]

    @cached_property
    def first_sds(self) -> list[FloatArray]:
        """Sds of half a unit of eta, per factor (q,)."""
        return [FIRST_SD * np.sqrt((basis**2).sum(axis=1)) for basis in self.model.z_bases]

    @cached_property
    def sd_supports(self) -> list[list[Support | SignedScale]]:
        """Per factor how the sds of its columns are taken, without those that are another's.

        Of several sds of a pattern none may have another sign than the rest.
        """
        tied = self.priors.tied
        one_sign = {
            (f, c)
            for (f, columns), own in zip(self.model.shape.terms, self._patterns, strict=True)
            for c in columns
            if own is not None and not own.hom
        }
        return [
            [
                SignedScale(float(unit))
                if _is_positive(law) and (f, c) not in one_sign
                else _support(law, positive=True)
                for c, (law, unit) in enumerate(zip(laws, units, strict=True))
                if (f, c) not in tied
            ]
            for f, (laws, units) in enumerate(zip(self.priors.sd, self.first_sds, strict=True))
        ]

    @cached_property
    def _patterns(self) -> list[Patterned | None]:
        """Per covariance term its pattern, None of a full covariance."""
        found: list[Patterned | None] = []
        for own in self.model.shape.structures:
            assert own is None or isinstance(own, Patterned)
            found.append(own)
        return found

    @cached_property
    def beta_supports(self) -> list[Support] | None:
        """Those of coefficients, at centred predictors; None where none has an end."""
        if all(law.bounds() == REAL for law in self.priors.beta):
            return None
        return [_support(law) for law in self.priors.beta]

    @cached_property
    def family_supports(self) -> list[list[Support]]:
        """Per further parameter those of its coordinates: one, or of K thresholds.

        Thresholds that increase are the first one and the steps between them.
        """
        found = []
        for law, parameter in zip(self.laws, self.model.further, strict=True):
            if parameter.prior != "cuts":
                found.append([_support(law, within=parameter.bounds)])
            else:
                step = Support(0.0, math.inf) if parameter.increasing else Support(*REAL)
                found.append([Support(*REAL), *[step] * (self.model.n_cuts - 1)])
        return found

    @property
    def n_correlations(self) -> list[int]:
        """Correlations of each covariance term that are coordinates."""
        sizes = [len(columns) for _, columns in self.model.shape.terms]
        return [
            q * (q - 1) // 2 if own is None else len(own.correlation_names)
            for q, own in zip(sizes, self._patterns, strict=True)
        ]

    @property
    def size(self) -> int:
        """Number of coordinates d."""
        sds = sum(len(supports) for supports in self.sd_supports)
        family = sum(len(supports) for supports in self.family_supports)
        return sds + sum(self.n_correlations) + family + self.model.X.shape[1]

    def recorded(self, tape: Recorder, given: Sequence[Recorded]) -> Parameters:
        """Write the parameters of coordinates ``given`` (d,) on a tape."""
        rest = iter(given)
        log_prior: Numbers = []
        sds = []
        for f, (supports, laws) in enumerate(zip(self.sd_supports, self.priors.sd, strict=True)):
            free = [c for c in range(len(laws)) if (f, c) not in self.priors.tied]
            drawn = {
                c: self._drawn_from(s, laws[c], next(rest), log_prior)
                for c, s in zip(free, supports, strict=True)
            }
            sds.append([drawn[self._first_of(f, c)] for c in range(len(laws))])
        correlations = self._correlations(rest, log_prior)
        family = self._family(rest, log_prior)
        beta, v = self._coefficients(list(rest), log_prior)
        return Parameters(
            sds=tuple(sds),
            roots=tuple(self._roots(sds, correlations)),
            beta=beta,
            v=v,
            family=family,
            shown=self._shown(family, beta),
            log_prior=tape.shared(sum(log_prior)),
        )

    @staticmethod
    def _drawn_from(support: Support | SignedScale, law: Prior, x: Any, log_prior: Numbers) -> Any:
        value = support.value(x)
        size = abs(value) if isinstance(support, SignedScale) else value
        log_prior += [law.log_density(size), support.log_slope(x)]
        return value

    def _first_of(self, f: int, c: int) -> int:
        """Return the column of a factor whose sd is that of column c."""
        if (f, c) not in self.priors.tied:
            return c
        return next(columns[0] for g, columns in self.model.shape.terms if g == f and c in columns)

    def _correlations(self, rest: Any, log_prior: Numbers) -> list[list[Numbers] | None]:
        """Cholesky factors of the correlation matrices, as in ``coordinates.py``."""
        found: list[list[Numbers] | None] = []
        terms = zip(self.model.shape.terms, self.priors.lkj, self._patterns, strict=True)
        for t, ((_, columns), eta, own) in enumerate(terms):
            q = len(columns)
            if own is not None:
                laws = [law for law in self.priors.patterns[t] if law is not None]
                r = [self._drawn_from(_support(law), law, next(rest), log_prior) for law in laws]
                found.append(triangle_of(own, r))
                continue
            if q == 1:
                found.append(None)
                continue
            assert eta is not None
            shapes = iter(beta_shapes(q, eta).tolist())
            rows: list[Numbers] = [[1.0]]
            for i in range(1, q):
                row, log_left = [], 0.0
                for _ in range(i):
                    x, shape = next(rest), next(shapes)
                    # log(1 - z^2) of z = tanh(x), without loss of digits
                    log_rest = math.log(4.0) + _log_expit(2.0 * x) + _log_expit(-2.0 * x)
                    row.append((2.0 * _expit(2.0 * x) - 1.0) * np.exp(0.5 * log_left))
                    log_left = log_left + log_rest
                    constant = float(betaln(shape, shape)) + (2 * shape - 1) * math.log(2)
                    log_prior.append(shape * log_rest - constant)
                rows.append([*row, np.exp(0.5 * log_left)])
            found.append(rows)
        return found

    def _roots(
        self, sds: Sequence[Numbers], correlations: Sequence[list[Numbers] | None]
    ) -> list[list[Numbers]]:
        roots = [[[0.0] * q for _ in range(q)] for q in self.model.shape.sizes]
        for (factor, columns), rows in zip(self.model.shape.terms, correlations, strict=True):
            for i, a in enumerate(columns):
                for k, b in enumerate(columns[: i + 1]):
                    R = 1.0 if rows is None else rows[i][k]
                    if not (isinstance(R, float) and R == 0.0):
                        roots[factor][a][b] = sds[factor][a] * R
        return roots

    def _family(self, rest: Any, log_prior: Numbers) -> dict[str, Any]:
        found: dict[str, Any] = {}
        every = zip(self.laws, self.model.further, self.family_supports, strict=True)
        for law, parameter, supports in every:
            if parameter.prior != "cuts":
                value = self._drawn_from(supports[0], law, next(rest), log_prior)
                found[parameter.name] = value
                continue
            cuts: Numbers = []
            for support in supports:
                x = next(rest)
                step = support.value(x)
                cuts.append(cuts[-1] + step if cuts and parameter.increasing else step)
                log_prior += [law.log_density(cuts[-1]), support.log_slope(x)]
            if parameter.increasing:  # the order of K independent draws
                log_prior.append(math.lgamma(len(cuts) + 1))
            found[parameter.name] = tuple(cuts)
        return found

    def _coefficients(self, given: Numbers, log_prior: Numbers) -> tuple[Numbers, Numbers]:
        """Coefficients on the user's scale and in the basis of the model."""
        model, priors = self.model, self.priors
        at, centre = priors.intercept, priors.centre
        if self.beta_supports is not None:
            pairs = zip(self.beta_supports, priors.beta, given, strict=True)
            beta = [self._drawn_from(s, law, x, log_prior) for s, law, x in pairs]
            if at is not None:
                beta[at] = beta[at] - combined(centre, beta)
            return beta, [combined(row, beta) for row in np.linalg.inv(model.x_basis)]
        beta = [combined(row, given) for row in model.x_basis]
        for k, law in enumerate(priors.beta):
            own = beta[k] if k != at else beta[k] + combined(centre, beta)
            log_prior.append(law.log_density(own))
        if given:
            log_prior.append(float(np.linalg.slogdet(model.x_basis)[1]))
        return beta, given

    def _shown(self, family: dict[str, Any], beta: Numbers) -> dict[str, Any]:
        """Further parameters, with thresholds where predictors are zero."""
        if not self.model.n_cuts:
            return family
        moved = combined(self.model.centre, beta)
        return {
            name: tuple(cut + moved for cut in value) if isinstance(value, tuple) else value
            for name, value in family.items()
        }

    def start(self, family: dict[str, Any], v: FloatArray) -> FloatArray:
        """Return coordinates (d,) of further parameters and coefficients, to begin with.

        Sds are half a unit of eta, correlations zero.
        """
        tied = self.priors.tied
        found = [
            support.coordinate(float(sd))
            for f, (supports, own) in enumerate(zip(self.sd_supports, self.first_sds, strict=True))
            for support, sd in zip(
                supports, [sd for c, sd in enumerate(own) if (f, c) not in tied], strict=True
            )
        ]
        for n, own, laws in zip(
            self.n_correlations, self._patterns, self.priors.patterns, strict=True
        ):
            if own is None:
                found += [0.0] * n
            else:
                found += [_support(law).coordinate(0.0) for law in laws if law is not None]
        for parameter, supports in zip(self.model.further, self.family_supports, strict=True):
            values = np.atleast_1d(family[parameter.name])
            if parameter.increasing:
                values = np.append(values[:1], np.diff(values))
            found += [s.coordinate(float(x)) for s, x in zip(supports, values, strict=True)]
        return np.array([*found, *self._coefficient_starts(v)])

    def _coefficient_starts(self, v: FloatArray) -> list[float]:
        if self.beta_supports is None:
            return [float(x) for x in v]
        beta = self.model.x_basis @ v
        if self.priors.intercept is not None:
            beta[self.priors.intercept] += self.priors.centre @ beta
        return [s.coordinate(float(x)) for s, x in zip(self.beta_supports, beta, strict=True)]


def _is_positive(law: Prior) -> bool:
    """Whether an sd may be anything above zero."""
    low, high = law.bounds()
    return low <= 0 and high == math.inf


def _support(law: Prior, *, positive: bool = False, within: tuple[float, float] = REAL) -> Support:
    low, high = law.bounds()
    low, high = max(low, within[0]), min(high, within[1])
    return Support(max(low, 0.0) if positive else low, high)


def combined(weights: FloatArray, values: Sequence[Any]) -> Any:
    """Return the sum of weights (k,) times values, without those that are zero."""
    total: Any = 0.0
    for weight, value in zip(weights.tolist(), values, strict=True):
        if weight and not (isinstance(value, float) and value == 0.0):
            total = total + weight * value
    return total
