"""A Dask DataFrame is summed partition by partition, in one order whoever sums it."""

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.errors import DataError


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 3000
    d = pd.DataFrame({"g": rng.integers(20, size=n), "x": rng.integers(5, size=n) / 2.0})
    d["f"] = rng.choice(["u", "v"], size=n)
    d["y"] = d.x + 2 * (d.f == "v") + rng.normal(size=20)[d.g] + rng.normal(size=n)
    d["hit"] = d.y > 2.5
    d.loc[7, "x"] = np.nan
    return d


def fits(frame):
    linear = hb.Model("y ~ scale(x) * f + (1 | g)", frame).fit()
    return linear, hb.Model("hit ~ x + (1 | g)", frame, family="binomial").fit()


@pytest.mark.filterwarnings("ignore::hierbayes.errors.DesignWarning")
def test_fits_are_those_of_the_rows_and_the_same_to_the_bit_by_any_scheduler(data):
    rows = fits(data)
    found = []
    for scheduler in ("synchronous", "threads"):
        with dask.config.set(scheduler=scheduler):
            found.append(fits(dd.from_pandas(data, npartitions=5)))
    for k in range(2):
        first, second = found[0][k], found[1][k]
        assert first.criterion == second.criterion
        assert np.array_equal(first.beta, second.beta)
        assert np.array_equal(first.theta, second.theta)
        assert first.criterion == pytest.approx(rows[k].criterion, rel=1e-11)
        np.testing.assert_allclose(first.beta, rows[k].beta, rtol=1e-8)


def test_a_partition_of_other_columns_or_none_is_an_error_of_one_sentence(data):
    frame = dd.from_pandas(data, npartitions=3)

    def other(part):
        return part.assign(x="much") if part.index[0] > 1500 else part

    def lost(part):
        raise OSError("the disk is gone")

    with dask.config.set(scheduler="synchronous"):
        with pytest.raises(DataError, match=r"numbers in partition 1 .*categories in partition 3"):
            hb.Model("y ~ x + (1 | g)", frame.map_partitions(other, meta=frame._meta))
        with pytest.raises(DataError, match="A partition of the stream can't be read: the disk is"):
            hb.Model("y ~ x + (1 | g)", frame.map_partitions(lost, meta=frame._meta))
