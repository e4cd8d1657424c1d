"""A name that isn't there gets the call that is meant; Python's own protocols see it as missing."""

import copy
import pickle
import re
from pathlib import Path

import pytest

import hierbayes as hb
from hierbayes import spellings
from hierbayes.contract import CONTRACT, Contract

ROOT = Path(__file__).parents[1]
PUBLIC = {name for names in CONTRACT.values() for name in names}


@pytest.fixture(scope="module")
def fit():
    return hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def post(fit):
    return fit.model.sample(draws=50, chains=2, random_seed=1)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("params", "A fit has no 'params'; here it is fit.fixef()."),
        ("pvalues", "here it is fit.tidy('fixed')['p_value']."),
        ("VarCorr", "here it is fit.varcorr()."),
        ("confint", "here it is hb.confint(fit)."),
        ("anova", "a method reads what was estimated, hb.anova(fit) computes it."),
        ("plot", "hb.plot.effects(fit), or hb.check(fit).plot()."),
        ("summery", "did you mean 'summary'?"),
        ("idata", "a posterior has it, fit.model.sample().idata."),
        ("diagnostics", "fit.model.sample().diagnostics()."),
        ("xyz", "A fit has no 'xyz'. It has aic, augment, beta,"),
    ],
)
def test_a_fit_says_what_a_name_is_called(fit, name, said):
    with pytest.raises(hb.UnknownNameError, match=re.escape(said)):
        getattr(fit, name)
    assert not hasattr(fit, name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pvalues", "A posterior has no p values; fit.hypothesis"),
        ("aic", "a fit by REML or ML has it: fit.model.fit().aic."),
        ("posterior_summary", "A posterior has no 'posterior_summary'; here it is fit.tidy()."),
        ("rhat", "here it is fit.diagnostics()."),
        ("waic", "here it is hb.loo(fit)."),
    ],
)
def test_a_posterior_says_what_a_name_is_called(post, name, said):
    with pytest.raises(hb.UnknownNameError, match=re.escape(said)):
        getattr(post, name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fixef", "A model has no 'fixef': it is not fitted. model.fit().fixef() has it."),
        ("params", "here it is model.fit().fixef()."),
        ("conf_int", "here it is hb.confint(model.fit())."),
        ("compare", "hb.compare(model.fit()) computes it."),
        ("idata", "a posterior has it, model.sample().idata."),
        ("smaple", "did you mean 'sample'?"),
    ],
)
def test_a_model_says_what_a_name_is_called(fit, name, said):
    with pytest.raises(hb.UnknownNameError, match=re.escape(said)):
        getattr(fit.model, name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ranef", "a fit has it, fit.ranef()."),
        ("aic", "a fit has it, fit.aic."),
        ("hypothesis", "a posterior has it, post.hypothesis()."),
        ("sample", "a model has it, hb.Model(formula, data).sample()."),
        ("brm", "here it is hb.Model(formula, data).sample()."),
        ("confit", "did you mean 'confint'?"),
    ],
)
def test_the_package_says_what_a_name_is_called(name, said):
    with pytest.raises(hb.UnknownNameError, match=re.escape(said)):
        getattr(hb, name)


def test_pictures_and_tables_of_levels_say_what_a_name_is_called(fit):
    with pytest.raises(hb.UnknownNameError, match=r"a picture, hb.plot.caterpillar\(fit\)"):
        _ = [hb.plot.caterpillar, fit.caterpillar]
    with pytest.raises(hb.UnknownNameError, match=r"a picture, hb.plot.qq\(...\)"):
        _ = hb.qq
    with pytest.raises(hb.UnknownNameError, match=r"has no 'effect'; did you mean 'effects'"):
        _ = hb.plot.effect
    for table in (fit.ranef(), fit.ranef_sd(), fit.coef()):
        with pytest.raises(hb.UnknownNameError, match=r"\['Subject'\] is a data frame"):
            _ = table.Subject
        with pytest.raises(KeyError, match="no grouping factor 'subject'; did you mean 'Subject'"):
            _ = table["subject"]
        assert "subject" not in table
        assert copy.deepcopy(table).keys() == pickle.loads(pickle.dumps(table)).keys()


def test_other_results_name_the_column_or_the_nearest(fit):
    table = hb.anova(fit, ddf="normal")
    with pytest.raises(
        hb.UnknownNameError, match=r"column of its table, to_frame\(\)\['p_value'\]"
    ):
        _ = table.p_value
    with pytest.raises(
        hb.UnknownNameError, match="VarCorr has no 'to_fram'; did you mean 'to_frame'"
    ):
        _ = fit.varcorr().to_fram
    predicted = fit.predict(interval="confidence")
    assert predicted.lower.shape == predicted["lower"].shape
    with pytest.raises(AttributeError, match="no attribute 'upper_limit'"):
        _ = predicted.upper_limit
    for one in (table, fit.varcorr(), predicted):
        assert not hasattr(copy.deepcopy(one), "_repr_png_")
        assert str(pickle.loads(pickle.dumps(one))) == str(one)


def test_the_help_of_the_package_names_functions_that_are_there():
    block = hb.__doc__.split("tests and intervals")[1].split("pictures")[0]
    named = re.sub(r"^ {4}\S.*? {2,}", "", block, flags=re.MULTILINE)  # what they are for
    assert set(named.split()) <= set(hb.__all__)


def test_copies_and_notebooks_ask_in_vain_for_what_is_not_there(fit, post):
    for one in (fit, post, fit.model):
        assert copy.copy(one) is not None
        for name in ("_repr_png_", "_ipython_display_", "__array__", "__len__", "_repr_latex_"):
            assert not hasattr(one, name)
    assert copy.deepcopy(fit).sigma == fit.sigma
    assert pickle.loads(pickle.dumps(fit)).sigma == fit.sigma


def test_completion_shows_the_public_names(fit, post):
    for one, own in ((fit, "theta"), (post, "idata"), (fit.model, "sample")):
        shown = [name for name in dir(one) if not name.startswith("_")]
        assert own in shown
        assert set(shown) <= PUBLIC
        assert all(hasattr(one, name) for name in shown if name not in ("idata", "diagnostics"))


def test_an_error_inside_of_a_property_stays_that_error():
    class Result(Contract):
        @property
        def broken(self):
            return [].no_such_thing

    with pytest.raises(AttributeError, match="'list' object has no attribute 'no_such_thing'"):
        _ = Result().broken


def test_what_is_suggested_is_there():
    for name in spellings.NAMES.values():
        for text in (name.ours, name.posterior):
            assert set(re.findall(r"hb\.plot\.(\w+)", text)) <= set(hb.plot.__all__)
            assert set(re.findall(r"hb\.(\w+)", text)) - {"plot"} <= set(hb.__all__)
            calls = re.findall(r"(?:fit|model|\))\.(\w+)", text.replace("hb.model", ""))
            assert set(calls) <= PUBLIC | {"plot"}, text


def test_the_docs_show_the_spellings():
    page = (ROOT / "docs" / "spellings.md").read_text(encoding="utf-8")
    assert page == spellings.markdown(), "make docs-tables writes it anew"
    assert "(docs/spellings.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
