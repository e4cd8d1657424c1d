"""Every public number moves with the data exactly as its unit says, and with nothing else.

The data are of order one; what changes is how they are written: units and origins of y and x, the
order of rows and columns, names, types of labels, the kind of frame and of index.
"""

import datetime
import re
import string
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import hierbayes as hb
from tests.properties.equivariance import Case, Move, Names, assert_equivariant
from tests.properties.equivariant_results import POSTERIOR, RESULTS, SEARCHES

# Both searches end within 1e-9 of one minimum and polish it: what is left is rounding, times the
# condition of the model (below 1e4 for these data).
RTOL = 1e-6
# An origin a sds away leaves eps * a of the digits of every observation, before anything is done.
RTOL_PER_SHIFT = 1e3 * np.finfo(float).eps

MODELS = {
    "balanced": "y ~ x + f + (1 | g)",
    "slopes": "y ~ x + f + (x | g)",
    "independent slopes": "y ~ x + f + (x || g)",
    "crossed": "y ~ x + f + (1 | g) + (1 | h)",
    "nested": "y ~ x + f + (1 | g/k)",
    "singular": "y ~ x + f + (1 | g) + (1 | k)",
    "known_sd": "y ~ x + f + (1 | g)",
    "weights": "y ~ x + f + (x | g)",
}
OPTIONS = {"known_sd": {"known_sd": "s"}, "weights": {"weights": "w"}}
# Covariances of few parameters, and known ones between levels, under fewer moves.
STRUCTURED = {"pattern": "y ~ x + cs(0 + f | g)", "related": "y ~ x + f + (1 | g)"}
# Residuals that are correlated, of unequal sds, or both.
RESIDUAL = {
    "strata": "y ~ x + f + (x | g)",
    "log-linear": "y ~ x + f + (1 | g)",
    "serial": "y ~ x + f + (1 | g)",
    "exchangeable": "y ~ x + f",
}
RESIDUAL_OPTIONS = {
    "strata": {"sigma": "~ f"},
    "log-linear": {"sigma": "~ x"},
    "serial": {"residual": "ar1(t | g)", "sigma": "~ f"},
    "exchangeable": {"residual": "cs(1 | g)"},
}
RELATED = pd.DataFrame(
    np.eye(8) + 0.25 * (np.subtract.outer(np.arange(8), np.arange(8)) % 3 == 0),
    index=list("ABCDEFGH"),
    columns=list("ABCDEFGH"),
)
# (x || g) says that intercepts and slopes are independent where x is 0, and so means another model
# where the origin of x moves.
MOVES_WITH_X = sorted(MODELS.keys() - {"independent slopes"})


def frame(*, balanced):
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(8), 8)
    k, h, f = np.tile([0, 1, 2, 3], 16), np.tile(np.arange(5), 13)[:64], np.tile([0, 1, 2], 22)[:64]
    x = rng.normal(size=64)
    effects = rng.normal(size=(8, 2)) @ np.array([[1.0, 0.4], [0.0, 0.5]])
    y = 0.5 * x + 0.7 * (f == 1) + effects[g, 0] + effects[g, 1] * x + rng.normal(0, 0.8, 5)[h]
    y += rng.normal(0, 0.6, 32)[4 * g + k] + rng.normal(0, 0.7, 64)
    data = pd.DataFrame(
        {"y": y, "x": x, "w": rng.uniform(0.5, 2, 64), "s": rng.uniform(0.5, 1, 64)}
    )
    data["t"] = np.argsort(rng.random((8, 8)), axis=1).ravel()
    for name, codes in {"f": f, "g": g, "h": h, "k": k}.items():
        data[name] = [string.ascii_uppercase[code] for code in codes]
    return data if balanced else data.drop(index=[0, 1, 2, 9, 10, 17, 30, 45, 63])


@cache
def case_of(model):
    data = frame(balanced=model == "balanced").reset_index(drop=True)
    options = {"cov": {"g": RELATED}} if model == "related" else {}
    options = (OPTIONS | RESIDUAL_OPTIONS).get(model, options)
    return Case(formula=(MODELS | STRUCTURED | RESIDUAL)[model], data=data, options=options)


@cache
def fit_of(model, method):
    return fitted(case_of(model), method)


def fitted(case, method):
    with warnings.catch_warnings():  # what they say is in the findings, and those are compared
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return case.model().fit(method)


def check(model, method, move, *, results=RESULTS, rtol=RTOL):
    assert_equivariant(fit_of(model, method), fitted(move.case, method), move, results, rtol=rtol)


def affine(case, *, y=(0.0, 1.0), x=(0.0, 1.0)):
    """Y and x in other units and from other origins; known sds are in the unit of y."""
    data = case.data.assign(
        y=y[0] + y[1] * case.data.y, x=x[0] + x[1] * case.data.x, s=y[1] * case.data.s
    )
    return Move(
        case=replace(case, data=data),
        y_shift=y[0],
        y_scale=y[1],
        x_shift=x[0],
        x_scale=x[1],
        keeps_draws=not x[0],  # effects are drawn in the basis of intercept and slope
    )


