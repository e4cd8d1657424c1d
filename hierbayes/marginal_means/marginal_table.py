"""What tables of marginal means and slopes share: reading the call, and laying the table out."""

from dataclasses import replace
from typing import Any

from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.intervals.satterthwaite import held_notes
from hierbayes.marginal_means.averaging import OVERALL, Averaging
from hierbayes.marginal_means.contrasts_of import contrasts_of
from hierbayes.marginal_means.emmeans_contrasts import Asked
from hierbayes.marginal_means.emmeans_estimates import mean_words
from hierbayes.marginal_means.emmeans_notes import grid_notes
from hierbayes.marginal_means.nesting import nesting
from hierbayes.marginal_means.quantity_tests import columns
from hierbayes.marginal_means.questions import tests_table
from hierbayes.marginal_means.spellings import read_specs
from hierbayes.options import Adjust, Ddf, IntervalKind, PredictionType, check_option
from hierbayes.prediction.predict import check_type
from hierbayes.prediction.reference_grid import no_predictor, reference_grid
from hierbayes.results.emmeans_table import CONTRAST_COLUMNS, MEAN_COLUMNS, EmmeansTable
from hierbayes.results.fit import Fit
from hierbayes.results.fit_tables import own_ddf
from hierbayes.results.marginal_quantities import FitQuantities, Marginals, Question
from hierbayes.results.tidy import check_level


@record
class Prepared:
    """What a call asks for.

    Attributes
    ----------
    averaging : the means wanted
    specs, by : columns of their labels; ``specs`` is ``("1",)`` of a mean over everything
    contrasts : as given, or as a formula has them
    """

    averaging: Averaging
    specs: tuple[str, ...]
    by: tuple[str, ...]
    contrasts: Any


def checked_ddf(
    fit: Fit, called: str, ddf: Ddf | None, *, level: Any, type: Any, interval: Any
) -> Ddf:
    """Check what all calls share, and return the degrees of freedom: the fit's own unless given.

    Raises
    ------
    OptionError
    """
    if not isinstance(fit, Fit):
        found = fit.__class__.__name__
        raise OptionError(f"{called} is about a fit or a posterior; it got {found}.")
    ddf = own_ddf(fit) if ddf is None else ddf
    check_option("ddf", ddf, Ddf)
    check_option("type", type, PredictionType)
    check_type(type, fit.response_family)
    if type == "count":
        raise OptionError(
            "type='count': a marginal mean has no number of trials. type='response' is the share "
            "of successes."
        )
    check_option("interval", interval, IntervalKind)
    check_level(level)
    return ddf


def prepared(
    fit: Fit,
    specs: Any,
    by: Any,
    contrasts: Any,
    *,
    at: Any,
    weights: Any,
    cov_reduce: Any,
    effects: bool = False,
) -> Prepared:
    """Read what a call asks for, and make the reference grid.

    Raises
    ------
    OptionError
        If a name is no predictor, or stands in both ``specs`` and ``by``.
    """
    grid = reference_grid(fit, at, effects=effects, reduce=cov_reduce)
    read = read_specs(specs, by, contrasts, grid.names())
    asked, groups = read.specs, read.by
    both = [name for name in asked if name in groups]
    if both:
        raise OptionError(f"{both[0]!r} stands in specs and in by; leave it out of one.")
    for argument, names in (("specs", asked), ("by", groups)):
        for name in names:
            if name not in grid.names():
                raise OptionError(f"{argument}: {no_predictor(fit, name, grid.names())}")
    nested = nesting(fit, grid)
    asked, groups = nested.with_nests(asked, groups), nested.with_nests(groups, asked)
    return Prepared(
        averaging=Averaging.of(fit, grid, nested, specs=asked, by=groups, weights=weights),
        specs=asked or (OVERALL,),
        by=groups,
        contrasts=contrasts if read.contrasts is None else read.contrasts,
    )


def marginal_table(
    fit: Fit,
    made: Prepared,
    marginals: Marginals,
    question: Question,
    *,
    contrasts: Asked,
    adjust: Adjust | None,
    of_all_groups: bool = False,
    title: str = "Estimated marginal means",
    first_notes: tuple[str, ...] = (),
) -> EmmeansTable:
    """Lay out means or slopes, and the contrasts that are asked for with them."""
    found = columns(marginals, question)
    averaging = made.averaging
    tested = marginals.tested
    notes = averaging.nested.words() + grid_notes(
        fit,
        averaging.grid,
        averaging.wanted,
        nested=averaging.nested,
        estimable=tested.known,
        of_all_groups=of_all_groups,
        weighing=averaging.words,
    )
    if isinstance(tested, FitQuantities):
        notes += held_notes(tested.fit, tested.ddf)
    frame = marginals.labels.assign(**{name: found[name] for name in MEAN_COLUMNS})
    table = EmmeansTable(
        means=frame,
        contrasts=None,
        notes=first_notes + notes,
        mean_words=mean_words(marginals, question),
        contrast_words="",
        level=question.level,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
        marginals=marginals,
        title=title,
    )
    if contrasts.contrasts is None:
        return table
    own = contrasts_of(marginals, contrasts, by=marginals.by, interaction=None)
    tests = tests_table(
        table, own, replace(question, adjust=adjust), title="Contrasts", kept=CONTRAST_COLUMNS
    )
    return replace(table, contrasts=tests.table, contrast_words=tests.words)
