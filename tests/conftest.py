"""What every test runs under: one BLAS thread, no display, hypothesis without luck or clock."""

import gc
import os
import sys

# Before numpy is imported: BLAS reads these once, when it is loaded. More threads change the order
# of sums, and two test workers with two threads each would fight for the cores. tests/kernels.py
# asks for two, to see that the order does not matter.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = os.environ.get("HIERBAYES_TEST_THREADS", "1")
os.environ["MPLBACKEND"] = "Agg"
# A module is compiled once, not by each worker and by each process that a test starts.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# What is made while tests are collected lasts until the end: it is not searched for garbage.
gc.disable()

import pytest
from hypothesis import HealthCheck, settings

from hierbayes.datasets import load_dataset

# Deterministic, so that a failure is everybody's failure; no deadline, since a first call imports
# and warms up. `pytest --hypothesis-profile=search` looks further.
settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("suite")


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


@pytest.fixture
def sleepstudy():
    return load_dataset("sleepstudy")
