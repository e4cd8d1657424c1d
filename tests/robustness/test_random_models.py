"""Any frame, formula and option gives a result or one of our errors, in time and memory."""

import subprocess
import sys

import pytest

from tests.robustness.random_models import Outcome, ask, report

N_SHORT = 60
N_SLOW = 5000


def test_random_models_give_results_or_our_errors():
    outcome = Outcome()
    for seed in range(N_SHORT):
        ask(seed, outcome)
    assert not outcome.fallen, report(outcome)
    assert outcome.counts["result"] > N_SHORT


@pytest.mark.slow
def test_thousands_of_random_models_give_results_or_our_errors():
    """In a process of its own, whose memory is then theirs."""
    command = [sys.executable, "-m", "tests.robustness.random_models", "0", str(N_SLOW)]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout[-5000:] + told.stderr[-2000:]
