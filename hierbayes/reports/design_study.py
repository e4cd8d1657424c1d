"""A design study in blocks and as a paragraph: each number with its Monte-Carlo error."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hierbayes.render.blocks import Blocks, Column, Heading, Table, facts, paragraphs
from hierbayes.render.numbers import format_number
from hierbayes.reports.coefficients import decimals_of, fixed_cell, numbers
from hierbayes.results.design_study import GOALS, DesignStudy
from hierbayes.results.rich_text import RichText, rich_text
from hierbayes.wording import counted, listed

ROWS_SHOWN = 30  # of a printed table; all are in to_frame() and in exports
ESTIMATORS = {"reml": "REML", "ml": "ML", "posterior": "posterior"}
SHARE_DECIMALS = 3
WORDS = {
    "power": "power", "assurance": "assurance", "width": "an interval width",
    "p_bf": "P(BF > {bf:g})", "type_s": "a type S error", "type_m": "a type M error",
}  # fmt: skip


def design_study_blocks(found: DesignStudy, *, whole: bool = False) -> Blocks:
    """Show a design study: a row a design, and the smallest that meets each goal."""
    table = found.table if whole else found.table.head(ROWS_SHOWN)
    left = len(found.table) - len(table)
    more = [f"{left} more rows are in .to_frame()."] if left else []
    return (
        Heading(f"Design study, {counted(found.nsim, 'data set')} of each design"),
        *facts(
            ("Formula:", found.formula_text),
            ("Data:", found.data_name),
            ("Parameters:", found.parameters_from),
            *((f"{_capital(name)}:", words) for name, words in found.counted.items() if words),
        ),
        Table(_columns(found, table), [str(i + 1) for i in range(len(table))]),
        *paragraphs([*more, *_goal_sentences(found), *_notes(found)]),
    )


def design_study_sentence(found: DesignStudy) -> RichText:
    """Write what was done and found as a paragraph."""
    n_designs = len(found.table.drop_duplicates([*found.sizes]))
    tests = listed([words for words in found.tests.values()])
    truths = listed([f"{name} = {format_number(v, 4)}" for name, v in found.truths.items()])
    said = [
        f"Power was simulated for {counted(n_designs, 'design')} of the model "
        f"{found.formula_text}, {counted(found.nsim, 'data set')} each.",
        f"The parameters were {found.parameters_from} ("
        f"{'on average ' if found.is_assurance else ''}{truths}).",
        f"Each data set was analysed by {tests}.",
        *_priors(found),
        *_goal_sentences(found),
        *_failures(found),
    ]
    return rich_text(paragraphs([" ".join(said)]))


def _capital(word: str) -> str:
    return f"{word[0].upper()}{word[1:]}"


def _columns(found: DesignStudy, table: pd.DataFrame) -> list[Column]:
    columns: list[Column] = [
        (name, [f"{value:g}" for value in table[name]]) for name in (*found.sizes, "rows")
    ]
    for name in ("parameter", "estimator"):
        if found.table[name].nunique() > 1:
            columns.append((name, [ESTIMATORS.get(v, v) for v in table[name]]))
    power = "assurance" if found.is_assurance else "power"
    columns.append((power, _shares(table, "power")))
    columns.append(("MC error", _shares(table, "power_mcse")))
    columns.append(("width", _with_errors(table, "width")))
    columns += [("type S", _shares(table, "type_s")), ("type M", _with_errors(table, "type_m"))]
    if "p_bf" in table:
        columns.append((f"P(BF > {found.bf:g})", _shares(table, "p_bf")))
    columns.append(("failed", [f"{value}" for value in table["failed"]]))
    return columns


def _shares(table: pd.DataFrame, name: str) -> list[str]:
    return [fixed_cell(value, SHARE_DECIMALS, missing="") for value in numbers(table, name)]


def _with_errors(table: pd.DataFrame, name: str) -> list[str]:
    pairs = zip(numbers(table, name), numbers(table, f"{name}_mcse"), strict=True)
    return [fixed_cell(value, decimals_of(error), missing="") for value, error in pairs]


def _goal_sentences(found: DesignStudy) -> list[str]:
    """Say which is the smallest design that meets each goal."""
    if not found.goals:
        return []
    smallest, out = found.smallest(), []
    several = smallest[["parameter", "estimator"]].nunique()
    for row in smallest.to_dict("records"):
        goal = str(row["goal"])
        more = GOALS[goal][1]
        wanted = f"{WORDS[goal].format(bf=found.bf)} of at {'least' if more else 'most'} "
        wanted += f"{row['wanted']:g}"
        of = [f"for {row['parameter']}"] if several["parameter"] > 1 else []
        of += [f"by {ESTIMATORS[row['estimator']]}"] if several["estimator"] > 1 else []
        words = " ".join([wanted, *of])
        if not row["met"]:
            out.append(f"No design studied has {words}.")
            continue
        size = listed([counted(int(row[name]), name[:-1]) for name in found.sizes])
        out.append(
            f"The smallest design with {words} has {size} ({row['rows']:g} rows): "
            f"{_value(row['value'], row['mcse'])}."
        )
    return out


def _value(value: float, error: float) -> str:
    decimals = decimals_of(error) if np.isfinite(error) and error > 0 else 3
    return f"{value:.{decimals}f}, Monte-Carlo error {error:.2g}"


def _failures(found: DesignStudy) -> list[str]:
    lost = int(found.table["failed"].sum())
    if not lost:
        return ["Every data set could be fitted and tested."]
    total = int(found.table["nsim"].sum())
    return [f"{lost:,} of {total:,} analyses failed and are left out."]


def _priors(found: DesignStudy) -> list[str]:
    """Say which priors the posteriors have."""
    if not found.priors:
        return []
    named = listed([f"{name} ~ {prior}" for name, prior in found.priors.items()])
    return [f"Priors are the same for every data set: {named}."]


def _notes(found: DesignStudy) -> Sequence[str]:
    """Say what the columns are, how each estimator decides, and what has no numbers."""
    bf = (
        f" P(BF > {found.bf:g}) is the share of data sets whose Bayes factor against a coefficient "
        "of zero (Savage-Dickey) is larger."
    )
    tests = [f"{_capital(words)}." for words in found.tests.values()]
    columns = (
        "Type S is the share of significant estimates with the wrong sign, type M the factor by "
        "which their size is exaggerated; width is that of the "
        f"{100 * found.level:g} % interval.{bf if 'p_bf' in found.table else ''}"
    )
    return [*tests, *_priors(found), *_failures(found), columns, *found.notes]
