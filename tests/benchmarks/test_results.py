"""What is kept of a benchmark, how a curve is read, and the page that is written of it."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def bench(monkeypatch):
    """The modules of the benchmarks, which import each other as scripts do."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import kept
    import python_worker
    import results_page
    import scaling
    import simulated
    import verdicts

    class Bench:
        pass

    modules = (kept, python_worker, results_page, scaling, simulated, verdicts)
    for module in modules:
        setattr(Bench, module.__name__, module)
    return Bench


def bar(bench, claim="under 1 ms", *, cleared=True):
    verdict = bench.verdicts.Verdict(where="refit", claim=claim, measured="0.9 ms", cleared=cleared)
    return bench.kept.Part(name="refit", title="a refit", kind="fit", verdicts=[verdict])


def curve_points(bench, peer, power, sizes=(1_000, 10_000, 100_000, 1_000_000)):
    return [
        bench.kept.Point(
            peer=peer, size=n, seconds=2e-6 * n**power, processor=1e-6 * n**power, calls=3
        )
        for n in sizes
    ]


def test_a_part_is_kept_as_it_was_and_the_newest_counts(bench, tmp_path):
    path = tmp_path / "results.jsonl"
    first, second = bar(bench, cleared=False), bar(bench)
    second.points = curve_points(bench, "lme4", 1.0)
    bench.kept.keep(first, path)
    bench.kept.keep(second, path)
    (found,) = bench.kept.kept(path).values()
    assert found == second
    assert len(found.load) == 2
    bench.kept.tidy(path)
    assert len(path.read_text().splitlines()) == 1
    bench.kept.tidy(path, names=())
    assert bench.kept.kept(path) == {}


def test_parts_of_another_machine_are_not_mixed_in(bench, tmp_path):
    path = tmp_path / "results.jsonl"
    old, new = bar(bench), bar(bench)
    old.name, old.machine = "cbpp", {"processor": "another"}
    for part in (old, new):
        bench.kept.keep(part, path)
    assert list(bench.kept.kept(path)) == ["refit"]


def test_a_run_goes_on_with_what_this_commit_did_not_measure(bench):
    part = bar(bench)
    assert bench.kept.is_done("refit", {"refit": part})
    assert not bench.kept.is_done("cbpp", {"refit": part})
    part.versions = part.versions | {"commit": "earlier"}
    assert not bench.kept.is_done("refit", {"refit": part})


@pytest.mark.parametrize("power", [0.5, 1.0, 1.7])
def test_exponents_are_those_of_the_largest_sizes(bench, power):
    points = curve_points(bench, "lme4", power)
    points[0] = replace(points[0], processor=1.0)  # a small size has costs of its own
    assert bench.scaling.exponent(points, "lme4") == (pytest.approx(power), 3)
    assert bench.scaling.exponent(points[:1], "lme4") is None
    assert bench.scaling.exponent(points, "glmm") is None


def test_who_takes_too_long_leaves_a_curve(bench, monkeypatch, tmp_path):
    seen = []

    def fits(curve, size, peers, folder):
        seen.append((size, tuple(peers)))
        return [
            bench.kept.Point(
                peer=peer, size=size, seconds=1.0, calls=1,
                processor=0.1 if peer == "glmm" else size / 30_000,
            )
            for peer in peers
        ]  # fmt: skip

    monkeypatch.setattr(bench.scaling, "fits_of", fits)
    curve = bench.scaling.CURVES[0]
    bench.scaling.measure_curve(curve, ["lme4", "glmm"], tmp_path)
    both = ("lme4", "glmm")
    assert seen == [(2_000, both), (10_000, both), (100_000, both), (1_000_000, ("glmm",))]


def test_the_page_has_every_bar_and_says_what_was_not_measured(bench, tmp_path):
    curve = bench.scaling.CURVES[0]
    rows = bench.kept.Part(name=curve.name, title=curve.title, kind="scaling")
    rows.points = curve_points(bench, "hierbayes", 1.0) + curve_points(bench, "lme4", 1.2)[:3]
    path = tmp_path / "RESULTS.md"
    bench.results_page.write_page({"refit": bar(bench), curve.name: rows}, path)
    page = path.read_text()
    claims = [
        (name, claim) for name, _, _, words in bench.results_page.expected() for claim in words
    ]
    bars = re.findall(
        r"^\| (\S+) +\| +(.*?) \| +(.*?) \| +(yes|NO|not judged|not measured) \|$", page, re.M
    )
    assert [(name, claim) for name, claim, _, _ in bars] == claims
    assert [found for *_, found in bars].count("yes") == 1
    assert f"1 bars are cleared, 0 missed, 0 not judged, {len(claims) - 1} not measured." in page
    assert "Exponents: hierbayes 1.00 (3 sizes), lme4 1.20 (3 sizes)." in page
    assert "Not measured: glmm, mixedlm, statsmodels." in page
    assert (tmp_path / "scaling" / "rows.png").stat().st_size < 100_000
    assert page.count("![") == 1


def test_simulated_columns_are_read_as_they_were_written(bench, tmp_path):
    columns, factors = bench.scaling.one_factor(300, 20, 3)
    names = (tuple(name for name in columns if name not in factors), factors)
    bench.simulated.write_columns("some", columns, names, tmp_path)
    frame = bench.python_worker.load("some", tmp_path)
    assert list(frame) == ["y", "x1", "x2", "g"]
    np.testing.assert_array_equal(frame["g"].cat.codes, columns["g"])
    np.testing.assert_array_equal(frame["x2"], columns["x2"])
    assert frame["g"].cat.categories.size == 20
