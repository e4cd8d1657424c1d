"""K-fold: folds as asked for, terms against exact leave-one-out and refits, comparisons."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.comparison.fold_refits import predict_fold
from hierbayes.comparison.kfold import _dealt
from hierbayes.comparison.leave_group_out import refit_without
from hierbayes.comparison.left_out_blocks import blocks_of, left_out

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


def sampled(formula, data, draws=100, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)  # few draws do not converge
        model = hb.Model(formula, hb.load_dataset(data), **options)
        return model.sample(draws=draws, random_seed=1)


@pytest.fixture(scope="module")
def dyestuff():
    return sampled("Yield ~ 1 + (1 | Batch)", "Dyestuff", draws=400)


@pytest.fixture(scope="module")
def cbpp():
    return sampled(CBPP, "cbpp", family="binomial")


def test_folds_are_dealt_evenly_overall_and_within_strata():
    strata = np.repeat(np.arange(5), [7, 3, 10, 1, 12])
    folds = _dealt(4, strata, np.random.default_rng(1))
    assert np.ptp(np.bincount(folds)) <= 1
    counts = pd.crosstab(strata, folds).to_numpy()
    assert (np.ptp(counts, axis=1) <= 1).all()
    assert (_dealt(4, strata, np.random.default_rng(2)) != folds).any()


def test_a_fold_for_each_group_is_exact_leave_one_group_out(dyestuff):
    found = hb.kfold(dyestuff, k=6, by="Batch", random_seed=1).pointwise
    terms = hb.loo(dyestuff, by="Batch").pointwise
    assert found.index.tolist() == terms.index.tolist() and found["n_rows"].tolist() == [5] * 6
    assert sorted(found["fold"]) == [1, 2, 3, 4, 5, 6]
    error = np.hypot(found["mcse"], terms["mcse"])
    assert (np.abs(found["elpd"] - terms["elpd"]) < 4 * error).all()


def test_rows_and_groups_of_a_fold_are_predicted_without_the_whole_fold(dyestuff):
    """Of a fold that is one block: the blocks' joint density; its rows alone are other numbers."""
    folds = np.arange(30) % 3
    rows = hb.kfold(dyestuff, k=3, random_seed=1).pointwise
    joint = hb.kfold(dyestuff, k=3, by=folds, random_seed=1).pointwise
    for j in range(3):
        found = refit_without(left_out(dyestuff, blocks_of(dyestuff, folds)), j, random_seed=9)
        assert joint["elpd"].iloc[j] == pytest.approx(
            found.elpd, abs=4 * np.hypot(found.mcse, joint["mcse"].iloc[j])
        )
    assert rows["n_rows"].tolist() == [1] * 30 and np.ptp(np.bincount(rows["fold"])[1:]) == 0
    exact = hb.loo(dyestuff)
    assert rows["elpd"].sum() == pytest.approx(exact.elpd, abs=3)  # ten rows less each


def test_a_generalised_posterior_is_sampled_anew_as_it_was(cbpp):
    rows = hb.kfold(cbpp, k=2, stratify="herd", random_seed=1)
    assert rows.elpd == pytest.approx(hb.loo(cbpp).elpd, abs=12)
    groups = hb.kfold(cbpp, k=3, by="herd", random_seed=1)
    assert groups.pointwise["n_rows"].sum() == 56
    assert groups.elpd == pytest.approx(hb.loo(cbpp, by="herd").elpd, abs=8)


def test_a_fold_of_one_row_keeps_the_columns_of_all(cbpp):
    """Once the columns of X were those that this row alone tells apart."""
    folds = (np.arange(56) == 7).astype(int)
    found = predict_fold(cbpp, blocks_of(cbpp, None), folds, 1, np.random.default_rng(1))
    assert found.log_density.shape == (4, 100, 1)
    exact = hb.loo(cbpp).pointwise["elpd"].iloc[7]
    assert np.log(np.exp(found.log_density).mean()) == pytest.approx(exact, abs=0.5)


def test_one_seed_gives_all_models_the_same_folds(dyestuff):
    mean = sampled("Yield ~ 1", "Dyestuff")
    a, b = (hb.kfold(fit, k=5, random_seed=3) for fit in (dyestuff, mean))
    found = hb.compare(a, b, names=["batches", "mean"])
    assert found.table.index[0] == "batches"
    gaps = (b.pointwise["elpd"] - a.pointwise["elpd"]).to_numpy()
    assert found.table["elpd_diff"]["mean"] == pytest.approx(gaps.sum())
    assert found.table["se_diff"]["mean"] == pytest.approx(np.sqrt(30 * gaps.var(ddof=1)))
    assert "elpd_diff" in str(found) and "p_loo" not in str(found)
    assert str(found).startswith("Comparison of posteriors by 5-fold prediction")
    with pytest.raises(hb.DataError, match="The folds differ; give"):
        hb.compare(a, hb.kfold(mean, k=5, random_seed=4))
    with pytest.raises(hb.DataError, match="compare results of one kind"):
        hb.compare(a, hb.loo(dyestuff))
    with pytest.raises(hb.DataError, match="each row here, each Batch there"):
        hb.compare(hb.loo(dyestuff), hb.loo(dyestuff, by="Batch"))
    again = hb.compare(hb.loo(dyestuff), hb.loo(mean), names=["batches", "mean"])
    pd.testing.assert_frame_equal(
        again.table, hb.compare(dyestuff, mean, names=["batches", "mean"]).table
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"k": 31}, "k=31 folds are more than the 30 rows; take k=30 at most"),
        ({"k": 7, "by": "Batch"}, "more than the 6 levels of Batch"),
        ({"k": 1}, "k=1"),
        ({"stratify": "batch"}, "did you mean 'Batch'"),
        ({"k": 2, "by": "Batch", "stratify": np.arange(30)}, "must be the name of a column"),
        ({"k": 2, "by": "Batch", "stratify": "Yield"}, "has several values in Batch A"),
    ],
)
def test_what_can_not_be_dealt_is_said(dyestuff, options, sentence):
    with pytest.raises(hb.HierBayesError, match=sentence):
        hb.kfold(dyestuff, random_seed=1, **options)


def test_coefficients_that_a_fold_alone_determines_are_said(cbpp):
    with pytest.raises(hb.DataError, match="the other rows do not determine all coefficients"):
        hb.kfold(cbpp, k=4, by="period", random_seed=1)
