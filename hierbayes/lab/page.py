"""What the page's cells ask for: values of controls, computed results, pieces of HTML.

Everything a cell of ``app.py`` would do beyond laying out is a function here, so it can be tested
without a browser. Text that comes from the reader's data is escaped.
"""

import html
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import numpy as np

from hierbayes.arrays import record
from hierbayes.errors import HierBayesError
from hierbayes.lab.cases import Own, case_of
from hierbayes.lab.chosen import MOST_TERMS, chosen_sds, is_correlated
from hierbayes.lab.code_export import script
from hierbayes.lab.engine import View, reml_of, view
from hierbayes.lab.figures import scene
from hierbayes.lab.presets import OWN, SIMULATED, Simulation, guessed_formula, own_table, titles
from hierbayes.lab.score import guess_table, guess_words, score
from hierbayes.lab.stage_values import edits_of, guess_of
from hierbayes.lab.state import LabState, from_query, to_query
from hierbayes.lab.words import (
    html_table,
    level_table,
    levels_table,
    parameter_table,
    prior_words,
)

__all__ = ["OWN", "SIMULATED"]

TITLES = titles()
PRIORS = {"half-t (4 df)": "t", "half-normal": "normal", "half-Cauchy": "cauchy"}
SCALE_STEPS = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0]
ETA_STEPS = [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0]
TRUTHS = (  # setting, lowest, highest, step, label
    ("groups", 2, 60, 1, "groups"),
    ("rows", 1, 30, 1, "observations per group"),
    ("imbalance", 0.0, 1.0, 0.1, "imbalance"),
    ("sd_intercept", 0.0, 100.0, 1.0, "true sd of intercepts"),
    ("sd_slope", 0.0, 30.0, 0.5, "true sd of slopes"),
    ("cor", -1.0, 1.0, 0.1, "true correlation"),
    ("sigma", 1.0, 100.0, 1.0, "true residual sd"),
)
SLIDER_STEPS = 200
LARGEST_FILE = 2_000_000  # bytes
LARGEST_UPLOAD = 2**28  # bytes: so far a file that is too large is taken, to say how large it is
UPLOAD_LABEL = f"A CSV file of at most {LARGEST_FILE / 1e6:.0f} MB"
HEADER = """<style>
.marimo-cell.published, .marimo-cell.published .output-area, .marimo-cell.published .output {
  padding-block: 0 !important; margin-block: 3px !important; }
.marimo-cell.published:not(:has(.output-area *)) { display: none; }
.lab-tables { display: flex; flex-wrap: wrap; gap: 10px 40px; }
.lab-tables .scroll { overflow-x: auto; max-height: 420px; }
.lab-tables table { border-collapse: collapse; font-size: 15px;
  font-variant-numeric: tabular-nums; }
.lab-tables caption { text-align: left; font-weight: 600; padding: 4px 0; }
.lab-tables :is(th, td) { padding: 2px 12px 2px 0; text-align: right; white-space: nowrap; }
.lab-tables th[scope=row] { text-align: left; font-weight: 500; }
.lab-tables thead th { border-bottom: 1px solid currentColor; }
.lab-note { font-size: 15px; margin: 2px 0; }
.lab-error { border: 2px solid #b8001f; border-radius: 6px; padding: 8px 12px; font-size: 16px; }
.lab-code { font-size: 13px; overflow-x: auto; }
</style>
<h1 style="margin:0 0 2px;font-size:24px">The shrinkage lab</h1>
<p class="lab-note">Each level of a grouping factor has an estimate of its own; partial pooling
pulls it towards the population. Move observations, sds and priors and see how far.</p>"""

UNSOLVABLE = (
    "These numbers can't be computed: fixed and random effects reproduce the response all but "
    "exactly. Restore an observation or simplify the formula."
)
NO_SCENE = {
    "panels": [],
    "legend": [],
    "levels": [],
    "level": "",
    "terms": [],
    "guess": [],
    "words": "",
    "movable": False,
}


@record
class Source:
    """Where the data come from: ``data``, ``simulation`` and ``own`` of the lab."""

    data: str
    simulation: Simulation
    own: Own | None = None

    def state(self) -> LabState:
        """Return a state of these data with everything else at its default."""
        return LabState(data=self.data, simulation=self.simulation)


@record
class Result:
    """What was computed: a view, or the sentence that says why there is none."""

    state: LabState
    view: View | None = None
    problem: str = ""


