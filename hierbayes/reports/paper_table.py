"""The table of a paper: models as columns, parameters as rows, counts and statistics below.

Each cell holds the estimate with its interval or standard error: a confidence interval of a
likelihood fit (Satterthwaite's degrees of freedom for fixed effects of a linear one, normal
quantiles otherwise; none for sds), a credible interval of a posterior. Ratios are exponentials of
coefficients and limits, their standard errors by the delta method, exp(b) SE(b).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.calls import checked_call
from hierbayes.checks.r2 import icc, r2
from hierbayes.comparison.loo import loo
from hierbayes.errors import HierBayesError, OptionError
from hierbayes.gaussian.residual.of_design import SIGMA
from hierbayes.naming.addresses import coefficient_addresses
from hierbayes.options import check_flag, check_option, is_whole
from hierbayes.render.blocks import Block, Blocks, Heading, Table, Wide
from hierbayes.render.exports import checked_labels
from hierbayes.render.numbers import format_plain
from hierbayes.reports.coefficients import decimals_of, fixed_cell
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.paper_table import PAPER_COLUMNS, PaperTable, Shown
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.tidy import check_level, dropped_positions, estimated_rows
from hierbayes.wording import listed, shown

NAMES = {"reml": "REML", "ml": "ML", "posterior": "posterior"}
VARIANCE_ROWS = ("sd(", "cor(", "cor_", "sigma", "ICC")  # by how they begin
BLOCKS = ("fixed", "random", "groups", "model")
RATIOS = {"logit": "odds ratios", "log": "ratios", "cloglog": "hazard ratios"}
WIDTH_DIGITS = 3  # significant digits of an interval's width that are shown
ERRORS_WIDE = 4  # an interval is about so many standard errors wide
UNKNOWN = "undetermined"
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
MOST_DIGITS = 8
MODEL_ROWS = ("Observations", "R2 marg", "R2 cond", "Log", "AIC", "BIC", "ELPD")
STATISTICS = ("r2", "loglik", "aic", "bic", "elpd")


@checked_call("hb.table")
def table(
    *fits: Fit,
    names: Sequence[str] | None = None,
    show: Shown = "interval",
    level: float = 0.95,
    p_values: bool = False,
    stars: bool = False,
    exponentiate: bool = False,
    statistics: Sequence[str] = STATISTICS,
    labels: Mapping[str, str] | None = None,
    digits: int = WIDTH_DIGITS,
    title: str = "",
) -> PaperTable:
    r"""Lay models side by side, as a paper does.

    Parameters
    ----------
    *fits : LikelihoodFit or PosteriorFit
        By REML, ML, ``hb.glmer`` or as posteriors, mixed at will.
    names : sequence of str, optional
        What the models are called; by default their estimators where the formulas are the same,
        otherwise "Model 1" and so on, with the formulas below the table.
    show : {"interval", "std_error", "none"}
        What stands beside an estimate.
    level : float
        Level of the intervals.
    p_values, stars : bool
        Whether p values of fixed effects stand in their cells, or stars for them.
    exponentiate : bool
        Fixed effects as ratios, exp(b): odds ratios of the logit link, ratios of the log link.
    statistics : sequence of {"r2", "loglik", "aic", "bic", "elpd"}
        Below the counts, for the models that have them: Nakagawa's R2, and of posteriors the
        expected log predictive density of ``hb.loo``.
    labels : mapping, optional
        What rows are called, ``{"Days": "Days of deprivation"}``.
    digits : int
        Significant digits of an interval's width, or of four standard errors, that a cell shows.
    title : str
        A line above the table.

    Returns
    -------
    PaperTable
        Prints, shows in notebooks, and is exported as every table.

    Raises
    ------
    OptionError
        If there is no fit, or an argument doesn't fit.

    Notes
    -----
    Source of R2: Nakagawa, Johnson & Schielzeth (2017), J. R. Soc. Interface 14.

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> fits = [hb.lmer(f"Reaction ~ Days + ({x} | Subject)", sleep) for x in ("1", "Days")]
    >>> for line in hb.table(*fits).to_markdown().splitlines()[2:5]:
    ...     print(line)
    | Fixed effects |  |  |
    | (Intercept) | 251.4 \[231.2, 271.6\] | 251.4 \[237.0, 265.8\] |
    | Days | 10.47 \[8.88, 12.06\] | 10.47 \[7.21, 13.73\] |
    """
    if not fits or not all(isinstance(fit, Fit) for fit in fits):
        wrong = next((fit for fit in fits if not isinstance(fit, Fit)), None)
        raise OptionError(
            "table takes fits one by one, hb.table(fit1, fit2)"
            + ("." if wrong is None else f"; it got {shown(wrong)}.")
        )
    check_level(level)
    check_option("show", show, Shown)
    check_flag("p_values", p_values, "True (in the cells) or False")
    check_flag("stars", stars, "True (for p values below 0.05) or False")
    check_flag("exponentiate", exponentiate, "True (ratios) or False (coefficients)")
    if not is_whole(digits) or not 1 <= digits <= MOST_DIGITS:
        raise OptionError(f"digits={shown(digits)} must be a whole number from 1 to {MOST_DIGITS}.")
    if not isinstance(title, str):
        raise OptionError(f"title={shown(title)} must be a text.")
    models = _names(fits, names)
    chosen = _checked_statistics(statistics)
    ratios = _ratios(fits, models) if exponentiate else ""
    known = checked_labels(labels)
    rows = [
        {
            **cell,
            "place": _place(cell),
            "model": name,
            "row": known.get(cell["row"], cell["row"]),
        }
        for name, fit in zip(models, fits, strict=True)
        for cell in _cells(fit, level, exponentiate=exponentiate, statistics=chosen)
    ]
    frame = pd.DataFrame(rows, columns=["place", *PAPER_COLUMNS])
    frame = frame.iloc[np.argsort(frame.pop("place").to_numpy(), kind="stable")]
    frame = frame.reset_index(drop=True)
    return PaperTable(
        table=frame,
        models=models,
        formulas=dict(zip(models, (fit.formula_text for fit in fits), strict=True)),
        headings={
            "fixed": f"Fixed effects ({ratios})" if ratios else "Fixed effects",
            "random": "Random effects" if any(f.design.factors for f in fits) else "Residual",
            "groups": "Groups",
            "model": "Model",
        },
        shown=show,
        p_values=p_values,
        stars=stars,
        digits=digits,
        level=level,
        title=title,
        notes=tuple(_notes(fits, models, show=show, level=level, stars=stars)),
    )


def paper_table(fits: Sequence[Fit], *, level: float = 0.95, caption: str = "") -> Table:
    """Return the table of a report: fits with intervals and p values, as a block."""
    found = table(*fits, level=level, p_values=True, statistics=("r2",), title=caption)
    return paper_block(found)


def paper_table_blocks(found: PaperTable) -> Blocks:
    """Show the models side by side."""
    heading: list[Block] = [Heading(found.title)] if found.title else []
    return (Wide([*heading, paper_block(found)]),)


def paper_block(found: PaperTable) -> Table:
    """Return the table of texts: a line above each block, then its rows."""
    frame = found.table
    cells: dict[str, list[str]] = {name: [] for name in found.models}
    rows: list[str] = []
    for block in BLOCKS:
        part = frame[frame["block"] == block]
        if part.empty:
            continue
        rows.append(found.headings[block])
        for name in found.models:
            cells[name].append("")
        for row in dict.fromkeys(part["row"]):
            rows.append(str(row))
            for name in found.models:
                own = part[(part["row"] == row) & (part["model"] == name)]
                cells[name].append(_text(own.iloc[0], found) if len(own) else "")
    return Table(list(cells.items()), rows, found.title, notes=found.notes)


def _text(cell: "pd.Series[Any]", found: PaperTable) -> str:
    """Write one cell."""
    value, error, low, high, p = (
        float(cell[name]) for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value")
    )
    if cell["block"] in ("groups", "model"):
        return _statistic(str(cell["row"]), value)
    if math.isnan(value):
        return UNKNOWN
    limited = math.isfinite(low) and math.isfinite(high)
    unit = high - low if limited else ERRORS_WIDE * error
    if math.isnan(unit) or unit <= 0:
        is_share = str(cell["row"]).startswith(("cor(", "ICC"))
        return fixed_cell(value, 3) if is_share else format_plain(value, found.digits)
    places = decimals_of(unit, digits=found.digits, most=8, least=0)
    text = fixed_cell(value, places)
    if found.stars and math.isfinite(p):
        text += next((mark for cut, mark in STARS if p < cut), "")
    if found.shown == "interval" and limited:
        text += f" [{fixed_cell(low, places)}, {fixed_cell(high, places)}]"
    elif found.shown == "std_error" and math.isfinite(error):
        text += f" ({fixed_cell(error, places)})"
    if found.p_values and math.isfinite(p):
        text += ", p < 0.001" if p < 0.001 else f", p = {p:.3f}"
    return text


def _statistic(row: str, value: float) -> str:
    """Write a count, a share or a log-likelihood."""
    if row.startswith(("N ", "Observations")):
        return f"{value:.0f}"
    if row.startswith(("R2", "ICC")):
        return f"{value:.3f}"
    return f"{value:.1f}"


def _names(fits: Sequence[Fit], names: Any) -> tuple[str, ...]:
    """Return a name for each model, each once."""
    if names is not None:
        given = tuple(names) if isinstance(names, list | tuple) else ()
        if len(given) != len(fits) or len(set(given)) < len(given) or not all(
            isinstance(name, str) and name.strip() for name in given
        ):  # fmt: skip
            raise OptionError(
                f"names={shown(names)} must be {len(fits)} different texts, one a model."
            )
        return given
    own = tuple(NAMES[fit.method] for fit in fits)
    same = len({fit.formula_text for fit in fits}) == 1
    if same and len(set(own)) == len(own):
        return own
    return tuple(f"Model {i + 1}" for i in range(len(fits)))


def _checked_statistics(given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise OptionError(f"statistics={shown(given)} must be a list of {listed(STATISTICS)}.")
    unknown = [name for name in given if name not in STATISTICS]
    if unknown:
        raise OptionError(f"statistics: {shown(unknown[0])} is none of {listed(STATISTICS, 'or')}.")
    return tuple(given)


def _ratios(fits: Sequence[Fit], models: Sequence[str]) -> str:
    """Say what the exponentials of the coefficients are; OptionError where they are nothing."""
    for fit, name in zip(fits, models, strict=True):
        if fit.link not in RATIOS:
            raise OptionError(
                f"exponentiate=True makes ratios of coefficients of the links "
                f"{listed(list(RATIOS))}; {name} has the link {fit.link}."
            )
    kinds = {RATIOS[fit.link] for fit in fits}
    return kinds.pop() if len(kinds) == 1 else "ratios"


def _cells(
    fit: Fit, level: float, *, exponentiate: bool, statistics: Sequence[str]
) -> list[dict[str, Any]]:
    """Cells of one model: parameters, then counts and statistics."""
    columns = np.sort(np.concatenate([fit.kept, dropped_positions(fit)]))  # a row each in tidy()
    labels = iter(coefficient_addresses(fit.design, columns.tolist()).labels)
    found = []
    for row in [*_estimated(fit, level), *_residual_rows(fit, level)]:
        label = next(labels, None) if row["effect"] == "fixed" else None
        fixed = label is not None  # further ones are of formulas of further parameters
        block, name = ("fixed", label) if fixed else _random(row)
        cell = {key: float(row[key]) for key in PAPER_COLUMNS[3:]}
        if fixed and exponentiate:
            ratio = math.exp(cell["estimate"])
            cell |= {
                "estimate": ratio,
                "std_error": ratio * cell["std_error"],
                "conf_low": math.exp(cell["conf_low"]),
                "conf_high": math.exp(cell["conf_high"]),
            }
        found.append({"block": block, "row": name, **cell})
    rest = [("random", name, v) for name, v in _shared(fit).items()]
    rest += [("groups", f"N {group}", float(n)) for group, n in fit.n_groups.items()]
    rest += [("model", "Observations", float(fit.nobs)), *_fit_statistics(fit, statistics)]
    missing = dict.fromkeys(PAPER_COLUMNS[4:], math.nan)
    return [*found, *({"block": b, "row": r, "estimate": v, **missing} for b, r, v in rest)]


def _estimated(fit: Fit, level: float) -> list[dict[Any, Any]]:
    """Rows of ``tidy()``, those of a posterior without what ``_residual_rows`` says."""
    rows = estimated_rows(fit, fit.tidy(level=level)).to_dict("records")
    if not (isinstance(fit, PosteriorFit) and fit.residual_quantities):
        return rows
    own = {"sd__Observation", *fit.residual_names, *(f"sigma_{name}" for name in _of_sigma(fit))}
    return [row for row in rows if row["term"] not in own]


def _of_sigma(fit: PosteriorFit) -> tuple[str, ...]:
    """Coefficients of the formula of sigma."""
    sigma = fit.design.predictors.get(SIGMA)
    return () if sigma is None else sigma.coef_names


def _residual_rows(fit: Fit, level: float) -> list[dict[str, Any]]:
    """Sds and correlations of residuals of a posterior, as ``tidy()`` of a fit says them."""
    if not isinstance(fit, PosteriorFit):
        return []
    tail = (1 - level) / 2
    return [
        {
            "effect": "ran_pars",
            "group": own.group,
            "term": own.name,
            "estimate": own.values.mean(),
            "std_error": own.values.std(ddof=1),
            "conf_low": np.quantile(own.values, tail),
            "conf_high": np.quantile(own.values, 1 - tail),
            "p_value": math.nan,
        }
        for own in fit.residual_quantities
    ]


def _place(cell: Mapping[str, Any]) -> int:
    """Place of a row among those of all models: by its block, then sds, correlations, sigma."""
    name, block = str(cell["row"]), BLOCKS.index(cell["block"])
    order = {"random": VARIANCE_ROWS, "model": MODEL_ROWS}.get(cell["block"], ())
    within = next((i for i, start in enumerate(order) if name.startswith(start)), 0)
    return len(MODEL_ROWS) * block + within


def _random(row: Any) -> tuple[str, str]:
    """Block and name of a variance parameter or one of the response family."""
    term, group = str(row["term"]), row["group"]
    if term == "sd__Observation" and group == "Residual":
        return "random", "sigma"
    if term.startswith("sd__"):
        return "random", f"sd({term.removeprefix('sd__')} | {group})"
    if term.startswith("cor__"):
        return "random", f"cor({term.removeprefix('cor__')} | {group})"
    if term.startswith("sigma__"):
        return "random", f"sigma: log sd by {term.removeprefix('sigma__')}"
    return "fixed", term


def _shared(fit: Fit) -> dict[str, float]:
    """Return the intraclass correlation, where it is defined."""
    if not fit.design.factors:
        return {}
    return _known(lambda: {"ICC": icc(fit).adjusted})


def _fit_statistics(fit: Fit, chosen: Sequence[str]) -> list[tuple[str, str, float]]:
    """Return the statistics asked for that the model has."""
    found: dict[str, float] = {}
    for name in chosen:
        if name == "r2":
            found |= _known(
                lambda: {"R2 marginal": r2(fit).marginal, "R2 conditional": r2(fit).conditional}
            )
        elif isinstance(fit, LikelihoodFit):
            found |= _likelihood_statistic(fit, name)
        elif name == "elpd":
            found |= _known(lambda: {"ELPD (leave one out)": loo(fit).elpd})
    return [("model", name, value) for name, value in found.items() if math.isfinite(value)]


def _likelihood_statistic(fit: LikelihoodFit, name: str) -> dict[str, float]:
    words = {"aic": "AIC", "bic": "BIC", "loglik": "Log-likelihood"}
    if name not in words:
        return {}
    restricted = " (REML)" if fit.method == "reml" and name == "loglik" else ""
    return {words[name] + restricted: float(getattr(fit, name))}


def _known(compute: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Return what can be computed; nothing where the model's family has no such statistic."""
    try:
        return compute()
    except HierBayesError:
        return {}


