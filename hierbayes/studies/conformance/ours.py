"""Our own fit of a reference's model, and its numbers under the reference's names."""

from collections.abc import Iterator, Mapping

from hierbayes.datasets import load_dataset
from hierbayes.model.model import Model
from hierbayes.options import Ddf
from hierbayes.priors import distributions
from hierbayes.priors.lkj import LKJ
from hierbayes.results.chains import errors_of_means
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.studies.conformance.references import Reference

Numbers = Mapping[str, float]
SEED = 1
PRIORS = {"LKJ": LKJ} | {
    name: getattr(distributions, name) for name in ("Normal", "HalfStudentT", "Exponential")
}
DDF: dict[str, Ddf] = {"Satterthwaite": "satterthwaite", "Kenward-Roger": "kenward-roger"}


def our_fit(reference: Reference) -> LikelihoodFit | PosteriorFit:
    """Fit a reference's model to its data by its method."""
    priors = {name: PRIORS[law](*numbers) for name, (law, *numbers) in reference.priors.items()}
    model = Model(
        reference.formula,
        load_dataset(reference.data),
        reference.family,
        reference.link,
        priors=priors or None,
        data_name=reference.data,
        **reference.options,
    )
    if reference.method == "posterior":
        return model.sample(random_seed=SEED, progress=False)
    linear = reference.method in ("REML", "ML")
    return model.fit(reference.method.lower() if linear else None, reference.n_quadrature)  # type: ignore[arg-type]


def our_numbers(fit: LikelihoodFit | PosteriorFit, kind: str) -> Numbers:
    """Return the numbers of one kind, by name.

    Parameters
    ----------
    fit : as of ``our_fit``
    kind : a kind of quantity of the references
    """
    if isinstance(fit, PosteriorFit):
        return dict(_posterior_numbers(fit, kind.removeprefix("posterior ")))
    if kind.startswith("criterion"):
        return {"": fit.criterion}
    if kind in ("estimate", "std. error"):
        values = fit.beta if kind == "estimate" else fit.std_errors
        return dict(zip(fit.coef_names, values.tolist(), strict=True))
    if kind in ("sd", "correlation"):
        return {name: value for name, value, is_sd in _spreads(fit) if is_sd == (kind == "sd")}
    quantity, _, how = kind.partition(", ")
    if how == "profile":
        from hierbayes.intervals.confint import confint

        limits = confint(fit, method="profile")[quantity]
        return dict(zip(map(str, limits.index), limits.tolist(), strict=True))
    column = {"df": "df", "std. error": "std_error"}[quantity]
    table = fit.tidy("fixed", ddf=DDF[how]).dropna(subset="estimate")
    return dict(zip(table["term"], table[column], strict=True))


def _spreads(fit: LikelihoodFit) -> Iterator[tuple[str, float, bool]]:
    rows = fit.varcorr().to_frame()
    columns = (rows[name].tolist() for name in ("group", "term1", "term2", "sdcor"))
    for group, first, second, value in zip(*columns, strict=True):
        yield spread_name(group, first, second), value, not isinstance(second, str)


def spread_name(group: str, first: object, second: object) -> str:
    """Name a row of ``varcorr().to_frame()`` as lme4 has it."""
    if isinstance(second, str):
        return f"cor({first},{second}|{group})"
    return f"sd({first}|{group})" if isinstance(first, str) else "sigma"


def _posterior_numbers(fit: PosteriorFit, statistic: str) -> Iterator[tuple[str, float]]:
    for part in fit.parameters(("fixed", "ran_pars", "ran_vals")):
        values = getattr(part.draws, "mean" if statistic == "mean" else "std")(axis=(0, 1))
        yield from zip(part.names, values.tolist(), strict=True)


def monte_carlo_errors(fit: PosteriorFit, kind: str) -> Numbers:
    """Return the Monte-Carlo standard errors of posterior means or sds, by name."""
    found: dict[str, float] = {}
    for part in fit.parameters(("fixed", "ran_pars", "ran_vals")):
        draws = part.draws
        errors = errors_of_means(draws)
        if kind.endswith("sd"):
            squares = (draws - draws.mean(axis=(0, 1))) ** 2
            errors = errors_of_means(squares) / (2 * draws.std(axis=(0, 1)))
        found |= dict(zip(part.names, errors.tolist(), strict=True))
    return found
