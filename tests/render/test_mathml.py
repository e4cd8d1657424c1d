"""Equations of models are MathML that holds together, with their LaTeX beside it."""

from xml.etree import ElementTree

import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.render.mathml import mathml

SLEEP = "Reaction ~ Days + (Days | Subject)"
RATED = "rating ~ Days + (1 | Subject)"


@pytest.fixture(scope="module")
def sleep():
    data = hb.load_dataset("sleepstudy")
    data["rating"] = pd.cut(data["Reaction"], [0, 250, 300, 600], labels=["a", "b", "c"])
    return data


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        (SLEEP, {}),
        ("Reaction ~ 0 + (Days || Subject)", {"weights": "1 + Days"}),
        ("Reaction ~ poly(Days, 2) + offset(Days) + (1 | Subject)", {"known_sd": "1 + Days"}),
        ("Reaction ~ Days", {"family": "gamma", "link": "log"}),
        ("I(Reaction > 300) ~ Days", {"family": "bernoulli", "link": "cloglog"}),
        ("I(Reaction > 300) ~ Days", {"family": "bernoulli", "link": "probit"}),
        (RATED, {"family": "cumulative"}),
        (RATED, {"family": "sratio", "link": "cloglog"}),
    ],
)
def test_every_equation_of_a_model_is_read(sleep, formula, options):
    latex = str(hb.Model(formula, sleep, **options).latex())
    tree = ElementTree.fromstring(mathml(latex))
    assert tree.find(".//annotation").text == latex
    rows = tree.findall(".//mtr")
    assert len(rows) == latex.count(r"\\") + 1
    # each line has its left side and what it is
    assert {len(row.findall("mtd")) for row in rows} == {2}


def test_names_are_shown_as_they_are_and_scripts_stand_where_they_belong():
    found = mathml(r"\text{a\_b \& <c> 50\%}_i^2 - \bar{x}'\beta \le 0.5")
    assert "<msubsup><mtext>a_b &amp; &lt;c&gt; 50%</mtext><mi>i</mi><mn>2</mn></msubsup>" in found
    assert "<mo>−</mo>" in found and '<mo form="infix">≤</mo><mn>0.5</mn>' in found
    assert '<mover accent="true"><mrow><mi>x</mi></mrow><mo>¯</mo></mover><mo>′</mo>' in found


@pytest.mark.parametrize("latex", [r"\frac{1}{2}", "{x", "_i", r"\text{a\b}", "x_", "a & b"])
def test_what_is_not_read_stays_latex(latex):
    assert mathml(latex) is None