def permuted(case, seed=3):
    order = np.random.default_rng(seed).permutation(len(case.data))
    data = case.data.iloc[order].reset_index(drop=True)
    return Move(case=replace(case, data=data), rows=np.argsort(order), keeps_draws=False)


def relabelled(case):
    """Levels of the grouping factors by other labels, in another order."""
    labels = dict(zip("ABCDEFGH", ["z", "é", "10", "9", "a b", "A", "-1", "b"], strict=True))
    data = case.data.assign(**{name: case.data[name].map(labels) for name in ("g", "h", "k")})
    back = {label: letter for letter, label in labels.items()}

    def first_label(label):
        return ":".join(back.get(part, part) for part in str(label).split(":"))

    return Move(case=replace(case, data=data), level=first_label, keeps_draws=False)


def renamed(case, **names):
    """Columns by other names; roles keep theirs."""
    data = case.data.rename(columns=names)
    formula = re.sub(r"\w+", lambda found: f"`{names.get(found[0], found[0])}`", case.formula)
    formula = formula.replace("`1`", "1")
    roles = {role: name for role, name in names.items() if role in "xfg"}
    return Move(case=replace(case, formula=formula, data=data, names=Names(**roles)))


def with_ids(case, convert):
    """Labels of the grouping factor g of another type, in the same order."""
    ids = pd.Series(convert(case.data.g.map("ABCDEFGH".index)), case.data.index)
    letters = {_label(label): letter for label, letter in zip(ids, case.data.g, strict=True)}
    data = case.data.assign(g=ids)

    def letter(label):
        parts = _label(label).split(":")  # a level of k within g has both names
        return ":".join(letters.get(part, part) for part in parts)

    return Move(case=replace(case, data=data), level=letter)


def _label(value):
    """Give a label as tables print it: a date without time, a whole number without its point."""
    return re.sub(r"( 00:00:00|\.0)$", "", str(value))


def of_kind(case, convert):
    return Move(case=replace(case, data=convert(case.data)))


