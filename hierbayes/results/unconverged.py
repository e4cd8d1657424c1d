"""The finding of what is computed from draws that are not (yet) those of the posterior."""

from hierbayes.results.finding import Finding
from hierbayes.results.posterior_fit import PosteriorFit


def unconverged(fit: PosteriorFit, what: str) -> tuple[Finding, ...]:
    """Say so where they are not; ``what`` is as doubtful as they are."""
    if fit.converged:
        return ()
    return (
        Finding(
            "not_converged",
            "The draws are not (yet) those of the posterior.",
            f"See the findings of the fit; {what} is as doubtful as they are.",
        ),
    )
