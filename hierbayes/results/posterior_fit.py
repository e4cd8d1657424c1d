"""The posterior of a model: the words of a REML fit, answered from draws.

A point estimate is the posterior mean, an error the posterior sd, an interval equal-tailed unless
``kind="hdi"``. Reading never samples and never changes anything. What needs layers above this one
(prediction, densities, rendering, saving) is asked by the table of verbs. By subject: numbers and
parameters (``posterior_numbers.py``), random effects and variance components
(``posterior_effects.py``), tables (``posterior_summaries.py``), rows (``posterior_rows.py``).
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hierbayes.arrays import record
from hierbayes.calls import checked_methods
from hierbayes.errors import OptionError
from hierbayes.options import IntervalKind
from hierbayes.results import verbs
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.finding import Finding
from hierbayes.results.posterior_rows import PosteriorRows
from hierbayes.results.residual_calls import OF_POSTERIORS, check_knows_residuals
from hierbayes.results.rich_text import RichText, rich_text
from hierbayes.specification.specification import Specification

if TYPE_CHECKING:
    from xarray import DataTree


@checked_methods("fit")
@record(repr=False)
class PosteriorFit(PosteriorRows):
    """The posterior of a multilevel model, as draws.

    Attributes
    ----------
    spec : what was sampled: formula on data, design, family, priors
    draws : the draws
    findings : conditions met, in order; also issued as warnings when the model was sampled
    settings : how it was sampled: ``draws``, ``chains``, ``tune``, ``sampler``, and
        ``random_seed`` if it was a whole number
    """

    spec: Specification
    draws: PosteriorDraws
    findings: tuple[Finding, ...]
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        """Make the draws read-only: results are safe to share."""
        for draws in (self.draws, *self.draws.formulas.values()):
            for part in (draws.sd, draws.corr, draws.b, draws.family, draws.sample_stats):
                for array in part.values():
                    if isinstance(array, np.ndarray):
                        array.flags.writeable = False
            draws.beta.flags.writeable = False
            if draws.sigma is not None:
                draws.sigma.flags.writeable = False

    def _refuses(self, called: str) -> None:
        """Refuse a call that takes residuals to be independent; see ``calls.py``."""
        if self.design.residual is not None:
            check_knows_residuals(called, OF_POSTERIORS)

    # text

    def summary(
        self,
        *,
        level: float = 0.95,
        kind: IntervalKind = "eti",
        priors: bool = True,
        diagnostics: bool | None = None,
    ) -> RichText:
        """Summary in blocks: formula, priors, variance components, coefficients, findings.

        Parameters
        ----------
        level, kind : of the credible intervals; "eti" (equal tails) or "hdi" (highest density)
        priors : whether to list the priors
        diagnostics : columns of R-hat and effective sample sizes; None shows them where they say
            something (R-hat above 1.01, fewer than 400 effective draws)
        """
        options = {"level": level, "kind": kind, "priors": priors, "diagnostics": diagnostics}
        return rich_text(verbs.ask(self, "blocks", **options))

    # more

    @cached_property
    def idata(self) -> "DataTree":
        """Everything as an ``xarray.DataTree`` for ArviZ.

        Groups ``posterior``, ``sample_stats``, ``log_likelihood``, ``log_prior``,
        ``observed_data`` and ``constant_data``; computed when first asked for. Of a stream those
        without rows: ``posterior``, ``sample_stats`` and ``log_prior``.

        ArviZ refuses pictures of more than 40 panels, which many random effects soon are:
        ``az.plot_trace(fit.idata, var_names="~b_Subject")`` leaves them out, and
        ``az.rcParams["plot.max_subplots"]`` allows more.
        """
        return self.to_datatree()

    def to_datatree(self, *groups: str, random_seed: Any = None) -> "DataTree":
        """``idata`` with further groups: some of "posterior_predictive", "prior".

        Parameters
        ----------
        *groups : str
            "posterior_predictive" draws a response of the same groups with every draw; "prior"
            draws all parameters and a response from the prior.
        random_seed : int, Generator or SeedSequence
        """
        return verbs.ask(self, "datatree", groups, random_seed)

    def refit(self, y: Any, **options: Any) -> "PosteriorFit":
        """Sample the same model of another response of the rows used; options of ``sample``."""
        found: PosteriorFit = verbs.ask(self, "refit", y, **options)
        return found

    def update(self, formula: str, **options: Any) -> "PosteriorFit":
        """Sample a changed formula, R's way: ``"."`` stands for what was there."""
        found: PosteriorFit = verbs.ask(self, "update", formula, **options)
        return found


def needs_posterior(verb: str, given: object, why: str) -> OptionError:
    """Return the error of a function of posteriors that got something else."""
    got = type(given).__name__
    return OptionError(f"{verb} needs a posterior, model.sample(...); it got {got}. {why}")