CATEGORIES = [f"c{number}" for number in range(9, 0, -1)]
FIRST_DAY = datetime.date(2024, 2, 26)
IDS = {
    "int": lambda codes: codes + 3,
    "float": lambda codes: codes * 1.0,
    "nullable": lambda codes: codes.astype("Int64"),
    "string": lambda codes: ("s" + codes.astype(str)).astype("string"),
    "category": lambda codes: pd.Categorical([f"c{9 - code}" for code in codes], CATEGORIES),
    "date": lambda codes: [FIRST_DAY + datetime.timedelta(int(code)) for code in codes],
    "datetime": lambda codes: pd.Timestamp("2024-02-26") + pd.to_timedelta(codes, unit="D"),
    "arrow": lambda codes: ("s" + codes.astype(str)).astype(pd.ArrowDtype(pa.string())),
    "beyond 64 bits": lambda codes: pd.array([10**25 + int(code) for code in codes], object),
}  # fmt: skip
KINDS = {
    "polars": pl.from_pandas,
    "arrow": pa.Table.from_pandas,
    "dict": lambda data: {name: data[name].to_numpy() for name in data},
    "columns turned round": lambda data: data[data.columns[::-1]],
    "index from 100": lambda data: data.set_axis(np.arange(len(data)) + 100, axis=0),
    "index shuffled": lambda data: data.set_axis(
        np.random.default_rng(1).permutation(len(data)), axis=0
    ),
    "index of two levels": lambda data: data.set_axis(
        pd.MultiIndex.from_arrays([np.arange(len(data)) // 5, np.arange(len(data))]), axis=0
    ),
    "index of one value": lambda data: data.set_axis(np.zeros(len(data), int), axis=0),
}  # fmt: skip
NAMES = (
    {"x": "sigma"},
    {"x": "my x"},
    {"x": "(Intercept)"},
    {"x": "fB"},
    {"g": "Residual"},
    {"g": "x|g", "x": "größe"},
    {"f": "sd_x", "y": "fitted"},
)


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("scale", [1e-12, 1e12])
@pytest.mark.parametrize("model", MODELS)
def test_numbers_move_with_the_unit_of_the_response(model, scale, method):
    check(model, method, affine(case_of(model), y=(0.0, scale)))


@pytest.mark.parametrize("model", ["slopes", "crossed"])
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_what_searches_again_moves_with_the_unit_of_the_response(model, shift):
    check(model, "reml", affine(case_of(model), y=(shift * 1e-8, 1e-8)), results=SEARCHES)


@pytest.mark.parametrize("model", ["independent slopes", "nested"])
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_what_searches_again_moves_with_the_unit_of_a_predictor(model, scale):
    """Cook's distances once lost the coefficients in small units: 0.0002 for 0.25."""
    check(model, "reml", affine(case_of(model), x=(0.0, scale)), results=SEARCHES)


@pytest.mark.parametrize("model", MODELS)
def test_numbers_move_with_the_origin_of_the_response(model):
    moved_far(model, y=1e6)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_numbers_move_with_the_unit_of_a_predictor(model, scale):
    check(model, "reml", affine(case_of(model), x=(0.0, scale)))


@pytest.mark.parametrize("model", MOVES_WITH_X)
def test_numbers_move_with_the_origin_of_a_predictor(model):
    moved_far(model, x=-1e6)


@pytest.mark.parametrize("model", MODELS)
def test_the_order_of_rows_does_not_matter(model):
    check(model, "reml", permuted(case_of(model)))


@pytest.mark.parametrize("model", STRUCTURED)
def test_numbers_of_structures_move_with_units_and_not_with_the_order_of_rows(model):
    case = case_of(model)
    check(model, "reml", affine(case, y=(3e8, 1e8), x=(0.0, 1e-6)))
    check(model, "ml", permuted(case))


@pytest.mark.parametrize("model", RESIDUAL)
def test_numbers_beside_structures_of_residuals_move_with_units_and_with_nothing_else(model):
    case = case_of(model)
    check(model, "reml", affine(case, y=(3e8, 1e8), x=(0.0, 1e-6)))
    check(model, "ml", permuted(case))


def test_labels_of_series_do_not_matter():
    check("serial", "reml", relabelled(case_of("serial")))


@pytest.mark.parametrize("model", MODELS)
def test_labels_of_levels_do_not_matter(model):
    check(model, "ml", relabelled(case_of(model)))


@pytest.mark.parametrize("names", NAMES, ids=str)
def test_names_of_columns_do_not_matter(names):
    check("slopes", "reml", renamed(case_of("slopes"), **names))


@pytest.mark.parametrize("kind", IDS)
def test_types_of_ids_do_not_matter(kind):
    check("slopes", "reml", with_ids(case_of("slopes"), IDS[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_frames_and_of_indices_do_not_matter(kind):
    check("weights", "reml", of_kind(case_of("weights"), KINDS[kind]))


def moved_far(model, *, method="reml", y=0.0, x=0.0, y_scale=1.0, x_scale=1.0, results=RESULTS):
    """Shifts are in sds of the moved data."""
    move = affine(case_of(model), y=(y * y_scale, y_scale), x=(x * x_scale, x_scale))
    rtol = RTOL + RTOL_PER_SHIFT * max(abs(y), abs(x))
    check(model, method, move, results=results, rtol=rtol)


@cache
def posterior_of(model):
    return sampled(case_of(model))


def sampled(case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return case.model().sample(draws=50, chains=2, sampler="collapsed", random_seed=1)


@pytest.mark.parametrize("model", ["balanced", "slopes", "nested", "related"])
def test_a_posterior_with_default_priors_moves_with_its_units_and_the_origin_of_y(model):
    """Draw by draw, as the default priors scale with the data and the seeds are the same."""
    case = case_of(model)
    for move in (
        affine(case, y=(0.0, 1e-8)),
        affine(case, y=(1e4, 1e6)),
        affine(case, x=(0.0, 1e9)),
        *([] if model in STRUCTURED else [renamed(case, x="sigma", g="my g")]),
    ):
        assert_equivariant(posterior_of(model), sampled(move.case), move, POSTERIOR, rtol=RTOL)


@pytest.mark.parametrize("model", ["serial", "exchangeable"])
def test_a_posterior_beside_structures_of_residuals_moves_with_its_units(model):
    case = case_of(model)
    move = affine(case, y=(1e4, 1e6), x=(0.0, 1e9))
    results = {  # a prior of sigma itself, and sds of random effects, are not of every model
        name: own for name, own in POSTERIOR.items() if name not in ("sensitivity", "hypothesis")
    }
    assert_equivariant(posterior_of(model), sampled(move.case), move, results, rtol=RTOL)


SCALES = st.floats(-12, 12).map(lambda power: 10.0**power)
SHIFTS = st.one_of(
    st.just(0.0), st.floats(-6, 6).map(lambda power: np.sign(power) * 10 ** abs(power))
)


# Without shrinking: an example takes a second, and says in its arguments what it is.
@settings(max_examples=6, phases=[Phase.explicit, Phase.generate])
@given(
    model=st.sampled_from(MOVES_WITH_X),
    method=st.sampled_from(["reml", "ml"]),
    y=SHIFTS,
    x=SHIFTS,
    y_scale=SCALES,
    x_scale=SCALES,
)
def test_numbers_move_with_all_units_and_origins_at_once(model, method, y, x, y_scale, x_scale):
    moved_far(model, method=method, y=y, x=x, y_scale=y_scale, x_scale=x_scale)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("model", MODELS)
def test_everything_moves_in_every_way(model, method):
    """All results, those that search again included, of all models under all moves."""
    case, everything = case_of(model), RESULTS | SEARCHES
    moves = [
        affine(case, y=(shift * scale, scale))  # an origin that leaves the data their digits
        for shift in (0.0, 5.0)
        for scale in (1e-12, 0.3, 1e12)
    ]
    moves += [affine(case, x=(0.0, scale)) for scale in (1e-12, 1e12)]
    moves += [permuted(case), relabelled(case), *(renamed(case, **names) for names in NAMES)]
    moves += [with_ids(case, convert) for convert in IDS.values()]
    moves += [of_kind(case, convert) for convert in KINDS.values()]
    for move in moves:
        check(model, method, move, results=everything)
