"""What must not change a fit, or must change it exactly as algebra says, on random data sets.

The data sets are small, unbalanced, with one grouping factor, nested or crossed ones, and one to
three columns left of the bar. Some fits are on the boundary; nothing here depends on that.
"""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hierbayes as hb
from hierbayes.gaussian.kernel import kernel_of
from hierbayes.gaussian.products import anchor_of, products_of
from hierbayes.likelihood.lmm import fit_lmm

# Both searches end within 1e-9 of the same minimum; the rest is the rounding of another basis.
CRITERION = 1e-6
# The minimum is flat: an error of 1e-9 in the criterion is 3e-5 standard errors in a parameter.
ESTIMATE = 2e-3

ANIMALS = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay")
RANDOM_PARTS = {
    "one factor": ("(1 | a)", "(1 + x | a)", "(1 + x + z | a)"),
    "nested": ("(1 | a / b)", "(1 + x | a) + (1 | a:b)", "(1 + x + z | a) + (1 | a:b)"),
    "crossed": ("(1 | a) + (1 | c)", "(1 + x | a) + (1 | c)", "(1 + x + z | a) + (1 | c)"),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A formula's random part with data of that structure."""

    random: str
    data: pd.DataFrame = field(repr=False)
    seed: int
    n_levels: int

    def formula(self, fixed="x + z"):
        return f"y ~ {fixed} + {self.random}"


@st.composite
def cases(draw, structures=tuple(RANDOM_PARTS), widths=(1, 2, 3)):
    structure = draw(st.sampled_from(structures))
    width = draw(st.sampled_from(widths))
    seed = draw(st.integers(0, 10_000))
    n_levels = draw(st.integers(6, 10))
    data = simulated(np.random.default_rng(seed), n_levels=n_levels)
    random = RANDOM_PARTS[structure][width - 1]
    return Case(random=random, data=data, seed=seed, n_levels=n_levels)


def simulated(rng, *, n_levels):
    """Unbalanced rows of every structure at once; effects of very different sizes."""
    a = np.repeat(np.arange(n_levels), rng.integers(5, 14, n_levels))
    n = a.size
    b = rng.integers(0, 3, n)
    c = rng.integers(0, 7, n)
    x, z = rng.normal(2, 1, n), rng.uniform(-1, 1, n)
    effects = rng.normal(size=(n_levels, 3)) @ np.array([[1.5, 0.6, 0], [0, 0.8, 0.3], [0, 0, 1.0]])
    y = 3 + 0.5 * x - z + effects[a, 0] + effects[a, 1] * x + effects[a, 2] * z
    y += rng.normal(size=3 * n_levels)[3 * a + b] + rng.normal(0, 0.7, 7)[c] + rng.normal(size=n)
    labels = {"a": ANIMALS, "b": "rst", "c": "1234567"}
    data = pd.DataFrame({"y": y, "x": x, "z": z, "w": rng.uniform(0.5, 2, n)})
    for name, codes in (("a", a), ("b", b), ("c", c)):
        data[name] = [labels[name][code] for code in codes]
    data["f"] = [("lo", "mid", "hi")[code] for code in rng.integers(0, 3, n)]
    return data


def lmer(formula, data, **options):
    """Fit without warnings: some of these fits are on the boundary, which is no matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.lmer(formula, data, **options)


def assert_same(fit, other, *, shift=0.0, scale=1.0, sigma_scale=None, order=None):
    """Fits agree, ``other`` with a criterion ``shift`` higher and a response ``scale`` times.

    ``order`` are the positions of the rows of ``fit`` in ``other``.
    """
    assert other.criterion - shift == pytest.approx(fit.criterion, abs=CRITERION)
    ratio = abs(scale) if sigma_scale is None else sigma_scale
    assert other.sigma == pytest.approx(ratio * fit.sigma, rel=ESTIMATE)
    values = other.fitted_values if order is None else other.fitted_values[order]
    assert values == pytest.approx(scale * fit.fitted_values, abs=ESTIMATE * abs(scale) * fit.sigma)


def assert_same_beta(fit, other):
    assert other.beta == pytest.approx(fit.beta, abs=float(ESTIMATE * fit.std_errors.max()))
    assert other.std_errors == pytest.approx(fit.std_errors, rel=10 * ESTIMATE)


def sds(fit):
    return fit.varcorr().to_frame()["vcov"].to_numpy()


@given(cases(), st.booleans())
def test_the_order_of_rows_does_not_matter(case, reml):
    order = np.random.default_rng(case.seed).permutation(len(case.data))
    fit = lmer(case.formula(), case.data, reml=reml)
    shuffled = lmer(case.formula(), case.data.iloc[order], reml=reml)
    assert_same(fit, shuffled, order=np.argsort(order))
    assert_same_beta(fit, shuffled)


@given(cases())
def test_names_and_order_of_levels_do_not_matter(case):
    rng = np.random.default_rng(case.seed)
    renamed = case.data.copy()
    for name in "abc":
        levels = sorted(set(case.data[name]))
        labels = [f"level {i}" for i in rng.permutation(len(levels))]
        renamed[name] = case.data[name].map(dict(zip(levels, labels, strict=True)))
    reordered = case.data.copy()
    for name in "abc":
        levels = sorted(set(case.data[name]), reverse=True)
        reordered[name] = pd.Categorical(case.data[name], levels)
    fit = lmer(case.formula(), case.data)
    for other in (lmer(case.formula(), renamed), lmer(case.formula(), reordered)):
        assert_same(fit, other)
        assert_same_beta(fit, other)


@given(cases(), st.floats(-1e4, 1e4), st.sampled_from([-1e4, -3.0, 1e-4, 0.5, 1e6]), st.booleans())
def test_an_affine_response_moves_the_estimates_as_algebra_says(case, a, c, reml):
    fit = lmer(case.formula(), case.data, reml=reml)
    moved = lmer(case.formula(), case.data.assign(y=a + c * case.data.y), reml=reml)
    df = fit.nobs - (fit.beta.size if reml else 0)
    back = (moved.fitted_values - a) / c
    assert back == pytest.approx(fit.fitted_values, abs=ESTIMATE * fit.sigma)
    assert moved.criterion - 2 * df * np.log(abs(c)) == pytest.approx(fit.criterion, abs=CRITERION)
    beta = moved.beta / c
    beta[0] -= a / c
    assert beta == pytest.approx(fit.beta, abs=float(ESTIMATE * fit.std_errors.max()))
    assert moved.sigma == pytest.approx(abs(c) * fit.sigma, rel=ESTIMATE)


@given(cases(), st.floats(-100, 100), st.sampled_from([-20.0, 1e-3, 0.1, 1e4]), st.booleans())
def test_an_affine_predictor_leaves_the_fit_alone(case, a, c, reml):
    """Intercept and slope stand in one bar, so a shift of x is a change of basis there as well."""
    fit = lmer(case.formula(), case.data, reml=reml)
    moved = lmer(case.formula(), case.data.assign(x=a + c * case.data.x), reml=reml)
    # X is multiplied by a matrix of determinant c, and REML integrates over its coefficients
    assert_same(fit, moved, shift=2 * np.log(abs(c)) if reml else 0.0)
    assert moved.fixef()["x"] * c == pytest.approx(
        fit.fixef()["x"], abs=float(ESTIMATE * fit.std_errors.max())
    )


@given(cases(), st.floats(0.1, 50), st.booleans())
def test_weights_times_k_multiply_the_residual_variance_by_k(case, k, reml):
    fit = lmer(case.formula(), case.data, reml=reml, weights="w")
    other = lmer(case.formula(), case.data, reml=reml, weights=k * case.data.w.to_numpy())
    # (n - p) log k from the residuals and p log k from X'V^-1X cancel n log k of the weights
    assert_same(fit, other, sigma_scale=np.sqrt(k))
    assert_same_beta(fit, other)
    assert sds(other)[:-1] == pytest.approx(sds(fit)[:-1], rel=0.02, abs=1e-3 * fit.sigma**2)


@given(cases(), st.sampled_from(["sum", "helmert", "poly"]))
def test_coding_of_a_fixed_factor_leaves_fit_and_ml_deviance_alone(case, coding):
    fit = lmer(case.formula("f * x"), case.data, reml=False)
    recoded = lmer(case.formula("f * x"), case.data, reml=False, contrasts={"f": coding})
    assert_same(fit, recoded)


@given(cases(), st.booleans())
def test_cell_means_are_the_same_fixed_part(case, reml):
    fit = lmer(case.formula("f"), case.data, reml=reml)
    means = lmer(case.formula("0 + f"), case.data, reml=reml)
    assert_same(fit, means)  # treatment coding has determinant one, so REML agrees too


@given(cases(structures=("one factor",), widths=(1,)), st.booleans())
def test_cell_means_are_the_same_random_part(case, reml):
    fit = lmer("y ~ f + (f | a)", case.data, reml=reml)
    means = lmer("y ~ f + (0 + f | a)", case.data, reml=reml)
    assert_same(fit, means)


@given(cases(), st.booleans())
def test_double_bars_are_separate_terms(case, reml):
    double = lmer("y ~ x + (x + z || a)", case.data, reml=reml)
    apart = lmer("y ~ x + (1 | a) + (0 + x | a) + (0 + z | a)", case.data, reml=reml)
    assert_same(double, apart)
    assert sorted(sds(double)) == pytest.approx(sorted(sds(apart)), rel=1e-6, abs=1e-9)


@given(cases(), st.booleans())
def test_a_slash_is_a_factor_and_an_interaction(case, reml):
    slash = lmer("y ~ x + (1 | a/b)", case.data, reml=reml)
    written = lmer("y ~ x + (1 | a) + (1 | a:b)", case.data, reml=reml)
    own_labels = case.data.assign(ab=case.data.a + case.data.b)
    labelled = lmer("y ~ x + (1 | a) + (1 | ab)", own_labels, reml=reml)
    assert_same(slash, written)
    assert_same(slash, labelled)


@given(cases())
def test_what_the_formula_does_not_use_does_not_matter(case):
    data = case.data.assign(other=np.nan, text="word", y2=case.data.y)
    for name in "abcf":
        levels = [*sorted(set(data[name])), "never seen"]
        data[name] = pd.Categorical(data[name], levels)
    assert_same(lmer(case.formula("x + f"), case.data), lmer(case.formula("x + f"), data))


@given(cases(), st.booleans())
def test_an_offset_is_a_shift_of_the_response(case, reml):
    shift = 5 * case.data.z.to_numpy() ** 2 - 2
    shifted = lmer(case.formula(), case.data.assign(y=case.data.y - shift), reml=reml)
    given_ = lmer(case.formula(), case.data.assign(o=shift), reml=reml, offset="o")
    written = lmer(case.formula("x + z + offset(5 * z^2 - 2)"), case.data, reml=reml)
    for other in (given_, written):
        assert other.beta == pytest.approx(shifted.beta, rel=1e-6, abs=1e-8)
        assert other.criterion == pytest.approx(shifted.criterion, abs=CRITERION)
        assert other.fitted_values - shift == pytest.approx(shifted.fitted_values, abs=1e-5)


@given(cases())
def test_a_known_row_given_twice_with_twice_the_variance_is_that_row(case):
    """With known residual sds; an estimated sigma would see two rows that agree too well."""
    twice = pd.concat([case.data, case.data], ignore_index=True)
    sd = np.sqrt(case.data.w.to_numpy())
    fit = lmer(case.formula(), case.data, known_sd=sd)
    other = lmer(case.formula(), twice, known_sd=np.sqrt(2) * np.tile(sd, 2))
    assert_same_beta(fit, other)
    assert sds(other) == pytest.approx(sds(fit), rel=0.02, abs=1e-3)
    at = other.fitted_values[: fit.nobs]
    assert at == pytest.approx(fit.fitted_values, abs=ESTIMATE)


@given(cases())
def test_half_weights_on_doubled_rows_have_the_same_products(case):
    design = hb.Model(case.formula(), case.data).design
    twice = pd.concat([case.data, case.data], ignore_index=True)
    doubled = hb.Model(case.formula(), twice).design
    once = products_of(design)
    halves = products_of(doubled, weights=np.full(2 * len(case.data), 0.5), anchor=once.anchor)
    assert halves.yy == pytest.approx(once.yy, rel=1e-12)
    for name in ("zz", "zx", "zy"):
        for one, other in zip(getattr(once, name), getattr(halves, name), strict=True):
            assert other == pytest.approx(one, rel=1e-10, abs=1e-10)


@settings(max_examples=10)
@given(cases(), st.integers(0, 3))
def test_every_kind_of_data_gives_the_same_fit(tmp_path_factory, case, dropped):
    data = case.data.copy()
    data.loc[:dropped, "x"] = np.nan
    file = tmp_path_factory.mktemp("kinds") / "rows.csv"
    data.to_csv(file, index=False, float_format="%.17g")
    fit = lmer(case.formula("x + f"), data)
    others = (
        pl.from_pandas(data),
        pl.from_pandas(data).lazy(),
        pa.Table.from_pandas(data),
        {name: data[name].to_numpy() for name in data},
        {name: data[name].to_list() for name in data},
        data.astype({"a": "category", "c": "string", "x": "Float64"}),
        data.set_index(pd.Index(np.arange(len(data)) // 2)),
        str(file),
        file,
    )
    for other in others:
        again = lmer(case.formula("x + f"), other)
        assert again.beta == pytest.approx(fit.beta, rel=1e-9)
        assert again.criterion == pytest.approx(fit.criterion, rel=1e-9)
        assert again.coef_names == fit.coef_names


@given(cases(), st.booleans(), st.booleans())
def test_products_of_two_halves_fit_as_the_whole(case, reml, weighted):
    method = "reml" if reml else "ml"
    design = hb.Model(case.formula(), case.data, weights="w" if weighted else None).design
    whole = kernel_of(design, weights=design.weights, method=method)
    order = np.random.default_rng(case.seed).permutation(design.y.size)
    anchor = anchor_of(design, design.weights)
    parts = [design.with_rows(rows) for rows in (order[:20], order[20:])]
    first, second = (products_of(part, weights=part.weights, anchor=anchor) for part in parts)
    merged = fit_lmm(design, replace(whole, products=first + second))
    fit = fit_lmm(design, whole)
    assert float(merged.at.criterion[0]) == pytest.approx(float(fit.at.criterion[0]), abs=CRITERION)
    assert float(merged.at.sigma[0]) == pytest.approx(float(fit.at.sigma[0]), rel=1e-5)


def test_a_direction_that_nearly_vanishes_is_found_in_either_form():
    """The second form once stopped 7e-5 above the first, beside the boundary."""
    data = simulated(np.random.default_rng(77), n_levels=8)
    fits = [lmer(f"y ~ f + ({f} | a)", data) for f in ("f", "0 + f")]
    assert_same(*fits)
    assert all(fit.is_singular for fit in fits)
