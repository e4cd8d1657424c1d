"""What tables of marginal means answer: closed forms, draws by hand, spellings, bad questions."""

import numpy as np
import pytest
from scipy import stats

import hierbayes as hb
from hierbayes.marginal_means.contrast_families import family
from hierbayes.marginal_means.simultaneous import LargestStatistic
from hierbayes.marginal_means.studentized_range import range_quantile, range_sf

MACHINES = "score ~ Machine + (1 | Worker/Machine)"


@pytest.fixture(scope="module")
def means():
    return hb.emmeans(hb.lmer(MACHINES, hb.load_dataset("Machines")), "Machine")


@pytest.fixture(scope="module")
def oats():
    return hb.lmer("yield ~ nitro * Variety + (1 | Block)", hb.load_dataset("Oats"))


@pytest.fixture(scope="module")
def post(oats):
    return oats.model.sample(draws=150, chains=2, random_seed=3)


@pytest.mark.parametrize(("n_means", "df"), [(2, 30.0), (3, 4.7), (3, np.inf), (4, 30.0), (5, 4.7)])
def test_the_largest_of_all_pairs_is_a_studentized_range(n_means, df):
    labels = [str(i) for i in range(n_means)]
    weights = family("pairwise", labels, ref=None, reverse=False, sign="-").weights
    largest = LargestStatistic.of(weights, two_sided=True)
    quantile = range_quantile(0.95, n_means, np.array([df]))[0] / np.sqrt(2)
    assert largest.quantile(0.95, df) == pytest.approx(quantile, abs=1e-4)
    for t in (2.0, 3.5):
        expected = range_sf(np.array([t * np.sqrt(2)]), n_means, np.array([df]))[0]
        assert largest.tail(t, df) == pytest.approx(expected, abs=3e-5)


def test_the_largest_of_independent_statistics_is_a_product():
    largest = LargestStatistic.of(np.eye(3), two_sided=False)
    for t in (-0.5, 0.3, 2.0, 3.0):
        assert largest.tail(t, np.inf) == pytest.approx(1 - stats.norm.cdf(t) ** 3, abs=2e-5)


def test_mvt_p_values_are_those_of_their_intervals(means):
    found = means.contrast("trt.vs.ctrl").to_frame()
    edge = means.contrast("trt.vs.ctrl", level=1 - found["p_value"][1]).to_frame()
    assert abs(edge["conf_low"][1]) < 1e-4


def test_polynomials_are_the_whole_numbers_of_tables():
    rows = family("poly", list("abcde"), ref=None, reverse=False, sign="-").weights
    assert rows.tolist() == [[-2, -1, 0, 1, 2], [2, -1, -2, -1, 2], [-1, 2, 0, -2, 1],
                             [1, -4, 6, -4, 1]]  # fmt: skip


@pytest.mark.parametrize(
    ("formula", "specs", "by"),
    [
        ("nitro * Variety", ("nitro", "Variety"), ()),
        ("~ Variety | nitro", ("Variety",), ("nitro",)),
        ("Variety:nitro", ("Variety", "nitro"), ()),
        ("~ 1", ("1",), ()),
        ("`Variety` + nitro", ("Variety", "nitro"), ()),
    ],
)
def test_formulas_of_r_are_read(oats, formula, specs, by):
    found = hb.emmeans(oats, formula)
    assert (found.specs, found.by) == (specs, by)


def test_contrasts_on_the_left_of_a_formula(oats):
    found = hb.emmeans(oats, "trt.vs.ctrlk ~ Variety | nitro", at={"nitro": [0, 0.6]})
    named = hb.emmeans(
        oats, "Variety", by="nitro", contrasts="trt.vs.ctrlk", at={"nitro": [0, 0.6]}
    )
    np.testing.assert_array_equal(found.contrasts, named.contrasts)


def test_matrices_are_contrasts(means):
    weights = np.array([[1, -1, 0], [0.5, 0.5, -1]])
    by_dict = means.contrast({"a": weights[0], "b": weights[1]}).to_frame()
    by_array = means.contrast(weights).to_frame()
    np.testing.assert_array_equal(by_array.iloc[:, 1:], by_dict.iloc[:, 1:])
    assert by_array["contrast"].tolist() == ["contrast 1", "contrast 2"]


def test_a_contrast_of_contrasts_is_an_interaction(oats):
    cells = hb.emmeans(oats, "Variety * nitro", at={"nitro": [0, 0.6]})
    twice = cells.pairs(by="nitro").contrast("consec", by="contrast").to_frame()
    once = cells.contrast(interaction={"Variety": "pairwise", "nitro": "consec"}).to_frame()
    np.testing.assert_allclose(twice["estimate"], once["estimate"])
    np.testing.assert_allclose(twice["std_error"], once["std_error"])