def linked_state(query: Mapping[str, Any]) -> tuple[LabState, tuple[str, ...]]:
    """Return the state an address describes, and sentences about what it says wrongly."""
    return from_query(query)


def title_of(data: str) -> str:
    """Return the title of a source of data."""
    return next(title for title, key in TITLES.items() if key == data)


def prior_title(family: str) -> str:
    """Return how a family of priors is called in the list."""
    return next(title for title, key in PRIORS.items() if key == family)


def nearest(steps: list[float], value: float) -> float:
    """Return the step nearest to a value, by their ratio."""
    return min(steps, key=lambda step: abs(math.log(step / value)))


def stepped(value: float, low: float, high: float, step: float) -> float:
    """Return a value within a slider's range, on one of its steps."""
    found = low + round((min(max(value, low), high) - low) / step) * step
    return int(found) if isinstance(step, int) else round(found, 10)


def uploaded(content: Any, name: Any) -> tuple[Own, str]:
    """Return the reader's file with a formula to begin with, and what is wrong with it."""
    if not isinstance(content, bytes) or not name:
        return Own(), ""
    if len(content) > LARGEST_FILE:
        return Own(), (
            f"The file {name} has {len(content) / 1e6:.1f} MB; the lab redraws at every move and "
            f"takes at most {LARGEST_FILE / 1e6:.0f} MB. hb.lmer takes files of any size."
        )
    try:
        return Own(content=content, name=str(name), formula=guessed_formula(own_table(content))), ""
    except HierBayesError as error:
        return Own(), str(error)


def source(data: str, truth: Mapping[str, Any], own: Own, formula: str) -> Source:
    """Return where the data come from, as the controls say it."""
    own = replace(own, formula=formula) if own.content else own
    return Source(data=data, simulation=Simulation(**truth), own=own)


def factors_of(given: Source) -> list[str]:
    """Return the grouping factors of the model, none where it can't be made."""
    try:
        case = case_of(given.state(), given.own)
    except HierBayesError:
        return []
    return [factor.name for factor in case.model.design.factors]


def sd_sliders(
    given: Source, factor: str, linked: LabState
) -> list[tuple[str, list[float], float, str]]:
    """Return the sliders that stand for the REML values: key, steps, value, label.

    They begin at REML's values, or at those of the link.
    """
    state = given.state()
    try:
        reml = reml_of(case_of(state, given.own))
        names = [f.name for f in reml.design.factors]
        position = names.index(factor) if factor in names else 0
        if given.data == linked.data:
            state = replace(state, sds=linked.sds, cor=linked.cor)
        sds, cor = chosen_sds(reml, state, position)
    except (HierBayesError, np.linalg.LinAlgError):
        return []
    found = []
    spread = float(reml.design.y.std())
    z = np.abs(reml.design.factors[position].z).max(axis=0)
    for k, (sd, term) in enumerate(zip(sds, reml.design.factors[position].columns, strict=True)):
        top = _round_up(max(3 * sd, spread / max(float(z[k]), 1e-300)))
        value = float(f"{sd:.6g}")
        found.append((f"sd{k}", _steps(0.0, top, value), value, f"sd of {term}"))
    if len(sds) == MOST_TERMS and is_correlated(reml, position):
        value = float(f"{cor:.6g}")
        steps = sorted({*np.linspace(-1, 1, 41).round(2).tolist(), value})
        found.append(("cor", steps, value, "correlation"))
    if reml.design.known_sd is None:
        sigma = reml.sigma
        if given.data == linked.data and linked.sigma is not None:
            sigma = linked.sigma
        value = float(f"{sigma:.6g}")
        steps = _steps(sigma / SLIDER_STEPS, _round_up(3 * sigma), value)
        found.append(("sigma", steps, value, "residual sd"))
    return found


def _steps(low: float, high: float, value: float) -> list[float]:
    """Return the steps of a slider: round numbers, and the value itself."""
    grid = np.linspace(0.0, high, SLIDER_STEPS + 1)[low > 0 :]
    return sorted({*(float(f"{v:.6g}") for v in grid), value})


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(m * power for m in (1, 2, 5, 10) if m * power >= value)


def new_stage(linked: LabState, data: str, own: Own) -> Any:
    """Return a stage for a source of data, with a link's edits where they are of these data.

    Another file of the reader's own is another source; an address does not hold one.
    """
    from hierbayes.lab.stage import Stage

    if data != linked.data or own.content:
        return Stage(scene=NO_SCENE)
    edits = {str(row): y for row, y in linked.edits}
    return Stage(scene=NO_SCENE, edits=edits, level=linked.level, guess=list(linked.guess))


