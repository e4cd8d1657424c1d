"""A result of one's own: a record and a function of its blocks; see docs/adding/result.md."""

import pytest

import hierbayes as hb
from hierbayes.arrays import record
from hierbayes.render.blocks import Blocks, Heading, Table, facts, paragraphs
from hierbayes.results import verbs
from hierbayes.results.printing import Printable, written
from hierbayes.results.storing import Storable
from hierbayes.saving.archive import Damaged
from hierbayes.saving.loading import register_reader
from hierbayes.saving.stored_specification import FORMAT, checked, write_file


@record(repr=False)
class DesignEffect(Printable, Storable):
    """How many times more rows a mean needs because rows of a level are alike.

    Attributes
    ----------
    formula_text : the model
    group : the grouping factor
    icc : share of the variance between its levels
    rows_per_level : mean number of rows of a level
    """

    formula_text: str
    group: str
    icc: float
    rows_per_level: float

    @property
    def value(self) -> float:
        """1 + (m - 1) ICC of m rows a level."""
        return 1 + (self.rows_per_level - 1) * self.icc


def design_effect(fit: hb.LikelihoodFit, group: str) -> DesignEffect:
    """Work out the design effect of a grouping factor with a random intercept."""
    variance = fit.varcorr().to_frame().set_index("group")["vcov"]
    return DesignEffect(
        formula_text=fit.formula_text,
        group=group,
        icc=float(variance[group] / (variance[group] + variance["Residual"])),
        rows_per_level=fit.nobs / fit.n_groups[group],
    )


def design_effect_blocks(found: DesignEffect) -> Blocks:
    """Show a design effect."""
    columns = [
        ("ICC", [f"{found.icc:.3f}"]),
        ("rows_per_level", [f"{found.rows_per_level:.1f}"]),
        ("design effect", [f"{found.value:.2f}"]),
    ]
    return (
        Heading("Design effect"),
        *facts(("Formula:", found.formula_text)),
        Table(columns, [found.group]),
        *paragraphs(["So many times more rows are needed than if all were independent."]),
    )


def save_design_effect(found: DesignEffect, path) -> None:
    """Write a design effect to a file; arrays would go to the dict."""
    numbers = {"icc": found.icc, "rows_per_level": found.rows_per_level}
    names = {"formula": found.formula_text, "group": found.group}
    specification = {"format": FORMAT, "method": "design effect", "findings": []}
    write_file(path, specification | names | numbers, {})


def read_design_effect(archive, findings) -> DesignEffect:
    """Read it again; what can't be is Damaged."""
    of = archive.specification
    if not 0 <= checked(of["icc"], float) <= 1:
        raise Damaged("its ICC is no share")
    return DesignEffect(
        formula_text=checked(of["formula"], str),
        group=checked(of["group"], str),
        icc=of["icc"],
        rows_per_level=checked(of["rows_per_level"], float),
    )


class Subclass(DesignEffect):
    """A class that was not registered."""


@pytest.fixture(autouse=True)
def registered():
    verbs.register(DesignEffect, "blocks", design_effect_blocks)
    verbs.register(DesignEffect, "save", save_design_effect)
    register_reader("design effect", read_design_effect)


@pytest.fixture
def found():
    return design_effect(hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff")), "Batch")


def test_it_prints(found):
    assert str(found).split("\n") == [
        "Design effect",
        "Formula: Yield ~ 1 + (1 | Batch)",
        "",
        "        ICC rows_per_level design effect",
        "Batch 0.418            5.0          2.67",
        "",
        "So many times more rows are needed than if all were independent.",
    ]
    assert repr(found) == str(found)


def test_it_is_html_in_a_notebook(found):
    html = found._repr_html_()
    assert "<h3>Design effect</h3>" in html
    assert '<th scope="row">Batch</th><td>0.418</td><td>5.0</td><td>2.67</td>' in html
    assert "<style>" in html


def test_it_is_markdown_and_latex(found):
    assert "| Batch | 0.418 | 5.0 | 2.67 |" in written(found, "markdown")
    assert r"rows\_per\_level" in written(found, "markdown")
    latex = written(found, "latex")
    assert r"Batch & 0.418 & 5.0 & 2.67 \\" in latex
    assert r"Yield \textasciitilde{} 1 + (1 \textbar{} Batch)" in latex


def test_it_is_saved_and_read(found, tmp_path):
    found.save(tmp_path / "effect.fit")
    again = hb.load(tmp_path / "effect.fit")
    assert type(again) is DesignEffect and str(again) == str(found)


def test_what_it_can_not_be_is_a_damaged_file(found, tmp_path):
    Subclass(formula_text="y ~ 1", group="g", icc=7.0, rows_per_level=3.0).save(tmp_path / "a.fit")
    with pytest.raises(hb.DataError, match=r"a.fit' is damaged: its ICC is no share"):
        hb.load(tmp_path / "a.fit")


def test_a_class_derived_from_it_shows_as_it_does(found):
    own = Subclass(formula_text="y ~ 1", group="g", icc=0.5, rows_per_level=3.0)
    assert str(own).startswith("Design effect\nFormula: y ~ 1\n")


def test_a_class_derived_from_a_fit_prints_as_a_fit():
    """It once raised KeyError: the name of the class was looked up alone."""
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))

    class Mine(type(fit)):
        pass

    mine = object.__new__(Mine)
    vars(mine).update(vars(fit))
    assert str(mine) == str(fit)
