"""REML, ML and posterior fits of one model beside each other, with a reason for each difference.

Posteriors of different formulas are compared by what they predict instead (``elpd.py``).
"""

import re
from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from hierbayes.calls import checked_call
from hierbayes.comparison.comparison_table import comparison_table
from hierbayes.comparison.elpd import compare_elpd, compare_results
from hierbayes.comparison.same_data import aligned
from hierbayes.design.design import Design
from hierbayes.errors import DataError, OptionError
from hierbayes.options import IntervalKind, check_option
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.priors.parameter_names import Parameter
from hierbayes.results.comparison import (
    ComparedFit,
    Comparison,
    ElpdComparison,
    KFold,
    Loo,
    likelihood_fits,
    posterior_fits,
)
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.tidy import check_level
from hierbayes.wording import shown

PURPOSE = "their estimates do not belong beside each other"
KINDS = {"eti": "equal-tailed", "hdi": "highest-density"}
SAMPLERS = {"collapsed": "the collapsed sampler", "nuts": "NUTS"}
METHODS = {"reml": "REML", "ml": "ML"}


@checked_call("hb.compare")
def compare(
    *fits: Fit | Loo | KFold,
    level: float = 0.95,
    kind: IntervalKind = "eti",
    names: Sequence[str] | None = None,
    by: Any = None,
) -> Comparison | ElpdComparison:
    """Compare fits of one model by REML, ML and as posteriors, parameter by parameter.

    Posteriors of different formulas on the same data are compared by leave-one-out prediction, and
    so are results of ``hb.loo`` or of ``hb.kfold``.

    Parameters
    ----------
    *fits : LikelihoodFit, PosteriorFit, or all Loo, or all KFold
        Two or more, of the same rows and response.
    level : float
        Level of all intervals: Wald confidence intervals of REML and ML, credible intervals of
        posteriors.
    kind : {"eti", "hdi"}
        Equal-tailed or shortest credible intervals.
    names : names of the fits for the text; "REML", "ML", "posterior" unless said
    by : a grouping factor, a column or labels of the rows
        For posteriors of different formulas: leave whole groups out; see ``hb.loo``.

    Returns
    -------
    Comparison or ElpdComparison
        Prints, shows as HTML in a notebook, and ``to_frame()`` holds all numbers.

    Raises
    ------
    DataError
        If rows, responses, predictors, weights or formulas differ, naming the difference.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> table = hb.compare(model.fit("reml"), model.fit("ml"), model.sample(random_seed=1))
    >>> table.to_frame()[["ml_estimate", "reml_estimate"]].round(1).loc["sd((Intercept)|Batch)"]
    ml_estimate      37.3
    reml_estimate    42.0
    Name: sd((Intercept)|Batch), dtype: float64
    """
    check_level(level)
    check_option("kind", kind, IntervalKind)
    if fits and all(isinstance(given, (Loo, KFold)) for given in fits):
        return _of_results(fits, names, by)
    given = aligned(_checked_fits(fits), purpose=PURPOSE)
    labels = _checked_names(names, len(given))
    if len({fit.spec.model_text for fit in given}) > 1 or by is not None:
        if not _are_posteriors(given):
            raise DataError(_formulas_differ(given, by))
        return compare_elpd(given, names=labels, by=by)
    _check_same_model(given)
    named = _named(given, labels)
    table = comparison_table(named, level=level, kind=kind)
    first = given[0]
    return Comparison(
        table=table,
        fits=tuple(named),
        formula_text=first.formula_text,
        data_name=first.data_name,
        n_obs=first.nobs,
        n_groups=first.n_groups,
        intervals=_intervals(named, level, kind),
        priors=_priors(posterior_fits(named)),
        samplers=tuple(map(_sampler, posterior_fits(named))),
        shift_of=_shift_of(named),
        level=level,
        findings=tuple((own.name, finding) for own in named for finding in own.fit.findings),
    )


def _of_results(results: tuple[Any, ...], names: Any, by: Any) -> ElpdComparison:
    if len(results) < 2:
        raise OptionError("compare needs two or more results; it got 1.")
    if by is not None:
        raise OptionError("by= was said to hb.loo or hb.kfold; leave it out here.")
    return compare_results(results, names=_checked_names(names, len(results)))


def _checked_fits(given: tuple[Any, ...]) -> tuple[Fit, ...]:
    for fit in given:
        if isinstance(fit, (list, tuple)):
            raise OptionError(
                "compare takes the fits one by one, compare(reml, post), not as a "
                f"{type(fit).__name__}."
            )
        if not isinstance(fit, Fit):
            raise OptionError(
                "compare takes fits, model.fit(...) or model.sample(...); it got "
                f"{type(fit).__name__} {fit!r:.40}."
            )
    if len(given) < 2:
        raise OptionError(f"compare needs two or more fits; it got {len(given)}.")
    return given


def _checked_names(names: Any, count: int) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not isinstance(names, str) and isinstance(names, Sequence):
        labels = tuple(names)
        if len(labels) == count == len(set(labels)) and all(
            isinstance(label, str) and label for label in labels
        ):
            return labels
    raise OptionError(f"names={shown(names)} must be {count} different names, one a fit.")


def _are_posteriors(fits: tuple[Fit, ...]) -> TypeGuard[tuple[PosteriorFit, ...]]:
    return all(isinstance(fit, PosteriorFit) for fit in fits)


