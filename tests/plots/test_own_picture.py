"""The page about adding a picture is followed: its lines run, and what it says is so."""

import re
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

import hierbayes as hb
from hierbayes.plots.style import MM_PER_INCH
from tests.plots.text_boxes import clipped, drawn_texts, overlapping

PAGE = (Path(__file__).parents[2] / "docs" / "adding" / "picture.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page():
    """What the page's lines define, and matplotlib's settings before they ran."""
    before = dict(mpl.rcParams)
    found = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(block, found)
    yield found | {"before": before}
    pyplot.close("all")


def test_it_draws_the_sds_of_the_fit(page):
    points = page["ax"].collections[0].get_offsets()
    assert points[:, 0].tolist() == pytest.approx(page["fit"].varcorr().terms[0].sd.tolist())
    assert page["ax"].lines[0].get_xdata()[0] == page["fit"].sigma
    rows = [label.get_text() for label in page["ax"].get_yticklabels()]
    assert rows == ["(Intercept) | Subject", "Days | Subject"]


def test_it_says_in_words_what_it_shows(page):
    assert page["words"] == (
        "Sds of random effects: (Intercept) | Subject 24.7; Days | Subject 5.92. Residual sd 25.6."
    )


def test_letters_have_their_place(page):
    texts = drawn_texts(page["figure"])
    assert texts
    assert not overlapping(texts)
    assert not clipped(texts, page["figure"])


@pytest.mark.parametrize("width_mm", [80, 160])
def test_letters_have_their_place_in_a_column_and_on_a_page(page, width_mm):
    given = Figure(figsize=(width_mm / MM_PER_INCH, 60 / MM_PER_INCH), layout="constrained")
    figure, _ = page["sds"](page["fit"], ax=given.add_subplot())
    texts = drawn_texts(figure)
    assert not overlapping(texts)
    assert not clipped(texts, figure)


def test_it_draws_into_axes_given_and_takes_labels(page):
    figure, ax = pyplot.subplots()
    drawn, axes = page["sds"](page["fit"], ax=ax, labels={"sd": "sd (ms)"})
    assert (drawn, axes) == (figure, ax)
    assert ax.get_xlabel() == "sd (ms)"


def test_matplotlibs_settings_are_as_before(page):
    assert dict(mpl.rcParams) == page["before"]


def test_it_draws_posteriors(page):
    post = page["fit"].model.sample(random_seed=1)
    assert "Residual sd" in hb.plot.alt_text(page["sds"](post)[0])


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (["a fit"], {}, "plot.sds takes fits.* got the text 'a fit'"),
        ([], {"colour": "red"}, "colour"),
    ],
)
def test_calls_that_do_not_fit_are_one_sentence(page, arguments, options, words):
    with pytest.raises(hb.OptionError, match=words):
        page["sds"](*(arguments or [page["fit"]]), **options)


@pytest.mark.parametrize(
    ("width", "theme"), [(60, "lecture"), ("column", "grey"), ("page", "dark")]
)
def test_letters_have_their_place_at_every_width_and_in_every_theme(page, width, theme):
    words = "the standard deviation of the random effects in milliseconds, or per day"
    figure, ax = page["sds"](
        page["fit"], width=width, theme=theme, title=f"A title: {words}", labels={"sd": words}
    )
    texts = drawn_texts(figure)
    assert not overlapping(texts)
    assert not clipped(texts, figure)
    mm = figure.get_size_inches() * MM_PER_INCH
    assert mm[0] == pytest.approx({"column": 80, "page": 160}.get(width, width))
    panel = ax.get_window_extent().height / figure.dpi * MM_PER_INCH
    assert panel == pytest.approx(26, abs=1)
    pyplot.close(figure)


def test_rows_go_in_the_order_asked_for(page):
    def rows(**options):
        return [t.get_text() for t in page["sds"](page["fit"], **options)[1].get_yticklabels()]

    assert rows(order="size") == ["Days | Subject", "(Intercept) | Subject"]
    assert rows(order=["Days | Subject"], labels={"Days | Subject": "slope"})[0] == "slope"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 3}, "width=3 must be 'page'"),
        ({"theme": "drak"}, "did you mean 'dark'"),
        ({"order": "siez"}, "order='siez' must be 'size', 'name', 'data'"),
        ({"order": ["days"]}, "order= names 'days', which is not shown"),
        ({"labels": {"Sd": "x"}}, "labels= names 'Sd'.*did you mean 'sd'"),
        ({"labels": "sd"}, "labels='sd' must be a dict"),
        ({"title": 3}, "title=3 must be text"),
        ({"ax": "here"}, "ax='here' must be matplotlib axes"),
        ({"titel": "x"}, "Did you mean title="),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(page, options, words):
    with pytest.raises(hb.OptionError, match=words):
        page["sds"](page["fit"], **options)


def test_files_keep_letters_as_letters_and_carry_the_words(page, tmp_path):
    figure, _ = page["sds"](page["fit"])
    figure.savefig(tmp_path / "sds.svg")
    figure.savefig(tmp_path / "sds.pdf")
    svg = (tmp_path / "sds.svg").read_text(encoding="utf-8")
    assert "Days | Subject</text>" in svg
    assert "Residual sd 25.6." in svg
    assert b"/FontFile2" in (tmp_path / "sds.pdf").read_bytes()  # the letters, not their outlines
    assert mpl.rcParams["svg.fonttype"] == page["before"]["svg.fonttype"]


def test_a_theme_ends_with_its_block(page):
    def colour():
        return page["sds"](page["fit"])[0].get_facecolor()[:3]

    with hb.plot.theme("dark"):
        assert max(colour()) < 0.2
        assert page["sds"](page["fit"], theme="paper")[0].get_facecolor()[:3] == (1, 1, 1)
    assert colour() == (1, 1, 1)
    hb.plot.theme("dark")
    assert max(colour()) < 0.2
    hb.plot.theme("paper")


def test_numbers_at_axes_stay_as_they_are_when_the_settings_are_matplotlibs_again(page):
    _, ax = page["sds"](page["fit"], width=60, theme="lecture")
    before = ax.get_xticks().tolist()
    with mpl.rc_context({"xtick.labelsize": 4}):
        ax.xaxis.set_view_interval(*ax.get_xlim(), ignore=True)
        assert ax.get_xticks().tolist() == before
