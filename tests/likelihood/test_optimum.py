"""The optimum is the same from any start, zero is exact, and saddles don't hold the search."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hierbayes as hb
from hierbayes.gaussian.covariance import term_covariances
from hierbayes.gaussian.moments import moment_start
from hierbayes.likelihood import lmm
from hierbayes.likelihood.lmm import fit_lmm
from hierbayes.linalg.newton import minimise
from tests.reference_fits import linear_fits, load_fit

FITS = {
    "dye_reml": "one variance",
    "dye2_reml": "zero variance",
    "pas_reml": "nested",
    "pen_reml": "crossed",
    "ss_max_reml": "slope",
    "ss_wt_ml": "weights",
    "ort_slope_ml": "strong correlation",
    "ss_quad_re": "lme4's default stops above it",
    "ss_over_reml": "lme4's default stops 0.72 above it",
    "mac_fac_ml": "three columns",
    "pas_batchslope": "three columns, few levels",
    "cake_slope": "correlation one",
    "oat_helm": "correlation one, six levels",
    "cake_over": "singular, four columns",
    "ss_sep_reml": "two terms of one factor",
}


class Case:
    """A reference fit's kernel, made once."""

    _made: dict = {}  # noqa: RUF012

    @classmethod
    def of(cls, fit_id):
        if fit_id not in cls._made:
            cls._made[fit_id] = cls(load_fit(fit_id))
        return cls._made[fit_id]

    def __init__(self, reference):
        model = hb.Model(reference.formula, reference.data, **reference.options)
        self.record = reference.record
        self.design = model.design
        self.kernel = model.spec.kernel("reml" if reference.reml else "ml")
        self.best = self.record["optimisation"]["objective"]

    def fit(self, start=None):
        return fit_lmm(self.design, self.kernel, start=start)

    def covariances(self, found):
        sigma = float(found.at.sigma[0])
        return [
            np.outer(term.sd, term.sd) * np.nan_to_num(term.corr)
            for term in term_covariances(self.kernel.shape, found.theta, sigma)
        ]


def assert_is_the_optimum(case, found):
    assert found.at.criterion[0] <= case.best + max(1e-6, 1e-9 * abs(case.best))
    assert found.converged
    assert found.is_singular == case.record["singular"]
    groups = case.record["VarCorr"]["groups"]
    for ours, theirs in zip(case.covariances(found), groups, strict=True):
        sd = np.array(theirs["sd"], ndmin=1) + 1e-4 * case.record["sigma"]
        expected = np.reshape(theirs["cov"], ours.shape)
        np.testing.assert_allclose(ours / np.outer(sd, sd), expected / np.outer(sd, sd), atol=2e-3)


# an entry of theta: exact zeros, tiny and huge ones of both signs
ENTRY = st.just(0.0) | st.tuples(st.floats(-6, 2), st.sampled_from([-1, 1])).map(
    lambda drawn: drawn[1] * 10 ** drawn[0]
)


@pytest.mark.parametrize("fit_id", FITS)
@given(data=st.data())
def test_the_optimum_is_the_same_from_any_start(fit_id, data):
    case = Case.of(fit_id)
    k = case.kernel.shape.n_theta
    start = np.array(data.draw(st.lists(ENTRY, min_size=k, max_size=k)))
    assert_is_the_optimum(case, case.fit(start))


@pytest.mark.parametrize("fit_id", FITS)
def test_no_saddle_holds_the_search(fit_id):
    # with a variance at zero the derivative in theta vanishes, whatever its sign beyond
    case = Case.of(fit_id)
    shape = case.kernel.shape
    usual = moment_start(case.kernel)
    for i in np.flatnonzero(shape.is_diagonal):
        _, row, column = shape.entries
        factor = shape.entries[0][i]
        own = (shape.entries[0] == factor) & ((row == row[i]) | (column == column[i]))
        assert_is_the_optimum(case, case.fit(np.where(own, 0.0, usual)))
        assert_is_the_optimum(case, case.fit(np.where(own, 0.0, case.kernel.shape.is_diagonal)))
    assert_is_the_optimum(case, case.fit(np.zeros(shape.n_theta)))


@pytest.mark.parametrize("fit_id", FITS)
def test_no_perfect_correlation_holds_the_search(fit_id):
    case = Case.of(fit_id)
    shape = case.kernel.shape
    for slope in (1.0, -1.0):
        start = np.where(shape.is_diagonal, 0.0, slope)
        start[0] = 1.0
        assert_is_the_optimum(case, case.fit(start))


def narrow_valley(seed):
    """Small data whose covariance has lost a direction: y, x, z, w and groups g and h."""
    rng = np.random.default_rng(seed)
    n, J = int(rng.integers(30, 120)), int(rng.integers(5, 12))
    g, h, unused = (rng.integers(0, levels, n) for levels in (J, 6, 5))
    del unused
    g[:J], h[:6] = np.arange(J), np.arange(6)
    x = rng.normal(size=n)
    z = x * rng.uniform(0, 1) + rng.normal(size=n)
    w = rng.normal(size=n)
    sd = 10 ** rng.uniform(-2, 0.5, size=4)
    y = sd[0] * rng.normal(size=J)[g] + sd[1] * rng.normal(size=J)[g] * x
    y = y + sd[2] * rng.normal(size=6)[h] + sd[3] * rng.normal(size=J)[g] * z
    y = y + rng.normal(size=n)
    if rng.uniform() < 0.3:
        y = y + 2 * rng.standard_t(2, size=n)
    return {"y": y, "x": x, "z": z, "w": w, "g": g, "h": h}


