"""A finding: a condition of a fit, in words, with the numbers behind it and what to do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hierbayes.errors import (
    BoundaryWarning,
    ConvergenceWarning,
    DesignWarning,
    HierBayesWarning,
    RankDeficientWarning,
)
from hierbayes.wording import warn

WARNING_OF: dict[str, type[HierBayesWarning]] = {
    "boundary": BoundaryWarning,
    "residual_sd_at_zero": BoundaryWarning,
    "suspect": ConvergenceWarning,
    "rank_deficient": RankDeficientWarning,
    "r_hat": ConvergenceWarning,
    "low_ess": ConvergenceWarning,
    "divergences": ConvergenceWarning,
    "pareto_k": ConvergenceWarning,
    "quadrature_error": ConvergenceWarning,
    "fallback_to_nuts": ConvergenceWarning,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition met while building or fitting a model.

    Attributes
    ----------
    code : stable identifier, for example ``"boundary"``
    sentence : what was found, in one sentence
    advice : what it means and what to do about it
    numbers : the figures behind the sentence, by name
    """

    code: str
    sentence: str
    advice: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return sentence and advice."""
        return f"{self.sentence} {self.advice}".strip()


def issue(findings: Iterable[Finding]) -> None:
    """Issue each finding as a warning of its class, pointing at the caller's line."""
    for finding in findings:
        warn(str(finding), WARNING_OF.get(finding.code, DesignWarning))
