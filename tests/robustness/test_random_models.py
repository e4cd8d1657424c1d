"""Any frame, formula and option gives a result or one of our errors, in time and memory."""

import subprocess
import sys

import pytest

from tests.robustness.random_models import Outcome, ask, ask_generalised, report

N_SHORT = 60
N_GENERALISED = 25
N_SLOW = 5000


def test_random_models_give_results_or_our_errors():
    outcome = Outcome()
    for seed in range(N_SHORT):
        ask(seed, outcome)
    assert not outcome.fallen, report(outcome)
    assert outcome.counts["result"] > N_SHORT


def test_random_generalised_models_give_results_or_our_errors():
    outcome = Outcome()
    for seed in range(N_GENERALISED):
        ask_generalised(seed, outcome)
    assert not outcome.fallen, report(outcome)
    assert outcome.counts["result"] > N_GENERALISED / 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", [[], ["--glmer"]])
def test_thousands_of_random_models_give_results_or_our_errors(kind):
    """In a process of its own, whose memory is then theirs."""
    command = [sys.executable, "-m", "tests.robustness.random_models", "0", str(N_SLOW), *kind]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout[-5000:] + told.stderr[-2000:]
