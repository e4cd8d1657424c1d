"""From a state of the lab to everything its pictures and tables show.

REML, ML and the posterior are those of ``Model.fit`` and ``Model.sample`` with nothing changed, so
whoever runs the exported code gets the same numbers. With the sds unlocked a further fit stands
beside them: the conditional modes at sds, correlation and residual sd of the reader's choice.
"""

import warnings
from collections.abc import Mapping
from dataclasses import field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.errors import DataError, HierBayesError, HierBayesWarning
from hierbayes.lab.cases import Case, Own, case_of
from hierbayes.lab.chosen import MOST_TERMS, chosen_fit
from hierbayes.lab.presets import PRESETS, SIMULATED, true_lines
from hierbayes.lab.state import LabState
from hierbayes.linalg.rank import column_basis
from hierbayes.model.model import Model
from hierbayes.pooling.shrinkage import shrinkage
from hierbayes.priors.distributions import HalfCauchy, HalfNormal, HalfStudentT, Prior
from hierbayes.priors.lkj import LKJ
from hierbayes.results.fit import Fit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.once_a_fit import once_a_fit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.shrinkage_table import ShrinkageTable

DRAWS, CHAINS, SEED = 250, 4, 1  # 1,000 draws: what a moving slider has time for
CHOSEN = "chosen"
NAMES = {"reml": "REML", "ml": "ML", "posterior": "Posterior", CHOSEN: "Your sds"}


@record
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


@record
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
    n: IntArray
    unpenalised: FloatArray
    unpenalised_se: FloatArray
    determined: BoolArray
    estimates: Mapping[str, Estimate]
    first: str
    complete: FloatArray
    reml: LinearFit
    notes: tuple[str, ...] = field(default=())

    @property
    def is_hidden(self) -> bool:
        """Whether estimates are kept back until the guess is revealed."""
        return self.state.guessing and not self.state.revealed

    @property
    def drawn(self) -> list[tuple[str, Estimate]]:
        """The estimates that are drawn, by name."""
        return [] if self.is_hidden else list(self.estimates.items())

    @property
    def truth(self) -> FloatArray | None:
        """True line of the level looked at, (2,), where data are simulated and it is revealed."""
        if self.state.data != SIMULATED or not (self.state.guessing and self.state.revealed):
            return None
        return true_lines(self.state.simulation)[int(self.state.level[1:]) - 1]

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


def _fits(
    state: LabState, case: Case, reml: LinearFit, position: int
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
            posterior = posterior_of(case, state)
            found["posterior"] = posterior
            notes += [f"Posterior: {finding.sentence}" for finding in posterior.findings]
        except HierBayesError as error:
            notes.append(f"There is no posterior to show. {error}")
    return found or {"reml": reml}, notes


@lru_cache(maxsize=32)
def _fit(model: Model, method: Any) -> LinearFit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HierBayesWarning)  # the page shows the findings
        found = model.fit(method)
    assert isinstance(found, LinearFit)  # of a Gaussian model
    return found


def reml_of(case: Case) -> LinearFit:
    """Return the REML fit of a case."""
    return _fit(case.model, "reml")


def posterior_of(case: Case, state: LabState) -> PosteriorFit:
    """Return the posterior under the priors of a state."""
    return _posterior(case.model, state.prior, state.scale, state.eta)


@lru_cache(maxsize=32)
def _posterior(model: Model, law: str, scale: float, eta: float) -> PosteriorFit:
    priors = priors_of(model, law, scale=scale, eta=eta)
    if priors:
        options = {"known_sd": model.spec.arguments.known_sd, "data_name": model.data_name}
        model = Model(model.formula_text, model.spec.table, priors=priors, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HierBayesWarning)
        # never NUTS, which would take its seconds at every move; a finding says where that is meant
        return model.sample(
            draws=DRAWS, chains=CHAINS, sampler="collapsed", random_seed=SEED, progress=False
        )


def priors_of(
    model: Model, law: str, *, scale: float = 1.0, eta: float = 2.0
) -> dict[str, Prior | LKJ]:
    """Return the priors that differ from a model's defaults, by the names ``Model`` takes."""
    found: dict[str, Prior | LKJ] = {}
    for parameter in model.spec.priors.parameters:
        default = model.spec.priors.of(parameter)
        if parameter.kind == "sd" and (law != "t" or scale != 1):
            assert isinstance(default, HalfStudentT)
            found[parameter.name] = _sd_prior(law, float(f"{default.sigma * scale:.4g}"))
        elif parameter.kind == "cor" and eta != 2:
            found[parameter.name] = LKJ(eta)
    return found


def _sd_prior(law: str, scale: float) -> Prior:
    if law == "normal":
        return HalfNormal(scale)
    return HalfCauchy(scale) if law == "cauchy" else HalfStudentT(4, scale)


def complete_pooling(fit: LinearFit) -> FloatArray:
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


_shrinkage = once_a_fit(shrinkage)


def _first_level(state: LabState, levels: tuple[str, ...]) -> str:
    preset = PRESETS.get(state.data)
    return preset.level if preset is not None and preset.level in levels else levels[0]
