"""A specification in a file: formula, arguments, and the columns it uses, as given.

Reading lays the formula over the columns again. What a file says is checked where the model can
tell: shapes by formula and levels, a response by its columns.
"""

from typing import Any

import numpy as np
import pandas as pd

from hierbayes.design.level_covariance import LevelCovariance
from hierbayes.design.table import PandasTable
from hierbayes.design.values import Factor, Logical
from hierbayes.errors import DataError
from hierbayes.families.parameter_formulas import PARAMETERS
from hierbayes.families.psychometric import (
    Curve,
    curve_record,
    psychometric_family,
    read_curve,
)
from hierbayes.files import Draft, checked_path, shown
from hierbayes.gaussian.patterned import check_patterned
from hierbayes.relatedness.given import level_covariance
from hierbayes.results.finding import Finding
from hierbayes.saving.archive import Archive, Damaged, write_archive
from hierbayes.saving.stored_index import read_index, stored_index
from hierbayes.saving.stored_stream import read_stream, stored_stream
from hierbayes.specification.build import specify
from hierbayes.specification.fitted_values import FITTED
from hierbayes.specification.specification import Arguments, Specification
from hierbayes.specification.used_data import ARRAY_ARGUMENTS, used_columns
from hierbayes.streams.cell_table import CellTable
from hierbayes.streams.table import StreamedTable

FORMAT = 1
NUMBERS = "iuf"  # kinds of type
# Of the response, relative to its largest value: another processor's log(y) differs by 1e-16.
RESPONSE_MARGIN = 1e-12


def stored_specification(spec: Specification, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return a specification in terms of JSON; its columns go to ``arrays``."""
    from hierbayes.priors.prior_records import prior_records

    check_patterned(spec.design, "Saving")
    streamed = isinstance(spec.table, StreamedTable)
    columns = []
    if not streamed:
        names = [name for name in used_columns(spec) if name not in spec.table.made]
        columns = [_stored_column(spec, name, arrays) for name in names]
    if spec.has_fitted_sds:
        arrays[FITTED] = spec.table.column(FITTED)
    arguments: dict[str, Any] = {
        "contrasts": spec.arguments.contrasts,
        "priors": prior_records(spec.arguments.priors),
    }
    given = spec.arguments.options()
    arguments |= {name: str(given[name]) for name in ("family", "link") if given[name] is not None}
    arguments |= spec.arguments.formulas
    if spec.arguments.residual is not None:
        arguments["residual"] = spec.arguments.residual
    if spec.family.curve is not None:
        arguments["curve"] = curve_record(spec.family.curve)
    for name in ARRAY_ARGUMENTS:
        value = given[name]
        if value is None or isinstance(value, str):
            arguments[name] = value
        else:
            arrays[f"argument_{name}"] = np.asarray(value, dtype=np.float64)
            arguments[name] = {"array": f"argument_{name}"}
    if spec.arguments.cov is not None:
        arguments["cov"] = [
            _stored_covariance(name, own, place, arrays)
            for place, (name, own) in enumerate(spec.arguments.cov.items())
        ]
    stored: dict[str, Any] = {}
    if streamed:
        stored["stream"] = stored_stream(spec, arrays)
    if spec.table.counts is not None:  # cells
        arrays["cell_counts"] = spec.table.counts
    plain = not streamed and spec.table.counts is None
    return stored | {
        "format": FORMAT,
        "formula": spec.formula.source,
        "data_name": spec.data_name,
        "arguments": arguments,
        "columns": columns,
        "response_given": spec.response_given,
        "index": stored_index(spec.table.index, arrays) if plain else None,
    }


def _stored_covariance(
    name: str, own: LevelCovariance, place: int, arrays: dict[str, Any]
) -> dict[str, Any]:
    """Return a known covariance in terms of JSON: a lower triangle, and labels."""
    arrays[f"cov_{place}"] = own.matrix[np.tril_indices(own.labels.size)]
    return {"factor": name, "labels": own.labels.tolist(), "array": f"cov_{place}"}


def _read_covariance(archive: Archive, stored: Any) -> tuple[str, LevelCovariance]:
    """Return the known covariance that ``_stored_covariance`` wrote, checked as one given."""
    labels = [checked(label, str) for label in checked(stored["labels"], list)]
    at = np.tril_indices(len(labels))
    matrix = np.zeros((len(labels), len(labels)))
    matrix[at] = archive.array(checked(stored["array"], str), kinds="f", shape=at[0].shape)
    matrix.T[at] = matrix[at]
    name = checked(stored["factor"], str)
    try:
        return name, level_covariance((matrix, labels), name)
    except DataError as error:
        raise Damaged(f"its known covariance can't be one: {error}") from error


def stored_findings(findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    """Return findings in terms of JSON."""
    return [
        {
            "code": f.code,
            "sentence": f.sentence,
            "advice": f.advice,
            "numbers": dict(f.numbers),
        }
        for f in findings
    ]


def stored_response(spec: Specification) -> dict[str, Any]:
    """Return the response by the name it has in a file, of cells theirs; nothing of a stream."""
    if isinstance(spec.table, StreamedTable):
        return {}
    return {"response": spec.design.summands.y}


def write_file(path: Any, specification: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Write a specification and its arrays to ``path``, as a whole or not at all.

    Raises
    ------
    DataError
        If the file can't be written; nothing is left behind.
    """
    target = checked_path(path)
    try:
        with Draft(target) as draft:
            write_archive(draft.stream, specification, arrays)
            draft.sync()
            draft.commit()
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"The fit can't be written to {shown(target)}: {reason}.") from error


