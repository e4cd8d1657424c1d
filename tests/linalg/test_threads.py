"""One BLAS thread inside, what was there before outside."""

import threading

import numpy as np
import pytest
import scipy.linalg
import threadpoolctl

import hierbayes as hb
from hierbayes.gaussian import kernel
from hierbayes.gaussian.kernel import blocks_of
from hierbayes.linalg import threads as ours
from hierbayes.linalg.threads import in_threads, one_blas_thread


def threads():
    info = threadpoolctl.threadpool_info()
    return {copy["num_threads"] for copy in info if copy["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    assert scipy.linalg and np.linalg
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("this BLAS cannot run two threads")
        yield


def test_one_inside_and_the_same_again_outside():
    with one_blas_thread():
        assert threads() == {1}
        with one_blas_thread():
            assert threads() == {1}
        assert threads() == {1}
    assert threads() == {2}


def test_nothing_happens_where_it_is_not_wanted():
    with one_blas_thread(False):
        assert threads() == {2}


def test_an_error_puts_the_threads_back():
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        raise ZeroDivisionError
    assert threads() == {2}


def test_a_second_thread_of_the_program_takes_nothing_away():
    def second():
        with one_blas_thread():
            pass

    with one_blas_thread():
        other = threading.Thread(target=second)
        other.start()
        other.join()
        assert threads() == {1}
    assert threads() == {2}


def test_a_fit_of_crossed_factors_runs_on_one_and_leaves_them_as_they_were(monkeypatch):
    seen = set()

    def noted(pattern, products):
        seen.update(threads())
        return blocks_of(pattern, products)

    monkeypatch.setattr(kernel, "blocks_of", noted)
    rng = np.random.default_rng(1)
    g, h = np.divmod(np.arange(80 * 60), 60)
    y = rng.normal(size=80)[g] + rng.normal(size=60)[h] + rng.normal(size=g.size)
    hb.lmer("y ~ 1 + (1 | g) + (1 | h)", {"y": y, "g": g, "h": h})
    assert seen == {1}
    assert threads() == {2}


@pytest.mark.parametrize("cores", [1, 3])
def test_every_part_is_worked_on_once_in_the_callers_context(cores, monkeypatch):
    monkeypatch.setattr(ours, "n_cores", lambda: cores)
    out = np.zeros(20)

    def work(part):
        out[part] += 1 / np.zeros(1)  # said by numpy unless the caller keeps it quiet

    with np.errstate(divide="ignore"):
        in_threads(work, [slice(i, i + 2) for i in range(0, 20, 2)])
    assert np.isposinf(out).all()


@pytest.mark.parametrize("cores", [1, 3])
def test_an_error_of_a_part_is_the_callers(cores, monkeypatch):
    monkeypatch.setattr(ours, "n_cores", lambda: cores)
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda part: 1 // part, [1, 2, 0, 3])
    in_threads(lambda part: 1 // part, [])
