"""From a state of the lab to everything its pictures and tables show.

REML, ML and the posterior are those of ``Model.fit`` and ``Model.sample`` with nothing changed, so
whoever runs the exported code gets the same numbers. With the sds unlocked a further fit stands
beside them: the conditional modes at sds, correlation and residual sd of the reader's choice,

    theta = chol(Sigma) / sigma,

with the fixed effects that go with them.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.bayes.distributions import HalfCauchy, HalfNormal, HalfStudentT, Prior
from hierbayes.bayes.lkj import LKJ
from hierbayes.effects.shrinkage import shrinkage
from hierbayes.errors import DataError, HierBayesError, HierBayesWarning, OptionError
from hierbayes.lab.presets import (
    OWN,
    PRESETS,
    SIMULATED,
    SIMULATED_FORMULA,
    Simulation,
    check_levels,
    own_table,
    simulated,
)
from hierbayes.lab.state import LabState
from hierbayes.linalg.rank import column_basis
from hierbayes.model.model import Model
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.shrinkage_table import ShrinkageTable

FloatArray = npt.NDArray[np.float64]
Fit = LikelihoodFit | PosteriorFit

DRAWS, CHAINS, SEED = 250, 4, 1  # 1,000 draws: what a moving slider has time for
MOST_TERMS = 2  # that are looked at: a plane has two axes
CHOSEN = "chosen"
NAMES = {"reml": "REML", "ml": "ML", "posterior": "Posterior", CHOSEN: "Your sds"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A reader's own file: its content, its name and the formula."""

    content: bytes = b""
    name: str = ""
    formula: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Data and model before anything is estimated.

    Attributes
    ----------
    data : the frame with moved and deleted observations
    rows : array of int, position of each row of ``data`` before any was deleted
    formula, known_sd, x, units, title, question : as those of a preset
    model : the model with default priors
    response : column of the response, None where it is no plain column
    """

    data: pd.DataFrame
    rows: npt.NDArray[np.intp]
    formula: str
    known_sd: str | None
    x: str | None
    units: dict[str, str]
    title: str
    question: str
    model: Model
    response: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one estimator says of the levels of the factor; J levels, q terms looked at.

    Attributes
    ----------
    fit : its fit
    table : its whole shrinkage table
    coefficient, effect, coefficient_sd, reliability : arrays (J, q)
    population : array (q,)
    covariance : array (q, q), of the levels
    """

    fit: Fit
    table: ShrinkageTable
    coefficient: FloatArray
    effect: FloatArray
    coefficient_sd: FloatArray
    reliability: FloatArray
    population: FloatArray
    covariance: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One state of the lab, computed.

    Attributes
    ----------
    state, case : what it was computed from; names of the state filled in
    factor : name of the grouping factor looked at
    factors : names of all
    position : of the factor in the design
    levels : its J labels
    terms : names of the terms looked at, q = 1 or 2
    n : array (J,), rows of each level
    unpenalised, unpenalised_se : arrays (J, q), of the estimator drawn first
    determined : array of bool, (J,), whether the level's own rows determine its estimate
    estimates : by "reml", "ml", "posterior", "chosen": those that are drawn
    first : the estimator arrows point to
    complete : array (p,), least squares without groups (complete pooling)
    reml : the REML fit, also when it is not drawn
    notes : sentences: findings, and settings that do not apply
    """

    state: LabState
    case: Case
    factor: str
    factors: tuple[str, ...]
    position: int
    levels: tuple[str, ...]
    terms: tuple[str, ...]
    n: npt.NDArray[np.intp]
    unpenalised: FloatArray
    unpenalised_se: FloatArray
    determined: npt.NDArray[np.bool_]
    estimates: Mapping[str, Estimate]
    first: str
    complete: FloatArray
    reml: LikelihoodFit
    notes: tuple[str, ...] = field(default=())

    @property
    def level(self) -> int:
        """Position of the level looked at."""
        return self.levels.index(self.state.level)


def view(state: LabState, own: Own | None = None) -> View:
    """Compute what the page shows.

    Parameters
    ----------
    state : LabState
    own : the reader's file, for ``data="own"``

    Raises
    ------
    HierBayesError
        One sentence that the page shows instead of pictures.
    """
    case = case_of(state, own)
    reml = _fit(case.model, "reml")
    notes = [finding.sentence for finding in reml.findings]
    if not reml.design.factors:
        raise DataError(
            "The formula has no random effects, so nothing is shrunk. Add a term such as "
            "(1 | group)."
        )
    factors = tuple(factor.name for factor in reml.design.factors)
    factor = state.factor if state.factor in factors else factors[0]
    position = factors.index(factor)
    levels = tuple(reml.design.factors[position].levels.tolist())
    terms = reml.design.factors[position].columns[:MOST_TERMS]
    fits, extra = _fits(state, case, reml, position)
    estimates = {name: _estimate(fit, position, len(terms)) for name, fit in fits.items()}
    first = next(name for name in (CHOSEN, *fits) if name in fits)
    shown = estimates[first].table
    wanted = state.level if state.level in levels else _first_level(state, levels)
    return View(
        state=replace(state, factor=factor, level=wanted),
        case=case,
        factor=factor,
        factors=factors,
        position=position,
        levels=levels,
        terms=terms,
        n=np.bincount(reml.design.factors[position].codes, minlength=len(levels)),
        unpenalised=table_column(shown, "unpenalised", reml, position)[:, :MOST_TERMS],
        unpenalised_se=table_column(shown, "unpenalised_se", reml, position)[:, :MOST_TERMS],
        determined=np.isfinite(table_column(shown, "within_group", reml, position)).all(axis=1),
        estimates=estimates,
        first=first,
        complete=complete_pooling(reml),
        reml=reml,
        notes=tuple(notes + extra),
    )


def case_of(state: LabState, own: Own | None = None) -> Case:
    """Return data and model of a state; the same settings give the same object again."""
    own = own if state.data == OWN else None
    return _case(state.data, own, state.simulation, state.edits)


@lru_cache(maxsize=16)
def _case(
    data: str, own: Own | None, simulation: Simulation, edits: tuple[tuple[int, float | None], ...]
) -> Case:
    given, about = _given(data, own, simulation)
    whole = Model(about["formula"], given, known_sd=about["known_sd"], data_name=about["name"])
    response = whole.design.formula.response_label.strip("`")
    plain = response if response in given.columns else None
    edited, rows = _edited(given, edits, plain)
    if edits:
        options = {"known_sd": about["known_sd"], "data_name": about["name"]}
        whole = Model(about["formula"], edited, **options)
    for factor in whole.design.factors:
        check_levels(factor.name, len(factor.levels))
    x = about["x"] or _predictor(whole)
    return Case(
        data=edited,
        rows=rows,
        model=whole,
        response=plain,
        x=x,
        **{key: about[key] for key in ("formula", "known_sd", "units", "title", "question")},
    )


def _given(
    data: str, own: Own | None, simulation: Simulation
) -> tuple[pd.DataFrame, dict[str, Any]]:
    if data in PRESETS:
        preset = PRESETS[data]
        about = {
            "formula": preset.formula,
            "known_sd": preset.known_sd,
            "x": preset.x,
            "units": dict(preset.units),
            "title": preset.title,
            "question": preset.question,
            "name": data,
        }
        return preset.load(), about
    plain: dict[str, Any] = {"known_sd": None, "x": None, "units": {}}
    if data == SIMULATED:
        question = "You know the truth here: set it, and see which pooling comes closest to it."
        about = {"formula": SIMULATED_FORMULA, "title": "Simulated data", "name": "simulated"}
        return simulated(simulation), plain | about | {"question": question, "x": "x"}
    if own is None or not own.content:
        raise DataError("No file yet: upload a CSV file whose first line names the columns.")
    about = {"formula": own.formula, "title": own.name, "name": own.name, "question": ""}
    return own_table(own.content), plain | about


def _edited(
    data: pd.DataFrame, edits: tuple[tuple[int, float | None], ...], response: str | None
) -> tuple[pd.DataFrame, npt.NDArray[np.intp]]:
    """Return the data with observations moved and deleted, and the old position of each row."""
    rows = np.arange(len(data), dtype=np.intp)
    known = [(row, y) for row, y in edits if row < len(data)]
    moved = {row: y for row, y in known if y is not None}
    if moved and response is not None:
        y = data[response].to_numpy(dtype=np.float64, copy=True)
        y[list(moved)] = list(moved.values())
        data = data.assign(**{response: y})
    deleted = [row for row, y in known if y is None]
    if not deleted:
        return data, rows
    rows = np.delete(rows, deleted)
    return data.iloc[rows].reset_index(drop=True), rows


def _predictor(model: Model) -> str | None:
    """Return the numeric column that the pictures' x axis shows: the first of the fixed part."""
    for name in (*(c for f in model.design.factors for c in f.columns), *model.design.coef_names):
        values = model.design.variables.get(name)
        if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "fiu":
            return str(name)
    return None


