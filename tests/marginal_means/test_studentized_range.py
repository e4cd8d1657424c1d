"""The distribution of the studentized range, against scipy's quadrature and closed forms."""

import numpy as np
import pytest
from scipy import stats

from hierbayes.marginal_means.studentized_range import range_quantile, range_sf

Q = np.array([0.5, 2.0, 3.5, 6.0, 12.0])


@pytest.mark.parametrize("k", [2, 3, 6, 18])
@pytest.mark.parametrize("df", [1.0, 2.0, 8.52, 77.4, 1e4, np.inf])
def test_tails_and_quantiles_are_scipys(k, df):
    # scipy takes the limit of infinite df from 1e5 on, which is off by 1e-5 there
    tails = range_sf(Q, k, np.full(Q.shape, df))
    np.testing.assert_allclose(tails, stats.studentized_range.sf(Q, k, df), atol=2e-9)
    quantile = range_quantile(0.95, k, np.array([df]))
    assert quantile[0] == pytest.approx(stats.studentized_range.ppf(0.95, k, df), rel=2e-9)


@pytest.mark.parametrize("df", [3.0, 40.0])
def test_of_two_means_it_is_students_t(df):
    q = np.array([1.0, 3.0])
    expected = 2 * stats.t.sf(q / np.sqrt(2), df)
    np.testing.assert_allclose(range_sf(q, 2, np.full(2, df)), expected, rtol=1e-10)


@pytest.mark.parametrize("level", [0.01, 0.5, 0.9999])
@pytest.mark.parametrize("df", [1.0, 30.0, 1e9, np.inf])
def test_quantiles_invert_tails(level, df):
    nu = np.array([df])
    quantile = range_quantile(level, 5, nu)
    assert range_sf(quantile, 5, nu)[0] == pytest.approx(1 - level, rel=1e-6)
