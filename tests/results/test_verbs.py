"""The table of verbs: its functions exist, and classes answer as their ancestors do."""

from importlib import import_module

import pytest

import hierbayes as hb
from hierbayes.render.blocks import Paragraph
from hierbayes.results import verbs
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.varcorr import VarCorr

PLACES = [(cls, verb, at) for cls, row in verbs.TABLE.items() for verb, at in row.items()]


@pytest.mark.parametrize(("cls", "verb", "place"), PLACES, ids=[f"{c}-{v}" for c, v, _ in PLACES])
def test_each_function_exists(cls, verb, place):
    module, _, name = place.partition(":")
    assert callable(getattr(import_module(f"hierbayes.{module}"), name))


class Mine(LinearFit):
    """A class derived from a result of ours."""


def test_a_class_answers_as_its_ancestor_does():
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    names = ("spec", "method", "representative", "beta", "sigma", "criterion", "converged")
    names += ("is_singular", "findings", "kernel", "at")
    mine = Mine(**{name: getattr(fit, name) for name in names})
    assert str(mine) == str(fit) and mine._repr_html_() == fit._repr_html_()
    assert mine.fixef().equals(fit.fixef())


def test_a_registered_function_comes_before_that_of_an_ancestor():
    class Short(VarCorr):
        """Prints in one word."""

    verbs.register(Short, "blocks", lambda result: [Paragraph("short", gap=False)])
    whole = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff")).varcorr()
    short = Short(terms=whole.terms, sigma=whole.sigma)
    assert str(short) == "short" and str(whole) != "short"


def test_a_verb_nobody_answers_says_how_to_answer_it():
    with pytest.raises(LookupError, match=r"Nothing is registered that answers 'sing' for int"):
        verbs.ask(1, "sing")


def test_a_fit_gives_its_model_back():
    model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    assert model.fit().model is model
    alone = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    assert alone.model.spec is alone.spec and alone.model is alone.model
