"""A report by a guideline: every item leads to where it stands, and numbers have their errors."""

import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.render.blocks import Picture, Table
from hierbayes.render.html import page
from hierbayes.reports.guideline_report import ENTRIES, SLOTS, anchor_of, guideline_report, study_of
from hierbayes.reports.guidelines import GUIDELINES
from hierbayes.reports.study import probabilities
from hierbayes.reports.study_sensitivity import log_prior_of, weighted_shift
from hierbayes.results.chains import drawn_summary
from hierbayes.specification.used_data import data_digest

N_ITEMS = {"BARG": 31, "WAMBS": 10, "JARS-Bayes": 18}


@pytest.fixture(scope="module")
def post():
    data = hb.load_dataset("Dyestuff")
    return hb.Model("Yield ~ 1 + (1 | Batch)", data).sample(draws=250, random_seed=1)


def without_pictures(document):
    kept = [
        replace(own, blocks=[b for b in own.blocks if not isinstance(b, Picture)])
        for own in document.sections
    ]
    return page(document.title, kept)


@pytest.mark.parametrize("guideline", GUIDELINES)
def test_every_item_leads_to_a_place_on_the_page(post, guideline):
    items = GUIDELINES[guideline].items
    assert len(items) == N_ITEMS[guideline]
    assert all(item.entries and set(item.entries) <= set(ENTRIES) for item in items)
    document = guideline_report(post, guideline)
    found = without_pictures(document)
    ids, links = re.findall(r'<h3 id="([^"]+)"', found), re.findall(r'href="#([^"]+)"', found)
    assert len(ids) == len(set(ids)) and set(links) <= set(ids)
    assert links == [anchor_of(name) for item in items for name in item.entries]
    for item in items:
        assert f"{item.step}: {item.name}" in found
    for name in SLOTS:  # nothing is made up: an unfilled slot says what belongs there
        if anchor_of(name) in ids:
            assert f"[For the author, statements={{&quot;{name}&quot;" in found


def test_every_entry_is_an_item_of_some_guideline():
    used = {name for one in GUIDELINES.values() for item in one.items for name in item.entries}
    assert used == set(ENTRIES)


def table_of(document, caption):
    return next(
        block
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Table) and block.caption == caption
    )


def test_numbers_stand_beside_their_errors_and_the_authors_words_in_their_slots(post, tmp_path):
    said = {name: f"Said of {name}." for name in SLOTS}
    regions = {"sigma": (0, 50), "(Intercept)": (1500, 1510)}
    document = guideline_report(post, "BARG", statements=said, rope=regions)
    table = table_of(document, "Every parameter")
    draws = np.concatenate([part.draws for part in post.parameters()], axis=2)
    found = drawn_summary(draws, 0.95)
    low = dict(table.columns[:6])  # the last MCSE of these is that of the lower end
    assert float(low["2.5 %"][0]) == pytest.approx(found.low[0], abs=found.low_mcse[0])
    assert float(low["MCSE"][0]) == pytest.approx(found.low_mcse[0], rel=0.1)
    rope = table_of(document, "(Intercept), region of practical equivalence 1500 to 1510")
    inside = ((draws[..., 0] >= 1500) & (draws[..., 0] <= 1510)).mean()
    assert float(dict(rope.columns)["probability"][1]) == pytest.approx(inside, abs=0.01)
    path = post.report(tmp_path / "x.md", guideline="BARG", statements=said, rope=regions)
    text = path.read_text(encoding="utf-8")
    assert "For the author" not in text and "Said of goals." in text
    assert "None waits for the author" in text and data_digest(post.spec) in text
    assert "random\\_seed=1" in text and "| author |" not in text


def test_a_reanalysis_is_reported_by_its_guideline_with_errors_of_factors(tmp_path):
    data = hb.load_dataset("sleepstudy")
    found = hb.reanalyse(
        "Reaction ~ Days + (1 | Subject)",
        data,
        {"neutral": None, "narrow": {"Days": hb.Normal(0, 2)}},
        threshold=5,
        guideline="JARS-Bayes",
        random_seed=1,
    )
    text = found.report(tmp_path / "x.md").read_text(encoding="utf-8")
    assert "# Reaction \\~ Days + (1 \\| Subject) (sleepstudy): report by JARS-Bayes" in text
    assert 'guideline="JARS-Bayes"' in text and "Days under each prior" in text
    worst = float(found.fits["narrow"].diagnostics()["r_hat"].max())
    assert f"Under the prior narrow the largest R-hat is {worst:.3f}" in text
    row = found.table.loc["narrow"]
    large = found.fits["narrow"]
    assert row["bayes_factor_mcse"] >= row["bayes_factor"] * large.log_marginal_likelihood_mcse
    assert study_of(found).post is found.fits["neutral"]


def test_power_scaling_is_what_sampling_under_the_scaled_priors_gives():
    data = hb.load_dataset("Dyestuff")

    def model(a):  # the power a of a normal density has 1 / sqrt(a) times its sd
        laws = {"(Intercept)": hb.Normal(1500, 20 / a**0.5), "sd": hb.HalfNormal(30 / a**0.5)}
        return hb.Model(
            "Yield ~ 1 + (1 | Batch)", data, priors=laws | {"sigma": hb.HalfNormal(60 / a**0.5)}
        )

    study = study_of(model(1).sample(random_seed=1))
    log_prior = log_prior_of(study, lambda name: True)
    for power in (0.7, 1.5):
        shift, error = weighted_shift(study.draws, (power - 1) * log_prior)
        other = study_of(model(power).sample(random_seed=2))
        sd = study.draws.std(axis=(0, 1))
        expected = (other.draws.mean(axis=(0, 1)) - study.draws.mean(axis=(0, 1))) / sd
        noise = drawn_summary(other.draws, 0.95).mean_mcse / sd
        assert np.abs(expected).max() > 0.1
        # the shift and the difference share the draws of the first posterior
        own = drawn_summary(study.draws, 0.95).mean_mcse / sd
        assert np.all(np.abs(shift - expected) < 4 * np.sqrt(error**2 + noise**2 + own**2))


