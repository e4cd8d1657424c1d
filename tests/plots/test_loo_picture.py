"""What is drawn of leave-one-out and k-fold results are their numbers."""

import warnings

import numpy as np
import pytest

import hierbayes as hb


@pytest.fixture(scope="module")
def post():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)  # few draws do not converge
        model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        return model.sample(draws=100, random_seed=1)


def marks(ax, place=-1):
    return ax.get_lines()[place].get_xydata()


def test_rows_are_drawn_in_their_order_with_k_of_both_ways(post):
    found = hb.loo(post)
    figure, (terms, weights) = found.plot()
    np.testing.assert_allclose(marks(terms)[:, 1], found.pointwise["elpd"])
    np.testing.assert_allclose(marks(weights)[:, 1], found.pointwise["pareto_k"])
    np.testing.assert_allclose(marks(weights, -2)[:, 1], found.by_draws.pareto_k_of_rows)
    assert terms.get_ylabel() == "log predictive density"
    words = hb.plot.alt_text(figure)
    assert f"{found.elpd:.1f} in all" in words and "by az.loo up to" in words


def test_groups_are_drawn_from_the_worst_predicted_up(post):
    found = hb.loo(post, by="Batch").pointwise.sort_values("elpd")
    _, (terms, _) = hb.plot.loo(post, by="Batch")
    np.testing.assert_allclose(marks(terms)[:, 0], found["elpd"])
    assert [label.get_text() for label in terms.get_yticklabels()] == found.index.tolist()


def test_folds_have_no_weights(post):
    found = hb.kfold(post, k=2, random_seed=1)
    _, (only,) = found.plot(width="column")
    np.testing.assert_allclose(marks(only)[:, 1], found.pointwise["elpd"])


def test_what_has_no_such_picture_is_said(post):
    with pytest.raises(hb.HierBayesError, match=r"what hb.loo\(fit\) or hb.kfold\(fit\) returns"):
        hb.plot.loo(hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff")))
    with pytest.raises(hb.HierBayesError, match="by= is for a posterior"):
        hb.plot.loo(hb.loo(post), by="Batch")
