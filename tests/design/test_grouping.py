"""Grouping factors, their columns and their order are those of lme4's mkReTrms (1.1.31)."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.design.build import build_design, new_rows
from hierbayes.design.design import NEW_LEVEL
from hierbayes.formula.parser import parse_formula

N = 54


def crossed():
    """54 rows: 3 x 3 crossed factors, 9 groups, numbers as ids, levels not in sorted order."""
    data = pd.DataFrame(
        {
            "a": np.repeat(["n", "m", "k"], 18),
            "s": np.tile(np.repeat(["t", "s", "u"], 6), 3),
            "b": np.tile([f"b{i}" for i in range(1, 10)], 6),
            "x": np.tile([1, 2.5, 4, 3, 2, 7], 9) + np.arange(1, 55) / 10,
            "h": np.tile(["1", "2"], 27),
            "num": np.tile([10, 9, 100], 18),
            "y": np.random.default_rng(1).normal(size=N),
        }
    )
    data["a"] = pd.Categorical(data["a"], ["n", "m", "k"])
    data["s"] = pd.Categorical(data["s"], ["t", "s", "u"])
    return data


def build(text, data=None):
    return build_design(parse_formula(text), crossed() if data is None else data)


# Terms in lme4's order with their columns, then the levels of some factors.
TERMS = {
    "y ~ (1 | a) + (1 | s)": "a=(Intercept) ; s=(Intercept)",
    # Once lme4 has to sort, terms that tie come out in reverse.
    "y ~ (1 | a) + (0 + x | a) + (1 | b)": "b=(Intercept) ; a=x ; a.1=(Intercept)",
    "y ~ (1 | b) + (1 | a) + (0 + x | a)": "b=(Intercept) ; a=(Intercept) ; a.1=x",
    "y ~ (1 | a) + (1 | s) + (1 | b)": "b=(Intercept) ; s=(Intercept) ; a=(Intercept)",
    "y ~ (0 + x | a) + (1 | h) + (1 | s) + (1 | a:h:s) + (1 | a)": (
        "a:h:s=(Intercept) ; a=(Intercept) ; s=(Intercept) ; a.1=x ; h=(Intercept)"
    ),
    "y ~ (x | a/s)": "s:a=(Intercept),x ; a=(Intercept),x",
    "y ~ (h | a) + (0 + x | a)": "a=(Intercept),h2 ; a.1=x",
    "y ~ (0 + h | a)": "a=h1,h2",
    "y ~ (h:x | a)": "a=(Intercept),h1:x,h2:x",
    "y ~ (0 + h:x | s)": "s=h1:x,h2:x",
    "y ~ (h * x | s)": "s=(Intercept),h2,x,h2:x",
    "y ~ (poly(x, 2) | s)": "s=(Intercept),poly(x, 2)1,poly(x, 2)2",
    "y ~ (x || s)": "s=(Intercept) ; s.1=x",
    # Unlike lme4 1.1, a factor's columns under || are independent, each by itself.
    "y ~ (h || s)": "s=(Intercept) ; s.1=h2",
    "y ~ (0 + s || a)": "a=st ; a.1=ss ; a.2=su",
}


@pytest.mark.parametrize(("formula", "terms"), TERMS.items(), ids=TERMS)
def test_terms_stand_in_lme4s_order(formula, terms):
    design = build(formula)
    shown = " ; ".join(
        f"{term.name}={','.join(design.factors[term.factor].columns[c] for c in term.columns)}"
        for term in design.terms
    )
    assert shown == terms
    for factor in design.factors:
        assert factor.z.shape == (N, len(factor.columns))


LEVELS = {
    "a": "n,m,k",
    "a:s": "n:t,n:s,n:u,m:t,m:s,m:u,k:t,k:s,k:u",
    "s:a": "t:n,t:m,t:k,s:n,s:m,s:k,u:n,u:m,u:k",
    "num": "9,10,100",
    "num:a": "9:n,9:m,9:k,10:n,10:m,10:k,100:n,100:m,100:k",
    "a:h:s": "n:1:t,n:1:s,n:1:u,n:2:t,n:2:s,n:2:u,m:1:t,m:1:s,m:1:u,m:2:t,m:2:s,m:2:u,"
    "k:1:t,k:1:s,k:1:u,k:2:t,k:2:s,k:2:u",
    "factor(num)": "9,10,100",
    "factor(num > 9)": "FALSE,TRUE",
}


@pytest.mark.parametrize(("group", "levels"), LEVELS.items(), ids=LEVELS)
def test_levels_stand_in_lme4s_order(group, levels):
    factor = build(f"y ~ x + (1 | {group})").factors[0]
    assert ",".join(factor.levels) == levels
    data = crossed()
    if group == "a:s":
        expected = data["a"].astype("str") + ":" + data["s"].astype("str")
        assert factor.levels[factor.codes].tolist() == expected.tolist()


def test_combinations_that_do_not_occur_are_no_levels():
    data = crossed()
    data = data[~((data.a == "m") & (data.s == "s"))]
    factor = build("y ~ x + (1 | a:s)", data).factors[0]
    assert ",".join(factor.levels) == "n:t,n:s,n:u,m:t,m:u,k:t,k:s,k:u"
    assert np.unique(factor.codes).tolist() == list(range(8))


def test_levels_lost_with_missing_rows_are_no_levels():
    data = crossed()
    data.loc[data.a == "n", "x"] = np.nan
    design = build("y ~ x + a + (1 | a)", data)
    assert design.factors[0].levels.tolist() == ["m", "k"]
    assert design.coef_names == ("(Intercept)", "x", "ak")
    assert design.dropped == {"x": 18}


def test_rows_of_z_hold_the_columns_of_the_term():
    data = crossed()
    factor = build("y ~ x + (1 + x | a) + (0 + h | s)").factors[0]
    np.testing.assert_array_equal(factor.z, np.column_stack([np.ones(N), data.x]))


def test_columns_follow_the_terms_where_lme4_reverses_them():
    data = crossed()
    design = build("y ~ x + (1 | a) + (0 + x | a) + (1 | b)")
    assert design.factors[1].columns == ("x", "(Intercept)")
    np.testing.assert_array_equal(design.factors[1].z, np.column_stack([data.x, np.ones(N)]))


def test_many_ids_far_apart_are_sorted_as_numbers():
    data = crossed()
    data["id"] = np.tile([10**12, 7, 10**15 + 1], 18)
    factor = build("y ~ x + (1 | id)", data).factors[0]
    assert factor.levels.tolist() == ["7", str(10**12), str(10**15 + 1)]
    assert factor.codes[:3].tolist() == [1, 0, 2]


def test_many_sparse_combinations_are_numbered_without_a_table_of_all():
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 4000, size=(2, 5000)) * 3
    data = pd.DataFrame({"y": rng.normal(size=5000), "p": ids[0] % 4000, "q": ids[1] % 4000})
    data = pd.concat([data, data], ignore_index=True)
    data["y"] += np.arange(10_000)
    factor = build("y ~ 1 + (1 | p:q)", data).factors[0]
    pairs = data.p.astype("str") + ":" + data.q.astype("str")
    assert factor.levels[factor.codes].tolist() == pairs.tolist()
    by_number = sorted({(p, q) for p, q in zip(data.p, data.q, strict=True)})
    assert factor.levels.tolist() == [f"{p}:{q}" for p, q in by_number]


def test_contrasts_concern_the_fixed_part_and_c_the_bar():
    formula = parse_formula("y ~ s + (s | a)")
    design = build_design(formula, crossed(), contrasts={"s": "sum"})
    assert design.coef_names == ("(Intercept)", "s1", "s2")
    assert design.factors[0].columns == ("(Intercept)", "ss", "su")
    inside = build("y ~ s + (C(s, sum) | a)")
    assert inside.factors[0].columns == ("(Intercept)", "C(s, sum)1", "C(s, sum)2")


TWO_READINGS = {
    "times": ("12:30", "1", "12", "30:1"),
    "with back-ticks": ("`a:b`", "c", "a:b", "c"),
}


def two_readings(first, second, third, fourth):
    data = pd.DataFrame({"a": [first, third] * 12, "b": [second, fourth] * 12})
    data.loc[12:, ["a", "b"]] = [["k", "l"], ["m", "n"]] * 6
    return data.assign(y=np.random.default_rng(4).normal(size=24) + np.arange(24) // 12)


@pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
@pytest.mark.parametrize("parts", TWO_READINGS.values(), ids=TWO_READINGS)
def test_pairs_that_read_alike_stay_two_levels(parts):
    data = two_readings(*parts)
    fit = hb.lmer("y ~ 1 + (1 | a:b)", data)
    labels = fit.ranef()["a:b"].index
    assert labels.is_unique and len(labels) == 4
    assert fit.predict(data).tolist() == fit.fitted().tolist()


def test_labels_that_read_in_two_ways_are_in_back_ticks():
    factor = build("y ~ 1 + (1 | a:b)", two_readings(*TWO_READINGS["times"])).factors[0]
    assert factor.levels.tolist() == ["12:`30:1`", "`12:30`:1", "k:l", "m:n"]
    alone = two_readings("12:30", "1", "12", "30")
    assert "12:30:1" in build("y ~ 1 + (1 | a:b)", alone).factors[0].levels.tolist()


def test_a_new_pair_that_reads_like_a_fitted_one_is_new():
    design = build("y ~ 1 + (1 | a:b)", two_readings("12:30", "1", "12", "30"))
    new = new_rows(design, {"a": ["12", "12:30"], "b": ["30:1", "1"]})
    assert new.factors[0].codes[0] == NEW_LEVEL
    assert design.factors[0].levels[new.factors[0].codes[1]] == "12:30:1"
