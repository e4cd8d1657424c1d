"""Which pooling comes closest: the score after a guess.

Where the truth is known (simulated data) an estimated line is compared with the true one; the
error is the root mean squared distance of the lines over the x axis, averaged over levels and over
fresh samples of the same truth. Elsewhere observations are held out: half the rows of every level
are hidden at random, predicted from the other half, and the error is that of the predictions.

Source: Efron & Morris (1977), Stein's paradox in statistics, Scientific American 236(5).
"""

import warnings
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.errors import HierBayesError, HierBayesWarning
from hierbayes.lab.cases import Case
from hierbayes.lab.engine import View, complete_pooling
from hierbayes.lab.presets import (
    LAST_X,
    SIMULATED,
    SIMULATED_FORMULA,
    Simulation,
    simulated,
    true_lines,
)
from hierbayes.model.model import Model
from hierbayes.pooling.shrinkage import shrinkage
from hierbayes.results.linear_fit import LinearFit

POOLINGS = ("No pooling", "Partial pooling (REML)", "Complete pooling")
SAMPLES = 20  # fresh samples, or halves held out
SEED = 20


@record
class Score:
    """Errors of the three poolings.

    Attributes
    ----------
    errors : array, shape (samples, 3), root mean squared errors in units of the response
    sentence : what was measured, and which pooling won
    """

    errors: FloatArray
    sentence: str

    def table(self) -> pd.DataFrame:
        """Mean error of each pooling and how often it was the best."""
        best = np.bincount(self.errors.argmin(axis=1), minlength=3) if self.errors.size else [0] * 3
        mean = self.errors.mean(axis=0) if self.errors.size else np.full(3, np.nan)
        columns = {"mean error": mean, f"best of {len(self.errors)}": np.asarray(best)}
        return pd.DataFrame(columns, index=list(POOLINGS))


def score(view: View, samples: int = SAMPLES) -> Score:
    """Compare no, partial and complete pooling.

    Parameters
    ----------
    view : View
    samples : fresh samples of simulated data, or halves held out
    """
    if view.state.data == SIMULATED:
        what = f"Distance from the true lines over {samples} fresh samples of the same truth"
        return _scored(_errors_of_truth(view.state.simulation, samples), what)
    if int(np.median(view.n)) < 2 or view.reml.design.known_sd is not None:
        return Score(
            errors=np.empty((0, 3)),
            sentence="There is one observation a level, so nothing can be held out to score the "
            "poolings; simulated data can.",
        )
    what = f"Error of predicting the hidden half of each level, {samples} times"
    return _scored(_errors_of_halves(view.case, view.position, samples), what)


def guess_table(view: View) -> pd.DataFrame:
    """How far the guess and each pooling are from each other, in units of the term.

    Rows are the guess and the poolings; for simulated data the truth too.
    """
    j, first = view.level, view.estimates[view.first]
    rows = {"Your guess": np.asarray(view.state.guess, dtype=np.float64)}
    rows["No pooling"] = view.unpenalised[j]
    rows["Partial pooling"] = first.coefficient[j]
    rows["Complete pooling"] = first.population
    if view.state.data == SIMULATED:
        rows["Truth"] = true_lines(view.state.simulation)[int(view.state.level[1:]) - 1]
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(view.terms))


def guess_words(view: View) -> str:
    """Say how good a guess was: its distance from partial pooling, in its standard deviations."""
    j, first = view.level, view.estimates[view.first]
    sds = np.maximum(first.coefficient_sd[j], np.finfo(float).tiny)
    off = np.sqrt((((np.array(view.state.guess) - first.coefficient[j]) / sds) ** 2).mean())
    own = np.sqrt((((view.unpenalised[j] - first.coefficient[j]) / sds) ** 2).mean())
    text = f"Your guess is {off:.1f} sds from the partially pooled estimate"
    closer = "closer to it than" if off < own else "not closer to it than"
    return f"{text}, {closer} the level's own estimate ({own:.1f})."


def _scored(errors: FloatArray, what: str) -> Score:
    if not errors.size:
        return Score(errors=errors, sentence="No sample could be fitted, so there is no score.")
    winner = POOLINGS[int(errors.mean(axis=0).argmin())]
    return Score(errors=errors, sentence=f"{what}: {winner.lower()} has the smallest error.")