def shown(*, reml: bool, ml: bool, posterior: bool) -> tuple[str, ...]:
    """Return the estimators that are drawn."""
    wanted = {"reml": reml, "ml": ml, "posterior": posterior}
    return tuple(name for name, on in wanted.items() if on)


def address_of(given: Source, state: LabState) -> str:
    """Return the query of an address that shows the same state."""
    second = state.factor in factors_of(given)[1:]
    return urlencode(to_query(state if second else replace(state, factor="")))


def computed(
    given: Source, stage: Any, problem: str, *, sds: Mapping[str, float], **settings: Any
) -> Result:
    """Compute what the page shows and hand the scene to the stage."""
    state = replace(
        given.state(),
        edits=edits_of(stage.edits),
        level=stage.level,
        guess=guess_of(stage.guess),
        sds=tuple(value for key, value in sds.items() if key.startswith("sd")),
        cor=sds.get("cor"),
        sigma=sds.get("sigma"),
        **settings,
    )
    if given.data == OWN and problem:
        stage.scene = NO_SCENE
        return Result(state=state, problem=problem)
    try:
        found = view(state, given.own)
    except HierBayesError as error:
        stage.scene = NO_SCENE
        return Result(state=state, problem=str(error))
    except np.linalg.LinAlgError:
        stage.scene = NO_SCENE
        return Result(state=state, problem=UNSOLVABLE)
    stage.scene = scene(found) | {"address": address_of(given, state)}
    return Result(state=state, view=found)


def messages(result: Result, link_notes: tuple[str, ...] = ()) -> str:
    """Return what there is to say above the pictures, as HTML."""
    notes = list(link_notes)
    if result.view is not None:
        case = result.view.case
        question = [case.question] if case.question else []
        formula = f"{case.model.formula_text}"
        notes = [*question, f"Model: {formula}", *notes, *result.view.notes]
    parts = [f"<p class='lab-note'>{html.escape(note)}</p>" for note in notes]
    if result.problem:
        text = html.escape(result.problem).replace("\n", "<br>")
        parts.insert(0, f"<div class='lab-error' role='alert'><code>{text}</code></div>")
    return "".join(parts)


def tables(result: Result) -> str:
    """Return the tables of the level looked at and of the parameters."""
    found = result.view
    if found is None or (found.is_hidden):
        return ""
    level = f"{found.factor} {found.state.level}"
    return (
        "<div class='lab-tables'>"
        + html_table(level_table(found), "level", level)
        + html_table(parameter_table(found), "parameters", "Estimates")
        + f"</div><p class='lab-note'>{html.escape(prior_words(found))}</p>"
    )


def scores(result: Result) -> str:
    """Return guess and score of the three poolings once they are revealed, else nothing."""
    found = result.view
    if found is None or not (found.state.guessing and found.state.revealed):
        return ""
    parts = []
    if len(found.state.guess) == len(found.terms):
        caption = f"Your guess of {found.factor} {found.state.level}"
        parts.append(html_table(guess_table(found), "guess", caption))
    won = score(found)
    if won.errors.size:
        parts.append(html_table(won.table(), "score", "Score of the three poolings"))
    words = [won.sentence]
    if parts and len(found.state.guess) == len(found.terms):
        words.insert(0, guess_words(found))
    return (
        f"<div class='lab-tables'>{''.join(parts)}</div>"
        f"<p class='lab-note'>{html.escape(' '.join(words))}</p>"
    )


def all_levels(result: Result) -> str:
    """Return the table of every level."""
    found = result.view
    if found is None or (found.is_hidden):
        return "<p class='lab-note'>Nothing to show yet.</p>"
    shown = html_table(levels_table(found), "levels", f"Every level of {found.factor}")
    return f"<div class='lab-tables'>{shown}</div>"


def script_of(result: Result) -> str:
    """Return the script that reproduces what is shown."""
    return "" if result.view is None else script(result.view)


def code_block(text: str) -> str:
    """Return a script as HTML."""
    return f"<pre class='lab-code' tabindex='0'>{html.escape(text)}</pre>"


def csv_of(result: Result) -> bytes:
    """Return the shrinkage table of the estimator that arrows point to, as CSV."""
    found = result.view
    if found is None:
        return b""
    return found.estimates[found.first].table.to_csv(index=False).encode()
