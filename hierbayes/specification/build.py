"""Making a specification: what a user gives is read, checked and kept apart from later changes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.design.alignment import aligned
from hierbayes.design.build import build_design
from hierbayes.design.cell_design import design_of_cells
from hierbayes.design.design import Design
from hierbayes.design.level_covariance import LevelCovariance
from hierbayes.design.table import Table, read_table
from hierbayes.errors import DataError, OptionError
from hierbayes.families.family import Family
from hierbayes.families.named import family_named
from hierbayes.families.observations import check_supported, checked_observations
from hierbayes.families.parameter_formulas import parameter_formulas
from hierbayes.formula.parser import parse_formula
from hierbayes.formula.residual_term import ResidualTerm, parse_residual
from hierbayes.formula.terms import Formula
from hierbayes.formula.update import update_formula
from hierbayes.gaussian.patterned import check_patterned
from hierbayes.naming.variable_names import (
    behind,
    factor_variables,
    response_variable,
    term_dims,
)
from hierbayes.options import check_flag, shown
from hierbayes.relatedness.given import known_covariances
from hierbayes.specification.fitted_values import (
    FITTED,
    first_fitted_values,
    means_fitted,
    with_fitted_column,
)
from hierbayes.specification.magnitudes import check_magnitudes, check_residuals
from hierbayes.specification.specification import Arguments, Specification
from hierbayes.streams.source import Source
from hierbayes.streams.source_kinds import read_at_once, source_of
from hierbayes.streams.stream import Stream
from hierbayes.streams.table import StreamedTable

NO_ARGUMENTS = Arguments()


def specify(
    formula: str,
    data: Any,
    given: Arguments = NO_ARGUMENTS,
    *,
    data_name: str | None = None,
    stream: bool | None = None,
) -> Specification:
    """Return the specification of a model; the arguments are those of ``Model``.

    Raises
    ------
    FormulaError, DataError, OptionError, PriorError
        One sentence each: what was found, where, and what to do.
    """
    response_family = family_named(given.family, given.link)
    if given.known_sd is not None and given.weights is not None:
        raise OptionError(
            "known_sd and weights were both given; known residual sds already say how "
            "precise each row is, so give one of them."
        )
    if given.contrasts is not None and not isinstance(given.contrasts, Mapping):
        raise OptionError(
            f"contrasts={shown(given.contrasts)} must be a dict from a factor to its coding, for "
            'example {"recipe": "sum"}.'
        )
    if isinstance(data, str) and "~" in data and not isinstance(formula, str):
        raise OptionError(
            f"The formula comes first and the data second: give {data!r:.60} before the data."
        )
    if stream is not None:
        check_flag("stream", stream, "True (read in parts), False (all at once) or None (by size)")
    source = source_of(data, stream)
    if source is not None:
        options = data if isinstance(data, Stream) else None
        return _specify_stream(formula, source, given, data_name=data_name, options=options)
    table = read_table(_own(read_at_once(data)))
    formula_read = parse_formula(formula, table.names if "." in str(formula) else None)
    asked = given.formulas
    formulas = (
        {}
        if not asked
        else parameter_formulas(
            asked,
            response_family,
            formula_read,
            columns=table.names,
            has_known_sd=given.known_sd is not None,
        )
    )
    residual = _residual_term(given, response_family, formula_read)
    if not means_fitted(formulas, table, response_family):
        table = table.of_data() if table.made else table
    elif FITTED not in table.made:
        table = _with_first_fitted(formula_read, table, given)
    cov = known_covariances(given.cov, [bar.group for bar in formula_read.bars])
    if cov is not None and not response_family.is_linear:
        raise not_supported("cov-families", family=response_family.name)
    arguments = _owned(given, response_family, table, cov=cov, **asked)
    design = build_design(
        formula_read,
        table,
        weights=arguments.weights,
        offset=arguments.offset,
        contrasts=arguments.contrasts,
        known_sd=arguments.known_sd,
        allow_saturated=True,  # its posterior exists; the likelihood refuses it
        binary_response=response_family.reads_categories,
        ordered_response=response_family.is_ordinal,
        cov=cov,
        formulas=formulas,
        residual=residual,
    )
    if response_family.is_linear and design.y.ndim == 2:
        raise DataError(
            "cbind(...) as a response is for binomial models; a Gaussian model has one "
            "response column."
        )
    if not response_family.is_linear:
        check_supported(design, response_family)
        checked_observations(design, response_family)
        _check_parameter_names(design, response_family)
    if formulas:
        _check_formula_names(design)
    spec = Specification(
        data_name=_name_of(data) if data_name is None else data_name,
        table=table,
        formula=formula_read,
        arguments=arguments,
        family=response_family,
        design=design if table.counts is None else design_of_cells(design),
    )
    check_magnitudes(design, spec.weights if table.counts is None else design.weights)
    if given.priors is not None:
        _ = spec.priors  # an error belongs to the line that gave them
    return spec


def _with_first_fitted(formula: Formula, table: Table, given: Arguments) -> Table:
    """Return a table with fitted values to begin with."""
    asked = {name: getattr(given, name) for name in ("weights", "offset", "known_sd", "contrasts")}
    plain = build_design(formula, table, allow_saturated=True, **asked)
    return with_fitted_column(table, plain, first_fitted_values(plain))


def with_fitted_values(spec: Specification, fitted: FloatArray) -> Specification:
    """Return the specification with other fitted values (n,) in the formula of sigma."""
    table = with_fitted_column(spec.table, spec.design, fitted)
    other = specify(spec.formula.source, table, spec.arguments, data_name=spec.data_name)
    return other.with_response(spec.design.y) if spec.response_given else other


def _residual_term(given: Arguments, family: Family, formula: Formula) -> ResidualTerm | None:
    """Read ``residual=``, and refuse what it can't stand beside."""
    if given.residual is None:
        return None
    term = parse_residual(given.residual, formula)
    if not family.is_linear:
        raise not_supported("residual-of-family", family=family.name, link=family.link.name)
    if given.known_sd is not None:
        raise OptionError(
            f"known_sd and residual={term.call!r} were both given; known residual sds are of rows "
            "that are independent, so give one of them."
        )
    return term