def _fits(
    state: LabState, case: Case, reml: LikelihoodFit, position: int
) -> tuple[dict[str, Fit], list[str]]:
    """Return the fits that are drawn, the one arrows point to first, and what went wrong."""
    found: dict[str, Fit] = {}
    notes = []
    if state.unlocked:
        found[CHOSEN] = chosen_fit(reml, state, position)
    if "reml" in state.show:
        found["reml"] = reml
    if "ml" in state.show:
        found["ml"] = _fit(case.model, "ml")
    if "posterior" in state.show:
        try:
            found["posterior"] = posterior_of(case, state)
        except HierBayesError as error:
            notes.append(f"There is no posterior to show. {error}")
    return found or {"reml": reml}, notes


@lru_cache(maxsize=32)
def _fit(model: Model, method: Any) -> LikelihoodFit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HierBayesWarning)  # the page shows the findings
        return model.fit(method)


def reml_of(case: Case) -> LikelihoodFit:
    """Return the REML fit of a case."""
    return _fit(case.model, "reml")


def posterior_of(case: Case, state: LabState) -> PosteriorFit:
    """Return the posterior under the priors of a state."""
    return _posterior(case.model, state.prior, state.scale, state.eta)


@lru_cache(maxsize=32)
def _posterior(model: Model, family: str, scale: float, eta: float) -> PosteriorFit:
    priors = priors_of(model, family, scale=scale, eta=eta)
    if priors:
        options = {"known_sd": model.arguments["known_sd"], "data_name": model.data_name}
        model = Model(model.formula_text, model.table, priors=priors, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HierBayesWarning)
        return model.sample(draws=DRAWS, chains=CHAINS, random_seed=SEED, progress=False)


