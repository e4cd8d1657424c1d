"""Results compare by identity: they hold arrays, and an array's comparison is an array."""

import pytest

import hierbayes as hb


@pytest.fixture(scope="module")
def fits():
    model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    return [model.fit(), model.fit(), *(model.sample(50, 2, random_seed=s) for s in (1, 2))]


def test_results_are_found_in_lists_and_are_members_of_sets(fits):
    assert [fits.index(fit) for fit in fits] == [0, 1, 2, 3]
    assert fits[3] in fits
    assert len(set(fits)) == 4
    assert {fit: fit.method for fit in fits}[fits[2]] == "posterior"


def test_a_result_is_the_same_as_itself_alone(fits):
    first, again = fits[:2]
    assert first == first
    assert first != again
    assert first.varcorr() != first.varcorr()