def _specify_stream(
    formula: str,
    source: Source,
    given: Arguments,
    *,
    data_name: str | None,
    options: Stream | None = None,
) -> Specification:
    """Return the specification of a model of a stream; ``specify`` has checked the arguments."""
    family = family_named(given.family, given.link)
    if given.cov is not None:
        raise not_supported("stream-cov")
    for name in (*given.formulas, *(() if given.residual is None else ("residual",))):
        raise not_supported("stream-formulas", name=name)
    arguments = replace(given, priors=_own(given.priors))
    formula_read = parse_formula(formula, source.columns if "." in str(formula) else None)
    named = {name: getattr(arguments, name) for name in ("weights", "offset", "known_sd")}
    if not family.is_linear:
        from hierbayes.streams.cell_table import cell_table

        levels = None if options is None else options.levels
        cells = cell_table(formula_read, source, arguments=named, levels=levels)
        name = source.name if data_name is None else data_name
        return specify(str(formula_read.source), cells, given, data_name=name)
    from hierbayes.streams.specify import specify_stream  # compiled code

    found = specify_stream(
        formula_read,
        source,
        arguments=named,
        contrasts=arguments.contrasts,
        checkpoint=None if options is None else options.checkpoint,
        progress=None if options is None else options.progress,
        levels=None if options is None else options.levels,
    )
    check_magnitudes(found.design, None)
    kernel = found.kernel()
    check_residuals(found.design, kernel, None)
    spec = Specification(
        data_name=source.name if data_name is None else data_name,
        table=StreamedTable(source, found.question, found.learnt, found.passes),
        formula=formula_read,
        arguments=arguments,
        family=family,
        design=found.design,
        kernel_given=kernel,
    )
    if given.priors is not None:
        _ = spec.priors  # an error belongs to the line that gave them
    return spec


def _owned(given: Arguments, family: Family, table: Table, **read: Any) -> Arguments:
    """Return copies of what was given, arrays in the order of the table, beside what is read."""
    named = isinstance(given.family, Family) and given.family.link_name
    return Arguments(
        weights=aligned("weights", _own(given.weights), table.index),
        offset=aligned("offset", _own(given.offset), table.index),
        contrasts=None if given.contrasts is None else dict(given.contrasts),
        known_sd=aligned("known_sd", _own(given.known_sd), table.index),
        family=given.family,
        link=family.link.name if named else given.link,  # which files and code name
        priors=_own(given.priors),
        residual=given.residual,
        **read,
    )


def with_formula(spec: Specification, formula: str, **given: Any) -> Specification:
    """Return the specification of a changed formula on the same data; ``"."`` is what was there.

    Contrasts and priors of what was left out are left out; a response that was given stays.
    ``given`` are arguments in the place of those of the specification.
    """
    check_patterned(spec.design, "A changed formula")
    changed = update_formula(spec.formula, formula)
    is_streamed = isinstance(spec.table, StreamedTable) and spec.arguments.priors is None
    if is_streamed and not given:
        smaller = _of_the_same_sums(spec, changed)
        if smaller is not None:
            return smaller
    kept: dict[str, Any] = {
        "contrasts": _contrasts_left(spec, changed),
        "priors": None,
        "cov": _covariances_left(spec, changed),
    }
    arguments = replace(spec.arguments, **(kept | given))
    other = specify(changed, spec.table, arguments, data_name=spec.data_name)
    user = spec.arguments.priors
    if user is not None and "priors" not in given:
        from hierbayes.priors.user_priors import priors_left

        left = priors_left(user, spec.priors.all_parameters, other.priors.all_parameters)
        is_linear = other.family.is_linear and not other.design.formulas
        kernel = other.reml_kernel if is_linear else None  # made for its priors
        arguments = replace(other.arguments, priors=left)
        other = replace(other, arguments=arguments, kernel_given=kernel)
    if not (spec.response_given and other.formula.response == spec.formula.response):
        return other
    if not np.array_equal(other.design.rows.positions, spec.design.rows.positions):
        raise DataError(
            f"{other.formula_text} uses other rows than the fit, whose response was given "
            "to refit row by row. Update the fit first, then refit it."
        )
    return other.with_response(spec.design.y)