def _notes(
    fits: Sequence[Fit], models: Sequence[str], *, show: Shown, level: float, stars: bool
) -> list[str]:
    """Say what was fitted and what the cells are."""
    notes = []
    if len({fit.formula_text for fit in fits}) > 1 or set(models) != {
        NAMES[fit.method] for fit in fits
    }:
        notes += [
            f"{name}: {fit.formula_text} ({_estimator(fit)})."
            for name, fit in zip(models, fits, strict=True)
        ]
    percent = f"{100 * level:.10g} %"
    words = []
    if any(isinstance(fit, LikelihoodFit) for fit in fits):
        beside = {
            "interval": f"{percent} confidence intervals of fixed effects ({_how(fits)})",
            "std_error": "standard errors",
            "none": "",
        }[show]
        words.append(f"Estimates{f' with {beside}' if beside else ''}")
    if any(fit.method == "posterior" for fit in fits):
        beside = {
            "interval": f"{percent} equal-tailed credible intervals",
            "std_error": "posterior sds",
            "none": "",
        }[show]
        words.append(f"posterior means{f' with {beside}' if beside else ''}")
    said = "; ".join(words)
    notes.append(f"{said[:1].upper()}{said[1:]}.")
    if stars:
        notes.append("* p < 0.05, ** p < 0.01, *** p < 0.001.")
    if len([fit for fit in fits if fit.method == "reml"]) > 1:
        notes.append(
            "AIC, BIC and restricted log-likelihoods of REML fits compare models with the same "
            "fixed part only."
        )
    lost = [name for name, fit in zip(models, fits, strict=True) if fit.undetermined_note]
    if lost:
        notes.append(f"{UNKNOWN}: the data do not determine it ({', '.join(lost)}).")
    return notes


def _how(fits: Sequence[Fit]) -> str:
    linear = {fit.response_family.is_linear for fit in fits if isinstance(fit, LikelihoodFit)}
    if linear == {True}:
        return "Satterthwaite's degrees of freedom"
    if linear == {False}:
        return "normal quantiles"
    return "Satterthwaite's degrees of freedom, of other families normal quantiles"


def _estimator(fit: Fit) -> str:
    """Name family, link and estimator."""
    family = "" if fit.response_family.is_linear else f"{fit.family}, link {fit.link}, "
    return f"{family}{NAMES[fit.method]}"