def test_weights_of_ones_own_are_means_by_hand(oats):
    cells = hb.emmeans(oats, "Variety").means["estimate"].to_numpy()
    found = hb.emmeans(oats, [], weights=[1, 1, 2]).means["estimate"].iloc[0]
    assert found == pytest.approx(cells @ [0.25, 0.25, 0.5])


def test_numbers_stand_where_cov_reduce_says(oats):
    wide = hb.emmeans(oats, "nitro", cov_reduce="range").means
    assert wide["nitro"].tolist() == [0, 0.6]
    median = hb.emmeans(oats, "Variety", cov_reduce={"nitro": np.median})
    at = hb.emmeans(oats, "Variety", at={"nitro": 0.3})
    np.testing.assert_allclose(median.means["estimate"], at.means["estimate"])
    assert "nitro at its smallest value, 0" in " ".join(
        str(hb.emmeans(oats, "Variety", cov_reduce="min")).split()
    )
    assert len(hb.emmeans(oats, "nitro", cov_reduce=False).means) == 4


def test_slopes_of_a_posterior_are_those_of_its_draws(oats, post):
    names = list(oats.fixef().index)
    beta = post.draws.beta.reshape(-1, len(names))
    slope = beta[:, names.index("nitro")]
    extra = beta[:, names.index("nitro:VarietyVictory")]
    found = hb.emtrends(post, "Variety", "nitro", contrasts="pairwise", interval="hdi")
    row = found.means.set_index("Variety").loc["Victory"]
    assert row["estimate"] == pytest.approx((slope + extra).mean())
    contrast = found.contrasts.set_index("contrast").loc["Golden Rain - Victory"]
    assert contrast["estimate"] == pytest.approx(-extra.mean())
    assert contrast["p_direction"] == max((extra > 0).mean(), (extra < 0).mean())
    assert "highest-density" in str(found)


def test_a_posterior_has_the_probability_of_what_is_asked(post):
    pairs = hb.emmeans(post, "Variety").pairs()
    draws = pairs.marginals.tested.draws
    within = pairs.test(delta=5).to_frame()["probability"]
    np.testing.assert_allclose(within, (np.abs(draws) < 5).mean(axis=0))
    above = pairs.test(side="noninferiority", delta=5).to_frame()["probability"]
    np.testing.assert_allclose(above, (draws > -5).mean(axis=0))
    sizes = pairs.eff_size(post.draws.sigma.ravel()).to_frame()["estimate"]
    np.testing.assert_allclose(sizes, (draws / post.draws.sigma.ravel()[:, None]).mean(axis=0))


def test_effect_sizes_have_the_error_of_sigma(means):
    pairs = means.pairs().to_frame()
    found = hb.eff_size(means, 3.0, edf=12).to_frame()
    d = pairs["estimate"] / 3
    np.testing.assert_allclose(found["estimate"], d)
    np.testing.assert_allclose(
        found["std_error"], np.sqrt((pairs["std_error"] / 3) ** 2 + d**2 / 24)
    )


def test_joint_tests_of_a_balanced_design_are_its_anova():
    cake = hb.load_dataset("cake")
    fit = hb.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    expected = hb.anova(fit, type=3).to_frame()
    found = hb.joint_tests(fit).to_frame()
    np.testing.assert_allclose(found[["f_value", "p_value"]], expected[["f_value", "p_value"]])


