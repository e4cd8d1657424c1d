"""The shrinkage pictures: that they show the table, in words too, and nothing is cut off."""

from functools import partial
from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.text import Text

import hierbayes as hb
from hierbayes.plots.level_names import spread_positions
from hierbayes.plots.shrinkage_source import short_names
from hierbayes.plots.style import inches, with_margins
from hierbayes.pooling.ellipses import ellipse, ellipse_band

SLOPES = "Reaction ~ Days + (Days | Subject)"
ONE_AXES = ("shrinkage_plane", "shrinkage_slopegraph", "shrinkage_reliability", "tau_path")


@pytest.fixture(scope="module")
def m1():
    return hb.lmer(SLOPES, hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def sparse():
    sleep = hb.load_dataset("sleepstudy")
    return hb.lmer(SLOPES, sleep[(sleep.Subject != "308") | (sleep.Days == 0)])


@pytest.fixture(scope="module")
def crossed():
    return hb.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", hb.load_dataset("Penicillin"))


@pytest.fixture(scope="module")
def post():
    return hb.Model(SLOPES, hb.load_dataset("sleepstudy")).sample(random_seed=1)


@pytest.fixture(scope="module")
def long_names():
    sleep = hb.load_dataset("sleepstudy")
    names = [f"the participant called {s} of the second cohort" for s in sleep.Subject]
    return hb.lmer(SLOPES, sleep.assign(Subject=names))


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    pyplot.close("all")


def offsets(ax):
    return [np.asarray(c.get_offsets()) for c in ax.collections if len(c.get_offsets())]


def unseen_labels(ax):
    """Labels of ticks that lie outside of the axes and are not drawn."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                yield tick.label1


def drawn_texts(figure):
    """All words that are seen and their boxes, in pixels."""
    figure.draw_without_rendering()
    unseen = {id(label) for ax in figure.axes for label in unseen_labels(ax)}
    return [
        (text.get_text(), Text.get_window_extent(text))  # of an annotation without its line
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and id(text) not in unseen
    ]


def narrow_axes():
    figure = with_margins(Figure(figsize=inches(80, 75), layout="constrained"))
    return figure.add_subplot()


def pictures(m1, crossed, sparse, long_names, post):
    plot = hb.plot
    return {
        "plane": partial(plot.shrinkage_plane, m1),
        "plane, a sparse level": partial(plot.shrinkage_plane, sparse),
        "plane, long names": partial(plot.shrinkage_plane, long_names),
        "plane, posterior": partial(plot.shrinkage_plane, post, draws_of=["308"]),
        "slopes": partial(plot.shrinkage_slopegraph, m1, term="Days"),
        "slopes, crossed": partial(plot.shrinkage_slopegraph, crossed),
        "slopes, long names": partial(plot.shrinkage_slopegraph, long_names),
        "reliability": partial(plot.shrinkage_reliability, m1),
        "reliability, sparse": partial(plot.shrinkage_reliability, sparse, term="Days"),
        "reliability, crossed": partial(plot.shrinkage_reliability, crossed, group="sample"),
        "reliability, posterior": partial(plot.shrinkage_reliability, post, against="se"),
        "path": partial(plot.tau_path, m1, term="Days", posterior=post),
        "path, crossed": partial(plot.tau_path, crossed, group="sample"),
        "path, long names": partial(plot.tau_path, long_names),
    }


@pytest.mark.parametrize("narrow", [False, True], ids=["160 mm", "80 mm"])
def test_no_word_is_cut_off_and_no_names_cover_each_other(
    m1, crossed, sparse, long_names, post, narrow
):
    for name, picture in pictures(m1, crossed, sparse, long_names, post).items():
        figure, ax = picture(ax=narrow_axes()) if narrow else picture()
        boxes = drawn_texts(figure)
        assert "levels of" in hb.plot.alt_text(figure), f"{name} has no words"
        for word, box in boxes:
            inside = box.x0 >= -1 and box.y0 >= -1
            inside &= box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
            assert inside, f"{name}: {word!r} is cut off"
        names = [(w, b) for w, b in boxes if any(s in w for s in ("3", "SE", "…")) or len(w) == 1]
        ticks = {t.get_text() for t in (*ax.get_xticklabels(), *ax.get_yticklabels())}
        for (one, a), (other, b) in combinations([x for x in names if x[0] not in ticks], 2):
            dx = min(a.x1, b.x1) - max(a.x0, b.x0)
            dy = min(a.y1, b.y1) - max(a.y0, b.y0)
            assert min(dx, dy) < 0.3 * min(a.height, b.height), f"{name}: {one!r} on {other!r}"
        words = [t.get_text() for t in ax.get_xticklabels() if t.get_text()]
        extents = [t.get_window_extent() for t in ax.get_xticklabels() if t.get_text()]
        for left, right in pairwise(extents):
            assert left.x1 < right.x0, f"{name}: tick labels {words} touch"


def test_panels_have_words_for_those_who_cannot_see_them(m1):
    figure, _ = hb.plot.shrinkage_lines(m1, levels=["308"])
    assert hb.plot.alt_text(figure).startswith("1 of 18 levels of Subject, a panel each")


def test_the_plane_shows_own_and_shrunken_estimates(m1):
    _, ax = hb.plot.shrinkage_plane(m1)
    table = hb.shrinkage(m1)
    own, kept = offsets(ax)
    for points, column in ((own, "unpenalised"), (kept, "coefficient")):
        np.testing.assert_allclose(points, table[column].to_numpy().reshape(18, 2))
    cross = next(line for line in ax.lines if line.get_marker() == "+")
    np.testing.assert_allclose(np.ravel(cross.get_data()), m1.fixef())
    assert sum(t.arrow_patch is not None for t in ax.texts) == 18
    assert {"50 %", "80 %", "95 %"} <= {t.get_text() for t in ax.texts}


def test_the_plane_takes_terms_in_any_order_and_a_table(m1):
    _, ax = hb.plot.shrinkage_plane(hb.shrinkage(m1), terms=["Days", "(Intercept)"], levels=())
    assert ax.get_xlabel() == "Days"  # a table does not know the unit
    assert not [line for line in ax.lines if line.get_linestyle() != "None"]


def test_a_difference_of_categories_has_the_unit_of_the_response():
    fit = hb.lmer("score ~ Machine + (Machine | Worker)", hb.load_dataset("Machines"))
    _, ax = hb.plot.shrinkage_plane(fit, terms=["MachineB", "MachineC"])
    assert ax.get_ylabel() == "MachineC (productivity score)"


def test_a_level_with_too_few_rows_is_marked(sparse, m1):
    _, ax = hb.plot.shrinkage_plane(sparse)
    assert "own rows too few" in ax.get_legend_handles_labels()[1]
    assert len(offsets(ax)[1]) == 1
    _, ax = hb.plot.shrinkage_plane(m1)
    assert "own rows too few" not in ax.get_legend_handles_labels()[1]


def test_ellipses_hold_their_share():
    Sigma = np.array([[4.0, 1.5], [1.5, 1.0]])
    ring = ellipse(np.array([1.0, -1.0]), Sigma, 0.8) - [[1.0], [-1.0]]
    size = (ring * np.linalg.solve(Sigma, ring)).sum(axis=0)
    np.testing.assert_allclose(size, -2 * np.log(0.2))
    points = np.random.default_rng(1).multivariate_normal([0, 0], Sigma, 20000)
    inside = (points * np.linalg.solve(Sigma, points.T).T).sum(axis=1) < size[0]
    assert inside.mean() == pytest.approx(0.8, abs=0.01)
    line = ellipse(np.zeros(2), np.outer([2.0, 1.0], [2.0, 1.0]), 0.5)
    np.testing.assert_allclose(line[0], 2 * line[1])


def test_the_band_of_an_ellipse_closes_around_one_covariance():
    Sigma = np.array([[4.0, 1.5], [1.5, 1.0]])
    inner, outer = ellipse_band(np.zeros(2), np.tile(Sigma, (5, 1, 1)), 0.5, level=0.9)
    np.testing.assert_allclose(inner, outer)
    size = (inner * np.linalg.solve(Sigma, inner)).sum(axis=0)
    np.testing.assert_allclose(size, -2 * np.log(0.5))


def test_the_slopegraph_leads_from_own_to_shrunken_estimates(crossed):
    _, ax = hb.plot.shrinkage_slopegraph(crossed, group="sample")
    rows = hb.shrinkage(crossed)
    rows = rows[rows.group == "sample"].sort_values("unpenalised")
    ends = np.array([np.asarray(s)[:, 1] for s in ax.collections[0].get_segments()])
    np.testing.assert_allclose(ends, rows[["unpenalised", "coefficient"]])
    assert ax.get_ylabel() == "(Intercept) (mm)"
    names = sorted(t.get_text() for t in ax.texts)
    assert names == sorted([*"ABCDEF", *"ABCDEF"])


def test_reliability_stands_on_its_curve_with_standard_errors_beside_it(m1):
    _, ax = hb.plot.shrinkage_reliability(m1, term="Days")
    (point,) = offsets(ax)
    reliability = hb.shrinkage(m1)["reliability"].iloc[1]
    np.testing.assert_allclose(point, [[10, reliability]])
    curve = ax.lines[0]
    assert np.interp(10, *curve.get_data()) == pytest.approx(reliability, abs=1e-3)
    assert [t.get_text() for t in ax.texts] == ["18 levels\nSE (15, 2.82)"]
    with pytest.raises(hb.OptionError, match="against='size'"):
        hb.plot.shrinkage_reliability(m1, against="size")


def test_the_path_marks_the_estimate_and_shows_the_posterior(m1, post):
    _, ax = hb.plot.tau_path(m1, term="Days", posterior=post)
    mark = next(line for line in ax.lines if line.get_label() == "REML 5.92")
    path = hb.shrinkage_path(m1, term="Days")
    assert mark.get_xdata()[0] == pytest.approx(5.922 / (5.922 + path.attrs["scale"]), abs=1e-3)
    words = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert "posterior of the sd" in words
    ends = [line.get_ydata()[-1] for line in ax.lines[:18]]
    own = hb.shrinkage(m1)
    np.testing.assert_allclose(ends, own[own.term == "Days"]["unpenalised"], rtol=1e-6)
    with pytest.raises(hb.OptionError, match="takes a posterior"):
        hb.plot.tau_path(m1, posterior=m1)


def test_a_panel_has_the_data_and_three_lines(m1):
    figure, axes = hb.plot.shrinkage_lines(m1, standard_errors=True)
    assert len(axes) == len(figure.axes) == 18
    slopes = m1.coef()["Subject"]["Days"].sort_values()
    assert [ax.get_title() for ax in axes] == list(slopes.index)
    last = axes[-1]  # subject 308
    assert len(offsets(last)[0]) == 10
    labels = [line.get_label() for line in last.lines]
    assert labels == ["complete pooling", "partial pooling", "no pooling"]
    assert [t.get_text().replace("\n", " ") for t in last.texts] == ["(28.1, 5.26)"]
    assert {line.get_linestyle() for line in last.lines} == {"--", "-", ":"}


def test_many_levels_are_not_all_drawn():
    n = 50
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(n), 3)
    frame = {"y": rng.normal(size=3 * n) + rng.normal(size=n)[g], "g": g}
    fit = hb.lmer("y ~ 1 + (1 | g)", frame)
    figure, axes = hb.plot.shrinkage_lines(fit)
    assert len(axes) == 18
    assert hb.plot.alt_text(figure).startswith("18 of 50 levels of g")
    with pytest.raises(hb.OptionError, match="columns=0"):
        hb.plot.shrinkage_lines(fit, columns=0)


@pytest.mark.slow
def test_words_of_panels_are_not_cut_off(m1, long_names, crossed):
    for fit, options in ((m1, {"standard_errors": True}), (long_names, {}), (crossed, {})):
        for width in (160, 80):
            figure, _ = hb.plot.shrinkage_lines(fit, width=width, **options)
            for word, box in drawn_texts(figure):
                assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, word
            titles = [
                b for w, b in drawn_texts(figure) if w in {a.get_title() for a in figure.axes}
            ]
            for a, b in combinations(titles, 2):
                assert min(a.x1, b.x1) <= max(a.x0, b.x0) or min(a.y1, b.y1) <= max(a.y0, b.y0)


def test_wrong_choices_are_refused_in_a_sentence(m1, crossed, post):
    with pytest.raises(hb.OptionError, match="A plane needs two terms"):
        hb.plot.shrinkage_plane(crossed)
    with pytest.raises(hb.OptionError, match="two different terms"):
        hb.plot.shrinkage_plane(m1, terms=["Days", "Days"])
    with pytest.raises(hb.OptionError, match="did you mean 'Days'"):
        hb.plot.shrinkage_slopegraph(m1, term="days")
    with pytest.raises(hb.OptionError, match="between 0 and 1"):
        hb.plot.shrinkage_plane(m1, levels=[95])
    with pytest.raises(hb.OptionError, match="no level '999'"):
        hb.plot.shrinkage_plane(post, draws_of=["999"])


@pytest.mark.parametrize("name", ONE_AXES)
def test_pictures_draw_into_given_axes_and_open_no_window(name, m1, monkeypatch):
    monkeypatch.setattr(pyplot, "show", lambda *_: pytest.fail("show was called"))
    monkeypatch.setattr(type(m1.model), "fit", lambda *_, **__: pytest.fail("a picture fits"))
    monkeypatch.setattr(type(m1.model), "sample", lambda *_, **__: pytest.fail("it samples"))
    figure = Figure()
    ax = figure.add_subplot()
    assert getattr(hb.plot, name)(m1, ax=ax) == (figure, ax)
    assert not pyplot.get_fignums()
    hb.plot.shrinkage_lines(m1, ax=Figure(), levels=["308"])


def test_names_are_shortened_to_what_tells_them_apart():
    assert short_names(["a", "b"]) == ["a", "b"]
    assert short_names([f"participant number {i} of wave two" for i in (7, 8)]) == ["…7…", "…8…"]
    nested = [f"{field}:{block}" for field in ("Victory", "Marvellous") for block in ("II", "III")]
    assert short_names(nested, most=5) == ["Vi:II", "V:III", "Ma:II", "M:III"]
    cut = short_names(["x" * 40, "y" * 40], most=10)
    assert cut == ["xxxxx…xxxx", "yyyyy…yyyy"]
    assert short_names(["only one of these very long names"]) == ["only one…g names"]


def test_positions_are_spread_and_stay_in_order():
    wanted = np.array([0.0, 0.1, 0.2, 5.0])
    found = spread_positions(wanted, 1.0, low=-1.0, high=6.0)
    assert (np.diff(found) >= 1 - 1e-12).all()
    assert found[-1] == 5.0
    assert found[:3].mean() == pytest.approx(0.1, abs=0.2)
    full = spread_positions(np.zeros(5), 10.0, low=0.0, high=4.0)
    np.testing.assert_allclose(full, np.arange(5.0))


def test_the_plane_of_a_posterior_without_fixed_effects_is_drawn():
    sleep = hb.load_dataset("sleepstudy")
    sleep["Reaction"] -= sleep["Reaction"].mean()
    post = hb.Model("Reaction ~ 0 + (Days | Subject)", sleep).sample(draws=250, random_seed=1)
    figure = hb.plot.shrinkage_plane(post, draws_of=["308"])
    assert figure is not None
