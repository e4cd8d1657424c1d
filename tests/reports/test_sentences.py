"""Paragraphs for a paper say the numbers of the summary, and nothing that is not known."""

import pickle
import re

import pytest

import hierbayes as hb

NUMBER = re.compile(r"-?\d+\.\d+")


@pytest.fixture(scope="module")
def model():
    return hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def fits(model):
    return model.fit("reml"), model.fit("ml"), model.sample(draws=250, random_seed=1)


def known_numbers(fit):
    tidy = fit.tidy()
    names = ("estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high")
    numbers = [float(value) for name in names for value in tidy[name].dropna()]
    shares = [*hb.r2(fit).to_dict().values(), hb.icc(fit).adjusted]
    return [*numbers, *shares]


def rounds_to(text, numbers):
    """Whether a number, rounded to the decimals of a text, is that text."""
    decimals = len(text.partition(".")[2])
    return any(f"{number:.{decimals}f}" == text for number in numbers)


@pytest.mark.parametrize("position", range(3))
def test_every_number_of_the_results_is_one_of_the_summary(fits, position):
    fit = fits[position]
    text = fit.sentence(part="results").partition(" R-hat is")[0]
    numbers = NUMBER.findall(re.sub(r"p [<=] [\d.]+|more than 99\.9 %|\d+\.\d %", "", text))
    assert len(numbers) > 8
    assert [one for one in numbers if not rounds_to(one, known_numbers(fit))] == []


def test_the_methods_name_model_rows_estimator_and_tests(fits):
    reml, ml, posterior = (fit.sentence(part="methods") for fit in fits)
    assert "linear mixed model was fitted to 180 observations of 18 levels of Subject" in reml
    assert "restricted maximum likelihood (REML)" in reml
    assert "Satterthwaite" in reml
    assert "by maximum likelihood" in ml
    assert "Days ~ Normal(0, 48.89)" in posterior
    assert "credible" in posterior


def test_both_paragraphs_are_headed_on_a_page_and_plain_in_text(fits):
    text = fits[0].sentence(labels={"Days": "sleep deprivation"})
    assert isinstance(text, str)
    assert text.count("\n\n") == 1
    assert "The effect of sleep deprivation is 10.47 (95 % CI [7.21, 13.73]" in text
    assert "<h3>Methods</h3>" in text.to_html()
    assert "### Results" in text.to_markdown()
    with pytest.raises(hb.OptionError, match="part='abstract'"):
        fits[0].sentence(part="abstract")


def test_a_generalised_model_has_its_family_and_z_tests():
    cbpp = hb.load_dataset("cbpp")
    fit = hb.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp)
    text = fit.sentence()
    assert "binomial family, logit link" in text
    assert "The effect of period2 is -0.99 (95 % CI [-1.59, -0.39], z = -3.24, p = 0.001)" in text


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
def test_what_is_zero_or_not_determined_is_said_and_no_number_is_empty():
    singular = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    assert "estimated as zero for the intercept" in singular.sentence()
    assert "singular fit" in singular.sentence()
    machines = hb.load_dataset("Machines")
    lost = hb.lmer("score ~ Machine + Worker + (1 | Worker)", machines).sentence()
    assert "not determined by the data" in lost
    for text in (singular.sentence(), lost):
        assert not re.search(r"\bnan\b|\bNA\b|\(\)|\[\]|  ", text, flags=re.IGNORECASE)


def test_a_comparison_says_what_differs_and_by_how_much(fits):
    found = hb.compare(*fits)
    text = found.sentence(part="results")
    table = found.to_frame()
    shift = abs(table.loc["sd(Days|Subject)", "posterior_shift"])
    assert f"sd(Days|Subject) lies {shift:.2f} posterior sds above REML" in text
    assert "times as wide as those of REML" in text
    assert "same 180 observations" in found.sentence(part="methods")
    likelihoods = hb.compare(*fits[:2]).sentence(part="results")
    assert likelihoods.startswith("Fixed effects of ML differ from REML by at most 0.00")


def test_texts_print_as_they_are_and_show_as_pages(fits, model):
    for text in (fits[0].summary(), fits[2].summary(), model.explain()):
        assert isinstance(text, str)
        assert repr(text) == str(text) == f"{text}"
        assert text._repr_html_().startswith('<div class="hb">')
        assert text._display_()._repr_html_() == text._repr_html_()
        again = pickle.loads(pickle.dumps(text))
        assert again == text
        assert again.to_markdown() == text.to_markdown()
    assert "<table" in fits[0].summary()._repr_html_()
    assert model._repr_html_() == model.explain()._repr_html_()


def test_an_equation_is_mathematics_in_a_notebook(model):
    text = model.latex()
    assert text.startswith("\\begin{aligned}")
    assert text._repr_latex_() == f"$$\n{text}\n$$"
    assert text._display_()._repr_markdown_() == text._repr_latex_()