@lru_cache(maxsize=16)
def _errors_of_truth(simulation: Simulation, samples: int) -> FloatArray:
    found = []
    for k in range(samples):
        truth = replace(simulation, seed=simulation.seed + k)
        fit = _fitted(Model(SIMULATED_FORMULA, simulated(truth)))
        if fit is None:
            continue
        lines = _lines_of(fit)
        # over x from 0 to L: mean of (a + b x)^2 is a^2 + a b L + b^2 L^2 / 3
        a, b = np.moveaxis(lines - true_lines(truth), 2, 0)
        found.append(np.sqrt((a**2 + a * b * LAST_X + b**2 * LAST_X**2 / 3).mean(axis=1)))
    return np.array(found).reshape(-1, 3)


def _lines_of(fit: LinearFit) -> FloatArray:
    """Lines of all levels by no, partial and complete pooling, (3, J, 2)."""
    table = shrinkage(fit)
    shape = (-1, 2)
    own = table["unpenalised"].to_numpy().reshape(shape)
    partial = table["coefficient"].to_numpy().reshape(shape)
    complete = np.tile(complete_pooling(fit), (len(own), 1))
    return np.stack([own, partial, complete])


@lru_cache(maxsize=16)
def _errors_of_halves(case: Case, position: int, samples: int) -> FloatArray:
    rng = np.random.default_rng(SEED)
    codes = case.model.design.factors[position].codes
    used = case.model.design.rows.positions
    data = case.data.iloc[used].reset_index(drop=True)
    found = []
    for _ in range(samples):
        hidden = _half(codes, rng)
        errors = _errors_of_hidden(case, position, data, hidden=hidden)
        if errors is not None:
            found.append(errors)
    return np.array(found).reshape(-1, 3)


def _half(codes: IntArray, rng: np.random.Generator) -> BoolArray:
    """Choose half the rows of each level, rounded down; a level of one row keeps it."""
    order = rng.permutation(codes.size)
    place = np.empty(codes.size, dtype=np.intp)
    seen: dict[int, int] = {}
    for i in order:
        place[i] = seen.get(int(codes[i]), 0)
        seen[int(codes[i])] = int(place[i]) + 1
    sizes = np.bincount(codes)
    return np.asarray(place < sizes[codes] // 2)


def _errors_of_hidden(
    case: Case, position: int, data: pd.DataFrame, *, hidden: BoolArray
) -> FloatArray | None:
    """Root mean squared errors of predicting hidden rows from the others, (3,)."""
    model, known = case.model, case.model.design
    try:
        fit = _fitted(Model(model.formula_text, data[~hidden].reset_index(drop=True)))
    except HierBayesError:
        return None
    if fit is None or fit.beta.size != model.spec.kept_columns.size:
        return None
    X = known.X[np.ix_(np.flatnonzero(hidden), model.spec.kept_columns)]
    offset = 0.0 if known.offset is None else known.offset[hidden]
    fixed = X @ fit.beta + offset
    table = shrinkage(fit)
    own, partial = fixed.copy(), fixed.copy()
    for factor in known.factors:
        here = table[table["group"] == factor.name]
        levels = dict.fromkeys(here["level"])
        place = {str(level): position for position, level in enumerate(levels)}
        if not set(map(str, factor.levels)) <= place.keys():
            return None
        codes = np.array([place[str(level)] for level in factor.levels])[factor.codes[hidden]]
        q = len(factor.columns)
        effect = here["effect"].to_numpy().reshape(-1, q)
        partial += (factor.z[hidden] * effect[codes]).sum(axis=1)
        if factor.name == known.factors[position].name:
            effect = (here["unpenalised"] - here["population"]).to_numpy().reshape(-1, q)
        own += (factor.z[hidden] * effect[codes]).sum(axis=1)
    complete = X @ complete_pooling(fit) + offset
    y = known.y[hidden]
    return np.array([np.sqrt(((y - p) ** 2).mean()) for p in (own, partial, complete)])


def _fitted(model: Model) -> LinearFit | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HierBayesWarning)
        try:
            found = model.fit("reml")
        except (HierBayesError, np.linalg.LinAlgError):
            return None
    assert isinstance(found, LinearFit)  # of a Gaussian model
    return found
