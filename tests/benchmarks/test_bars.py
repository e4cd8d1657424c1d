"""When a bar of the speed benchmarks counts as cleared, on made-up measurements."""

from pathlib import Path

import pytest


@pytest.fixture
def bench(monkeypatch):
    """The modules of the benchmarks, which import each other as scripts do."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import cases
    import posteriors
    import startup
    import timing
    import verdicts

    timed = (*cases.CASES, *cases.GENERALISED_CASES, *cases.INTERVAL_CASES)
    every = (*timed, *cases.POSTERIOR_CASES, *startup.STARTUPS)
    by_name = {case.name: case for case in every}

    class Bench:
        @staticmethod
        def timings(peer, *, seconds, answer):
            return timing.Timings(peer=peer, seconds={0: seconds}, answers={0: answer})

        @staticmethod
        def posteriors(peer, *, cold=1.0, warm=0.1, parameters=3500.0, problem=None):
            run = posteriors.Run(
                cold=cold,
                warm=warm,
                processor=warm,
                parameters=parameters,
                effective=3000.0,
                peak_kb=2e5,
            )
            runs = [] if problem else [run]
            return posteriors.Posteriors(peer=peer, runs=runs, problem=problem)

        @staticmethod
        def cleared(name, results):
            case = by_name[name]
            judge = verdicts.judge if hasattr(case, "task") else verdicts.judge_posterior
            return [judge(case, bar, results).cleared for bar in case.bars]

    Bench.names = [case.name for case in every]
    return Bench


def test_every_case_has_its_own_name(bench):
    assert len(set(bench.names)) == len(bench.names)


@pytest.mark.parametrize(
    ("seconds", "upper", "cleared"), [(0.04, 1.0, True), (0.06, 1.0, False), (0.04, 1.1, False)]
)
def test_a_profile_must_be_fast_and_right(bench, seconds, upper, cleared):
    ours = bench.timings("hierbayes", seconds=seconds, answer=[0.0, upper])
    lme4 = bench.timings("lme4", seconds=1.0, answer=[0.0, 1.0])
    assert bench.cleared("profile", [ours, lme4]) == [cleared]


def test_a_limit_of_ours_that_is_missing_clears_no_bar(bench):
    ours = bench.timings("hierbayes", seconds=0.01, answer=[0.0, float("nan")])
    lme4 = bench.timings("lme4", seconds=1.0, answer=[0.0, 1.0])
    assert bench.cleared("profile", [ours, lme4]) == [False]


def test_posterior_bars_compare_with_their_peer(bench):
    ours = bench.posteriors("hierbayes")
    slow = {name: bench.posteriors(name, cold=8.0, warm=20.0) for name in
            ("bambi + nutpie", "bambi, its default sampler")}  # fmt: skip
    missing_rstanarm = bench.cleared("posterior", [ours, *slow.values()])
    assert missing_rstanarm == [True, None, True, None, True, True]
    few = bench.posteriors("hierbayes", cold=3.0, warm=1.0, parameters=2900.0)
    assert bench.cleared("posterior", [few, *slow.values()]) == [
        False, None, False, None, False, False
    ]  # fmt: skip


def test_what_does_not_finish_misses_its_bars(bench):
    ours = bench.posteriors("hierbayes", problem="did not finish 'first' in 600 s")
    assert bench.cleared("posterior-insteval", [ours]) == [False, False, False]


@pytest.mark.parametrize(("busy", "cleared"), [(False, False), (True, None)])
def test_a_bar_in_seconds_is_not_missed_on_a_busy_machine(bench, monkeypatch, busy, cleared):
    monkeypatch.setattr("verdicts.is_busy", lambda: busy)
    slow = bench.timings("hierbayes", seconds=0.3, answer=[])
    assert bench.cleared("loo", [slow]) == [cleared]
    quick = bench.timings("hierbayes", seconds=0.1, answer=[])
    assert bench.cleared("loo", [quick]) == [True]