def priors_of(
    model: Model, family: str, *, scale: float = 1.0, eta: float = 2.0
) -> dict[str, Prior | LKJ]:
    """Return the priors that differ from a model's defaults, by the names ``Model`` takes."""
    found: dict[str, Prior | LKJ] = {}
    for parameter in model.model_priors.parameters:
        default = model.model_priors.of(parameter)
        if parameter.kind == "sd" and (family != "t" or scale != 1):
            assert isinstance(default, HalfStudentT)
            found[parameter.name] = _sd_prior(family, float(f"{default.sigma * scale:.4g}"))
        elif parameter.kind == "cor" and eta != 2:
            found[parameter.name] = LKJ(eta)
    return found


def _sd_prior(family: str, scale: float) -> Prior:
    if family == "normal":
        return HalfNormal(scale)
    return HalfCauchy(scale) if family == "cauchy" else HalfStudentT(4, scale)


def chosen_fit(reml: LikelihoodFit, state: LabState, position: int) -> LikelihoodFit:
    """Return the fit at sds, correlation and sigma that the reader chose; nothing is estimated.

    What is not chosen is REML's. Other factors keep their REML sds.
    """
    known = reml.design.known_sd is not None
    sigma = reml.sigma if known or state.sigma is None else state.sigma
    shape = reml.kernel.shape
    Lambdas = [Lambda * (reml.sigma / sigma) for Lambda in shape.unpack(reml.theta[None])]
    sds, cor = chosen_sds(reml, state, position)
    Lambda = Lambdas[position]
    if len(sds) == 1:
        Lambda[0, 0, 0] = sds[0] / sigma
    else:
        Lambda[0, :2, :2] = (
            np.array([[sds[0], 0.0], [cor * sds[1], np.sqrt(1 - cor**2) * sds[1]]]) / sigma
        )
    model = reml.model
    assert isinstance(model, Model)
    fit = model.at_theta(
        "reml",
        shape.pack(Lambdas)[0],
        response=reml.design.y,
        converged=True,
        is_singular=False,
        findings=(),
    )
    return replace(fit, sigma=sigma)


