"""Values given beside the data go to the rows their labels name."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import hierbayes as hb
from hierbayes.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
RNG = np.random.default_rng(7)
N = 30
DATA = pd.DataFrame(
    {"y": RNG.normal(size=N), "x": RNG.normal(size=N), "g": np.repeat(list("abcdef"), 5)},
    index=[f"row {i}" for i in range(N)],
)
W = pd.Series(RNG.uniform(0.5, 2, N), index=DATA.index)
FORMULA = "y ~ x + (1 | g)"
ARGUMENTS = ("weights", "offset", "known_sd")


def array_of(design, argument):
    return np.asarray(getattr(design, argument))


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_a_shuffled_series_goes_to_its_rows(argument, tmp_path):
    model = hb.Model(FORMULA, DATA, **{argument: W.sample(frac=1, random_state=1)})
    assert array_of(model.design, argument).tolist() == W.tolist()
    fit = model.fit()
    fit.save(tmp_path / "fit.hb")
    assert array_of(hb.load(tmp_path / "fit.hb").design, argument).tolist() == W.tolist()


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_other_labels_are_refused(argument):
    sentence = f"{argument} has other row labels than the data: it has no value for rows row 0"
    with pytest.raises(DataError, match=sentence):
        hb.Model(FORMULA, DATA, **{argument: W.reset_index(drop=True)})


def test_repeated_labels_are_taken_in_order_or_refused():
    data = DATA.set_axis(np.tile(np.arange(10), 3))
    same = W.set_axis(data.index)
    assert hb.Model(FORMULA, data, weights=same).design.weights.tolist() == W.tolist()
    with pytest.raises(DataError, match="some are there twice"):
        hb.Model(FORMULA, data, weights=same.iloc[::-1])


def test_arrays_lists_and_polars_go_by_position():
    for given in (W.to_numpy(), W.tolist(), pl.Series(W.tolist()), W.array):
        assert hb.Model(FORMULA, DATA, weights=given).design.weights.tolist() == W.tolist()
    with pytest.raises(DataError, match="weights has 29 values; the data have 30 rows"):
        hb.Model(FORMULA, DATA, weights=W.iloc[1:])


def test_series_in_a_dict_are_matched():
    columns = {name: DATA[name] for name in DATA}
    shuffled = columns | {"x": DATA["x"].sample(frac=1, random_state=2)}
    assert np.array_equal(hb.Model(FORMULA, shuffled).design.X, hb.Model(FORMULA, DATA).design.X)
    with pytest.raises(DataError, match="column 'x' has other row labels"):
        hb.Model(FORMULA, columns | {"x": DATA["x"].reset_index(drop=True)})


def test_refit_takes_full_length_and_shuffled_responses():
    data = DATA.copy()
    data.iloc[[3, 8], 0] = np.nan
    new = pd.Series(RNG.normal(size=N), index=DATA.index)
    fit = hb.lmer(FORMULA, data)
    expected = hb.lmer(FORMULA, data.assign(y=new.where(data["y"].notna())))
    used = new[data["y"].notna()]
    shuffled = new.where(data["y"].notna()).sample(frac=1, random_state=3)
    for given in (used, used.iloc[::-1], used.to_numpy(), new, new.to_numpy(), shuffled):
        assert fit.refit(given).criterion == pytest.approx(expected.criterion, rel=1e-10)
    with pytest.raises(DataError, match="other row labels"):
        fit.refit(used.reset_index(drop=True))


@pytest.mark.parametrize("argument", ["weights", "offset", "known_sd"])
def test_complex_values_are_no_numbers_of_rows(argument):
    """Their imaginary parts were dropped."""
    data = hb.load_dataset("sleepstudy")
    with pytest.raises(DataError, match="holds complex numbers"):
        hb.lmer("Reaction ~ Days + (1 | Subject)", data, **{argument: np.ones(len(data)) + 1j})
