"""What can be asked of a table of marginal quantities: contrasts, tests, intervals, other scales.

Answers of the methods of ``EmmeansTable`` and ``MarginalTests``.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.errors import OptionError
from hierbayes.intervals.contrast import f_table
from hierbayes.intervals.linear_tests import f_test
from hierbayes.marginal_means.contrasts_of import Interaction, contrasts_of
from hierbayes.marginal_means.emmeans_contrasts import Asked
from hierbayes.marginal_means.emmeans_estimates import contrast_words, mean_words
from hierbayes.marginal_means.quantity_tests import adjustment, columns
from hierbayes.marginal_means.spellings import adjust_named, names_of, side_named
from hierbayes.marginal_means.transforms import exp_of, regrid_words, transformed
from hierbayes.options import GridTransform, check_flag, check_option
from hierbayes.results.emmeans_table import (
    CONTRAST_COLUMNS,
    DRAW_COLUMNS,
    MEAN_COLUMNS,
    TEST_COLUMNS,
    EmmeansTable,
    MarginalTests,
)
from hierbayes.results.f_table import FTable
from hierbayes.results.marginal_quantities import (
    DrawQuantities,
    Marginals,
    Quantities,
    Question,
)
from hierbayes.results.tidy import check_level
from hierbayes.wording import shown

Table = EmmeansTable | MarginalTests


def contrast(
    table: Table,
    contrasts: Any,
    *,
    by: Any,
    simple: Any,
    interaction: Any,
    ref: Any,
    reverse: Any,
    type: Any,
    adjust: Any,
    level: Any,
) -> MarginalTests:
    """Build ``Contrastable.contrast``; see there."""
    own = table.marginals
    check_flag("reverse", reverse, "True (the other way round) or False")
    groups = _groups(own, by, simple)
    if type is not None:
        own = _shown_as(own, type)
    sign = "/" if own.shows_exp else "-"
    if interaction is not None:
        interaction = Interaction.read(interaction, contrasts, own, by=groups)
    asked = Asked(contrasts=contrasts, ref=ref, reverse=bool(reverse), sign=sign)
    made = contrasts_of(own, asked, by=groups, interaction=interaction)
    question = Question(
        level=_level(table, level), adjust=None if adjust is None else adjust_named(adjust)
    )
    return tests_table(table, made, question, title="Contrasts", kept=CONTRAST_COLUMNS)


def _groups(own: Marginals, by: Any, simple: Any) -> tuple[str, ...]:
    """Columns within whose values contrasts are made."""
    columns = (*own.specs, *own.by)
    if simple is None:
        return own.by if by is None else names_of("by", by, columns, none_too=True)
    if by is not None:
        raise OptionError("simple= says what is contrasted, within all others; leave by= out.")
    if simple == "each":
        raise OptionError(
            "simple='each' would be one table for each predictor; ask for one after the other: "
            f"simple={own.specs[0]!r}."
        )
    kept = names_of("simple", simple, columns)
    return tuple(name for name in columns if name not in kept)


def _shown_as(own: Marginals, type: Any) -> Marginals:
    if type == "link":
        if own.shows_exp or own.carried is not None:
            raise OptionError(
                "type='link': these means are on the response scale; ask hb.emmeans for "
                "type='link'."
            )
        return own
    if type != "response":
        raise OptionError(f"type={shown(type)} is not one of 'link', 'response'.")
    if own.exp_of_difference is None and own.scale and own.carried is None and own.response:
        raise OptionError(
            "type='response': differences on this link's scale have no ratio. Ask hb.emmeans for "
            "type='response', or use .regrid('response')."
        )
    return replace(own, shows_exp=own.exp_of_difference is not None)


def _level(table: Table, level: Any) -> float:
    if level is None:
        return table.level
    check_level(level)
    return float(level)


def tests_table(
    table: Table, own: Marginals, question: Question, *, title: str, kept: tuple[str, ...]
) -> MarginalTests:
    """Lay out what was asked about quantities."""
    found = columns(own, question)
    draws = tuple(name for name in DRAW_COLUMNS if name in found)
    frame = own.labels.reset_index(drop=True).assign(
        **{name: found[name] for name in (*kept, *draws)}
    )
    return MarginalTests(
        table=frame,
        labels=tuple(own.labels.columns),
        title=title,
        words=contrast_words(own, question, adjustment(own.family, question), kept),
        notes=table.notes,
        level=question.level,
        formula_text=table.formula_text,
        data_name=table.data_name,
        marginals=own,
        question=question,
    )


def test(
    table: Table, *, null: Any, side: Any, delta: Any, adjust: Any, joint: Any
) -> MarginalTests | FTable:
    """Build ``Contrastable.test``; see there."""
    check_flag("joint", joint, "True (one F test of all rows) or False (a test of each)")
    null, delta = _number("null", null), _number("delta", delta)
    if delta < 0:
        raise OptionError(f"delta={delta:g} must be a margin, above zero.")
    if joint:
        if side is not None or delta or adjust is not None:
            raise OptionError(
                "joint=True is one F test of all rows: without side=, delta=, adjust=."
            )
        return _joint(table, null)
    question = Question(
        level=table.level,
        adjust=_adjust(table, adjust),
        side=side_named(side, has_margin=delta > 0),
        null=null,
        delta=delta,
    )
    return tests_table(
        table, table.marginals, question, title=f"Tests of {_what(table)}", kept=TEST_COLUMNS
    )


def confint(table: Table, *, level: Any, adjust: Any, side: Any) -> MarginalTests:
    """Build ``Contrastable.confint``; see there."""
    question = Question(
        level=_level(table, level),
        adjust=_adjust(table, adjust),
        side=side_named(side, has_margin=False),
    )
    return tests_table(
        table, table.marginals, question, title=f"Intervals of {_what(table)}", kept=MEAN_COLUMNS
    )


def _what(table: Table) -> str:
    return table.title[0].lower() + table.title[1:]


def _adjust(table: Table, given: Any) -> Any:
    if given is not None:
        return adjust_named(given)
    return table.question.adjust if isinstance(table, MarginalTests) else None


def _number(name: str, given: Any) -> float:
    is_number = isinstance(given, int | float | np.integer | np.floating)
    if not is_number or isinstance(given, bool) or not np.isfinite(given):
        raise OptionError(f"{name}={shown(given)} must be a number.")
    return float(given)


def _joint(table: Table, null: float) -> FTable:
    own = table.marginals
    tested = own.tested
    if isinstance(tested, DrawQuantities):
        raise OptionError(
            "joint=True is an F test of a likelihood fit; of a posterior ask .test() for the "
            "probability of each row, or hb.bayes_factor of the model without the term."
        )
    if tested.gradient.shape[1] > tested.fit.beta.size or tested.further.size:
        raise OptionError("joint=True is for means and contrasts on the link scale.")
    rows = {}
    for group in own.groups:
        part = tested.taken(np.arange(group.start, group.stop)[tested.known[group]])
        right = part.gradient @ tested.fit.beta - part.values + null
        label = ", ".join(f"{name} {own.labels[name].iloc[group.start]}" for name in own.by)
        rows[label or "all rows"] = f_test(tested.fit, part.gradient, ddf=tested.ddf, rhs=right)
    title = f"Joint F tests of {_what(table)} against {null:g}"
    return f_table(tested.fit, rows, title, ddf=tested.ddf)


def regrid(table: EmmeansTable, transform: Any) -> EmmeansTable:
    """Build ``EmmeansTable.regrid``; see there."""
    word = check_option("transform", transform, GridTransform)
    own = table.marginals
    values = response_quantities(own)
    changed: Quantities
    if isinstance(values, DrawQuantities):
        changed = transformed(values, word)
    else:
        changed = transformed(values, word)
    made = replace(
        own,
        tested=changed,
        carried=None,
        response=None,
        contrasted=changed,
        exp_of_difference=exp_of(word),
        shows_exp=False,
        scale=regrid_words(own.scale, word),
    )
    return means_table(table, made, Question(level=table.level))


def response_quantities(own: Marginals) -> Quantities:
    """Return the expected responses of means."""
    if own.response is not None:
        return own.tested.carried(own.response.to, own.response.slope)
    if own.scale.endswith("link"):
        raise OptionError(
            "The response of this family hangs on more than these means; ask hb.emmeans for "
            "type='response'."
        )
    return own.tested


def means_table(table: EmmeansTable, own: Marginals, question: Question) -> EmmeansTable:
    """Return a table with other quantities in the place of its means, without contrasts."""
    found = columns(own, question)
    frame = own.labels.reset_index(drop=True).assign(**{name: found[name] for name in MEAN_COLUMNS})
    return replace(
        table,
        means=frame,
        contrasts=None,
        contrast_words="",
        mean_words=mean_words(own, question),
        marginals=own,
    )


def eff_size(table: Table, sigma: Any, *, edf: Any, contrasts: Any, level: Any) -> MarginalTests:
    """Build ``hb.eff_size``; see there."""
    own = table.marginals
    if isinstance(table, EmmeansTable):
        asked = Asked(contrasts=contrasts)
        own = contrasts_of(own, asked, by=own.by, interaction=None)
    if own.shows_exp or own.scale.endswith("response scale"):
        raise OptionError(
            "Effect sizes are of differences on the scale of the model; ask hb.emmeans for "
            "type='link'."
        )
    tested, words = _standardised(own.tested, sigma, edf)
    made = replace(
        own,
        tested=tested,
        contrasted=tested,
        family=replace(own.family, adjust="none"),
        response=None,
        exp_of_difference=None,
    )
    question = Question(level=_level(table, level))
    found = tests_table(table, made, question, title="Effect sizes", kept=MEAN_COLUMNS)
    return replace(found, words=f"{words} {found.words}")


def _standardised(tested: Quantities, sigma: Any, edf: Any) -> tuple[Quantities, str]:
    if isinstance(tested, DrawQuantities):
        if edf is not None:
            raise OptionError(
                "edf= is for a likelihood fit, whose sigma has an error of its own; give the draws "
                "of sigma as an array to a posterior."
            )
        size = np.asarray(sigma, dtype=float)
        n_draws = tested.draws.shape[0]
        if size.size not in (1, n_draws) or not (size > 0).all():
            raise OptionError(
                f"sigma must be a positive number, or an array of one a draw ({n_draws})."
            )
        draws = tested.draws / size.reshape(-1, 1)
        how = f"{size.item():.4g}" if size.size == 1 else "its draws"
        return replace(tested, draws=draws), f"Differences over sigma, {how}."
    unit = _number("sigma", sigma)
    if unit <= 0:
        raise OptionError(f"sigma={unit:g} must be above zero.")
    if edf is None:
        raise OptionError(
            "edf= is needed: the degrees of freedom of sigma, for example the residual ones; "
            "edf=float('inf') counts sigma as known."
        )
    freedom = np.inf if edf == np.inf else _number("edf", edf)
    if freedom <= 0:
        raise OptionError(f"edf={freedom:g} must be above zero.")
    scaled = tested.combined(np.eye(tested.size) / unit)
    error = np.nan_to_num(scaled.values)[:, None] * np.sqrt(1 / (2 * freedom))
    words = f"Differences over sigma = {unit:.4g}, which has {freedom:.4g} degrees of freedom."
    return scaled.with_further(error), words
