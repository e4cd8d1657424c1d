"""Columns of the data along an axis."""

import numpy as np

from hierbayes.design.axis import axis_of
from hierbayes.design.values import Factor, Logical


def test_numbers_stand_where_they_are():
    axis = axis_of(np.array([3, 1, 7]), coded=False)
    assert axis.labels is None
    assert axis.grid(4).tolist() == [1, 3, 5, 7]
    assert axis.data(np.array([2.5])).tolist() == [2.5]


def test_numbers_that_stand_for_categories_have_places_and_keep_their_values():
    axis = axis_of(np.array([20.0, 0.5, 20.0]), coded=True)
    assert axis.at.tolist() == [1, 0, 1] and axis.labels == ("0.5", "20")
    assert axis.grid(4).tolist() == [0, 1]
    assert axis.data(np.array([1.0, 0.0])).tolist() == [20.0, 0.5]


def test_levels_without_rows_have_no_place():
    factor = Factor(np.array([2, 0, 2]), np.array(["a", "b", "c"], dtype=object))
    axis = axis_of(factor, coded=False)
    assert axis.at.tolist() == [1, 0, 1] and axis.labels == ("a", "c")
    assert axis.data(np.array([1.0])).tolist() == ["c"]


def test_truth_values_stay_truth_values():
    axis = axis_of(Logical(np.array([1.0, 0.0])), coded=False)
    assert axis.labels == ("FALSE", "TRUE") and axis.data(axis.at).tolist() == [True, False]