def chosen_sds(
    reml: LikelihoodFit, state: LabState, position: int
) -> tuple[tuple[float, ...], float]:
    """Return sds and correlation of the terms looked at: the reader's, REML's where not given."""
    factor = reml.design.factors[position]
    if len(factor.columns) > MOST_TERMS:
        raise OptionError(
            f"{factor.name} has {len(factor.columns)} terms; the lab takes sds of your own for "
            f"factors with at most {MOST_TERMS}. Lock the sds to their REML values again."
        )
    root = reml.sigma * reml.kernel.shape.unpack(reml.theta[None])[position][0]
    covariance = root @ root.T
    estimated = np.sqrt(np.diag(covariance))
    sds = state.sds if len(state.sds) == estimated.size else tuple(estimated.tolist())
    if estimated.size == 1 or not is_correlated(reml, position):
        return sds, 0.0
    both = float(estimated.prod())
    cor = float(covariance[0, 1] / both) if both > 0 else 0.0
    return sds, float(np.clip(cor if state.cor is None else state.cor, -1.0, 1.0))


def is_correlated(fit: LikelihoodFit, position: int) -> bool:
    """Whether the model has a correlation between the two terms looked at."""
    return any(term.factor == position and set(term.columns) >= {0, 1} for term in fit.design.terms)


def complete_pooling(fit: LikelihoodFit) -> FloatArray:
    """Least-squares coefficients of the fixed part as if there were no groups, shape (p,)."""
    design = fit.design
    X = design.X[:, column_basis(design.X).kept]
    y = design.y if design.offset is None else design.y - design.offset
    root = np.ones(y.size) if fit.weights is None else np.sqrt(fit.weights)
    return np.asarray(np.linalg.lstsq(root[:, None] * X, root * y, rcond=None)[0])


def _estimate(fit: Fit, position: int, q_shown: int) -> Estimate:
    table = _shrinkage(fit)
    assert table.details is not None
    details = table.details.factors[fit.design.factors[position].name]
    return Estimate(
        fit=fit,
        table=table,
        coefficient=table_column(table, "coefficient", fit, position)[:, :q_shown],
        effect=table_column(table, "effect", fit, position)[:, :q_shown],
        coefficient_sd=table_column(table, "coefficient_sd", fit, position)[:, :q_shown],
        reliability=table_column(table, "reliability", fit, position)[:, :q_shown],
        population=details.population[:q_shown],
        covariance=details.covariance[:q_shown, :q_shown],
    )


def table_column(table: ShrinkageTable, column: str, fit: Fit, position: int) -> FloatArray:
    """Return a column of a shrinkage table for one factor, shape (J, q); factors stand in turn."""
    sizes = [(factor.levels.size, len(factor.columns)) for factor in fit.design.factors]
    start = sum(J * q for J, q in sizes[:position])
    J, q = sizes[position]
    values = table[column].to_numpy(dtype=np.float64)[start : start + J * q]
    return np.asarray(values.reshape(J, q))


@lru_cache(maxsize=32)
def _by_identity(key: "_Same") -> ShrinkageTable:
    return shrinkage(key.fit)


@dataclass(frozen=True, eq=False)
class _Same:
    """A fit as a key: the same object is the same key."""

    fit: Fit

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.fit is self.fit

    def __hash__(self) -> int:
        return id(self.fit)


def _shrinkage(fit: Fit) -> ShrinkageTable:
    return _by_identity(_Same(fit))


def _first_level(state: LabState, levels: tuple[str, ...]) -> str:
    preset = PRESETS.get(state.data)
    return preset.level if preset is not None and preset.level in levels else levels[0]