def test_the_digest_is_that_of_the_columns_as_csv():
    data = hb.load_dataset("sleepstudy")
    lines = ["Reaction,Days,Subject"]
    for reaction, days, subject in zip(
        data["Reaction"], data["Days"], data["Subject"], strict=True
    ):
        lines.append(f"{reaction!r},{int(days)},{subject}")
    expected = hashlib.sha256(("\n".join(lines) + "\n").encode()).hexdigest()
    other = data.assign(
        other=1.0, Subject=data["Subject"].astype(str), Days=data["Days"].astype(int)
    )
    for frame in (data, other):
        model = hb.Model("Reaction ~ Days + (1 | Subject)", frame)
        assert data_digest(model.spec) == expected


def test_a_probability_that_every_draw_has_says_how_many_draws_there_are():
    events = np.zeros((2, 50, 3), dtype=bool)
    events[:, :, 1], events[:, ::2, 2] = True, True
    (_, cells), (_, errors) = probabilities("p", events)
    assert cells[:2] == ["0 (none of 100 draws)", "1 (all 100 draws)"] and errors[:2] == ["-", "-"]
    assert float(cells[2]) == 0.5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"guideline": "barg"}, "did you mean 'BARG'|guideline="),
        ({"guideline": "BARG", "statements": {"goal": "x"}}, "did you mean 'goals'"),
        ({"guideline": "BARG", "statements": {"goals": ""}}, "what the author says"),
        ({"guideline": "BARG", "rope": {"sigma": (2, 1)}}, "two ends, the lower first"),
        ({"guideline": "BARG", "rope": {"sigam": (1, 2)}}, "rope: 'sigam' is not one of"),
        ({"guideline": "BARG", "sections": ["result"]}, "leaves out what the checklist"),
        ({"statements": {"goals": "x"}}, "of a report by a guideline"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(post, tmp_path, given, words):
    with pytest.raises(hb.OptionError, match=words):
        post.report(tmp_path / "x.md", **given)
    assert not list(tmp_path.iterdir())


def test_a_fit_without_priors_has_no_bayesian_report(post, tmp_path):
    with pytest.raises(hb.OptionError, match="of Bayesian analyses"):
        post.model.fit("ml").report(tmp_path / "x.md", guideline="BARG")


@pytest.mark.parametrize(
    ("formula", "options", "words"),
    [
        ("Yield ~ 0 + (1 | Batch)", {}, "Not possible: the model has no coefficient."),
        ("Yield ~ 1", {"priors": {"(Intercept)": hb.Flat()}}, "Not possible: Nothing can be drawn"),
    ],
)
def test_what_a_model_has_not_is_said_where_it_would_stand(formula, options, words):
    post = hb.Model(formula, hb.load_dataset("Dyestuff"), **options)
    for guideline in GUIDELINES:
        document = guideline_report(post.sample(draws=50, random_seed=1), guideline)
        assert words in document.markdown().replace("\\", "")


MODELS = {
    "sleepstudy": ("Reaction ~ Days + (Days | Subject)", {}),
    "Dyestuff2": ("Yield ~ 1 + (1 | Batch)", {}),
    "Machines": ("score ~ Machine + (Machine | Worker)", {}),
    "Penicillin": ("diameter ~ 1 + (1 | plate) + (1 | sample)", {}),
    "Pastes": ("strength ~ 1 + (1 | batch/cask)", {}),
    "cake": ("angle ~ recipe * temperature + (1 | recipe:replicate)", {}),
    "eight_schools": ("effect ~ 1 + (1 | school)", {"known_sd": "se"}),
    "Orthodont": ("distance ~ age * Sex + (1 | Subject)", {"priors": {"age": hb.Flat()}}),
    "cbpp": (
        "cbind(incidence, size - incidence) ~ period + (1 | herd)",
        {"family": "binomial"},
    ),
    "grouseticks": ("TICKS ~ YEAR + HEIGHT + (1 | BROOD)", {"family": "poisson"}),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
@pytest.mark.parametrize("name", MODELS)
def test_twenty_reports_trace_every_item(name, tmp_path):
    formula, options = MODELS[name]
    fit = hb.Model(formula, hb.load_dataset(name), **options).sample(random_seed=1)
    for guideline in ("BARG", "WAMBS" if len(name) % 2 else "JARS-Bayes"):
        path = fit.report(tmp_path / f"{name}_{guideline}.html", guideline=guideline)
        found = path.read_text(encoding="utf-8")
        links = re.findall(r'href="#([^"]+)"', found)
        items = GUIDELINES[guideline].items
        assert links == [anchor_of(name) for item in items for name in item.entries]
        for anchor in set(links):
            below = found.split(f'<h3 id="{anchor}">')[1]
            body = re.split(r'<h3 id="|<h2', below.partition("</h3>")[2])[0]
            assert len(re.sub(r"<[^>]+>", "", body).strip()) > 20 or "<img" in body
