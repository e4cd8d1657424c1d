"""Numbers come out as R writes them."""

import math

import numpy as np
import pytest

from hierbayes.render.numbers import (
    five_numbers,
    format_common,
    format_number,
    format_p_values,
    round_significant,
    significance_mark,
    zap_small,
)
from tests.reports.stand_ins import numbers, printed_by_r

R = printed_by_r()


def cells_of(case):
    # Python has one missing number, R two
    cells = case["cells"] if isinstance(case["cells"], list) else [case["cells"]]
    return [cell.replace("NaN", " NA") for cell in cells]


@pytest.mark.parametrize("case", R["formats"], ids=lambda c: f"{c['x']}-{c['digits']}")
def test_format_as_r_does(case):
    cells = format_common(numbers(case["x"]), case["digits"], min_decimals=case["nsmall"])
    assert cells == cells_of(case)


ALONE = [case for case in R["formats"][::10] if "NaN" not in case["x"]]


@pytest.mark.parametrize("case", ALONE, ids=lambda c: str(c["x"]))
def test_a_number_alone_as_cat_writes_it(case):
    assert format_number(numbers(case["x"])[0]) == case["alone"]


@pytest.mark.parametrize("case", R["p_values"], ids=lambda c: str(c["p"]))
@pytest.mark.parametrize("digits", ["1", "3", "4", "5"])
def test_p_values_as_r_writes_them(case, digits):
    cells = case["cells"][digits]
    expected = cells if isinstance(cells, list) else [cells]
    assert format_p_values(numbers(case["p"]), int(digits)) == expected


@pytest.mark.parametrize("case", R["zapped"], ids=lambda c: str(c["x"]))
def test_zapsmall_rounds_what_r_rounds(case):
    assert zap_small(numbers(case["x"]), case["digits"]) == numbers(case["zapped"])


def test_zapping_keeps_missing_numbers():
    assert math.isnan(zap_small([math.nan, 1.0], 3)[0])
    assert zap_small([math.inf, 1.0], 3) == [math.inf, 1.0]


@pytest.mark.parametrize(
    ("p", "mark"),
    [
        (0.0, "***"),
        (0.001, "***"),
        (0.0011, "**"),
        (0.05, "*"),
        (0.1, "."),
        (0.5, " "),
        (math.nan, ""),
    ],
)
def test_stars_change_at_r_limits(p, mark):
    assert significance_mark(p) == mark


def test_quantiles_interpolate_between_order_statistics():
    # R: quantile(c(1, 2, 4, 8))
    assert five_numbers(np.array([8.0, 1.0, 4.0, 2.0])) == [1.0, 1.75, 3.0, 5.0, 8.0]
    assert all(math.isnan(q) for q in five_numbers(np.array([math.nan])))


def test_signif():
    assert round_significant(47.7148, 4) == 47.71
    assert math.isnan(round_significant(math.nan, 4))
