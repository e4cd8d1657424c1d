"""Relationship matrices of pedigrees and trees against the textbook's recursions."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb


def drawn_pedigree(rng, n=150, founders=15):
    """Sires and dams among earlier individuals, some unknown, some selfed."""
    parents = np.full((n, 2), -1)
    for i in range(founders, n):
        parents[i] = rng.integers(max(0, i - 40), i, 2)
        parents[i, rng.random(2) < 0.1] = -1
    return parents


def by_recursion(parents):
    """Henderson's tabular method."""
    n = len(parents)
    A = np.zeros((n, n))
    for i, (s, d) in enumerate(parents):
        for j in range(i):
            A[i, j] = A[j, i] = sum(A[j, p] for p in (s, d) if p >= 0) / 2
        A[i, i] = 1 + (A[s, d] / 2 if s >= 0 and d >= 0 else 0)
    return A


@pytest.mark.parametrize("seed", range(3))
def test_a_pedigree_in_any_order_has_the_matrix_of_the_tabular_method(seed):
    rng = np.random.default_rng(seed)
    parents = drawn_pedigree(rng)
    names = [f"a{i}" for i in range(len(parents))]
    order = rng.permutation(len(parents))
    table = pd.DataFrame({
        "animal": [names[i] for i in order],
        "father": [names[p] if p >= 0 else None for p in parents[order, 0]],
        "mother": [names[p] if p >= 0 else "0" for p in parents[order, 1]],
    })  # fmt: skip
    found = hb.relationship(table)
    A = by_recursion(parents)
    np.testing.assert_allclose(found.covariance(names), A, atol=1e-12)
    np.testing.assert_allclose(found.inbreeding[names], A.diagonal() - 1, atol=1e-12)
    np.testing.assert_allclose(
        found.inverse.toarray(), np.linalg.inv(found.covariance()), atol=1e-9
    )
    np.testing.assert_allclose(found.to_frame().loc[names, names], A, atol=1e-12)


def test_parents_without_a_row_are_founders_and_numbers_are_labels():
    found = hb.relationship({"id": [3, 4], "sire": [1, 1], "dam": [2, 2]})
    assert set(found.labels) == {"1", "2", "3", "4"}
    np.testing.assert_allclose(found.covariance(["3", "4", "1"])[0], [1, 0.5, 0.5])


@pytest.mark.parametrize(
    ("pedigree", "says"),
    [
        ({"id": list("abc"), "sire": list("bca"), "dam": [None] * 3}, "goes in a circle"),
        ({"id": ["a"], "sire": ["a"], "dam": [None]}, "a has the parent a"),
        ({"id": ["a", "a"], "sire": [None] * 2, "dam": [None] * 2}, "more than one row: 'a'"),
        ({"id": ["a", None], "sire": [None] * 2, "dam": [None] * 2}, "no label in row 1"),
        ({"name": ["a"]}, "none is called individual, sire or dam"),
    ],
)
def test_a_pedigree_that_cannot_be_one_is_refused(pedigree, says):
    with pytest.raises(hb.DataError, match=says):
        hb.relationship(pedigree)


def test_a_late_circle_is_named_without_those_who_merely_descend_from_it():
    rows = {"id": list("xabcde"), "sire": [None, "b", "c", "a", "c", "d"], "dam": [None] * 6}
    with pytest.raises(hb.DataError, match="parent") as error:
        hb.relationship(rows)
    assert "'d'" not in str(error.value) and " e " not in str(error.value)


def test_covariances_of_a_tree_are_lengths_of_shared_paths():
    text = "(('it''s a':1[note],B_b:1e0)90:2.5,c:3.5,(d:1,e:1.5)f:1)root:9;"
    found = hb.phylogeny(text).to_frame()
    assert list(found) == ["it's a", "B_b", "c", "d", "e"]
    expected = np.diag([3.5, 3.5, 3.5, 2, 2.5])
    expected[0, 1] = expected[1, 0] = 2.5
    expected[3, 4] = expected[4, 3] = 1
    np.testing.assert_allclose(found, expected)


def test_a_scaled_tree_has_variance_one():
    found = hb.phylogeny("((human:6,chimp:6):2,gorilla:8);", scaled=True).to_frame()
    np.testing.assert_allclose(np.diag(found), 1)
    assert found.loc["human", "chimp"] == pytest.approx(0.25)
    with pytest.raises(hb.DataError, match="tips of one age"):
        hb.phylogeny("((human:6,chimp:7):2,gorilla:8);", scaled=True)


def test_a_tree_of_a_thousand_nested_brackets_is_read():
    depth = 1000
    text = "(" * depth + "t0:1" + "".join(f",t{i + 1}:1):1" for i in range(depth)) + ";"
    assert len(hb.phylogeny(text)) == depth + 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("((a:1,b:1):1,c:2)", "no semicolon"),
        ("((a:1,b:1);", "1 bracket left open"),
        ("(a:1,b);", "'b' has no length"),
        ("(a:1,b:-1);", "negative length"),
        ("(a:1,a:1);", "more than once: 'a'"),
        ("((a:1,b:x):1,c:2);", "'x' of a branch is no number"),
        ("(a:1,:1);", "no name"),
        ("a;", "single tip"),
        ("(a:1,b:1));", r"character 9"),
    ],
)
def test_a_text_that_is_no_tree_is_refused_with_its_place(text, says):
    with pytest.raises(hb.DataError, match=says):
        hb.phylogeny(text)


def test_what_is_no_text_is_refused():
    with pytest.raises(hb.OptionError, match="must be the text of a tree"):
        hb.phylogeny(3)
