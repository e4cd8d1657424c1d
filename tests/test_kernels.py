"""The script of `make test-kernels`: what it asks for is what runs, and its line tells."""

import pytest

from tests import kernels


def test_a_name_that_openblas_does_not_know_runs_the_processors_own_kernels():
    assert kernels.kernels_run("no such processor") == kernels.kernels_run(None)


@pytest.mark.parametrize("core_type", [None, "Haswell"])
def test_the_tests_run_with_the_threads_that_are_asked_for(core_type):
    asked = kernels.environment(core_type, 2)
    assert asked["HIERBAYES_TEST_THREADS"] == "2"
    assert asked.get("OPENBLAS_CORETYPE") == core_type


def test_what_is_run_exists():
    assert all((kernels.ROOT / path).exists() for path in kernels.NUMERICAL)
