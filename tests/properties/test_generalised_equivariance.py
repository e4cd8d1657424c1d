"""Generalised fits move with the data as linear ones do: units of predictors, order and names."""

import warnings
from functools import cache

import numpy as np
import pytest

import hierbayes as hb
from tests.properties.equivariance import Case, assert_equivariant
from tests.properties.equivariant_results import RESULTS, SEARCHES
from tests.properties.test_equivariance import (
    IDS,
    KINDS,
    NAMES,
    affine,
    frame,
    of_kind,
    permuted,
    relabelled,
    renamed,
    with_ids,
)

# The last step leaves a millionth of a standard error; what is added up in another order moves it.
RTOL = 1e-5

MODELS = {
    "counts": ("y ~ x + f + (1 | g)", "poisson", 1),
    "slopes": ("y ~ x + f + (x | g)", "poisson", 1),
    "independent slopes": ("y ~ x + f + (x || g)", "poisson", 5),
    "crossed": ("y ~ x + f + (1 | g) + (1 | h)", "negativebinomial", 1),
    "nested nodes": ("y ~ x + f + (1 | g/k)", "poisson", 3),
    "yes and no": ("y ~ x + f + (1 | g)", "bernoulli", 1),
    "waits": ("y ~ x + f + (1 | g)", "gamma", 1),
}
LINKS = {"gamma": "log"}
NOT_OF_THEM = {  # of Gaussian models only, or Gaussian names of what others call otherwise
    "tidy kenward-roger", "anova kenward-roger", "predict a new response", "shrinkage", "simulate",
    "anova 1", "anova 2", "anova 3", "drop1",
}  # fmt: skip
READ = {name: result for name, result in RESULTS.items() if name not in NOT_OF_THEM}
SEARCHED = {name: SEARCHES[name] for name in ("anova of two", "drop1 by likelihood", "ranova")}


@cache
def case_of(model):
    formula, family, _ = MODELS[model]
    data = frame(balanced=False).reset_index(drop=True)
    rng, eta = np.random.default_rng(3), 0.5 * data.y
    draws = {
        "poisson": lambda: rng.poisson(np.exp(eta)),
        "negativebinomial": lambda: rng.negative_binomial(3, 3 / (3 + np.exp(eta))),
        "bernoulli": lambda: (rng.random(len(data)) < 1 / (1 + np.exp(-2 * eta))).astype(int),
        "gamma": lambda: rng.gamma(3, np.exp(eta) / 3),
    }
    options = {"family": family} | ({"link": LINKS[family]} if family in LINKS else {})
    return Case(formula=formula, data=data.assign(y=draws[family]()), options=options)


def fitted(case, model):
    with warnings.catch_warnings():  # what they say is in the findings, and those are compared
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return case.model().fit("ml", MODELS[model][2])


@cache
def fit_of(model):
    return fitted(case_of(model), model)


def check(model, move, results=READ):
    assert_equivariant(fit_of(model), fitted(move.case, model), move, results, rtol=RTOL)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_numbers_move_with_the_unit_of_a_predictor(model, scale):
    check(model, affine(case_of(model), x=(0.0, scale)))


@pytest.mark.parametrize("model", ["counts", "slopes", "crossed", "yes and no"])
def test_numbers_move_with_the_origin_of_a_predictor(model):
    check(model, affine(case_of(model), x=(-100.0, 1.0)))


@pytest.mark.parametrize("model", MODELS)
def test_the_order_of_rows_does_not_matter(model):
    check(model, permuted(case_of(model)))


@pytest.mark.parametrize("model", MODELS)
def test_labels_of_levels_do_not_matter(model):
    check(model, relabelled(case_of(model)))


@pytest.mark.parametrize("names", NAMES, ids=str)
def test_names_of_columns_do_not_matter(names):
    check("slopes", renamed(case_of("slopes"), **names))


@pytest.mark.parametrize("kind", ["category", "date", "beyond 64 bits"])
def test_types_of_ids_do_not_matter(kind):
    check("counts", with_ids(case_of("counts"), IDS[kind]))


@pytest.mark.parametrize("kind", ["polars", "columns turned round", "index of two levels"])
def test_kinds_of_frames_and_of_indices_do_not_matter(kind):
    check("crossed", of_kind(case_of("crossed"), KINDS[kind]))


@pytest.mark.parametrize("model", ["slopes", "yes and no"])
def test_what_searches_again_moves_with_the_unit_of_a_predictor(model):
    check(model, affine(case_of(model), x=(0.0, 1e9)), results=SEARCHED)