def checked(value: Any, kind: type) -> Any:
    """Return a value of a specification that is of the type it should have."""
    if type(value) is not kind:
        raise Damaged(f"its specification holds {value!r:.40} where it can't be")
    return value


def read_response(archive: Archive, spec: Specification) -> Any:
    """Return the stored response, one row for each that the model uses; None of a stream."""
    if isinstance(spec.table, StreamedTable):
        return None
    y = spec.design.summands.y
    response = archive.array("response", kinds="f", shape=y.shape)
    if not np.isfinite(response).all():
        raise Damaged("its response is not finite")
    # Absent in files of hierbayes 0.1.0, where any response may have been given to refit.
    if not checked(archive.specification.get("response_given", True), bool) and not np.allclose(
        response, y, rtol=0, atol=RESPONSE_MARGIN * np.abs(y).max()
    ):
        raise Damaged("its response is not the one of its columns")
    return response


def read_specification(archive: Archive) -> Specification:
    """Return the specification that ``stored_specification`` wrote."""
    from hierbayes.priors.prior_records import read_prior_records

    specification = archive.specification
    stored = checked(specification["columns"], list)
    is_stream = "stream" in specification
    names = [checked(column["name"], str) for column in stored]
    if len(set(names)) != len(names):
        raise Damaged("two of its columns have one name")
    n_rows = 0 if is_stream else archive.header(stored[0]["array"]).shape[0]
    columns = [_read_column(archive, column, n_rows) for column in stored]
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)))
    if specification["index"] is not None:
        frame.index = read_index(
            specification["index"], lambda name, kinds: archive.array(name, kinds=kinds)
        )
    table = PandasTable(frame)
    if archive.has("cell_counts"):
        counts = archive.array("cell_counts", kinds="i", shape=(n_rows,))
        if not (counts > 0).all():
            raise Damaged("its counts of rows are none")
        table = CellTable(frame, counts)
    for column in stored:
        if "caution" in column:
            table.caution(column["name"], checked(column["caution"], str))
        if "ranked" in column:
            table.rank(column["name"])
    if archive.has(FITTED):
        fitted = archive.array(FITTED, kinds="f", shape=(n_rows,))
        if not np.isfinite(fitted).all():
            raise Damaged("its fitted values are not finite")
        table = table.with_made(FITTED, fitted)
    given = specification["arguments"]
    optional = {"priors", "family", "link", "curve", "cov", "residual", *PARAMETERS}
    if set(given) - optional != {"contrasts", *ARRAY_ARGUMENTS}:
        raise Damaged("its arguments are unknown")
    arguments = {
        name: _read_argument(archive, value, n_rows) if name in ARRAY_ARGUMENTS else value
        for name, value in given.items()
        if name not in ("priors", "curve", "cov")
    }
    if "cov" in given:
        stored_covariances = checked(given["cov"], list)
        arguments["cov"] = dict(_read_covariance(archive, own) for own in stored_covariances)
    if "curve" in given:
        link = checked(arguments.pop("link"), str)
        arguments["family"] = psychometric_family(_read_curve(given["curve"]), link)
    for name in set(PARAMETERS) & set(given):
        checked(given[name], str)
    arguments["priors"] = read_prior_records(given.get("priors"))
    if is_stream:
        text, name = (checked(specification[key], str) for key in ("formula", "data_name"))
        return read_stream(archive, text, Arguments(**arguments), data_name=name)
    return specify(
        checked(specification["formula"], str),
        table,
        Arguments(**arguments),
        data_name=checked(specification["data_name"], str),
    )


