"""The report of a Bayesian analysis by a guideline, each item traced to where it stands.

First the result in words and the checklist: item, who fills it, and a link to the entry that
answers it. Then the entries by subject. What only the author can say is never made up: such an
entry is a slot, filled by ``statements`` or left with what belongs there.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hierbayes.arrays import record
from hierbayes.errors import HierBayesError, OptionError
from hierbayes.families.parameter_formulas import check_no_formulas
from hierbayes.options import Guideline, check_option
from hierbayes.render.blocks import Block, Folded, Heading, Paragraph, Preformatted, Section, Table
from hierbayes.render.document import Document
from hierbayes.reports import study_draws, study_model, study_posterior, study_sensitivity
from hierbayes.reports.code_lines import fit_code
from hierbayes.reports.guidelines import GUIDELINES, Checklist
from hierbayes.reports.reanalysis import reanalysis_code
from hierbayes.reports.study import Entry, Study, not_done
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.printing import Reportable
from hierbayes.results.reanalysis import Reanalysis
from hierbayes.specification.used_data import data_digest, used_columns
from hierbayes.wording import counted, did_you_mean, listed, shown

OF_ROWS = ("prior_check", "posterior_check", "levels")
NO_ROWS = (
    "Known are an estimate and its standard error, as published; there are no rows to check or to "
    "simulate."
)
WAITING = "For the author"
ALWAYS = (
    "variables", "hierarchy", "formal", "priors", "prior_check", "software", "approximation",
    "convergence", "posterior", "posterior_check", "sensitivity", "data", "seed", "code",
)  # fmt: skip
MAIN = "neutral"  # of a reanalysis, the posterior that is reported in full


def data(study: Study) -> Entry:
    """Name the data and give their digest."""
    spec = study.post.spec
    names = used_columns(spec)
    lines = [
        f"{study.post.data_name or 'The data'}: {spec.table.n_rows} rows; the model uses the "
        f"{counted(len(names), 'column')} {listed(names)}.",
        f"SHA-256 of these columns: {data_digest(spec)}",
        "It is that of the columns as CSV in UTF-8: a line of names in the order above, lines "
        "ended by a line feed, numbers with the fewest digits that give them back, truth values as "
        "1 and 0, nothing where a value is missing. Whoever has the same data finds the same.",
    ]
    if spec.response_given:
        lines.append("The response was replaced after the model was made; the digest does not say.")
    return Entry([*map(Paragraph, lines)])


def code(study: Study) -> Entry:
    """Show the code that makes the analysis again."""
    found = study.reanalysis
    lines = fit_code(study.post) if found is None else reanalysis_code(found)
    return Entry([Preformatted("\n".join(lines), language="python")])


# The entries by section: name | title | what the author is asked to say, of a slot.
LAYOUT = """
Goals
why_bayesian | Why Bayesian | what a Bayesian analysis gives the readers of this study that
  another would not
goals | Goals of the analysis | the question, and what would answer it
Data and model
variables | Variables
meaning | What the variables mean | how each variable was measured, its unit, who or what the
  levels are, and how they came into the study
hierarchy | The model in words
parameters | What each parameter is
interest | Parameters of interest | which parameters the question is about, and which are only
  needed along the way
model_reasons | Reasons for the model | why these predictors, this form, this distribution and
  these levels
formal | The model in mathematics
Priors
priors | Prior distributions
prior_reasons | Reasons for the priors | why each prior is what it is: earlier studies, what is
  possible, or that it is to say little
prior_check | Prior predictive check
Computation
software | Software
approximation | How the draws were made
convergence | Convergence
autocorrelation | Autocorrelation
doubling | Twice as many draws
Posterior
posterior | Posterior distributions
densities | Prior and posterior densities
joint | Parameters that hang together
levels | Levels of the grouping factors
posterior_check | Posterior predictive check
sense | Does it make sense | whether these values, their spread and their signs can be true of the
  subject
wording | The result in words
bayes_factors | Bayes factors and model probabilities
averaging | Averaging over models
Decisions
decision | Decisions and their rule | whether anything is decided, why, and by which rule and
  limits, or that nothing is
