"""What the page's cells ask for: controls, results, messages, the script, the server's command."""

import html
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

import hierbayes as hb
from hierbayes.errors import MissingPackageError
from hierbayes.lab import launch, page, serve
from hierbayes.lab.cases import Own
from hierbayes.lab.code_export import script
from hierbayes.lab.engine import CHOSEN, view
from hierbayes.lab.presets import PRESETS, Simulation
from hierbayes.lab.state import LabState

SETTINGS = {
    "factor": "",
    "show": ("reml",),
    "unlocked": False,
    "prior": "t",
    "scale": 1.0,
    "eta": 2.0,
    "guessing": False,
    "revealed": False,
}
HOSTILE = "y,g\n1,<script>\n2,<script>\n4,b\n5,b\n"


def stage(**values):
    return SimpleNamespace(**({"edits": {}, "level": "", "guess": [], "scene": None} | values))


def source(data="sleepstudy", own=None):
    return page.Source(data=data, simulation=Simulation(), own=own or Own())


def test_moving_an_observation_gives_a_new_scene_and_address():
    shown = stage(edits={"0": 400.0})
    result = page.computed(source(), shown, "", sds={}, **SETTINGS)
    assert shown.scene["address"] == "show=reml&edits=0%3A400"
    assert result.view.reml.design.y[0] == 400.0
    assert "Reaction ~ Days + (Days | Subject)" in page.messages(result)


def test_the_second_factor_is_in_the_address():
    shown = stage()
    settings = SETTINGS | {"factor": "sample", "show": ("reml", "ml", "posterior")}
    page.computed(source("penicillin"), shown, "", sds={}, **settings)
    assert shown.scene["address"] == "data=penicillin&factor=sample"
    page.computed(source("penicillin"), shown, "", sds={}, **settings | {"factor": "plate"})
    assert shown.scene["address"] == "data=penicillin"


def test_a_problem_is_a_message_and_an_empty_stage():
    shown = stage()
    own = Own(content=HOSTILE.encode(), name="a.csv", formula="y ~ 1 + (1 | <b>)")
    result = page.computed(source("own", own), shown, "", sds={}, **SETTINGS)
    assert shown.scene["panels"] == []
    assert "<b>" not in page.messages(result)
    assert "role='alert'" in page.messages(result)
    for piece in (page.tables, page.scores, page.script_of):
        assert piece(result) == ""
    assert page.csv_of(result) == b""


def test_a_bad_upload_is_told_until_there_is_a_good_one():
    own, problem = page.uploaded(b"\xff", "a.csv")
    assert own == Own()
    result = page.computed(source("own", own), stage(), problem, sds={}, **SETTINGS)
    assert "not text in UTF-8" in page.messages(result)
    assert page.uploaded(None, None) == (Own(), "")
    own, problem = page.uploaded(HOSTILE.encode(), "a.csv")
    assert (own.formula, problem) == ("y ~ 1 + (1 | g)", "")


def test_an_upload_above_the_limit_says_so():
    own, problem = page.uploaded(HOSTILE.encode() + b"1,b\n" * 600_000, "large.csv")
    assert own == Own()
    assert problem.startswith("The file large.csv has 2.4 MB; the lab redraws at every move and")
    assert "at most 2 MB" in problem


def test_sliders_begin_at_the_reml_values():
    sliders = page.sd_sliders(source(), "Subject", LabState())
    assert [(key, value) for key, _, value, _ in sliders] == [
        ("sd0", 24.7405),
        ("sd1", 5.92213),
        ("cor", 0.0655513),
        ("sigma", 25.5918),
    ]
    assert all(value in steps and steps == sorted(steps) for _, steps, value, _ in sliders)
    linked = LabState(sds=(10.0, 3.0), sigma=20.0)
    assert [s[2] for s in page.sd_sliders(source(), "Subject", linked)] == [
        10.0,
        3.0,
        0.0655513,
        20.0,
    ]


def test_what_a_model_does_not_have_has_no_slider():
    schools = page.sd_sliders(source("schools"), "school", LabState())
    assert [(key, value) for key, _, value, _ in schools] == [("sd0", 0.0)]
    assert page.sd_sliders(source("own"), "", LabState()) == []
    assert page.factors_of(source("own")) == []
    assert page.factors_of(source("penicillin")) == ["plate", "sample"]


def test_values_of_a_link_fall_on_steps():
    assert page.nearest(page.SCALE_STEPS, 0.13) == 0.1
    assert page.stepped(0.333, 0.0, 1.0, 0.1) == 0.3
    assert page.stepped(1e9, 2, 60, 1) == 60


def test_scores_come_with_the_reveal_only():
    settings = SETTINGS | {"guessing": True}
    hidden = page.computed(source(), stage(guess=[250, 5]), "", sds={}, **settings)
    assert page.scores(hidden) == page.tables(hidden) == ""
    assert "Nothing to show yet" in page.all_levels(hidden)
    settings["revealed"] = True
    shown = page.computed(source(), stage(guess=[250, 5]), "", sds={}, **settings)
    assert "Your guess is" in page.scores(shown)
    assert 'data-table="score"' in page.scores(shown)


