"""Every picture at the width of a page and of a column: legible, described, and only drawn."""

import ast
import re
from dataclasses import replace

import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from typer.testing import CliRunner

import hierbayes as hb
from hierbayes import plots
from hierbayes.cli import app
from hierbayes.likelihood import fitting, lmm, refits
from hierbayes.studies.gallery import fit_gallery, fits_of
from hierbayes.studies.gallery_page import (
    ENTRIES,
    PENICILLIN,
    SIMULATED,
    SLEEP,
    TOUCH,
    WIDTHS_MM,
    GallerySource,
    draw,
    gallery_files,
)
from tests.plots.text_boxes import clipped, drawn_texts, overlapping

NO_PICTURES = {"alt_text", "theme"}  # names of hb.plot that are none
OF_CHOICES = {"psychometric"}  # pictures of a model of their own
OF_SIMULATIONS = {"bootstrap", "null_distribution", "power"}  # of tables that have no model
# The narrow one is the harder; the other is drawn with the slow tests.
WIDTH = pytest.mark.parametrize(
    "width", [WIDTHS_MM[1], pytest.param(WIDTHS_MM[0], marks=pytest.mark.slow)]
)
LONG = "long_haul_driver_of_the_study"
ENTRY = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.slug)


@pytest.fixture(scope="module")
def sources():
    return {source.name: source for source in fit_gallery()}


@pytest.fixture(scope="module")
def long_names():
    """Sleepstudy with a long name of its grouping factor and long, alike names of its levels."""
    sleep = hb.load_dataset("sleepstudy").rename(columns={"Subject": LONG})
    sleep[LONG] = sleep[LONG].cat.rename_categories(lambda s: f"driver number {s} of the study")
    model = hb.Model(f"Reaction ~ Days + (Days | {LONG})", sleep)
    fits = fits_of(model)
    widths = hb.sensitivity(fits["post"], "Days", random_seed=1)
    return GallerySource(
        name=SLEEP, heading="", setup="", values={"sleep": sleep, "widths": widths, **fits}
    )


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    pyplot.close("all")


@pytest.fixture
def nothing_is_fitted(monkeypatch):
    """Let everything that fits, samples or opens a window raise."""

    def forbidden(*args, **kwargs):
        raise AssertionError("a picture fits, samples or shows")

    for owner, names in (
        (hb.Model, ("fit", "sample")),
        (fitting, ("fit", "at_theta")),
        (lmm, ("fit_lmm", "minimise")),
        (refits, ("minimise",)),
        (pyplot, ("show",)),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, forbidden)


def test_letters_that_collide_or_are_cut_off_are_seen():
    figure = Figure(figsize=(3, 2))
    for x, y, words in ((0.2, 0.5, "one"), (0.25, 0.5, "two"), (0.9, 0.2, "out of it"), (0, 1, "")):
        figure.text(x, y, words)
    texts = drawn_texts(figure)
    assert overlapping(texts) == [("one", "two")]
    assert clipped(texts, figure) == ["out of it"]


def assert_legible(figure):
    texts = drawn_texts(figure)
    assert texts
    assert not overlapping(texts)
    assert not clipped(texts, figure)


@WIDTH
@ENTRY
def test_a_picture_is_legible_and_described_and_computes_nothing(
    entry, width, sources, nothing_is_fitted
):
    figure = draw(entry, sources[entry.source], width)
    assert len(plots.alt_text(figure)) > 40
    assert_legible(figure)


@pytest.mark.slow
@WIDTH
@pytest.mark.parametrize(
    "entry", [entry for entry in ENTRIES if entry.source == SLEEP], ids=lambda entry: entry.slug
)
def test_long_names_are_legible(entry, width, long_names):
    options = {
        name: v.replace("Subject", LONG) if isinstance(v, str) else v
        for name, v in entry.options.items()
    }
    assert_legible(draw(replace(entry, options=options), long_names, width))


def test_every_picture_is_there_from_one_factor_and_from_crossed_ones():
    names = set(plots.__all__) - NO_PICTURES
    alone = (SLEEP, TOUCH, SIMULATED)
    assert {entry.picture for entry in ENTRIES if entry.source == TOUCH} == OF_CHOICES
    names -= OF_CHOICES
    assert {entry.picture for entry in ENTRIES if entry.source == SIMULATED} == OF_SIMULATIONS
    names -= OF_SIMULATIONS
    assert {entry.picture for entry in ENTRIES if entry.source == SLEEP} == names
    assert {entry.picture for entry in ENTRIES if entry.source not in alone} == names
    assert len({entry.slug for entry in ENTRIES}) == len(ENTRIES)


@ENTRY
def test_the_code_shown_names_what_there_is(entry, sources):
    call = ast.parse(entry.code, mode="eval").body
    assert isinstance(call, ast.Call) and ast.unparse(call.func) == f"hb.plot.{entry.picture}"
    names = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)} - {"hb"}
    assert names <= set(sources[entry.source].values)


def test_the_setup_shown_makes_these_values(sources):
    for source in sources.values():
        made = {}
        exec("import hierbayes as hb\n" + source.setup, made)
        for name, value in source.values.items():
            assert type(made[name]) is type(value)
        fit = "fit" if source.name == TOUCH else "reml"
        assert str(made[fit].fixef()) == str(source.values[fit].fixef())


def test_the_page_shows_every_picture_twice(sources, monkeypatch, tmp_path):
    from hierbayes.studies import gallery as fitted
    from hierbayes.studies import gallery_page as module

    monkeypatch.setattr(module, "ENTRIES", [e for e in ENTRIES if e.picture == "effects"][:2])
    monkeypatch.setattr(fitted, "fit_gallery", lambda: tuple(sources.values()))
    assert module.ENTRIES[0].source == SLEEP and module.ENTRIES[1].source == PENICILLIN
    result = CliRunner().invoke(app, ["gallery", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    shown = re.findall(r'<img src="([^"]+)" alt="([^"]+)"', page)
    assert sorted(name for name, _ in shown) == sorted(path.name for path in tmp_path.glob("*.png"))
    assert len(shown) == 4
    assert "hb.plot.effects(reml, post)" in page
    assert 'src="http' not in page
    assert len(gallery_files(tuple(sources.values()))) == 5
