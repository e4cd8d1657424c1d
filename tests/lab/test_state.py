"""The state of the lab in an address: what goes in comes out, and nothing else gets in."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierbayes.lab.presets import PRESETS, Simulation
from hierbayes.lab.stage_values import edits_of, guess_of
from hierbayes.lab.state import LabState, from_query, to_query

NUMBERS = st.integers(-(10**5), 10**5).map(lambda k: k / 100)  # six digits: all an address keeps
STATES = st.builds(
    LabState,
    data=st.sampled_from([*PRESETS, "simulated", "own"]),
    level=st.text(max_size=8),
    show=st.sampled_from([("reml",), ("ml", "posterior"), ("reml", "ml", "posterior"), ()]),
    unlocked=st.booleans(),
    sds=st.lists(st.sampled_from([0.0, 1.5, 24.74]), max_size=2).map(tuple),
    cor=st.sampled_from([None, -1.0, 0.0, 0.35]),
    sigma=st.sampled_from([None, 12.5]),
    prior=st.sampled_from(["t", "normal", "cauchy"]),
    scale=st.sampled_from([0.02, 1.0, 20.0]),
    eta=st.sampled_from([1.0, 2.0, 20.0]),
    edits=st.dictionaries(st.integers(0, 999), NUMBERS | st.none(), max_size=5).map(
        lambda d: tuple(sorted(d.items(), key=lambda pair: pair[0]))
    ),
    simulation=st.builds(
        Simulation,
        groups=st.integers(2, 60),
        imbalance=st.sampled_from([0.0, 0.4, 1.0]),
        seed=st.integers(0, 999_999),
    ),
    guessing=st.booleans(),
    guess=st.lists(NUMBERS, max_size=2).map(tuple),
    revealed=st.booleans(),
)


@given(STATES)
def test_an_address_gives_back_the_state(state):
    query = to_query(state)
    assert all(isinstance(text, str) for text in query.values())
    assert from_query(query) == (state, ())


def test_the_default_state_needs_no_address():
    assert to_query(LabState()) == {}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("data", "../etc/passwd"),
        ("cor", "1.01"),
        ("cor", "nan"),
        ("sigma", "0"),
        ("sds", "1,2,3"),
        ("sds", "-1"),
        ("scale", "1e9"),
        ("eta", "inf"),
        ("prior", "flat"),
        ("show", "reml,lme4"),
        ("edits", "x:1"),
        ("edits", "-1:3"),
        ("edits", "1:inf"),
        ("edits", ",".join(f"{i}:x" for i in range(300))),
        ("unlocked", "yes"),
        ("sim_groups", "1000000"),
        ("sim_sigma", "0"),
        ("sim_nothing", "3"),
    ],
)
def test_what_cannot_be_read_keeps_its_default_and_is_told(key, text):
    state, notes = from_query({key: text})
    assert state == LabState()
    assert len(notes) == 1
    assert f"{key}=" in notes[0]


def test_foreign_keys_are_no_concern_of_ours():
    assert from_query({"access_token": "a", "theme": ["dark"]}) == (LabState(), ())


def test_of_a_repeated_key_the_last_counts():
    assert from_query({"level": ["1", "2"]})[0].level == "2"


def test_edits_of_the_browser_are_checked():
    sent = {"3": 1.5, "1": None, "x": 2.0, "2": float("nan"), "4": "9", "²": 1.0}
    assert edits_of(sent) == ((1, None), (3, 1.5))
    assert guess_of([1, 2.5]) == (1.0, 2.5)
    assert guess_of([1, None]) == ()


def test_states_are_values():
    assert hash(replace(LabState(), level="a")) != hash(LabState())
