"""Entries of a report by guideline on data, model and priors."""

from typing import Any

import numpy as np

from hierbayes.checks.predictive_check import STATISTICS, PredictiveDraws, prior_draws_of_responses
from hierbayes.design.values import Factor, Logical
from hierbayes.formula.expressions import Expression, names_in
from hierbayes.plots.predictive import prior_predictive
from hierbayes.priors.parameter_names import Parameter
from hierbayes.render.blocks import Block, Mathematics, Paragraph, Table
from hierbayes.render.numbers import format_plain
from hierbayes.reports.explain import explain_blocks, explain_text
from hierbayes.reports.fit_report import drawn_picture
from hierbayes.reports.prior_table import prior_blocks
from hierbayes.reports.study import ERRORS, SEED, Entry, Study, drawn_table, probabilities
from hierbayes.results.prior_table import PriorTable
from hierbayes.specification.specification import Specification
from hierbayes.specification.used_data import ARRAY_ARGUMENTS, used_columns
from hierbayes.wording import counted, listed

CHECKED = ("mean", "sd", "min", "max")  # statistics of responses
SIMULATED, FEWEST = 400, 50  # data sets, and of many rows
ROWS = 4_000_000  # simulated at most, where that is more than the fewest data sets
MOST_LEVELS = 6  # named in a cell
DEFAULTS = (
    'Priors of the source "default" are those this library gives every model. They are weakly '
    "informative and scaled by the data: wide beside the spread of the response and, for a slope, "
    "beside that spread divided by the spread of the predictor. They say nothing about the subject."
)


def variables(study: Study) -> Entry:
    """List the columns the model uses: what each is in it, and what it holds."""
    spec = study.post.spec
    roles = _roles(spec)
    names = used_columns(spec)
    holds = [_holds(spec.table.column(name)) for name in names]
    table = Table(
        [("in the model", [roles[name] for name in names]), ("holds", holds)], names, labels=2
    )
    rows = spec.table.n_rows
    used = f"{counted(study.post.nobs, 'row')} of {rows} are used."
    found = study.reanalysis
    made = [Paragraph(found.notes[0])] if found is not None and found.published else []
    return Entry([table, Paragraph(used), *made])


def _roles(spec: Specification) -> dict[str, str]:
    """Say of each column what it is in the model; a column may be several things."""
    formula = spec.formula
    roles: dict[str, dict[str, None]] = {}

    def add(role: str, *expressions: Expression) -> None:
        for expression in expressions:
            for name in names_in(expression):
                roles.setdefault(name, {})[role] = None

    add("response", formula.response)
    for term in formula.fixed.terms:
        add("predictor", *term.variables)
    add("offset", *formula.fixed.offsets)
    for bar in formula.bars:
        for term in bar.linear.terms:
            add("effect that varies", *term.variables)
        add("grouping factor", *bar.grouping)
    for parameter, own in spec.design.formulas.items():
        for term in own.fixed.terms:
            add(f"predictor of {parameter}", *term.variables)
        for bar in own.bars:
            add(f"grouping factor of {parameter}", *bar.grouping)
    if (residual := spec.design.residual) is not None:
        add("series of residuals", *residual.formula.bars[0].grouping)
        if residual.inner is not None:
            add("place in the series", residual.inner)
    for name in used_columns(spec):
        for argument in ARRAY_ARGUMENTS:
            given = getattr(spec.arguments, argument)
            if isinstance(given, str) and (name not in roles or given == name):
                roles.setdefault(name, {})[argument] = None
    return {name: listed(list(found)) for name, found in roles.items()}


def _holds(column: Any) -> str:
    """Say what a column holds."""
    if isinstance(column, Factor):
        labels = [str(level) for level in column.levels]
        shown = labels if len(labels) <= MOST_LEVELS else [*labels[: MOST_LEVELS - 1], "..."]
        return f"{counted(len(labels), 'level')}: {', '.join(shown)}"
    values = column.values if isinstance(column, Logical) else np.asarray(column, dtype=float)
    known = values[np.isfinite(values)]
    if isinstance(column, Logical):
        return f"true in {int(known.sum())} of {known.size} rows"
    low, middle, high = (format_plain(float(f(known))) for f in (np.min, np.mean, np.max))
    return f"numbers from {low} to {high}, mean {middle}"


