"""Residuals of posteriors: those of a likelihood fit at each draw, averaged over the draws."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.families.builtin import FAMILIES
from tests.likelihood.glmm_cases import table
from tests.results.posteriors import posterior_at

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
KINDS = ("response", "pearson", "deviance", "working")
SMOOTH = [
    family for family in FAMILIES.values() if family.is_smooth and family.log_density is not None
]


@pytest.mark.parametrize("family", SMOOTH, ids=str)
def test_at_the_estimates_they_are_those_of_the_fit(family):
    link = "log" if family.link.may_have_no_mean or family.name == "gaussian" else family.link.name
    data = table(family.name, link)
    data["y"] += float(family.is_ordinal)
    response = "cbind(y, failures)" if family.counts_trials else "y"
    weights = {"weights": np.linspace(1, 3, len(data))} if family.name == "gaussian" else {}
    if family.name == "gaussian":
        data["y"] = np.abs(data["y"]) + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        fit = hb.glmer(f"{response} ~ x + (1 | g)", data, family.name, link=link, **weights)
    post = posterior_at(fit)
    for kind in KINDS:
        try:
            expected = fit.residuals(kind)
        except hb.NotSupportedError as error:
            with pytest.raises(hb.NotSupportedError, match="no formula for the variance") as found:
                post.residuals(kind)
            assert str(found.value) == str(error)
        else:
            np.testing.assert_allclose(post.residuals(kind), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_means_over_the_draws(kind):
    fit = hb.glmer(CBPP, hb.load_dataset("cbpp"))
    post = posterior_at(fit, 2)
    beta = fit.beta + np.array([[[0.2], [-0.6]]])
    mixed = replace(post, draws=replace(post.draws, beta=beta))
    singly = [
        replace(post, draws=replace(post.draws, beta=np.repeat(beta[:, [k]], 2, axis=1)))
        for k in (0, 1)
    ]
    average = (singly[0].residuals(kind) + singly[1].residuals(kind)) / 2
    np.testing.assert_allclose(mixed.residuals(kind), average, rtol=1e-12)
    assert mixed.residuals(kind).index.equals(fit.residuals(kind).index)


def test_of_proportions_they_are_those_of_counts():
    data = hb.load_dataset("cbpp").assign(share=lambda d: d["incidence"] / d["size"])
    counts = posterior_at(hb.glmer(CBPP, data))
    shares = posterior_at(hb.glmer("share ~ period + (1 | herd)", data, weights="size"))
    for kind in KINDS:
        np.testing.assert_allclose(shares.residuals(kind), counts.residuals(kind), atol=1e-4)
