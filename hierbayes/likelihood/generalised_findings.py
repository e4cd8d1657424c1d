"""What is said of a generalised fit: dropped columns, boundary, separation, spread of responses.

The spread is judged by Pearson's statistic: squared residuals over the variance the family gives
them, the random effects at their modes, summed. It is about chi-squared with rows minus parameters
degrees of freedom where means are not small.

Source: McCullagh & Nelder (1989), section 4.5; Albert & Anderson (1984), Biometrika 71:1
(separation).
"""

import numpy as np
from scipy.special import chdtrc

from hierbayes.arrays import record
from hierbayes.families.mean_ends import mean_ends
from hierbayes.families.psychometric import KAPPA
from hierbayes.gaussian.covariance import term_covariances
from hierbayes.gaussian.products import covariance_shape
from hierbayes.likelihood.convergence import boundary_finding
from hierbayes.likelihood.glmm import GlmmOptimum
from hierbayes.results.design_findings import design_findings
from hierbayes.results.finding import Finding
from hierbayes.results.fit_tables import fixed_part_of
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.mean_findings import chance_of_impossible, impossible_means
from hierbayes.specification.specification import Specification
from hierbayes.wording import listed

# A spread is worth a word where it is this much above the family's and clearly not chance.
WIDE = 1.5
SURE = 1e-3
# Families whose spread is given by their mean, and what has one of its own in their place.
WIDER = {"poisson": "negativebinomial", "binomial": "beta_binomial"}
# What a family becomes where a parameter goes to infinity.
SIMPLER = {
    ("negativebinomial", "alpha"): "poisson",
    ("beta_binomial", "kappa"): "binomial",
    ("t", "nu"): "gaussian",
}
POSTERIOR = "in the posterior, model.sample(), the prior keeps it finite."


def generalised_findings(fit: GeneralisedFit, found: GlmmOptimum) -> tuple[Finding, ...]:
    """Return the findings of a fit that ended at ``found``, in order."""
    spec = fit.spec
    return (
        *design_findings(spec.design, list(fit.dropped_columns)),
        *_boundary(spec, found),
        *_separated(spec, found),
        *_flat(spec, found),
        *_unsettled(found),
        *_spread(fit),
        *_impossible(fit),
    )


def _impossible(fit: GeneralisedFit) -> tuple[Finding, ...]:
    """Say where new levels may have means that the family does not have."""
    if not fit.design.factors or mean_ends(fit.response_family) is None:
        return ()
    pairs = zip(fit.design.summands.factors, fit.effect_roots, strict=True)
    variance = sum(((factor.z @ root) ** 2).sum(axis=1) for factor, root in pairs)
    eta = fixed_part_of(fit, fit.design.summands)
    return impossible_means(fit.spec, chance_of_impossible(fit.spec, eta, np.asarray(variance)))


def _boundary(spec: Specification, found: GlmmOptimum) -> list[Finding]:
    design, spread = spec.design, f"chance in responses of family={spec.family.name!r}"
    covariances = term_covariances(covariance_shape(design), found.theta, 1.0)
    return [
        boundary_finding(design, i, covariances[i], spread=spread) for i in found.singular_terms
    ]


def _separated(spec: Specification, found: GlmmOptimum) -> list[Finding]:
    """Coefficients and sds without a finite maximum."""
    findings = []
    label = spec.design.formula.response_label
    if found.runaway_columns:
        names = [spec.design.coef_names[spec.kept_columns[i]] for i in found.runaway_columns]
        one = len(names) == 1
        findings.append(
            Finding(
                "separation",
                f"The coefficient{'' if one else 's'} of {listed(names)} "
                f"{'has' if one else 'have'} no finite estimate: along "
                f"{'it' if one else 'them'} the response {label} is separated (all of one kind, "
                "or 0 in every row).",
                "The likelihood rises for ever; the numbers shown are where the search stopped, "
                f"and their standard errors mean nothing. Leave the predictor out, or "
                f"{POSTERIOR}",
                {"columns": tuple(names)},
            )
        )
    for i in found.runaway_terms:
        term = spec.design.terms[i]
        name = spec.design.factors[term.factor].name
        findings.append(
            Finding(
                "separation",
                f"The sd of {term.label} has no finite estimate: within the levels of {name} the "
                f"response {label} hardly varies.",
                f"The likelihood rises for ever with it. Leave the term out, or {POSTERIOR}",
                {"term": term.label},
            )
        )
    return findings


