"""One table says what is not supported; every such error comes from it, and the docs show it."""

import ast
from pathlib import Path
from typing import get_args

import pytest

from hierbayes.capabilities import LIMITS, Kind, markdown, not_supported
from hierbayes.errors import NotSupportedError

REPOSITORY = Path(__file__).parents[1]
ROOT = REPOSITORY / "hierbayes"


def calls_of(name: str) -> list[tuple[str, ast.Call]]:
    """Calls of a function in the package, by its name or as an attribute, and the file of each."""
    return [
        (str(path.relative_to(ROOT)), node)
        for path in sorted(ROOT.rglob("*.py"))
        if name in (source := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and name in (getattr(node.func, "id", None), getattr(node.func, "attr", None))
    ]


def raised_bare(source: str) -> bool:
    """Whether a file raises the class itself, which makes an error without a sentence."""
    if "NotSupportedError" not in source:
        return False
    raised = [n.exc for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Raise)]
    return any("NotSupportedError" in ast.unparse(exc) for exc in raised if exc)


def test_errors_of_what_is_not_supported_are_made_in_one_place():
    assert [file for file, _ in calls_of("NotSupportedError")] == ["capabilities.py"]
    bare = [p.name for p in ROOT.rglob("*.py") if raised_bare(p.read_text(encoding="utf-8"))]
    assert not bare


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("raise NotSupportedError", True),
        ("raise errors.NotSupportedError('x') from None", True),
        ("raise not_supported('x')", False),
        ("try:\n    f()\nexcept NotSupportedError:\n    raise", False),
    ],
)
def test_each_way_to_raise_it_elsewhere_is_seen(source, seen):
    assert raised_bare(source) is seen


def test_every_use_names_a_row_and_gives_the_facts_of_its_sentence():
    for file, call in calls_of("not_supported"):
        assert len(call.args) == 1, file
        assert isinstance(call.args[0], ast.Constant), file
        key = call.args[0].value
        assert key in LIMITS, (file, key)
        assert sorted(k.arg or "**" for k in call.keywords) == sorted(LIMITS[key].facts), key


def test_every_row_is_used():
    used = [call.args[0].value for _, call in calls_of("not_supported")]
    assert sorted(used) == sorted(LIMITS)  # each in one place


def test_no_two_rows_have_one_key_and_every_kind_is_known():
    source = (ROOT / "capabilities.py").read_text(encoding="utf-8")
    assert source.count("    key=") == len(LIMITS)
    assert all(set(limit.kinds) <= set(get_args(Kind)) and limit.kinds for limit in LIMITS.values())


def test_a_sentence_is_filled_with_its_facts():
    error = not_supported("influence-size", factor="school", levels=5000, most=1000)
    assert isinstance(error, NotSupportedError)
    assert str(error).startswith(
        "school has 5000 levels, a refit each; influence does at most 1000"
    )


@pytest.mark.parametrize(
    ("key", "facts", "words"),
    [
        ("no-such-row", {}, "no row 'no-such-row'"),
        ("reml-of-family", {"link": "log"}, r"missing \['family'\]"),
        ("exact-test-of-family", {"family": "poisson", "link": "log", "n": 1}, r"unknown \['n'\]"),
        ("contrast-count", {"n": 2}, r"unknown \['n'\]"),
    ],
)
def test_a_wrong_key_or_wrong_facts_are_our_own_mistake(key, facts, words):
    with pytest.raises(AssertionError, match=words):
        not_supported(key, **facts)


def test_the_page_has_a_row_for_each_limit_and_each_row_three_cells():
    rows = markdown().splitlines()[-len(LIMITS) :]
    for row, limit in zip(rows, LIMITS.values(), strict=True):
        assert row.startswith(f"| {limit.feature} | ")
        assert row.replace(r"\|", "").count("|") == 4
        assert "{" not in row.replace("{'x': 0}", "").replace('{"b": hb.Normal(0, 10)}', "")


def test_the_docs_show_the_table():
    page = (REPOSITORY / "docs" / "supported.md").read_text(encoding="utf-8")
    assert page == markdown(), "make docs-tables writes it anew"


def test_the_readme_links_the_table():
    assert "(docs/supported.md)" in (REPOSITORY / "README.md").read_text(encoding="utf-8")
