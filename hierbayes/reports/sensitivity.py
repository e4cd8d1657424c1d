"""Sensitivity to priors in blocks: the table, and what it comes to."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from hierbayes.render.blocks import (
    Blocks,
    Column,
    Findings,
    Heading,
    Table,
    Wide,
    facts,
    paragraphs,
)
from hierbayes.render.numbers import format_plain, format_probability
from hierbayes.reports.bayes_factor import bayes_factor_text
from hierbayes.reports.coefficients import decimals_of, fixed_cell
from hierbayes.results.sensitivity import PowerScaling, Sensitivity
from hierbayes.wording import listed

LEGEND = (
    "BF: Bayes factor for the coefficient against zero; odds: the least odds of it before the data "
    "that leave it a probability of {level:g} after them.",
    "k: Pareto k of the weights; * the model was sampled under this prior.",
)
SCALING = (
    "Sensitivity is by how much a parameter's posterior moves as its priors, or the likelihood, "
    "count a little more; from {threshold:g} on it matters."
)


def sensitivity_blocks(found: Sensitivity) -> Blocks:
    """Show what is said of a parameter under each prior."""
    several = len(found.parameters) > 1
    ends = ("_1", "_2") if several else ("",)
    priors = [", ".join(row) for row in zip(*(found.table[f"prior{e}"] for e in ends), strict=True)]
    of = f"{found.of} and the prior{'s' * several} of {listed(found.parameters)}"
    return (
        Heading(f"Sensitivity of {of}"),
        *facts(("Formula:", found.formula_text), ("Data:", found.data_name)),
        Wide([Table(_columns(found), priors, notes=_notes(found))]),
        *paragraphs(_sentences(found)),
        Findings([str(finding) for finding in found.findings]),
    )


def _columns(found: Sensitivity) -> list[Column]:
    table = found.table
    sds = table["std_error"].to_numpy(dtype=np.float64)
    unit = float(np.nanmedian(sds)) if np.isfinite(sds).any() else 1.0
    decimals = decimals_of(unit, digits=3, least=0)

    def cells(name: str) -> list[str]:
        return [fixed_cell(value, decimals, missing="-") for value in table[name]]

    pairs = zip(cells("lower"), cells("upper"), strict=True)
    columns: list[Column] = [
        ("estimate", cells("estimate")),
        (f"{100 * found.level:g} %", [f"{low} to {high}" for low, high in pairs]),
    ]
    if table["prob_positive"].notna().any():
        known = ["-" if math.isnan(p) else format_probability(p) for p in table["prob_positive"]]
        columns.append(("P(>0)", known))
    if table["log_bf"].notna().any():
        columns.append(("BF", [bayes_factor_text(value) for value in table["log_bf"]]))
        odds = [math.nan if v <= 0 else math.log(v) for v in table["least_prior_odds"]]
        columns.append(("odds", [bayes_factor_text(value) for value in odds]))
    marks = zip(table["pareto_k"], table["refitted"], strict=True)
    columns.append(("k", [f"{_k(k)}{'*' if again else ' '}" for k, again in marks]))
    return columns


def _k(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _notes(found: Sensitivity) -> list[str]:
    lines = LEGEND if found.table["log_bf"].notna().any() else LEGEND[1:]
    return [line.format(level=found.level) for line in lines]


def _sentences(found: Sensitivity) -> list[str]:
    out = []
    known = found.table[found.table["estimate"].notna()]
    if len(known):
        out.append(_range(found, known))
    if found.reference is not None and math.isfinite(found.reference.estimate):
        out.append(_without_priors(found))
    if found.reverse is not None:
        out.append(found.reverse.sentence)
    return out


def _range(found: Sensitivity, known: pd.DataFrame) -> str:
    low, high = (known["estimate"].agg(which) for which in ("min", "max"))
    text = (
        f"Over these priors the estimate of {found.of} goes from {format_plain(low, 3)} to "
        f"{format_plain(high, 3)}"
    )
    held = (known["lower"] <= 0) & (known["upper"] >= 0)
    if known["prob_positive"].isna().all():
        return f"{text}."
    if held.all() or not held.any():
        return f"{text}; its interval holds zero under {'every' if held.all() else 'none'} of them."
    return f"{text}; its interval holds zero under {held.sum()} of the {len(known)}."


def _without_priors(found: Sensitivity) -> str:
    own = found.reference
    assert own is not None
    text = f"{own.method} has {format_plain(own.estimate)}"
    if math.isfinite(own.lower) and math.isfinite(own.upper):
        low, high = format_plain(own.lower), format_plain(own.upper)
        text += f", interval {low} to {high}"
    return f"{text}."


def power_scaling_blocks(found: PowerScaling) -> Blocks:
    """Show how far each parameter moves with its priors and with the likelihood."""
    table = found.table
    columns: list[Column] = [
        *((name, _sensitivities(table[name])) for name in ("prior", "likelihood")),
        ("most by the prior of", [str(name) for name in table["strongest"]]),
        ("diagnosis", [str(text) for text in table["diagnosis"]]),
    ]
    names = [str(name) for name in table.index]
    return (
        Heading("Sensitivity to priors and likelihood"),
        *facts(("Formula:", found.formula_text), ("Data:", found.data_name)),
        Wide([Table(columns, names, notes=[SCALING.format(threshold=found.threshold)])]),
        *paragraphs([_verdict(found)]),
        Findings([str(finding) for finding in found.findings]),
    )


def _sensitivities(values: "pd.Series[float]") -> Sequence[str]:
    return ["-" if math.isnan(v) else f"{v:.3f}" for v in values]


def _verdict(found: PowerScaling) -> str:
    moved = [str(name) for name in found.table.index[found.table["prior"] >= found.threshold]]
    if not moved:
        return "No parameter hangs on its priors."
    name = moved[0]
    return (
        f"{listed(moved)} {'hang' if len(moved) > 1 else 'hangs'} on the priors; "
        f"hb.sensitivity(fit, {found.table.loc[name, 'strongest']!r}, of={name!r}) shows how."
    )