def _of_the_same_sums(spec: Specification, changed: str) -> Specification | None:
    """Return the specification of a changed formula of a stream, if its sums have all it needs.

    That is so where no row was left out for a column that the formula no longer has, and all its
    columns are combinations of those summed.
    """
    table = spec.table
    assert isinstance(table, StreamedTable)
    formula = parse_formula(changed, table.names if "." in changed else None)
    contrasts = _contrasts_left(spec, changed)
    from hierbayes.streams.specify import smaller_stream

    found = smaller_stream(
        table.question,
        table.learnt,
        spec.design,
        formula,
        contrasts=contrasts,
        passes=table.passes,
    )
    if found is None:
        return None
    return replace(
        spec,
        formula=formula,
        arguments=replace(spec.arguments, contrasts=contrasts),
        design=found.design,
        kernel_given=found.kernel(),
    )


def _contrasts_left(spec: Specification, changed: str) -> dict[str, str] | None:
    """Return the contrasts without those of factors that a changed formula left out."""
    given = spec.arguments.contrasts
    if given is None:
        return None
    terms = parse_formula(changed, spec.table.names).fixed.terms
    left = {label for term in terms for label in term.labels}
    before = {label for term in spec.formula.fixed.terms for label in term.labels}
    return {name: coding for name, coding in given.items() if name not in before - left}


def _covariances_left(spec: Specification, changed: str) -> dict[str, LevelCovariance] | None:
    """Return the known covariances of the grouping factors that a changed formula still has."""
    groups = {bar.group for bar in parse_formula(changed, spec.table.names).bars}
    left = {name: own for name, own in (spec.arguments.cov or {}).items() if name in groups}
    return left or None


def _check_formula_names(design: Design) -> None:
    """Refuse names of the data that draws would have for what belongs to a formula, too."""
    own = _names_in_draws(design) | {response_variable(design.formula.response_label, {}): ""}
    for parameter in design.formulas:
        for name in _names_in_draws(design.of(parameter)):
            if (taken := behind(parameter) + name) in own:
                raise OptionError(
                    f"Draws call what belongs to the formula of {parameter} {taken!r}, and so is a "
                    "variable of the data, or what belongs to it; rename that."
                )


def _names_in_draws(design: Design) -> dict[str, str]:
    """Names of variables and dimensions of a linear predictor."""
    names = factor_variables([factor.name for factor in design.factors]).values()
    kinds = [f"{kind}_{name}" for name in names for kind in ("b", "sd", "corr", "level", "z")]
    dims = [dim for name in names for dim in (name, *term_dims(name))]
    return dict.fromkeys(["beta", "eta", "coef", "X", "offset", *kinds, *dims], "")


def _check_parameter_names(design: Design, family: Family) -> None:
    """Refuse a parameter of the user's family that is called like a variable of the data."""
    factors = factor_variables([factor.name for factor in design.factors])
    response = design.formula.response_label
    taken = {variable: name for name, variable in factors.items()}
    taken |= {response_variable(response, factors): response}
    for parameter in family.further_parameters:
        if parameter.name in taken:
            raise OptionError(
                f"family {family.name!r} has a parameter {parameter.name!r}, and the data a "
                f"variable {taken[parameter.name]!r}, which draws would call the same; rename one."
            )


def _own(given: Any) -> Any:
    """Return data or an argument so that later changes by its owner do not reach the model.

    A shallow copy is enough for pandas, which copies when written to.
    """
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, pd.DataFrame | pd.Series):
        own = given.copy(deep=False)
        own.attrs = {}  # pandas copies them with each column that is read
        return own
    if isinstance(given, np.ndarray):
        return given.copy()
    if isinstance(given, list):
        return list(given)
    if isinstance(given, Mapping):
        return {name: _own(values) for name, values in given.items()}
    return given


def _name_of(data: Any) -> str:
    """How printed results call the data: a file's name, or what ``attrs["name"]`` says."""
    if isinstance(data, pd.DataFrame):
        name = data.attrs.get("name", "")
        return name if isinstance(name, str) else ""
    return Path(data).name.split(".")[0] if isinstance(data, str | Path) else ""