def _read_curve(stored: Any) -> Curve:
    try:
        return read_curve(stored)
    except ValueError as error:
        raise Damaged("its psychometric function has rates that can't be") from error


def _read_argument(archive: Archive, stored: Any, n_rows: int) -> Any:
    if not isinstance(stored, dict):
        return stored
    shape = archive.header(stored["array"]).shape  # a single number stands for all rows
    return archive.array(stored["array"], kinds="f", shape=(n_rows,) if shape else ())


def read_findings(stored: Any) -> tuple[Finding, ...]:
    """Return the findings that ``stored_findings`` wrote."""
    return tuple(_read_finding(finding) for finding in checked(stored, list))


def _read_finding(stored: dict[str, Any]) -> Finding:
    numbers = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in stored["numbers"].items()
    }
    code, sentence, advice = (checked(stored[n], str) for n in ("code", "sentence", "advice"))
    return Finding(code, sentence, advice, numbers)


def _stored_column(spec: Specification, name: str, arrays: dict[str, Any]) -> dict[str, Any]:
    value = spec.table.column(name)
    key = f"column_{len(arrays)}"
    if isinstance(value, Factor):
        arrays[key] = value.codes
        levels = [str(level) for level in value.levels]
        stored = {"name": name, "array": key, "levels": levels, "ordered": value.ordered}
        ranked = {"ranked": True} if value.ranked else {}
        return stored | ranked | ({"caution": value.caution} if value.caution else {})
    if isinstance(value, Logical):
        arrays[key] = value.values
        return {"name": name, "array": key, "logical": True}
    arrays[key] = np.asarray(value)
    return {"name": name, "array": key}


def _read_column(archive: Archive, stored: dict[str, Any], n_rows: int) -> Any:
    name = stored["array"]
    if "levels" in stored:
        return pd.Categorical.from_codes(
            archive.array(name, kinds="i", shape=(n_rows,)),
            categories=pd.Index([checked(level, str) for level in stored["levels"]], dtype=object),
            ordered=checked(stored["ordered"], bool),
        )
    if not stored.get("logical"):
        return archive.array(name, kinds=NUMBERS, shape=(n_rows,))
    values = archive.array(name, kinds="f", shape=(n_rows,))
    missing = np.isnan(values)
    if not ((values == 0) | (values == 1) | missing).all():
        raise Damaged(f"the logical column {stored['name']} holds other numbers than 0 and 1")
    return pd.arrays.BooleanArray(values == 1, missing)