# seeds at which the search once stopped in a curved valley beside the boundary, up to 0.003 above
VALLEYS = [
    (203, "ml", "y ~ x + (x + z | g)", 343.4786995878),
    (287, "reml", "y ~ x + (x + z | g)", 677.8566868720),
    (289, "reml", "y ~ 1 + (x + z + w | g)", 255.1753677298),
    (313, "ml", "y ~ x + (x + z | g) + (x | h)", 160.2131558546),
    (397, "ml", "y ~ x + (x + z | g) + (x | h)", 341.4217041642),
    (410, "ml", "y ~ x + (x | g) + (0 + z | g)", 192.7697154293),
    (429, "ml", "y ~ 1 + (x + z + w | g)", 220.4596707125),
    (665, "reml", "y ~ x + (x + z | g)", 650.9255056527),
]


@pytest.mark.parametrize(("seed", "method", "formula", "best"), VALLEYS)
def test_a_curved_valley_beside_the_boundary_does_not_hold_the_search(seed, method, formula, best):
    model = hb.Model(formula, narrow_valley(seed))
    kernel = model.spec.kernel(method)
    rng = np.random.default_rng(1)
    starts = [rng.normal(size=kernel.shape.n_theta) * size for size in (0.1, 1.0, 10.0)]
    for start in (None, *starts):
        found = fit_lmm(model.design, kernel, start=start)
        assert found.at.criterion[0] <= best + 1e-6
        assert found.converged
        assert found.is_singular


def test_the_usual_start_is_near_the_optimum():
    # of a balanced factor with the columns of X it is the optimum itself
    case = Case.of("ss_max_reml")
    found = case.fit()
    assert found.steps <= 3
    np.testing.assert_allclose(
        case.kernel.shape.rectified(moment_start(case.kernel)), found.at.theta[0], atol=1e-6
    )


@pytest.mark.parametrize(
    ("fit_id", "zeros"),
    [
        ("dye2_reml", [0]),
        ("dye2_ml", [0]),
        ("cake_slope", [2]),
        ("cake_slope_c", [2]),
        ("oat_helm", [2]),
        ("cake_over", [9]),
    ],
)
def test_on_the_boundary_theta_is_exactly_zero(fit_id, zeros):
    found = Case.of(fit_id).fit()
    assert np.flatnonzero(found.theta == 0).tolist() == zeros
    diagonal = found.at.theta[0, found.kernel.shape.is_diagonal]
    assert np.count_nonzero(diagonal == 0) == len(zeros)


@pytest.mark.parametrize("fit_id", ["ss_max_reml", "ss_quad_re", "ss_over_reml", "pas_batchslope"])
def test_inside_theta_has_no_zero_and_a_positive_diagonal(fit_id):
    case = Case.of(fit_id)
    theta = case.fit().theta
    assert (theta[case.kernel.shape.is_diagonal] > 1e-4).all()


@pytest.mark.parametrize("fit_id", ["ss_over_reml", "ss_over_ml", "cake_slope", "ss_quad_re"])
def test_the_criterion_is_below_where_lme4s_default_stops(fit_id):
    default = load_fit(fit_id).record["optimisation"]["tried"]["default"]["objective"]
    assert Case.of(fit_id).fit().at.criterion[0] < default - 1e-3


# singular directions are found in any basis of the columns


def test_the_units_of_a_slope_do_not_decide_whether_a_fit_is_singular():
    cake, oats = hb.load_dataset("cake"), hb.load_dataset("Oats")
    for scale in (1e-6, 1e-3, 1.0, 1e4):
        for data, formula, column in [
            (cake, "angle ~ recipe * temp + (temp | recipe:replicate)", "temp"),
            (oats, "yield ~ nitro * Variety + (nitro | Block)", "nitro"),
        ]:
            changed = data.assign(**{column: data[column].astype(float) * scale})
            with pytest.warns(hb.BoundaryWarning, match=r"exactly \+1"):
                assert hb.lmer(formula, changed).is_singular
        sleep = hb.load_dataset("sleepstudy").eval(f"Days = Days * {scale}")
        assert not hb.lmer("Reaction ~ Days + (Days | Subject)", sleep).is_singular


# the search


def test_an_unsettled_search_is_a_finding_and_a_warning(sleepstudy, monkeypatch):
    def impatient(criteria, start, *, goal, **options):
        goal = replace(goal, max_steps=min(goal.max_steps, 1))
        return minimise(criteria, start, goal=goal, **options)

    monkeypatch.setattr(lmm, "minimise", impatient)
    monkeypatch.setattr(lmm, "moment_start", lambda kernel: np.full(3, 50.0))
    with pytest.warns(hb.ConvergenceWarning, match="did not settle: after 4 restarts"):
        fit = hb.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    assert not fit.converged
    (finding,) = fit.findings
    assert finding.code == "suspect"
    assert finding.numbers["restarts"] == 4
    assert finding.numbers["moved_in_standard_errors"] > 0


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_search_ends_at_the_same_place_in_every_unit_of_the_response(method, scale):
    """Its goal was a part of the deviance, whose origin hangs on the unit: theta moved by 1e-4."""
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(8), 7)
    x, slopes = rng.normal(size=56), rng.normal(0, 0.5, 8)
    y = x + slopes[g] * (1 + x) + rng.normal(0, 0.7, 56)
    thetas = []
    for factor in (1.0, scale):
        data = pd.DataFrame({"y": y * factor, "x": x, "g": g.astype(str)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", hb.HierBayesWarning)
            thetas.append(hb.Model("y ~ x + (x | g)", data).fit(method).theta)
    assert thetas[1] == pytest.approx(thetas[0], rel=1e-7, abs=1e-9)


def test_every_reference_fit_used_here_exists():
    assert set(FITS) <= set(linear_fits())


def test_no_warning_is_issued_for_a_fit_inside(sleepstudy):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hb.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