def test_joint_tests_keep_to_what_empty_cells_leave():
    cake = hb.load_dataset("cake")
    data = cake[~((cake.recipe == "A") & (cake.temperature == "175"))].reset_index(drop=True)
    with pytest.warns(hb.HierBayesWarning):
        fit = hb.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", data)
    found = hb.joint_tests(fit).to_frame()["num_df"]
    assert found.to_dict() == {"recipe": 1, "temperature": 4, "recipe:temperature": 9}


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda t: t.contrast("pairs"), "must be a family such as 'pairwise'"),
        (lambda t: t.contrast("trt.vs.ctrl", ref="D"), "ref: there is no mean 'D'"),
        (lambda t: t.contrast("trt.vs.ctrl", ref=1), "'trt.vs.ctrl1'"),
        (lambda t: t.contrast("trt.vs.ctrl9"), "there is no mean number 9"),
        (lambda t: t.contrast("eff", ref="A"), "has no control"),
        (lambda t: t.contrast("poly", reverse=True), "reverse=True means nothing"),
        (lambda t: t.contrast("consec", adjust="tukey"), "adjust='tukey' is for contrasts='pair"),
        (lambda t: t.contrast(by="Worker"), "'Worker' is no column of this table"),
        (lambda t: t.contrast(simple="each"), "one after the other"),
        (lambda t: t.contrast(interaction=["poly", "poly"]), "one family of contrasts for each"),
        (lambda t: t.pairs(type="probability"), "not one of 'link', 'response'"),
        (lambda t: t.test(delta=-1), "must be a margin"),
        (lambda t: t.test(side="equivalence"), "needs a margin"),
        (lambda t: t.test(side="up"), "'noninferiority'"),
        (lambda t: t.test("a"), "null='a' must be a number"),
        (lambda t: t.test(joint=True, delta=1), "without side="),
        (lambda t: t.pairs().test(side=">", adjust="tukey"), "is for two-sided tests"),
        (lambda t: t.regrid("cube"), "transform='cube' is not one of"),
        (lambda t: t.eff_size(0, edf=3), "above zero"),
        (lambda t: t.eff_size(1), "edf= is needed"),
        (lambda t: hb.eff_size(3, 1, edf=2), "is about a table"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(means, ask, words):
    with pytest.raises(hb.OptionError, match=words):
        ask(means)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": "show.levels"}, "it says what is averaged over"),
        ({"weights": "cell"}, "did you mean 'cells'"),
        ({"weights": [1, 2]}, "must be 3 numbers.*Variety"),
        ({"cov_reduce": "rang"}, "cov_reduce='rang' must be"),
        ({"cov_reduce": {"x": "mean"}}, "cov_reduce: 'x' is no predictor"),
        ({"cov_reduce": lambda x: []}, "gives no number of 'nitro'"),
        ({"regrid": "log", "type": "response"}, "Leave one out"),
        ({"interval": "hpd"}, "interval='hpd'"),
        ({"specs": "pairwse ~ nitro"}, "no family of contrasts"),
        ({"specs": "nitro |"}, "names nothing on the right"),
        ({"specs": "nitro | Variety", "by": "Variety"}, "by= is given too"),
        ({"specs": "eff ~ nitro", "contrasts": "poly"}, "contrasts= is given too"),
    ],
)
def test_bad_calls(oats, options, words):
    with pytest.raises(hb.OptionError, match=words):
        hb.emmeans(oats, **({"specs": "nitro"} | options))


def test_slopes_are_of_numbers(oats, post):
    with pytest.raises(hb.OptionError, match="is a factor of the model"):
        hb.emtrends(oats, "nitro", "Variety")
    with pytest.raises(hb.OptionError, match=r"var: 'nitr' is no predictor.*'nitro'"):
        hb.emtrends(oats, "Variety", "nitr")
    with pytest.raises(hb.OptionError, match="F tests of a likelihood fit"):
        hb.joint_tests(post)
    with pytest.raises(hb.OptionError, match="probability of each row"):
        hb.emmeans(post, "Variety").test(joint=True)


def test_slopes_of_responses_have_the_errors_of_finite_steps():
    fit = hb.glmer("use ~ x + f + (1 | g)", binary(), "binomial")
    found = hb.emtrends(fit, [], "x", type="response").means.iloc[0]
    beta = fit.fixef().to_numpy()

    def slope(b):
        eta = b[0] + b[1] * binary()["x"].mean() + np.array([0, b[2]])
        p = 1 / (1 + np.exp(-eta))
        return (p * (1 - p) * b[1]).mean()

    gradient = [(slope(beta + h) - slope(beta - h)) / 2e-6 for h in 1e-6 * np.eye(3)]
    se = np.sqrt(gradient @ fit.vcov().to_numpy() @ gradient)
    assert found["estimate"] == pytest.approx(slope(beta), rel=1e-9)
    assert found["std_error"] == pytest.approx(se, rel=1e-6)


def binary():
    import pandas as pd

    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(12), 15)
    x, f = rng.normal(size=180), np.tile([0, 1, 1], 60)
    eta = 0.3 + 0.8 * x - 0.5 * f + rng.normal(size=12)[g]
    use = (rng.random(180) < 1 / (1 + np.exp(-eta))).astype(int)
    return pd.DataFrame({"use": use, "x": x, "f": np.array(["a", "b"])[f], "g": g})


def test_one_sided_intervals_are_named_by_their_level(means):
    text = str(means.confint(side=">"))
    assert "5 %" in text and "2.5 %" not in text and "Inf" in text
    assert "Lower limits only." in text
    assert "intervals" not in means.test(50).words
    assert "adjusted by Bonferroni's method for 3" in means.pairs().confint(adjust="holm").words
