"""Power, precision, assurance and Bayes factors of designs before there are data."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd

from hierbayes.arrays import record
from hierbayes.bayes.predictive import FlatDraws, flat_draws
from hierbayes.calls import checked_call
from hierbayes.capabilities import not_supported
from hierbayes.design.table import read_table
from hierbayes.errors import DataError, OptionError
from hierbayes.families.family import Family
from hierbayes.families.named import family_named
from hierbayes.families.parameter_formulas import check_no_formulas
from hierbayes.gaussian.pattern.related import check_unrelated
from hierbayes.intervals.replicates import checked_count, checked_jobs, seeded
from hierbayes.naming.addresses import Addresses, coefficient_addresses
from hierbayes.options import Method, check_option, is_whole
from hierbayes.planning.generalised_cell import generalised_outcome
from hierbayes.planning.posterior_cell import (
    log_prior_at_zero,
    posterior_outcome,
    priors_of_study,
)
from hierbayes.planning.reml_cell import reml_outcome
from hierbayes.planning.replicated_rows import ReplicatedRows, Sizes
from hierbayes.planning.structured_cell import (
    SeriesRows,
    series_rows,
    structured_outcome,
    structured_responses,
)
from hierbayes.planning.study import Estimator, Outcome, Study
from hierbayes.planning.summary import cell_numbers
from hierbayes.prediction.simulate_formula import kept_coefficients, written_model
from hierbayes.prediction.simulate_rows import changed_parameters, estimates
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.results.design_study import SIZES, DesignStudy, checked_goals
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.tidy import check_level
from hierbayes.specification.specification import Arguments, Specification
from hierbayes.wording import counted, did_you_mean, listed, shown

Estimators = Literal["reml", "posterior", "both"]
StudyDdf = Literal["satterthwaite", "normal"]
FAMILIES = ("bernoulli", "binomial", "poisson")  # beside linear models
LEVELS = ("subjects", "items")  # sizes that are levels of a grouping factor


@checked_call("hb.design_study")
def design_study(
    model: Fit | str,
    data: Any = None,
    parameters: Mapping[str, float] | None = None,
    *,
    subjects: Any = None,
    items: Any = None,
    trials: Any = None,
    test: str | Sequence[str] | None = None,
    goals: Mapping[str, float] | None = None,
    factors: Mapping[str, str] | None = None,
    estimator: Estimators = "reml",
    ddf: StudyDdf = "satterthwaite",
    level: float = 0.95,
    bf: float = 10.0,
    nsim: int = 1000,
    family: str | Family = "gaussian",
    link: str | None = None,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, str] | None = None,
    known_sd: Any = None,
    priors: Any = None,
    random_seed: Any = None,
    n_jobs: int = 1,
    progress: bool | None = None,
) -> DesignStudy:
    """Say what studies of other sizes would find, by simulating and fitting many of each.

    Parameters
    ----------
    model : fit, posterior or formula
        A fit: its estimates are the truth. A posterior: each data set has parameters of its own,
        drawn from it, so that power is averaged over what is not known (assurance). A formula:
        ``data`` and ``parameters`` say the rest, as in ``hb.simulate``.
    data : data frame, dict of arrays or path
        With a formula: predictors and levels of one small design, whose rows are used again; two
        levels of each grouping factor are enough.
    parameters : dict, name -> number
        With a formula all parameters; with a fit or a posterior those to be taken instead of its
        own, the smallest effect of interest for example.
    subjects, items : whole number or list of them
        Numbers of levels of the first and the second grouping factor of the formula; of a factor
        nested in the other, levels in each of its levels. Of residuals that are correlated or of
        unequal variance subjects are levels of the top factor, or series. New levels have the rows
        of those there are, in turn, so that predictors between levels stay balanced.
    trials : whole number or list of them
        Rows of each combination of levels and predictors.
    test : name or list of names
        The coefficients in question; all but the intercept unless said.
    goals : dict
        What is wanted: ``"power"`` (or ``"assurance"``), ``"width"`` of the interval, in units of
        the coefficient, ``"type_s"``, ``"type_m"``, ``"p_bf"``. The smallest design that meets each
        is named.
    factors : dict
        Which grouping factors are counted, ``{"subjects": "class", "items": "pupil"}``.
    estimator : {"reml", "posterior", "both"}
        Who analyses the data sets: REML (maximum likelihood, if the fit was) with a t test, or the
        posterior with its credible interval and Bayes factor.
    ddf : {"satterthwaite", "normal"}
        Degrees of freedom of the t tests: Satterthwaite's for each data set, as those of
        ``fit.summary()``, or infinite ones, which reject too often where there are few levels.
    level : float
        Of the intervals. An effect is found if its interval leaves zero out, so tests are two-sided
        at ``1 - level``.
    bf : float
        ``p_bf`` is the share of data sets with a Bayes factor above it, for the coefficient against
        its being zero.
    nsim : int
        Data sets of each design.
    family, link, weights, offset, contrasts, known_sd, priors : as of ``hb.Model``, with a formula
    random_seed : int, Generator or SeedSequence
        The same seed gives the same numbers, for any ``n_jobs``.
    n_jobs : int
        Processes (joblib's), each with designs of its own.
    progress : bool, optional
        Show a bar when it takes over two seconds; unless said, where somebody watches.

    Returns
    -------
    DesignStudy
        Prints as a table; ``.smallest()``, ``.sentence()``, ``.to_frame()``, ``.plot()``.

    Raises
    ------
    OptionError
        For sizes, goals, names or parameters that can't be.
    NotSupportedError
        For families other than Gaussian, binomial and Poisson, and posteriors of the last two.

    Notes
    -----
    Posteriors integrate coefficients and effects exactly and the variance parameters over weighted
    points; what that leaves open is in the errors. Their priors are those of the fit, in every data
    set; from a formula the default ones of responses as the parameters imply, ``priors=`` in their
    places. Every number has a Monte-Carlo error; data sets that could not be fitted or tested are
    counted and in none of the shares. Type S and type M errors are those of significant estimates:
    the share with the wrong sign, and by what factor they are too large. Source: Gelman & Carlin
    (2014), Perspect. Psychol. Sci. 9:641.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> study = hb.design_study(
    ...     fit, subjects=[5, 10], goals={"power": 0.8}, nsim=100, random_seed=1)
    >>> study.to_frame()[["subjects", "rows"]].values.tolist()
    [[5, 50], [10, 100]]

    From a formula and parameters that are written down:

    >>> plan = {"x": [0, 1] * 4, "who": [1, 1, 1, 1, 2, 2, 2, 2], "word": [1, 1, 2, 2] * 2}
    >>> truth = {"(Intercept)": 500, "x": 30, "sd((Intercept)|who)": 60,
    ...          "sd((Intercept)|word)": 30, "sigma": 100}
    >>> study = hb.design_study("rt ~ x + (1 | who) + (1 | word)", plan, truth,
    ...     subjects=[10, 20], items=[5], nsim=50, random_seed=1)
    >>> study.to_frame()["rows"].tolist()
    [100, 200]
    """
    began = time.perf_counter()
    check_option("estimator", estimator, Estimators)
    check_option("ddf", ddf, StudyDdf)
    check_level(level)
    if not isinstance(bf, int | float) or isinstance(bf, bool) or not 0 < bf < np.inf:
        raise OptionError(f"bf={shown(bf)} must be a number above 0, for example 10.")
    if priors is not None and estimator == "reml":
        raise OptionError('priors are of posteriors; add estimator="posterior" or "both".')
    nsim, n_jobs = checked_count(nsim), checked_jobs(n_jobs)
    of_rows = {"weights": weights, "offset": offset, "contrasts": contrasts, "known_sd": known_sd}
    given = Arguments(**of_rows, family=family, link=link, priors=priors)
    planned = _planned(model, data, parameters, given)
    spec, truth = planned.spec, planned.truth
    kept = planned.kept
    is_assurance = truth.n_draws > 1
    estimators: tuple[Estimator, ...] = (
        ("reml", "posterior") if estimator == "both" else (estimator,)
    )
    if not spec.family.is_linear and estimator != "reml":
        raise OptionError(
            f"estimator={estimator!r} with family={spec.family.name!r}: data sets of this family "
            "are analysed by maximum likelihood; leave estimator= out."
        )
    wanted = checked_goals(
        goals, is_assurance=is_assurance, has_posterior="posterior" in estimators
    )
    sizes = {
        name: _checked_sizes(name, size)
        for name, size in zip(SIZES, (subjects, items, trials), strict=True)
        if size is not None
    }
    if not sizes:
        raise OptionError(
            "design_study needs sizes of designs: subjects=, items= or trials=, each a whole "
            "number or a list of them, for example subjects=[20, 40, 80]."
        )
    structured = None
    if isinstance(model, LinearFit) and model.residual is not None:
        structured = _structured(model, sizes, factors, estimators)
    sized = [] if structured else _sized_factors(spec, sizes, factors)
    addresses = coefficient_addresses(spec.design, kept.tolist())
    tested = _tested(test, spec, kept.tolist(), addresses)
    study = Study(
        spec=spec,
        rows=ReplicatedRows(spec.design, sized),
        kept=kept,
        truth=truth,
        tested=tested,
        estimators=estimators,
        method=_method(model, spec),
        uses_satterthwaite=ddf == "satterthwaite",
        level=level,
        priors=None,
        bf=bf,
        nsim=nsim,
    )
    names = tuple(sizes)
    if "posterior" in estimators:
        study = replace(study, priors=_priors(model, study, sizes))
    if "p_bf" in wanted:
        _check_proper(study, addresses)
    cells = [Sizes(**dict(zip(names, values, strict=True))) for values in product(*sizes.values())]
    run = seeded(
        _Cells(study, structured).numbers,
        cells,
        random_seed=random_seed,
        n_jobs=n_jobs,
        progress=progress,
        title="Design study",
    )
    labels = [addresses.labels[k] for k in tested]
    rows, notes = [], []
    for cell, found in zip(cells, run, strict=True):
        size = {name: getattr(cell, name) for name in names}
        where = listed([counted(count, name[:-1]) for name, count in size.items()])
        notes += [f"{where}: {note}" for note in found.notes]
        for estimated, numbers in found.numbers.items():
            own = study.method if estimated == "reml" else estimated
            for label, values in zip(labels, numbers, strict=True):
                row = size | {"rows": found.n_rows, "parameter": label, "estimator": own}
                rows.append(row | values)
    return DesignStudy(
        table=_table(rows, names, estimators),
        goals=wanted,
        formula_text=spec.formula_text,
        data_name=spec.data_name,
        sizes=names,
        counted={"subjects": structured.samples.unit}
        if structured
        else _counted_words(spec, sized, names),
        tests=_test_words(study),
        parameters_from=planned.source,
        is_assurance=is_assurance,
        truths=dict(zip(labels, truth.beta[:, tested].mean(axis=0).tolist(), strict=True)),
        level=level,
        bf=bf,
        nsim=nsim,
        priors={}
        if study.priors is None
        else {label: str(study.priors.beta[k]) for label, k in zip(labels, tested, strict=True)},
        notes=tuple(notes),
        seconds=time.perf_counter() - began,
    )


@record
class _Planned:
    """The model in question with its parameters, and where these are from, in words."""

    spec: Specification
    kept: Any
    truth: FlatDraws
    source: str


def _planned(model: Fit | str, data: Any, parameters: Any, given: Arguments) -> _Planned:
    """Read what was given as the model."""
    if isinstance(model, str):
        if data is None or parameters is None:
            raise OptionError(
                "design_study of a formula needs data, rows of predictors and levels, and "
                "parameters, a dict from names to numbers; or give it a fit."
            )
        _check_family(family_named(given.family, given.link))
        written = written_model(model, read_table(data), parameters, given, count=1)
        kept = kept_coefficients(written.spec)
        return _Planned(spec=written.spec, kept=kept, truth=written.flat, source="written down")
    if not isinstance(model, LikelihoodFit | PosteriorFit):
        raise OptionError(
            f"design_study takes a fit, a posterior or a formula, not {type(model).__name__}; of a "
            "model give model.fit() or model.sample()."
        )
    options = given.options() | {"family": None if given.family == "gaussian" else given.family}
    unused = [name for name, value in options.items() if value is not None]
    if data is not None or unused:
        name = "data" if data is not None else unused[0]
        raise OptionError(f"design_study: {name} goes with a formula; a fit has its own.")
    _check_family(model.spec.family)
    if not isinstance(model, LinearFit):
        check_no_formulas(model.spec.design, "hb.design_study")
    if isinstance(model, PosteriorFit):
        truth, source = flat_draws(model.draws, model.design), "drawn from the posterior"
    else:
        truth, source = estimates(model, 1), "the estimates of the fit"
    if parameters is not None:
        truth = changed_parameters(model, truth, parameters)
        source += f", with {listed([f'{name} = {value:g}' for name, value in parameters.items()])}"
    check_unrelated(model.spec.design, "hb.design_study")
    return _Planned(spec=model.spec, kept=model.kept, truth=truth, source=source)


def _priors(model: Fit | str, study: Study, sizes: Mapping[str, Sequence[int]]) -> ModelPriors:
    """Return the priors of all posteriors of a study; those of the largest design by default."""
    if not isinstance(model, str):
        found = study.spec.priors
    else:
        largest = Sizes(**{name: max(values) for name, values in sizes.items()})
        found = priors_of_study(study, study.rows.of(largest))
    if found.gaussian_beta() is None:
        raise not_supported("design-study-priors")
    return found


def _check_proper(study: Study, addresses: Addresses) -> None:
    assert study.priors is not None
    improper = np.isnan(log_prior_at_zero(study.priors)[study.tested])
    if improper.any():
        label = addresses.labels[study.tested[improper][0]]
        raise OptionError(
            f'goals: "p_bf" needs a proper prior of {label!r}, which is flat; give it one by '
            "priors=, and fit the model again with it if this is a fit."
        )


def _check_family(family: Family) -> None:
    if not family.is_linear and family.name not in FAMILIES:
        raise not_supported("design-study-family", family=family.name)


def _checked_sizes(name: str, given: Any) -> tuple[int, ...]:
    """Return the sizes asked for, each once."""
    values = [given] if np.ndim(given) == 0 else list(given)
    if not values or not all(is_whole(value) and value >= 1 for value in values):
        raise OptionError(
            f"{name}={shown(given)} must be a whole number of at least 1 or a list of them, for "
            f"example {name}=[10, 20, 40]."
        )
    return tuple(dict.fromkeys(int(value) for value in values))


def _sized_factors(
    spec: Specification, sizes: Mapping[str, Any], given: Mapping[str, str] | None
) -> list[int]:
    """Return the positions of the factors whose levels are counted, subjects first."""
    design = spec.design
    known = [factor.name for factor in design.factors]
    in_order = list(dict.fromkeys(bar.group for bar in design.formula.bars if bar.group in known))
    if given is not None and not (isinstance(given, Mapping) and set(given) <= set(LEVELS)):
        raise OptionError(
            f"factors={shown(given)} must be a dict with the keys 'subjects' and 'items', such as "
            f'{{"subjects": {shown(known[0]) if known else "..."}}}.'
        )
    chosen = dict(given or {})
    for name in chosen.values():
        if name not in known:
            raise OptionError(
                f"factors: {shown(name)} is no grouping factor of {spec.formula_text}"
                f"{did_you_mean(str(name), known)}"
            )
    left = [name for name in in_order if name not in chosen.values()]
    for size in LEVELS:
        if size not in chosen and (size in sizes or (size == "subjects" and "items" in sizes)):
            if not left:
                has = counted(len(known), "grouping factor")
                raise OptionError(
                    f"{size}= counts levels of a grouping factor, and {spec.formula_text} has "
                    f"{has if known else 'none'}; leave it out, or count rows by trials=."
                )
            chosen[size] = left.pop(0)
    return [known.index(chosen[size]) for size in LEVELS if size in chosen]


def _structured(
    fit: LinearFit,
    sizes: Mapping[str, Any],
    factors: Mapping[str, str] | None,
    estimators: Sequence[str],
) -> SeriesRows:
    """Return what lays out rows whose residuals have a structure, by subjects alone."""
    found = series_rows(fit)
    if set(sizes) != {"subjects"} or tuple(estimators) != ("reml",) or factors is not None:
        raise not_supported("design-study-residuals", unit=found.samples.unit)
    return found


def _tested(test: Any, spec: Specification, kept: list[int], addresses: Any) -> Any:
    """Return positions of the coefficients in question among the kept ones."""
    if not kept:
        raise OptionError(f"{spec.formula_text} has no coefficient to be tested.")
    if test is None:
        found = [k for k, column in enumerate(kept) if spec.design.assign[column] != 0]
        return np.array(found or range(len(kept)), dtype=np.intp)
    names = [test] if isinstance(test, str) else test
    if not isinstance(names, Sequence) or not names:
        raise OptionError(
            f"test={shown(test)} must be the name of a coefficient or a list of them."
        )
    unknown = "test: {text} is no coefficient of the model; these are {listed}"
    return np.array(
        [*dict.fromkeys(addresses.place(name, unknown) for name in names)], dtype=np.intp
    )


def _counted_words(
    spec: Specification, sized: Sequence[int], names: Sequence[str]
) -> dict[str, str]:
    """Say what each size counts."""
    levels = [f"levels of {spec.design.factors[f].name}" for f in sized]
    words = dict(zip(LEVELS, levels, strict=False))
    words["trials"] = "rows of each combination of levels and predictors"
    return {name: words[name] for name in names}


def _method(model: Fit | str, spec: Specification) -> Method:
    """Return how data sets are fitted: as the fit was, else by REML where there is such a thing."""
    if isinstance(model, LikelihoodFit):
        return model.method
    return "reml" if spec.family.is_linear else "ml"


def _test_words(study: Study) -> dict[str, str]:
    alpha = f"{100 * (1 - study.level):g} %"
    df = "Satterthwaite's degrees of freedom" if study.uses_satterthwaite else "infinite df"
    tests = f"t tests at {alpha} with {df}"
    if not study.spec.family.is_linear:
        tests = f"Wald z tests at {alpha}"
    said = {
        "reml": f"{study.method.upper()}, two-sided {tests}",
        "posterior": f"posterior, {100 * study.level:g} % credible intervals that leave zero out",
    }
    return {name: said[name] for name in study.estimators}


def _table(
    rows: list[dict[str, Any]], names: Sequence[str], estimators: Sequence[str]
) -> pd.DataFrame:
    """Return the table with its columns in order, those that nobody asked for left out."""
    table = pd.DataFrame(rows)
    order = [
        *names, "rows", "parameter", "estimator", "power", "power_mcse", "lower", "upper", "width",
        "width_mcse", "type_s", "type_s_mcse", "type_m", "type_m_mcse",
        *(["p_bf", "p_bf_mcse"] if "posterior" in estimators else []),
        "failed", *(["singular"] if "reml" in estimators else []),
        *(["effective"] if "posterior" in estimators else []), "nsim",
    ]  # fmt: skip
    table = table.reindex(columns=order)
    whole = {name: "Int64" for name in ("failed", "singular", "nsim") if name in table}
    return table.astype(whole)


@record
class _Found:
    """The numbers of a cell by estimator, one dict a coefficient, and notes on what has none."""

    n_rows: int
    numbers: dict[str, list[dict[str, float]]]
    notes: tuple[str, ...]


@record(kw_only=False)
class _Cells:
    """Simulates one cell after the other."""

    study: Study
    structured: SeriesRows | None = None

    def numbers(self, seed: int, sizes: Sizes) -> _Found:
        """Return the numbers of a cell, with the random numbers of one seed."""
        study, rng = self.study, np.random.default_rng(seed)
        if self.structured is not None:
            return self._of_series(self.structured, sizes, rng)
        design = study.rows.of(sizes)
        truth = study.in_order_of(design, study.truths(rng))
        Y = study.responses(design, truth, rng)
        if study.spec.family.is_linear:
            design = design.with_response(Y[:, 0])
        found: dict[str, list[dict[str, float]]] = {}
        notes = []
        for estimator in study.estimators:
            try:
                if not study.spec.family.is_linear:
                    outcome = generalised_outcome(study, design, Y)
                elif estimator == "reml":
                    outcome = reml_outcome(study, design, Y, truth)
                else:
                    outcome = posterior_outcome(study, design, Y, rng)
            except DataError as error:
                outcome = _nothing(study)
                named = study.method.upper() if estimator == "reml" else estimator
                notes.append(f"no {named} estimates, {str(error)[0].lower()}{str(error)[1:]}")
            found[estimator] = cell_numbers(outcome, truth.beta[:, study.tested], bf=study.bf)
        return _Found(n_rows=Y.shape[0], numbers=found, notes=tuple(notes))

    def _of_series(self, rows: SeriesRows, sizes: Sizes, rng: np.random.Generator) -> _Found:
        """``numbers`` where residuals have a structure."""
        study, design = self.study, rows.design(sizes)
        truth = study.truths(rng)
        notes: tuple[str, ...] = ()
        try:
            Y = structured_responses(study, rows.fit, design, truth, rng)
            outcome = structured_outcome(study, rows.fit, design, Y)
        except DataError as error:
            outcome = _nothing(study)
            said = f"{str(error)[0].lower()}{str(error)[1:]}"
            notes = (f"no {study.method.upper()} estimates, {said}",)
        found = cell_numbers(outcome, truth.beta[:, study.tested], bf=study.bf)
        return _Found(n_rows=design.X.shape[0], numbers={"reml": found}, notes=notes)


def _nothing(study: Study) -> Outcome:
    """Return the outcome of a cell that can't be fitted."""
    missing = np.full((study.nsim, study.tested.size), np.nan)
    return Outcome(
        estimate=missing, low=missing, high=missing, failed=np.ones(study.nsim, dtype=np.bool_)
    )
