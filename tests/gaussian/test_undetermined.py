"""Which (co)variances a design cannot determine: by algebra, whatever the response."""

import numpy as np
import pytest

from hierbayes.design.build import build_design
from hierbayes.design.table import read_table
from hierbayes.formula.parser import parse_formula
from hierbayes.gaussian.covariance import term_covariances
from hierbayes.gaussian.flat_moves import flat_moves
from hierbayes.gaussian.kernel import kernel_of


def rows(n_groups=12, size=5):
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(n_groups), size)
    time = np.tile(np.arange(size), n_groups)
    x = rng.normal(size=g.size)
    return {
        "y": rng.normal(size=g.size),
        "x": x,
        "z": rng.normal(size=g.size),
        "twice": 2 * x,
        "arm": (g % 2).astype(float),
        "year": 2000.0 + time,
        "seconds": 1.7e9 + 86400.0 * time + rng.normal(size=g.size),
        "tiny": 1e-12 * x,
        "g": [f"g{i:02}" for i in g],
        "same": [f"s{(5 * i) % 12:02}" for i in g],
        "h": [f"h{i}" for i in time],
        "site": [f"s{i // 2}" for i in g],
        "off": 1000.0 + 1e-3 * rng.normal(size=g.size),
        "w": 1.0 + 0.01 * rng.normal(size=g.size) ** 2,
        "sd": 1.0 + 0.01 * rng.normal(size=g.size) ** 2,
        "row": [f"r{i:02}" for i in range(g.size)],
    }


def kernel(formula, data=None, **options):
    table = read_table(rows() if data is None else data)
    design = build_design(parse_formula(formula), table, allow_saturated=True, **options)
    weights = design.weights if design.known_sd is None else design.known_sd**-2.0
    return kernel_of(design, weights=weights, method="reml")


# formula: which entries of theta (column by column of each triangle) are undetermined
LOST = {
    "y ~ factor(arm) + (1 | arm)": [1],
    "y ~ g + x + (1 | g)": [1],
    "y ~ g * year + (year | g)": [1, 1, 1],
    "y ~ g + (x | g)": [1, 1, 0],
    "y ~ g + (x || g)": [1, 0],
    "y ~ 0 + g + g:x + (0 + x | g) + (1 | h)": [1, 0],
    "y ~ arm + (1 | arm) + (1 | g)": [0, 1],
    "y ~ x + (1 | g) + (1 | same)": [1, 1],
    "y ~ x + (x | g) + (x | same)": [1] * 6,
    "y ~ x + (x + twice | g)": [0, 1, 1, 1, 1, 1],
    "y ~ arm + (0 + factor(arm) | g)": [0, 1, 0],
    "y ~ arm + (arm | g)": [0, 1, 1],
    "y ~ x + (0 + factor(arm) || g) + (1 | g)": [1, 1, 1],
    "y ~ 1 + (1 | row)": [1],
}
FOUND = (
    "y ~ x + (x | g)",
    "y ~ 1 + (1 | g)",
    "y ~ year + (year | g)",
    "y ~ g + (0 + year | g)",
    "y ~ seconds + (seconds | g)",
    "y ~ g + (0 + seconds | g)",
    "y ~ g + (0 + off | g)",
    "y ~ tiny + (tiny | g)",
    "y ~ x + (x + I(x^2) | g)",
    "y ~ (x + z || g) + (1 | h)",
    "y ~ site + (1 | g)",
    "y ~ arm + (1 | site) + (1 | g)",
    "y ~ arm * x + (x | g)",
    "y ~ 1 + (x | g) + (1 | h)",
)


@pytest.mark.parametrize(("formula", "lost"), LOST.items())
def test_an_undetermined_entry_is_found(formula, lost):
    found = kernel(formula).undetermined
    assert found is not None
    assert found.entries.astype(int).tolist() == lost
    assert found.sigma == (formula == "y ~ 1 + (1 | row)")


@pytest.mark.parametrize("formula", FOUND)
def test_a_determined_design_is_not_flagged(formula):
    assert kernel(formula).undetermined is None


@pytest.mark.parametrize("formula", [*FOUND, *LOST])
@pytest.mark.parametrize("look", ["_levels_are_clear", "_clearly_determined"])
def test_a_quick_look_says_what_the_rows_say(formula, look, monkeypatch):
    """Each look alone, then none: the rows decide."""
    from hierbayes.gaussian import undetermined

    looks = {"_levels_are_clear", "_clearly_determined"}
    for other in looks - {look}:
        monkeypatch.setattr(undetermined, other, lambda *_, **__: False)
    by_look = kernel(formula).undetermined
    monkeypatch.setattr(undetermined, look, lambda *_, **__: False)
    by_rows = kernel(formula).undetermined
    assert (by_look is None) == (by_rows is None) == (formula in FOUND)


def test_clear_levels_settle_one_factor_without_the_gram_matrix(monkeypatch):
    from hierbayes.gaussian import undetermined

    monkeypatch.setattr(undetermined, "_clearly_determined", lambda *_, **__: 1 / 0)
    assert kernel("y ~ x + (x | g)").undetermined is None
    assert kernel("y ~ year + (1 | g)", known_sd="sd").undetermined is None


@pytest.mark.parametrize("options", [{"weights": "w"}, {"known_sd": "sd"}])
def test_one_row_a_level_is_determined_by_unequal_precisions(options):
    # nearly equal: a percent of spread is enough
    assert kernel("y ~ x + (1 | row)", **options).undetermined is None


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("formula", ["y ~ g + (x | g)", "y ~ x + (x | g)"])
def test_the_verdict_has_no_unit(formula, scale):
    data = rows()
    here = kernel(formula, data).undetermined
    there = kernel(formula, data | {"x": scale * (7 + data["x"])}).undetermined
    assert (here is None) == (there is None)
    if here is not None:
        np.testing.assert_array_equal(here.entries, there.entries)


@pytest.mark.parametrize("formula", [f for f in LOST if "row" not in f])
def test_other_covariances_fit_equally_well(formula):
    """At a generic point all moves keep the REML criterion and the determined covariances."""
    from hierbayes.gaussian.marginal import evaluate

    built = kernel(formula)
    shape, found = built.shape, built.undetermined
    theta = shape.transformed(np.where(shape.is_diagonal, 0.8, 0.3), built.products.anchor.z_bases)
    here = evaluate(built, built.in_basis(theta)[None])
    moves = flat_moves(found, theta)
    assert len(moves) > 1
    own = np.concatenate([_packed(c) for c in term_covariances(shape, theta, 1.0)])
    for moved in moves:
        there = evaluate(built, built.in_basis(moved)[None])
        assert there.criterion[0] == pytest.approx(here.criterion[0], abs=1e-6)
        assert there.sigma[0] == pytest.approx(here.sigma[0], rel=1e-8)
        values = np.concatenate([_packed(c) for c in term_covariances(shape, moved, 1.0)])
        kept = ~found.entries
        np.testing.assert_allclose(values[kept], own[kept], rtol=1e-7, atol=1e-12)
    assert np.abs(np.array(moves) - theta).max() > 0.1


def _packed(found):
    covariance = found.sd[:, None] * np.nan_to_num(found.corr) * found.sd
    rows, columns = np.triu_indices(covariance.shape[0])
    return covariance[columns, rows]