def _formulas_differ(fits: tuple[Fit, ...], by: Any) -> str:
    formulas = list(dict.fromkeys(fit.spec.model_text for fit in fits))
    if len(formulas) == 1:
        return (
            f"by={shown(by)} leaves groups out of posteriors; some of these fits are by REML or ML."
        )
    text = f"The fits have different formulas ({formulas[0]} and {formulas[1]})."
    if all(isinstance(fit, LikelihoodFit) for fit in fits):
        return f"{text} hb.anova compares REML and ML fits of different formulas."
    return (
        f"{text} Fits by REML or ML and posteriors are compared parameter by parameter, so fit "
        "one formula both ways; posteriors alone, compare(a, b), are compared by their predictions."
    )


def _check_same_model(fits: tuple[Fit, ...]) -> None:
    """Raise DataError naming what differs between designs of the same formula."""
    first = fits[0]
    for fit in fits[1:]:
        if fit.design.coef_names != first.design.coef_names:
            other = next(c for c in fit.design.coef_names if c not in first.design.coef_names)
            raise DataError(
                f"The fits code their factors differently ({other} is a coefficient of one only), "
                f"so {PURPOSE}."
            )
        if fit.spec is not first.spec:
            _check_same_columns(fit.design.summands, first.design.summands)
        for what in ("family", "link"):
            a, b = getattr(first, what), getattr(fit, what)
            if a != b:
                called = "response families" if what == "family" else "links"
                raise DataError(f"The fits have different {called} ({a} and {b}), so {PURPOSE}.")


def _check_same_columns(a: Design, b: Design) -> None:
    """Raise DataError naming what differs between the columns of two designs."""
    if not np.array_equal(a.X, b.X):
        raise DataError(f"The fits have different values of their predictors, so {PURPOSE}.")
    for own, other in zip(a.factors, b.factors, strict=True):
        if not (np.array_equal(own.codes, other.codes) and np.array_equal(own.z, other.z)):
            raise DataError(f"The fits group rows by {own.name} differently, so {PURPOSE}.")
    for what in ("weights", "offset", "known_sd"):
        x, y = getattr(a, what), getattr(b, what)
        if (x is None) != (y is None) or (x is not None and not np.array_equal(x, y)):
            raise DataError(f"The fits have different {what}, so {PURPOSE}.")


def _named(fits: tuple[Fit, ...], names: tuple[str, ...] | None) -> list[ComparedFit[Fit]]:
    """Name the fits and put them in the order of the table: ML, REML, posteriors."""
    methods = [METHODS.get(fit.method, "posterior") for fit in fits]
    found = []
    for i, (fit, method) in enumerate(zip(fits, methods, strict=True)):
        number = f" {methods[: i + 1].count(method)}" if methods.count(method) > 1 else ""
        name = f"{method}{number}" if names is None else names[i]
        prefix = re.sub(r"\W+", "_", name.lower()).strip("_") or f"fit_{i + 1}"
        found.append(ComparedFit(name=name, prefix=prefix, fit=fit))
    if len({own.prefix for own in found}) < len(found):
        raise OptionError(f"names={shown(names)} must differ in more than case and punctuation.")
    order = {"ml": 0, "reml": 1, "posterior": 2}
    return sorted(found, key=lambda own: order[own.fit.method])


def _intervals(fits: list[ComparedFit[Fit]], level: float, kind: IntervalKind) -> tuple[str, ...]:
    lines = []
    percent = f"{100 * level:g} %"
    likelihood = [own.name for own in likelihood_fits(fits)]
    if likelihood:
        lines.append(
            f"{' and '.join(likelihood)}: {percent} Wald confidence intervals and p of the fixed "
            f"effects, {_how(fits[0].fit)}; none for sds and correlations"
        )
    posterior = [own.name for own in posterior_fits(fits)]
    if posterior:
        lines.append(f"{' and '.join(posterior)}: {percent} {KINDS[kind]} credible intervals")
    return tuple(lines)


def _how(fit: Fit) -> str:
    if fit.response_family.is_linear:
        return "with Satterthwaite's degrees of freedom"
    return "with normal quantiles"


def _priors(posteriors: list[ComparedFit[PosteriorFit]]) -> tuple[str, ...]:
    """One line a prior; where posteriors differ in it, a line for each with its name."""
    if not posteriors:
        return ()
    lines = []
    laws_of = [own.fit.priors for own in posteriors]
    same = all(own.formulas.keys() == laws_of[0].formulas.keys() for own in laws_of)
    for parameter in laws_of[0].all_parameters if same else laws_of[0].parameters:
        laws = [prior_text(own.fit.priors, parameter) for own in posteriors]
        if len(set(laws)) == 1:
            lines.append(f"{parameter.name} ~ {laws[0]}")
            continue
        lines += [
            f"{parameter.name} ~ {law} ({own.name})"
            for own, law in zip(posteriors, laws, strict=True)
        ]
    return tuple(lines)


def prior_text(priors: ModelPriors, parameter: Parameter) -> str:
    """Write a prior; that of the intercept says where the intercept is taken."""
    law = str(priors.of(parameter))
    own = priors.formulas[parameter.formula] if parameter.formula else priors
    is_intercept = parameter.kind == "beta" and parameter.place[0] == own.intercept
    if is_intercept and np.any(own.centre):
        law += " at the mean of the predictors"
    return law


def _sampler(own: ComparedFit[PosteriorFit]) -> str:
    fit = own.fit
    each = fit.n_draws // fit.n_chains
    by = SAMPLERS.get(fit.sampler, fit.sampler)
    return f"{own.name}: {fit.n_chains} x {each} draws by {by}"


def _shift_of(fits: list[ComparedFit[Fit]]) -> str:
    likelihood = likelihood_fits(fits)
    return likelihood[-1].name if likelihood else ""
