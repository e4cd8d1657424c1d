"""The tables and sentences of the lab: every number that stands on the page beside pictures."""

from typing import cast

import numpy as np
import pandas as pd

from hierbayes.lab.engine import NAMES, View
from hierbayes.naming.addresses import coefficient_addresses
from hierbayes.render.blocks import Table
from hierbayes.render.html import table
from hierbayes.render.numbers import format_plain
from hierbayes.results.posterior_fit import PosteriorFit


def parameter_table(view: View) -> pd.DataFrame:
    """Return fixed effects, sds, correlations and sigma, a column an estimator."""
    columns = {}
    for style, estimate in view.estimates.items():
        fit = estimate.fit
        labels = coefficient_addresses(fit.design, fit.kept.tolist()).labels
        values = dict(zip(labels, fit.beta.tolist(), strict=True))
        residual = "sigma" if "sigma" not in values else "sd(Residual)"  # a column may be so called
        for row in fit.varcorr().to_frame().itertuples():
            if _missing(row.term1):  # the residual sd
                continue
            kind = "sd" if _missing(row.term2) else "cor"
            terms = str(row.term1) if kind == "sd" else f"{row.term1}, {row.term2}"
            values[f"{kind}({terms}|{row.group})"] = float(cast(float, row.sdcor))
        if fit.design.known_sd is None:
            values[residual] = float(fit.sigma)
        columns[NAMES[style]] = values
    return pd.DataFrame(columns)


def _missing(value: object) -> bool:
    return value is None or value != value or value == ""


def level_table(view: View) -> pd.DataFrame:
    """Return the level looked at: a row a pooling, with its coefficients and reliability."""
    j = view.level
    rows = {"No pooling": [*view.unpenalised[j], *([np.nan] * len(view.terms))]}
    for style, estimate in view.estimates.items():
        rows[NAMES[style]] = [*estimate.coefficient[j], *estimate.reliability[j]]
    population = view.estimates[view.first].population
    rows["Population"] = [*population, *([np.nan] * len(view.terms))]
    kept = [f"reliability of {term}" for term in view.terms]
    return pd.DataFrame.from_dict(rows, orient="index", columns=[*view.terms, *kept])


def levels_table(view: View) -> pd.DataFrame:
    """Return every level: its n, and its coefficients by each pooling."""
    columns: dict[str, object] = {"n": view.n}
    for k, term in enumerate(view.terms):
        columns[f"{term}, no pooling"] = view.unpenalised[:, k]
        for style, estimate in view.estimates.items():
            columns[f"{term}, {NAMES[style]}"] = estimate.coefficient[:, k]
        columns[f"{term}, reliability"] = view.estimates[view.first].reliability[:, k]
    return pd.DataFrame(columns, index=pd.Index(view.levels, name=view.factor))


def in_words(view: View) -> str:
    """Say what the pictures show of the level looked at, in a sentence or two."""
    state = view.state
    if state.guessing and not state.revealed:
        return (
            f"The estimates are hidden. Where will {view.factor} {state.level} end up? Click your "
            "guess into the second picture or type it, then reveal."
        )
    j, first = view.level, view.estimates[view.first]
    parts = []
    for k, term in enumerate(view.terms):
        own, pulled = float(view.unpenalised[j, k]), float(first.coefficient[j, k])
        parts.append(
            f"{term}: {format_plain(own)} on its own, {format_plain(pulled)} after partial pooling "
            f"({NAMES[view.first]}), population {format_plain(float(first.population[k]))}, "
            f"reliability {first.reliability[j, k]:.2f}"
        )
    n = int(view.n[j])
    rows = f"{n} observation{'s' if n != 1 else ''}"
    left = "" if view.determined[j] else " What so few observations leave open is the population's."
    text = f"{view.factor} {state.level} ({rows}). " + "; ".join(parts) + "." + left
    return text.replace(" -", " −")


def prior_words(view: View) -> str:
    """Say which priors the posterior has, and from how many draws it comes."""
    estimate = view.estimates.get("posterior")
    if estimate is None or not isinstance(estimate.fit, PosteriorFit):
        return ""
    fit = estimate.fit
    named = [
        f"{p.name} ~ {fit.priors.of(p)}" for p in fit.priors.parameters if p.kind in ("sd", "cor")
    ]
    return f"{fit.n_draws:,} draws; " + "; ".join(named) + "."


def html_table(frame: pd.DataFrame, name: str, caption: str) -> str:
    """Return a table as HTML; every label is text, whatever it holds."""
    columns = [
        (str(label), [_cell(value) for value in frame.iloc[:, j]]) for j, label in enumerate(frame)
    ]
    return table(Table(columns, [str(label) for label in frame.index], caption, name=name))


def _cell(value: object) -> str:
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return format_plain(float(value)).replace("-", "\u2212")
    return str(value)
