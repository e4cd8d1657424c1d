"""Code blocks of a page: found, run in one namespace, and shown with what they gave."""

import pandas as pd
import pytest

import hierbayes as hb
from docs.site.blocks import blocks_of, run, run_page, with_results
from docs.site.docstrings import readable
from docs.site.notebooks import cells_of, run_cells
from docs.site.shown import Pictures, as_value

PAGE = """\
# Title

```python
import hierbayes as hb
x = 2
```

1. In a list:

   ```python
   x += 1
   print("x is", x)
   x * 10
   ```

```r
lmer(y ~ x)
```
"""


def test_blocks_of_python_are_found_without_their_indent():
    assert [block.code for block in blocks_of(PAGE)] == [
        "import hierbayes as hb\nx = 2\n",
        'x += 1\nprint("x is", x)\nx * 10\n',
    ]


def test_blocks_share_a_namespace_and_the_last_line_gives_the_value():
    _, second = run_page(PAGE)
    assert (second.printed, second.value) == ("x is 3\n", 30)


def test_results_stand_below_their_block_at_its_indent(tmp_path):
    page = with_results(PAGE, Pictures(tmp_path, "_pictures", "page"))
    assert "   x is 3\n" in page
    assert "\n   30\n" in page
    assert page.index("x * 10") < page.index("   x is 3") < page.index("lmer(y ~ x)")


def test_warnings_of_the_library_are_shown_and_no_others():
    code = """
        import warnings
        import hierbayes as hb
        warnings.warn("not ours", UserWarning)
        fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    """
    warned = run_page(f"```python\n{code}\n```".replace("\n        ", "\n")).pop().warned
    assert [sentence[:37] for sentence in warned] == ["BoundaryWarning: The between-Batch sd"]


def test_an_error_is_not_hidden():
    with pytest.raises(hb.OptionError):
        run_page("```python\nimport hierbayes as hb\nhb.load_dataset('no such')\n```\n")


def test_a_picture_has_words_and_stands_in_a_file(tmp_path):
    code = "import hierbayes as hb\nfit = hb.lmer('Reaction ~ Days + (Days | Subject)', "
    code += "hb.load_dataset('sleepstudy'))\nhb.plot.ranef_qq(fit)"
    page = with_results(f"```python\n{code}\n```\n", Pictures(tmp_path, "_pictures", "page"))
    assert "```{image} _pictures/page-1-light.png\n:alt: " in page
    assert (tmp_path / "page-1-light.png").stat().st_size > 1000


def test_a_result_is_a_table_without_a_style_of_its_own(tmp_path):
    code = "import hierbayes as hb\nhb.lmer('Reaction ~ Days + (1 | Subject)', "
    code += "hb.load_dataset('sleepstudy')).varcorr()"
    page = with_results(f"```python\n{code}\n```\n", Pictures(tmp_path, "_pictures", "page"))
    assert "<table" in page
    assert "<style" not in page


def test_sentences_in_cells_are_whole_and_may_wrap():
    why = "REML on the boundary, the posterior averages over the sd, from 0.03 to 3.6"
    assert f'<td class="text">{why}</td>' in as_value(pd.DataFrame({"x": [1.0], "why": [why]}))


def test_cells_run_after_those_they_take_from_and_are_shown_in_order(tmp_path):
    notebook = tmp_path / "notebook.py"
    notebook.write_text(
        "@app.cell(hide_code=True)\ndef _(mo, x):\n    mo.md(f'''\n    # x is {x}\n    ''')\n"
        "    return\n\n\n@app.cell\ndef _():\n    import marimo as mo\n    return (mo,)\n\n\n"
        "@app.cell\ndef _():\n    x = 3\n    _y = 4\n    print(_y)\n    x + _y\n    return (x,)\n"
    )
    cells = cells_of(notebook)
    ran, names = run_cells(cells)
    assert [cell.hidden for cell in cells] == [True, False, False]
    assert (ran[0].value, ran[2].value, ran[2].printed) == ("# x is 3", 7, "4\n")
    assert names["x"] == 3
    assert cells[2].source == "x = 3\n_y = 4\nprint(_y)\nx + _y"


def test_docstrings_keep_the_words_of_each_item():
    lines = [
        "Do it.",
        "",
        "Parameters",
        "----------",
        "fit : LikelihoodFit",
        "    What was fitted.",
        "table : columns ``a",
        "    b``, in order",
        "",
        "Examples",
        "--------",
        ">>> 1",
    ]
    text = "\n".join(readable(lines))
    assert "``fit``\n    LikelihoodFit. What was fitted." in text
    assert "``table``\n    columns ``a b``, in order" in text
    assert text.endswith(".. rubric:: Examples\n\n>>> 1")


def test_code_in_docstrings_is_parted_from_the_letters_after_it_only():
    assert readable(["``draws``, ``chains`` and ``Fit``s"]) == [
        r"``draws``, ``chains`` and ``Fit``\ s"
    ]


def test_attributes_that_are_not_public_are_left_out():
    lines = ["A fit.", "", "Attributes", "----------", "spec : inside", "beta : outside"]
    assert "spec" not in "\n".join(readable(lines, {"beta"}))
    assert "beta" in "\n".join(readable(lines, {"beta"}))


def test_the_value_of_nothing_is_nothing():
    assert run("x = 1", {}).value is None
