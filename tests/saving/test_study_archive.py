"""An archive makes its numbers again, from its own files, and says where it can't."""

import io
import runpy
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.render.document import Document
from hierbayes.saving import study_archive


@pytest.fixture
def plain_page(monkeypatch):
    """A page without pictures, which take longer than all the rest."""
    monkeypatch.setattr(study_archive, "report_document", lambda *_, **__: Document("Study", ()))


def unpacked(path):
    folder = path.with_suffix("")
    zipfile.ZipFile(path).extractall(folder)
    return folder


def run_again(folder, monkeypatch, *given):
    monkeypatch.setattr(sys, "argv", ["script.py", *map(str, given)])
    runpy.run_path(str(folder / "script.py"), run_name="__main__")


@pytest.fixture(scope="module")
def cows():
    data = hb.load_dataset("cbpp")
    rng = np.random.default_rng(1)
    data["big"] = rng.random(len(data)) < 0.3
    data.loc[3, "period"] = np.nan
    # categories in an order of their own, one of which looks like a missing value
    data["farm"] = pd.Categorical(
        np.where(data["big"], "NA", np.where(rng.random(len(data)) < 0.5, "b", "a")),
        ["b", "NA", "a"],
    )
    return data


@pytest.mark.usefixtures("plain_page")
@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
def test_the_script_finds_the_same_numbers_from_its_files(cows, tmp_path, monkeypatch, capsys):
    model = hb.Model(
        "incidence ~ period + farm + big + (1 | herd)",
        cows,
        offset=np.linspace(0, 0.1, len(cows)),
        contrasts={"farm": "sum"},
        priors={"sd": hb.HalfNormal(1)},
    )
    fit = model.sample(draws=50, random_seed=3)
    path = hb.archive(fit, tmp_path / "study.zip")
    folder = unpacked(path)
    run_again(folder, monkeypatch)
    assert "The same numbers" in capsys.readouterr().out
    stored = np.load(folder / "draws.npz")
    at = stored["names"].tolist().index("period2")
    assert np.array_equal(stored["draws"][:, :, at], fit.draws.beta[:, :, 1])
    # another number is seen
    numbers = pd.read_csv(folder / "numbers.csv")
    numbers.loc[1, "estimate"] += 1e-3
    numbers.to_csv(folder / "numbers.csv", index=False)
    with pytest.raises(SystemExit, match="Other numbers"):
        run_again(folder, monkeypatch)
    # so are other data
    text = (folder / "data.csv").read_text(encoding="utf-8")
    (folder / "data.csv").write_text(text.replace("1,2,", "1,3,", 1), encoding="utf-8")
    with pytest.raises(SystemExit, match="not the data of this archive"):
        run_again(folder, monkeypatch)


@pytest.mark.usefixtures("plain_page")
@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
def test_data_may_stay_out(tmp_path, monkeypatch, capsys):
    data = hb.load_dataset("eight_schools")
    found = hb.reanalyse(
        "effect ~ 1 + (1 | school)", data, {"a": None}, known_sd="se", random_seed=1
    )
    folder = unpacked(hb.archive(found, tmp_path / "study.zip", include_data=False))
    names = {one.name for one in folder.iterdir()}
    assert "data.csv" not in names
    assert hb.data_digest(found.fits["a"]) in (folder / "README.txt").read_text(encoding="utf-8")
    assert np.load(folder / "draws.npz")["a_names"].tolist() == [
        "(Intercept)",
        "sd((Intercept)|school)",
    ]
    data.to_csv(tmp_path / "mine.csv", index=False)
    run_again(folder, monkeypatch, tmp_path / "mine.csv")
    assert "The same numbers" in capsys.readouterr().out


@pytest.mark.usefixtures("plain_page")
def test_the_same_analysis_is_the_same_archive(tmp_path):
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    paths = [hb.archive(fit, tmp_path / name) for name in ("a.zip", "b.zip")]
    members = [zipfile.ZipFile(io.BytesIO(path.read_bytes())).namelist() for path in paths]
    assert members[0] == sorted(members[0]) == members[1]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_no_script_makes_again_is_refused(tmp_path):
    model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    fit = model.fit()
    for result, words in (
        (model.sample(draws=10, random_seed=np.random.default_rng(1)), "random_seed"),
        (model, "takes a fit, a posterior or a reanalysis"),
    ):
        with pytest.raises(hb.OptionError, match=words):
            hb.archive(result, tmp_path / "x.zip")
    with pytest.raises(hb.NotSupportedError, match="response or the rows were replaced"):
        hb.archive(fit.refit(fit.design.y[::-1]), tmp_path / "x.zip")
    with pytest.raises(hb.OptionError, match=r"ends in \.zip"):
        hb.archive(fit, tmp_path / "x.tar")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
def test_archives_run_in_a_fresh_interpreter(tmp_path):
    sleep = hb.load_dataset("sleepstudy")
    formula = "Reaction ~ Days + (Days | Subject)"
    results = [
        hb.reanalyse(formula, sleep, expected=5, threshold=5, random_seed=1, guideline="BARG"),
        hb.Model(formula, sleep).sample(draws=200, sampler="nuts", random_seed=1),
        hb.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", hb.load_dataset("cake")),
        hb.Model(
            "TICKS ~ YEAR + HEIGHT + (1 | BROOD)", hb.load_dataset("grouseticks"), family="poisson"
        ).sample(random_seed=2),
    ]
    for k, result in enumerate(results):
        folder = unpacked(hb.archive(result, tmp_path / f"{k}.zip"))
        done = subprocess.run(
            [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 and "The same numbers" in done.stdout, done.stderr