def _flat(spec: Specification, found: GlmmOptimum) -> list[Finding]:
    """Further parameters that went where the likelihood no longer depends on them."""
    findings = []
    for name in found.flat_parameters:
        curve = spec.family.curve
        if curve is not None:
            findings.append(_flat_rate(name, found.dispersion[name]))
            continue
        simpler = SIMPLER.get((spec.family.name, name)) if spec.family.is_builtin else None
        findings.append(
            Finding(
                "flat_parameter",
                f"{name} of family={spec.family.name!r} went to {found.dispersion[name]:.3g}, "
                "where the likelihood no longer depends on it: it has no finite estimate and no "
                "standard error.",
                f"family={simpler!r} is the same model without it."
                if simpler
                else f"The data do not need it; {POSTERIOR}",
                {"parameter": name, "value": found.dispersion[name]},
            )
        )
    return findings


def _flat_rate(name: str, value: float) -> Finding:
    """Say that a psychometric function needs no such parameter."""
    if name == KAPPA:
        sentence = "The responses vary no more than binomial ones: kappa has no finite estimate."
        advice = "overdispersed=False is the same model without it."
    else:
        sentence = f"The {name} rate is estimated as zero, the end of its range."
        advice = (
            f"{name}=0 is the same model; standard errors and limits take it as known. In the "
            "posterior, model.sample(), it is as small as its prior and the data allow."
        )
    return Finding("flat_parameter", sentence, advice, {"parameter": name, "value": value})


def _unsettled(found: GlmmOptimum) -> list[Finding]:
    if found.converged or found.runaway_columns or found.runaway_terms:
        return []
    return [
        Finding(
            "suspect",
            "The search for the maximum did not settle: one more step would still raise the "
            f"log-likelihood by {found.decrement / 2:.2g}.",
            "Treat the estimates as approximate; check for a predictor that is nearly constant or "
            "nearly a copy of another, or simplify the random effects.",
            {"decrement": found.decrement},
        )
    ]


@record
class Spread:
    """Pearson's statistic of a fit, its degrees of freedom, and what to do where it is large."""

    statistic: float
    df: int
    remedy: str

    @property
    def ratio(self) -> float:
        """How many times as much as the family says the responses vary."""
        return self.statistic / self.df

    @property
    def is_wide(self) -> bool:
        """Whether that is worth a word, and no chance."""
        return self.ratio >= WIDE and bool(chdtrc(self.df, self.statistic) <= SURE)


def pearson_spread(fit: GeneralisedFit) -> Spread | None:
    """Return how much responses vary given the random effects; None where it says nothing.

    The spread of some families has a parameter of its own, and that of 0 and 1 follows from the
    mean, whatever the model.
    """
    curve = fit.response_family.curve
    other = WIDER.get(fit.family) if fit.response_family.is_builtin else None
    remedy = f"take family={other!r}"
    if curve is not None and not curve.is_overdispersed:
        other, remedy = fit.family, "let them vary more, overdispersed=True"
    if other is None or fit.df_residual < 1:
        return None
    if fit.response_family.counts_trials and fit.row_parameters["trials"].max() == 1:
        return None
    squares = fit.summand_residuals("pearson") ** 2
    known = fit.design.summands.counts
    counts = np.ones(squares.size, dtype=np.intp) if known is None else known
    df = int(fit.df_residual) - int(counts[np.isnan(squares)].sum())  # no trials say nothing
    statistic = float(np.nansum(counts * squares))
    return Spread(statistic=statistic, df=df, remedy=remedy) if df > 0 else None


def _spread(fit: GeneralisedFit) -> list[Finding]:
    """Responses that vary more than their family says."""
    found = pearson_spread(fit)
    if found is None or not found.is_wide:
        return []
    label = fit.design.formula.response_label
    return [
        Finding(
            "overdispersion",
            f"{label} varies {found.ratio:.1f} times as much as family={fit.family!r} says "
            f"(Pearson's statistic {found.statistic:.4g} on {found.df} degrees of freedom).",
            "Standard errors are too small then. Give every row an effect of its own, (1 | row) "
            f"with a column that numbers the rows, or {found.remedy}.",
            {"ratio": found.ratio, "statistic": found.statistic, "df": found.df},
        )
    ]
