"""Saving a fit and reading it back: data used, specification and theta or draws; no pickle.

The file is a zip with ``fit.json`` (formula, arguments, method, theta, versions) and one ``.npy``
an array: the columns the model used, as given. Loading lays the formula over them again and
evaluates the kernel once at the stored theta; nothing is searched. The arrays are read with
``allow_pickle=False``, so a file from a stranger holds numbers and text only.
"""

import io
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from hierbayes.design.values import Factor, Logical
from hierbayes.errors import DataError, OptionError
from hierbayes.formula.expressions import names_in
from hierbayes.formula.parser import columns_in, parse_expression
from hierbayes.model.model import Model
from hierbayes.options import Method
from hierbayes.results.finding import Finding
from hierbayes.results.likelihood_fit import LikelihoodFit

if TYPE_CHECKING:
    from hierbayes.results.posterior_fit import PosteriorFit

FORMAT = 1
SPECIFICATION = "fit.json"
POSTERIOR = "posterior"  # the method of a saved posterior
LEVEL = 1  # of compression: random digits don't get smaller by trying harder
LARGE = 2**24  # bytes of an array, from where three percent saved are not worth the seconds
ARRAY_ARGUMENTS = ("weights", "offset", "known_sd")
# What a damaged or foreign archive makes the standard library raise.
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    OSError,
)
# What a specification that does not fit its arrays makes the rebuilding raise; all errors of
# hierbayes about data and formulas are ValueErrors.
DOES_NOT_FIT = (KeyError, ValueError, TypeError, IndexError, AttributeError)


def save(model: Model, fit: LikelihoodFit, path: Any) -> None:
    """Write a fit to ``path``; an existing file is replaced only when writing succeeded.

    Raises
    ------
    DataError
        If the file can't be written; nothing is left behind.
    """
    arrays: dict[str, Any] = {"response": fit.design.y, "theta": fit.representative}
    specification = stored_model(model, arrays) | {
        "method": fit.method,
        "converged": fit.converged,
        "is_singular": fit.is_singular,
        "findings": stored_findings(fit.findings),
    }
    write_file(path, specification, arrays)


def stored_model(model: Model, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return a model in terms of JSON; its columns go to ``arrays``."""
    from hierbayes.bayes.prior_records import prior_records

    columns = [_stored_column(model, name, arrays) for name in _used_columns(model)]
    arguments: dict[str, Any] = {
        "contrasts": model.arguments["contrasts"],
        "priors": prior_records(model.arguments["priors"]),
    }
    for name in ("family", "link"):
        if model.arguments.get(name) is not None:
            arguments[name] = model.arguments[name]
    for name in ARRAY_ARGUMENTS:
        given = model.arguments[name]
        if given is None or isinstance(given, str):
            arguments[name] = given
        else:
            arrays[f"argument_{name}"] = np.asarray(given, dtype=np.float64)
            arguments[name] = {"array": f"argument_{name}"}
    return {
        "format": FORMAT,
        "formula": model.formula.source,
        "data_name": model.data_name,
        "arguments": arguments,
        "columns": columns,
        "index": _stored_index(model.table.index, arrays),
    }


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


def write_file(path: Any, specification: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Write a specification and its arrays to ``path``, as a whole or not at all.

    Raises
    ------
    DataError
        If the file can't be written; nothing is left behind.
    """
    target = _path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        if target.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        try:
            _write(partial, specification, arrays)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"The fit can't be written to {str(target)!r}: {reason}.") from error


def _plain(value: Any) -> Any:
    """Turn a NumPy number or array into what JSON knows."""
    return value.tolist()


