"""Reports as files: one page without requests, Markdown and LaTeX that say the same."""

import re

import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.render.blocks import Preformatted, Section, Table
from hierbayes.render.document import Document
from hierbayes.reports.paper_table import paper_table

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def model():
    return hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def fits(model):
    return model.fit("ml"), model.fit("reml"), model.sample(random_seed=1)


@pytest.fixture(scope="module")
def files(fits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    reanalysis = hb.reanalyse("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"), random_seed=1)
    results = {
        "fit": fits[1],
        "posterior": fits[2],
        "comparison": hb.compare(*fits),
        "reanalysis": reanalysis,
    }
    return {
        (name, ending): result.report(folder / f"{name}.{ending}")
        for name, result in results.items()
        for ending in ("html", "md", "tex")
    }


@pytest.mark.parametrize("name", ["fit", "posterior", "comparison", "reanalysis"])
def test_a_page_loads_nothing_from_elsewhere(files, name):
    page = files[name, "html"].read_text(encoding="utf-8")
    addresses = re.findall(r"(?:src|href)=[\"']([^\"']*)", page)
    assert addresses and all(address.startswith("data:image/png") for address in addresses)
    assert "<script" not in page and "url(" not in page
    assert all(f'alt="{words}' for words in re.findall(r'<img alt="([^"]+)"', page))
    assert "hb.Model(" in page or "hb.reanalyse(" in page


@pytest.mark.parametrize("name", ["fit", "comparison", "reanalysis"])
def test_markdown_and_latex_hold_the_numbers_of_the_page(files, name):
    page = files[name, "html"].read_text(encoding="utf-8")
    cells = re.findall(r"<td>(\d+\.\d+)[^<]*</td>", page)[:5]
    assert cells
    for ending in ("md", "tex"):
        text = files[name, ending].read_text(encoding="utf-8")
        assert all(cell in text for cell in cells)


def test_the_table_of_a_paper_has_fits_as_columns(fits):
    grid = paper_table(fits)
    assert [name for name, _ in grid.columns] == ["ML", "REML", "posterior"]
    reml = dict(zip(grid.rows, dict(grid.columns)["REML"], strict=True))
    assert reml["Days"] == "10.47 [7.21, 13.73], p < 0.001"
    assert reml["N Subject"] == "18" and reml["Observations"] == "180"
    assert grid.rows[:2] == ["Fixed effects", "(Intercept)"]
    assert grid.rows[-1] == "R2 conditional"


def test_level_names_are_text_not_markup(tmp_path):
    frame = hb.load_dataset("Dyestuff").astype({"Batch": str})
    frame["Batch"] = pd.Categorical(frame["Batch"].replace("A", HOSTILE))
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", frame)
    page = fit.report(tmp_path / "x.html").read_text(encoding="utf-8")
    assert HOSTILE not in page and "&lt;script&gt;" in page


def test_another_ending_is_refused_and_nothing_is_written(fits, tmp_path):
    with pytest.raises(hb.OptionError, match=r"\.html, \.md or \.tex"):
        fits[1].report(tmp_path / "x.docx")
    with pytest.raises(hb.OptionError, match="path=None must be text or a Path"):
        fits[1].report(None)
    assert not list(tmp_path.iterdir())


def test_special_letters_are_escaped_for_latex_and_markdown():
    table = Table([("50 %", ["a_b"])], ["x|y"], caption="A & B")
    document = Document("T", (Section("H", [table]),))
    assert r"50 \%" in document.latex() and r"a\_b" in document.latex()
    assert r"A \& B" in document.latex()
    assert r"x\|y" in document.markdown() and r"a\_b" in document.markdown()


def test_names_from_data_do_not_end_a_table_a_fence_or_an_environment():
    name = '[2cm] `a` \n& "b" $x$'
    table = Table([(name, ["1"])], [name])
    printed = Preformatted("```\n\\end{verbatim} 5")
    document = Document(name, (Section("H", [table, printed]),))
    latex, markdown = document.latex(), document.markdown()
    assert latex.count("\\end{verbatim}") == latex.count("\\begin{verbatim}") == 1
    row = next(line for line in latex.splitlines() if line.endswith(" & 1 \\\\"))
    assert row.startswith(r"{[}2cm{]} \textasciigrave{}a\textasciigrave{} \& \textquotedbl{}b")
    assert latex.splitlines()[0].startswith("% [2cm] `a` & ")
    assert "\n````\n```\n" in markdown
    assert any(line.endswith(" | 1 |") and r"\$x\$" in line for line in markdown.splitlines())


@pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
def test_dollars_in_names_are_no_mathematics(tmp_path):
    names = [r"$\frac a$", "b $ c", "$d$", r"$\x$"]
    frame = hb.load_dataset("sleepstudy").rename(columns={"Days": "$x$", "Reaction": r"$y^$"})
    frame["g"] = [names[i % 4] for i in range(len(frame))]
    fit = hb.lmer(r"`$y^$` ~ `$x$` + (1 | g)", frame)
    page = fit.report(tmp_path / "x.html").read_text(encoding="utf-8")
    assert r"$\frac a$" in page and page.count("<img") >= 3
    found = hb.reanalyse(fit.formula_text, frame, {"default": None}, random_seed=1)
    assert "<img" in found.report(tmp_path / "y.html").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
def test_the_model_section_says_what_the_data_do_not_determine(tmp_path):
    machines = hb.load_dataset("Machines")
    fit = hb.lmer("score ~ Machine + Worker + (1 | Worker)", machines)
    whole = fit.report(tmp_path / "fit.md").read_text(encoding="utf-8")
    section = whole.split("## Model: what the formula became")[1].split("## Random effects of")[0]
    assert "is not determined by the data" in " ".join(section.split())