def test_the_numbers_as_csv():
    result = page.computed(source(), stage(), "", sds={}, **SETTINGS)
    header, first, *_ = page.csv_of(result).decode().splitlines()
    assert header.startswith("group,level,term,n,")
    assert first.startswith("Subject,308,(Intercept),10,")


STATES = {
    "sleepstudy": LabState(edits=((0, 400.0), (5, None)), prior="normal", scale=0.1, eta=4.0),
    "simulated": LabState(data="simulated", simulation=Simulation(groups=5, cor=0.5)),
    "schools": LabState(data="schools", unlocked=True, sds=(8.0,)),
    "penicillin": LabState(data="penicillin", show=("reml",), factor="sample"),
    "simpson": LabState(data="simpson", show=("ml",)),
    "unlocked": LabState(show=("reml",), unlocked=True, sds=(30.0, 2.0), cor=0.5, sigma=20.0),
    "sparse": LabState(data="sparse", show=("ml",)),
    "imbalanced": LabState(
        data="simulated", show=("reml",), simulation=Simulation(imbalance=0.7, seed=3, sigma=7.5)
    ),
    "crossed, unlocked": LabState(
        data="penicillin", show=("ml",), factor="sample", unlocked=True, sds=(3.0,), sigma=1.0
    ),
}


@pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
@pytest.mark.parametrize("name", STATES)
def test_the_script_gives_the_numbers_of_the_page(name, capsys):
    found = view(STATES[name])
    text = script(found)
    assert "hb.plot.shrinkage_" in text
    names = {}
    exec(text, names)
    pyplot.close("all")
    for style, estimate in found.estimates.items():
        if style == CHOSEN:  # no fit: tables by factor, and what they come from
            assert names["beta"] == pytest.approx(estimate.fit.beta)
            assert names["sigma"] == pytest.approx(estimate.fit.sigma)
            table = estimate.table.set_index(["group", "level", "term"])["coefficient"]
            shown = pd.concat({name: part.stack() for name, part in names[style].items()})
            assert len(shown) == len(table)
            assert shown.to_numpy() == pytest.approx(table.loc[shown.index].to_numpy())
            continue
        fit = names[style]
        assert fit.beta == pytest.approx(estimate.fit.beta)
        assert fit.sigma == pytest.approx(estimate.fit.sigma)
        assert hb.shrinkage(fit)["coefficient"].to_numpy() == pytest.approx(
            estimate.table["coefficient"].to_numpy()
        )
    assert capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
def test_the_script_of_ones_own_file(tmp_path, monkeypatch):
    (tmp_path / "it's.csv").write_text("y;g\n1;a\n2;a\n4;b\n7;b\n")
    own = Own(
        content=(tmp_path / "it's.csv").read_bytes(), name="it's.csv", formula="y ~ 1 + (1 | g)"
    )
    found = view(LabState(data="own", show=("reml",)), own)
    monkeypatch.chdir(tmp_path)
    names = {}
    lines = script(found).splitlines()
    exec("\n".join(line for line in lines if not line.startswith(("hb.plot", "print"))), names)
    assert names["reml"].beta == pytest.approx(found.reml.beta)


def test_the_server_is_on_this_machine_only():
    found = launch.command(port=1234, browser=False)
    assert serve.HOST == "127.0.0.1"
    assert found[found.index("--port") + 1] == "1234"
    assert "--headless" in found
    assert "--headless" not in launch.command()


def test_without_marimo_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(launch, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install 'hierbayes\[lab\]'"):
        launch.command()


def test_the_app_runs_as_a_script():
    found = subprocess.run(
        [sys.executable, serve.APP], capture_output=True, text=True, timeout=120, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "Traceback" not in found.stderr


def test_every_title_has_a_key():
    assert page.title_of("schools") == PRESETS["schools"].title
    assert {page.title_of(key) for key in PRESETS} < set(page.TITLES)
    assert page.prior_title("cauchy") == "half-Cauchy"


def test_states_are_not_changed_by_looking():
    state = LabState(show=("reml",))
    view(state)
    assert state == replace(LabState(), show=("reml",))


def test_what_cannot_be_computed_is_a_sentence(monkeypatch):
    def fails(*_):
        raise np.linalg.LinAlgError("Matrix is not positive definite")

    monkeypatch.setattr(page, "view", fails)
    result = page.computed(source(), stage(), "", sds={}, **SETTINGS)
    assert "reproduce the response" in page.messages(result)


def test_findings_of_the_posterior_are_told_and_nuts_is_never_started():
    data = hb.load_dataset("cbpp")
    own = Own(
        content=data.to_csv(index=False).encode(),
        name="cbpp.csv",
        formula="incidence ~ size + (1 | herd) + (1 | period)",
    )
    settings = SETTINGS | {"show": ("posterior",)}
    result = page.computed(source("own", own), stage(), "", sds={}, **settings)
    fit = result.view.estimates["posterior"].fit
    assert fit.sampler == "collapsed"
    assert all(finding.sentence in html.unescape(page.messages(result)) for finding in fit.findings)