loss | Losses | what each wrong decision costs, or that no loss was used
rope | Practical equivalence
Sensitivity
sensitivity | Scaling the priors
prior_width | Width of a prior
variance_sensitivity | Scaling the priors of variances
without_priors | Without priors
factor_sensitivity | Bayes factors under other priors
decision_sensitivity | Decisions under other priors
Reproducibility
data | Data
seed | Seed
code | Code
access | Where script, data and draws are | the address under which readers find script, data,
  further files and draws, or why they can't
"""
FILLED: Mapping[str, Callable[[Study], Entry]] = {
    "variables": study_model.variables,
    "hierarchy": study_model.hierarchy,
    "parameters": study_model.parameters,
    "formal": study_model.formal,
    "priors": study_model.priors,
    "prior_check": study_model.prior_check,
    "software": study_draws.software,
    "approximation": study_draws.approximation,
    "convergence": study_draws.convergence,
    "autocorrelation": study_draws.autocorrelation,
    "doubling": study_draws.doubling,
    "posterior": study_posterior.posterior,
    "densities": study_draws.densities,
    "joint": study_posterior.joint,
    "levels": study_posterior.levels,
    "posterior_check": study_posterior.posterior_check,
    "wording": study_posterior.wording,
    "bayes_factors": study_posterior.bayes_factors,
    "averaging": lambda study: not_done("Nothing was averaged over models."),
    "rope": study_posterior.rope,
    "sensitivity": study_sensitivity.sensitivity,
    "prior_width": study_sensitivity.prior_width,
    "variance_sensitivity": study_sensitivity.variance_sensitivity,
    "without_priors": study_sensitivity.without_priors,
    "factor_sensitivity": study_posterior.factor_sensitivity,
    "decision_sensitivity": study_sensitivity.decision_sensitivity,
    "data": data,
    "seed": study_draws.seed,
    "code": code,
}


@record
class Place:
    """Where an entry stands, and of a slot what belongs there."""

    section: str
    title: str
    asks: str


def _places() -> dict[str, Place]:
    found, section = {}, ""
    for line in LAYOUT.strip().replace("\n  ", " ").splitlines():
        name, *rest = line.split(" | ")
        if rest:
            found[name] = Place(section=section, title=rest[0], asks="".join(rest[1:]))
        else:
            section = name
    return found


ENTRIES = _places()
SLOTS = tuple(name for name in ENTRIES if name not in FILLED)


def guideline_report(
    result: Reportable,
    guideline: Guideline,
    *,
    statements: Mapping[str, str] | None = None,
    rope: Mapping[str, tuple[float, float]] | None = None,
) -> Document:
    """Report a posterior or a reanalysis by a guideline.

    Parameters
    ----------
    result : PosteriorFit or Reanalysis
    guideline : which
    statements : slot -> the author's words
    rope : parameter -> ends of its region of practical equivalence

    Raises
    ------
    OptionError
        If it is no Bayesian analysis, or an argument is of another kind.
    """
    checklist = GUIDELINES[check_option("guideline", guideline, Guideline)]
    study = study_of(result, statements=statements, rope=rope)
    wanted = set(ALWAYS) | {name for item in checklist.items for name in item.entries}
    entries = {name: _entry(study, name) for name in ENTRIES if name in wanted}
    sections = [
        Section("What was found", study_posterior.wording(study).blocks, "result"),
        Section(f"Checklist: {guideline}", _checklist(checklist, entries), "checklist"),
    ]
    for section in dict.fromkeys(ENTRIES[name].section for name in entries):
        blocks: list[Block] = []
        for name, entry in entries.items():
            if ENTRIES[name].section == section:
                blocks += [Heading(ENTRIES[name].title, anchor=anchor_of(name)), *entry.blocks]
        sections.append(Section(section, blocks, section.lower().replace(" ", "_")))
    of = f" ({study.post.data_name})" if study.post.data_name else ""
    return Document(f"{study.post.formula_text}{of}: report by {guideline}", tuple(sections))


def study_of(
    result: Reportable,
    *,
    statements: Mapping[str, str] | None = None,
    rope: Mapping[str, tuple[float, float]] | None = None,
) -> Study:
    """Return what is to be reported, with the author's arguments checked."""
    said, regions = _checked_statements(statements), _checked_rope(rope)
    if isinstance(result, PosteriorFit):
        study = Study(post=result, statements=said, rope=regions)
    elif isinstance(result, Reanalysis):
        posts = study_posterior.posteriors_of(result)
        said = {"interest": f"The question is about {result.term}."} | said
        main = None if result.published else posts.get(MAIN)  # flat of a published coefficient
        post = main or next(iter(posts.values()))
        study = Study(post=post, reanalysis=result, statements=said, rope=regions)
    else:
        raise OptionError(
            "guideline= is of Bayesian analyses: a posterior, model.sample(...), or "
            f"hb.reanalyse(...); this is a {type(result).__name__}."
        )
    if study.post.residual_structure is None:
        check_no_formulas(study.post.design, "A report by a guideline")
    for name in regions:
        study.draws_of(name)  # each names a parameter
    return study


