"""Ours beside the references: what differs by how much, and by how much it may.

Tolerances are relative to a unit that comes with each number of a reference: the standard error of
an estimate, the width of an interval, the size of an sd. A criterion may lie below its reference,
by no more than rounding or a search that stopped early explains, and above it by less.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence

from hierbayes.arrays import record
from hierbayes.errors import HierBayesWarning
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.studies.conformance.ours import monte_carlo_errors, our_fit, our_numbers
from hierbayes.studies.conformance.references import Reference

TOLERANCES = {
    "criterion": 1e-5,  # deviance, or 1e-9 of its size
    "criterion, default search": 1e-5,
    "estimate": 1e-4,  # standard errors
    "std. error": 1e-4,  # of its size
    "sd": 1e-3,  # of its size: the surface is flat there
    "correlation": 1e-3,
    "df, Satterthwaite": 1e-3,  # of its size: lmerTest's derivatives are numerical
    "df, Kenward-Roger": 1e-3,
    "std. error, Kenward-Roger": 1e-5,
    "lower, profile": 1e-3,  # of the interval's width
    "upper, profile": 1e-3,
    "posterior mean": 4.0,  # Monte-Carlo standard errors of both sides
    "posterior sd": 4.0,
}
ABOVE, OF_SIZE = 1e-6, 1e-9  # what a criterion may lie above, absolute and of its size


@record
class Comparison:
    """One number of ours beside a reference's.

    Attributes
    ----------
    model : id of the reference
    kind, name : what it is, "estimate" of "Days"
    ours, reference : the numbers, in the units of the fit
    allowed : the largest difference that is none, in the same units
    reason : why the reference is off, where it is known to be
    """

    model: str
    kind: str
    name: str
    ours: float
    reference: float
    allowed: float
    reason: str = ""

    @property
    def difference(self) -> float:
        """Ours less the reference's."""
        return self.ours - self.reference

    @property
    def tolerances(self) -> float:
        """The difference in units of what is allowed; infinite where ours is missing."""
        size = abs(self.difference) / self.allowed
        return size if math.isfinite(size) else math.inf

    @property
    def verdict(self) -> str:
        """Say "same", "reference off" or "APART"."""
        if self.tolerances <= 1:
            return "same"
        return "reference off" if self.reason else "APART"

    def to_dict(self) -> dict[str, str | float]:
        """Return it for other programs."""
        numbers = {"ours": self.ours, "reference": self.reference, "difference": self.difference}
        about = {"model": self.model, "quantity": self.kind, "name": self.name}
        return about | numbers | {
            "allowed": self.allowed, "verdict": self.verdict, "reason": self.reason
        }  # fmt: skip


def compared(
    chosen: Sequence[Reference], *, begin: Callable[[Reference], None] = lambda _: None
) -> Iterator[Comparison]:
    """Fit the models of references and yield every number beside ours.

    Parameters
    ----------
    chosen : the references
    begin : called with each before it is fitted
    """
    for reference in chosen:
        begin(reference)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HierBayesWarning)
            yield from _numbers_of(reference)


def _numbers_of(reference: Reference) -> Iterator[Comparison]:
    fit = our_fit(reference)
    for kind, numbers in reference.numbers.items():
        ours = our_numbers(fit, kind)
        errors = monte_carlo_errors(fit, kind) if isinstance(fit, PosteriorFit) else {}
        for name, (value, unit) in numbers.items():
            here = ours.get(name, math.nan)
            allowed = TOLERANCES[kind] * math.hypot(unit, errors.get(name, 0.0))
            if kind.startswith("criterion"):
                least = ABOVE if here > value else TOLERANCES[kind]
                allowed = max(least, OF_SIZE * abs(value))
            yield Comparison(
                model=reference.id,
                kind=kind,
                name=name,
                ours=here,
                reference=value,
                allowed=allowed,
                reason=reference.off.get(kind, ""),
            )


def farthest(found: Sequence[Comparison]) -> list[Comparison]:
    """Keep, of every kind of quantity of a model, the number that lies farthest apart."""
    kept: dict[tuple[str, str], Comparison] = {}
    for one in found:
        other = kept.setdefault((one.model, one.kind), one)
        if one.tolerances > other.tolerances:
            kept[one.model, one.kind] = one
    return list(kept.values())