def _write(file: Path, specification: dict[str, Any], arrays: dict[str, Any]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        archive.writestr(
            SPECIFICATION, json.dumps(specification, ensure_ascii=False, default=_plain)
        )
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            how = zipfile.ZIP_STORED if array.nbytes > LARGE else zipfile.ZIP_DEFLATED
            archive.writestr(f"{name}.npy", buffer.getvalue(), compress_type=how)


def load(path: Any) -> "LikelihoodFit | PosteriorFit":
    """Read a fit written by ``fit.save(path)``.

    Raises
    ------
    DataError
        If the file is missing or isn't one of ours.

    Examples
    --------
    >>> import hierbayes as hb, tempfile, pathlib
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "dyestuff.fit"
    >>> fit.save(file)
    >>> bool(abs(hb.load(file).criterion - fit.criterion) < 1e-8)
    True
    """
    target = _path(path)
    if not target.exists():
        raise DataError(f"There is no file {str(target)!r}.")
    if target.is_dir():
        raise DataError(f"{str(target)!r} is a folder, not a fit saved by hierbayes.")
    try:
        specification, arrays = _read(target)
    except UNREADABLE as error:
        raise DataError(f"{str(target)!r} is not a fit saved by hierbayes, or damaged.") from error
    if specification["format"] != FORMAT:
        raise DataError(
            f"{str(target)!r} has format {specification['format']!r}; this version reads "
            f"format {FORMAT}. Update hierbayes, or save the fit again with this version."
        )
    try:
        return _rebuilt(specification, arrays)
    except DOES_NOT_FIT as error:
        raise DataError(
            f"{str(target)!r} is damaged: its specification and its arrays do not belong together."
        ) from error


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the specification and the arrays by name."""
    with zipfile.ZipFile(file) as archive:
        specification = json.loads(archive.read(SPECIFICATION))
        if not isinstance(specification, dict) or "format" not in specification:
            raise ValueError("no format")
        arrays = {
            name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
            if name.endswith(".npy")
        }
    return specification, arrays


def _rebuilt(
    specification: dict[str, Any], arrays: dict[str, Any]
) -> "LikelihoodFit | PosteriorFit":
    if specification["method"] == POSTERIOR:
        from hierbayes.model.saving_posterior import read_posterior

        return read_posterior(specification, arrays)
    if specification["method"] not in get_args(Method):
        raise ValueError("method unknown")
    model = read_model(specification, arrays)
    n_theta = model.kernel(specification["method"]).shape.n_theta
    if arrays["theta"].shape != (n_theta,) or not np.isfinite(arrays["theta"]).all():
        raise ValueError("theta does not fit the formula")
    return model.at_theta(
        specification["method"],
        arrays["theta"],
        response=arrays["response"],
        converged=specification["converged"],
        is_singular=specification["is_singular"],
        findings=read_findings(specification),
    )


def read_model(specification: dict[str, Any], arrays: dict[str, Any]) -> Model:
    """Return the model that ``stored_model`` wrote."""
    from hierbayes.bayes.prior_records import read_prior_records

    frame = pd.DataFrame(
        {column["name"]: _read_column(column, arrays) for column in specification["columns"]}
    )
    index = specification["index"]
    if index is not None:
        frame.index = pd.Index(arrays[index["array"]], name=index["name"])
    given = specification["arguments"]
    if set(given) - {"priors", "family", "link"} != {"contrasts", *ARRAY_ARGUMENTS}:
        raise ValueError("arguments unknown")
    arguments = {
        name: arrays[value["array"]] if name != "contrasts" and isinstance(value, dict) else value
        for name, value in given.items()
        if name != "priors"
    }
    arguments["priors"] = read_prior_records(given.get("priors"))
    return Model(specification["formula"], frame, data_name=specification["data_name"], **arguments)


def read_findings(specification: dict[str, Any]) -> tuple[Finding, ...]:
    """Return the findings that ``stored_findings`` wrote."""
    return tuple(_read_finding(finding) for finding in specification["findings"])


def _read_finding(stored: dict[str, Any]) -> Finding:
    numbers = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in stored["numbers"].items()
    }
    return Finding(stored["code"], stored["sentence"], stored["advice"], numbers)


def _path(path: Any) -> Path:
    if isinstance(path, str | os.PathLike):
        return Path(path)
    raise OptionError(f"path={path!r} must be text or a Path.")


def _used_columns(model: Model) -> list[str]:
    """Columns of formula and arguments, in the order of the data."""
    names = dict.fromkeys(columns_in(model.formula))
    for argument in ARRAY_ARGUMENTS:
        given = model.arguments[argument]
        if isinstance(given, str):
            known = given in model.table.names
            names.update(dict.fromkeys([given] if known else names_in(parse_expression(given))))
    place = {name: i for i, name in enumerate(model.table.names)}
    return sorted(names, key=place.__getitem__)


def _stored_column(model: Model, name: str, arrays: dict[str, Any]) -> dict[str, Any]:
    value = model.table.column(name)
    key = f"column_{len(arrays)}"
    if isinstance(value, Factor):
        arrays[key] = value.codes
        levels = [str(level) for level in value.levels]
        return {"name": name, "array": key, "levels": levels, "ordered": value.ordered}
    if isinstance(value, Logical):
        arrays[key] = value.values
        return {"name": name, "array": key, "logical": True}
    arrays[key] = np.asarray(value)
    return {"name": name, "array": key}


def _read_column(column: dict[str, Any], arrays: dict[str, Any]) -> Any:
    values = arrays[column["array"]]
    if "levels" in column:
        return pd.Categorical.from_codes(
            values, categories=column["levels"], ordered=column["ordered"]
        )
    if column.get("logical"):
        return pd.arrays.BooleanArray(values == 1, np.isnan(values))
    return values


def _stored_index(index: Any, arrays: dict[str, Any]) -> dict[str, Any] | None:
    """Row labels: a plain count is not stored; labels that are not numbers become text."""
    if isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1:
        return None
    values = index.to_numpy()
    arrays["row_labels"] = values if values.dtype.kind in "iufb" else values.astype(str)
    name = index.name if isinstance(index.name, str) else None
    return {"array": "row_labels", "name": name}