def anchor_of(name: str) -> str:
    """Return the anchor of an entry on a page."""
    return name.replace("_", "-")


def _entry(study: Study, name: str) -> Entry:
    if name in OF_ROWS and study.reanalysis is not None and study.reanalysis.published:
        return not_done(NO_ROWS)
    if name in FILLED:
        try:
            return FILLED[name](study)
        except HierBayesError as reason:  # a flat prior, a structure, a family without such
            return not_done(f"Not possible: {reason}")
    if name in study.statements:
        return Entry([Paragraph(study.statements[name])])
    return Entry(
        [Paragraph(f'[{WAITING}, statements={{"{name}": "..."}}: {ENTRIES[name].asks}.]')], "author"
    )


def _checklist(checklist: Checklist, entries: Mapping[str, Entry]) -> list[Block]:
    """Return the table item, state, where; and what each item asks for, folded."""
    rows = [(item, name) for item in checklist.items for name in item.entries]
    names = [f"{item.step}: {item.name}" for item, _ in rows]
    states = [entries[name].state for _, name in rows]
    first = [
        name if k == 0 or rows[k - 1][0] is not rows[k][0] else "" for k, name in enumerate(names)
    ]
    table = Table(
        [
            ("item", first),
            ("state", list(states)),
            ("where", [ENTRIES[name].title for _, name in rows]),
        ],
        labels=3,
        links=[anchor_of(name) for _, name in rows],
    )
    waiting = [name for name, entry in entries.items() if entry.state == "author"]
    words = (
        f"{checklist.title} ({checklist.source}): {counted(len(checklist.items), 'item')}, "
        f"answered by {counted(len(entries), 'entry', 'entries')} of this report. "
    )
    words += (
        f"{counted(len(waiting), 'entry', 'entries')} wait for the author: "
        f"{listed([ENTRIES[name].title for name in waiting])}."
        if waiting
        else "None waits for the author."
    )
    asked = [Paragraph(f"{item.step}: {item.name}. {item.asks}") for item in checklist.items]
    return [Paragraph(words), table, Folded("What each item asks for", asked)]


def _checked_statements(statements: Any) -> dict[str, str]:
    if statements is None:
        return {}
    if not isinstance(statements, Mapping) or not all(
        isinstance(text, str) and text.strip() for text in statements.values()
    ):
        raise OptionError(
            f"statements={shown(statements)} must be a dict from a slot to what the author says, "
            'for example {"goals": "..."}.'
        )
    for name in statements:
        if name not in SLOTS:
            raise OptionError(
                f"statements: {shown(name)} is no slot of a report; these are {listed(SLOTS)}"
                f"{did_you_mean(str(name), SLOTS)}"
            )
    return dict(statements)


def _checked_rope(rope: Any) -> dict[str, tuple[float, float]]:
    if rope is None:
        return {}
    found: dict[str, tuple[float, float]] = {}
    pairs: Any = rope.items() if isinstance(rope, Mapping) else [("", ())]
    for name, ends in pairs:
        try:
            low, high = (float(end) for end in ends)
        except (TypeError, ValueError):
            low, high = np.nan, np.nan
        if not (np.isfinite([low, high]).all() and low < high):
            raise OptionError(
                f"rope={shown(rope)} must be a dict from a parameter to two ends, the lower first, "
                'for example {"Days": (-1, 1)}.'
            )
        found[str(name)] = (low, high)
    return found