def hierarchy(study: Study) -> Entry:
    """Say in words what the formula became."""
    post = study.post
    return Entry(explain_blocks(explain_text(post.design, family=post.response_family)))


def formal(study: Study) -> Entry:
    """Show likelihood and priors as mathematics."""
    return Entry([Mathematics(str(study.post.model.latex()))])


def parameters(study: Study) -> Entry:
    """Say what each parameter is."""
    own = study.post.priors.all_parameters
    scale = "" if study.post.link == "identity" else ", on the scale of the link,"
    meanings = [_meaning(one, scale) for one in own]
    return Entry([Table([("meaning", meanings)], [one.name for one in own], labels=1)])


def _meaning(parameter: Parameter, scale: str) -> str:
    if parameter.formula:
        return _of_formula(parameter)
    if parameter.name == "(Intercept)":
        return f"expected response{scale} where all predictors are zero"
    if parameter.kind == "family" and parameter.name.startswith("cor_"):
        return "correlation of residuals of one series"
    if parameter.kind == "family" and parameter.name.startswith("sigma_"):
        return "log of the residual sd of a visit over that of the first"
    return {
        "visits": "correlations of the residuals of two visits of one series",
        "beta": f"change of the expected response{scale} per unit of the column",
        "sd": "standard deviation of an effect between the levels of the grouping factor",
        "cor": "correlations between the effects of one level",
        "sigma": "standard deviation of the residuals",
        "family": "thresholds between the categories"
        if parameter.is_thresholds
        else "further parameter of the response family",
    }[parameter.kind]


def _of_formula(parameter: Parameter) -> str:
    """Say what a parameter of a formula of a further parameter is."""
    of = f"the predictor of {parameter.formula}"
    if parameter.kind == "beta":
        at_zero = parameter.name.endswith("(Intercept)")
        return f"{of} where all its columns are zero" if at_zero else f"change of {of} per unit"
    if parameter.kind == "sd":
        return f"standard deviation of an effect on {of} between levels"
    return f"correlations between effects on {of} of one level"


def priors(study: Study) -> Entry:
    """List the priors with what they think likely."""
    table = PriorTable(study.post.model.priors)
    blocks: list[Block] = [*prior_blocks(table)]
    if (table["source"] == "default").any():
        blocks.append(Paragraph(DEFAULTS))
    return Entry(blocks)


def prior_check(study: Study) -> Entry:
    """Compare statistics of the response with those of data drawn from the priors."""
    post = study.post
    found = prior_draws_of_responses(post, simulated(study), random_seed=SEED)
    picture = drawn_picture(
        lambda: prior_predictive(post, random_seed=SEED)[0],
        "Densities of data sets that the priors simulate, with the data for scale.",
    )
    return Entry([*checked_statistics(found, study.level), picture])


def simulated(study: Study) -> int:
    """Return how many data sets are simulated: fewer of many rows."""
    return int(np.clip(ROWS // max(study.post.nobs, 1), FEWEST, SIMULATED))


def checked_statistics(found: PredictiveDraws, level: float) -> list[Block]:
    """Show statistics of the observed response among those of simulated ones."""
    rows = [row for row in found.simulated if np.isfinite(row).all()]
    with np.errstate(over="ignore", invalid="ignore"):
        drawn = np.array([[STATISTICS[name](row) for name in CHECKED] for row in rows])
    observed = np.array([STATISTICS[name](found.observed) for name in CHECKED])
    table = drawn_table(
        CHECKED,
        drawn[None],
        level,
        caption=f"Statistics of {found.response}, observed and simulated",
        before=[("observed", [format_plain(float(value)) for value in observed])],
        after=probabilities("P(simulated > observed)", (drawn > observed)[None]),
    )
    return [Paragraph(found.words), table, Paragraph(ERRORS, soft=True)]
