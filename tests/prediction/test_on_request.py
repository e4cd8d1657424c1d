"""The pointwise log-likelihood of a posterior is there when asked for, and only then."""

import copy
import pickle

import numpy as np

import hierbayes as hb
from hierbayes.prediction import on_request as module
from hierbayes.prediction.posterior_predict import log_likelihood


def test_values_are_worked_out_once_when_first_looked_at():
    import xarray as xr

    calls = []

    def compute():
        calls.append(1)
        return np.arange(6.0).reshape(2, 3)

    found = xr.Dataset({"x": (("a", "b"), module.on_request(compute, (2, 3)))})
    assert found["x"].sizes == {"a": 2, "b": 3} and not calls
    assert float(found["x"].sum()) == 15.0
    assert float(found["x"][1, 2]) == 5.0
    assert len(calls) == 1


def test_a_tree_can_be_copied_pickled_and_indexed_before_it_is_asked():
    fit = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff")).sample(
        draws=50, random_seed=1
    )
    expected = log_likelihood(fit)
    copied, sent = copy.deepcopy(fit.idata), pickle.loads(pickle.dumps(fit.idata))
    for tree in (fit.idata, copied, sent):
        values = tree["log_likelihood"]["Yield"]
        assert values.shape == expected.shape
        np.testing.assert_array_equal(values[1, 3:5].values, expected[1, 3:5])
        np.testing.assert_array_equal(values.values, expected)
