"""Means on the scale of the response, and the scale on which they are contrasted.

With eta a row's linear predictor for the typical group, its expected response is mu(eta), or, over
groups that have not been seen, the mean of mu(eta + s u) over u ~ N(0, 1), with s^2 = z'Sigma z
summed over the grouping factors (by Gauss-Hermite quadrature): the curve bends, so the mean of all
groups is not that of the typical one. Contrasts are differences of t(mu), with t the identity, the
log (ratios) or the log odds (odds ratios); the last two are shown as exp of that. With the log link
the log of a typical mean is eta itself, with the logit link its log odds.

Source: Lenth (2016), J. Stat. Softw. 69(1) (ratios, odds ratios, and the adjustment for bias, there
to second order).
"""

from collections.abc import Callable

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.errors import OptionError
from hierbayes.families.family import Family
from hierbayes.families.mean_ends import chance_of_no_mean, eta_ends, no_responses_there
from hierbayes.options import ComparisonKind, ContrastKind

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
OWN_LINK: dict[ContrastKind, str] = {"ratio": "log", "odds_ratio": "logit"}
FAR = 30.0  # eta far from where links bend: mu is near the ends of its range there
NEVER = 1e-9  # probability of an impossible mean from which there is no mean of all groups
Curve = Callable[[FloatArray], FloatArray]


@record
class ResponseScale:
    """Expected responses of a fit, and how they are contrasted.

    Attributes
    ----------
    expected : the expected response at eta, of any shape
    family : of the response, with its link
    kind : {"difference", "ratio", "odds_ratio"}
    spread : array, (r,) or (S, r), sd of eta between groups; None for the typical group
    """

    expected: Curve
    family: Family
    kind: ContrastKind
    spread: FloatArray | None = None

    def means(self, eta: FloatArray) -> FloatArray:
        """Return expected responses at eta, (r,) or (S, r).

        Raises
        ------
        DataError
            If groups are averaged over that have impossible means.
        """
        return self._averaged(eta, self.expected)

    def contrasted(self, eta: FloatArray) -> FloatArray:
        """Return what contrasts are differences of: t of the means at eta, (r,) or (S, r).

        Raises
        ------
        OptionError
            If a mean has no log.
        """
        if self._is_eta:
            return eta
        return to_contrast(self.means(eta), self.kind)

    def slopes(self, eta: FloatArray, slope: Curve) -> tuple[FloatArray, FloatArray]:
        """Return the derivatives of ``means`` and of ``contrasted``, (r, 1 + K) each.

        ``slope`` has those of ``expected`` in eta and in K thresholds.
        """
        of_means = self._averaged(eta, slope)
        if self._is_eta:
            return of_means, np.ones((eta.size, 1))
        if self.kind == "difference":
            return of_means, of_means
        mu = self.means(eta)[:, None]
        return of_means, of_means / (mu if self.kind == "ratio" else mu * (1 - mu))

    def shown(self, values: FloatArray) -> FloatArray:
        """Return differences on the scale of contrasts as tables show them."""
        return values if self.kind == "difference" else np.exp(values)

    @property
    def _is_eta(self) -> bool:
        own = self.family.has_expectation and self.family.link.name == OWN_LINK.get(self.kind)
        return self.spread is None and own

    def _averaged(self, eta: FloatArray, curve: Curve) -> FloatArray:
        family, is_line = self.family, self.family.has_expectation and self.family.link.power == 1
        if self.spread is None or is_line:  # the mean of a line is that of the typical group
            return curve(eta)
        possible = ~(chance_of_no_mean(family, eta, self.spread) > NEVER)
        if not possible.all():
            raise no_responses_there(family, np.broadcast_to(eta, possible.shape), possible)
        ends = eta_ends(family)
        nodes = zip(NODES, WEIGHTS, strict=True)
        parts = (w * curve(np.clip(eta + node * self.spread, *ends)) for node, w in nodes)
        return np.asarray(sum(parts))


def to_contrast(means: FloatArray, kind: ComparisonKind, called: str = "means") -> FloatArray:
    """Return t of means, in their shape: what contrasts of a kind are differences of.

    Raises
    ------
    OptionError
        If one has no log.
    """
    if kind == "difference":
        return means
    known = means[~np.isnan(means)]
    if not (known > 0).all():
        raise OptionError(
            f"kind={kind!r} needs {called} above zero; one is {known.min():.3g}. Ask for "
            "kind='difference'."
        )
    return np.log(means) - (np.log1p(-means) if kind == "odds_ratio" else 0.0)


def check_kind(kind: ComparisonKind, family: Family, *, of_categories: bool = False) -> None:
    """Refuse ratios of means that may be negative, and odds of what is no probability.

    ``of_categories`` says that the means are probabilities of ordered categories.

    Raises
    ------
    OptionError
    """
    if kind == "difference" or of_categories:
        return
    if family.predictor_is_expectation:
        raise OptionError(
            f"kind={kind!r} is for means that can't be negative; of this model they can. Take the "
            "log of the response for ratios."
        )
    if family.is_ordinal:
        raise OptionError(
            f"kind={kind!r}: the mean of ordered categories is a number of a category, which has "
            "no ratios; type='probability' has them. With the logit link differences of "
            "type='link' are log odds ratios."
        )
    low, high = family.mean(np.array([-FAR, FAR])).tolist()
    if kind in ("odds_ratio", "risk_ratio") and not (min(low, high) >= 0 and max(low, high) <= 1):
        raise OptionError(
            f"kind={kind!r} is for probabilities; the means of family={family.name!r} with "
            f"link={family.link.name!r} are none. Ask for kind='ratio'."
        )
