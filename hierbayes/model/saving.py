"""Saving a fit and reading it back: data used, specification and theta or draws; no pickle.

The file (``archive.py``) holds formula, arguments, method, theta and versions, and the columns the
model used, as given. Loading lays the formula over them again and evaluates the kernel once at the
stored theta; nothing is searched. What a file says is checked where the model can tell: shapes by
formula and levels, theta and columns by the criterion, draws by the range of what they are draws
of. Files of hierbayes 0.1.0 carry neither digests nor the criterion, and a finding says so.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from hierbayes.calls import checked_call
from hierbayes.design.table import PandasTable
from hierbayes.design.values import Factor, Logical
from hierbayes.errors import DataError, HierBayesWarning
from hierbayes.families.named import family_named, is_known_family
from hierbayes.files import Draft, checked_path, readable_file, shown
from hierbayes.formula.expressions import names_in
from hierbayes.formula.parser import columns_in, parse_expression
from hierbayes.gaussian.structures import check_unstructured
from hierbayes.model.model import PACKAGE, Model
from hierbayes.options import Method
from hierbayes.results.finding import Finding
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.saving.archive import Archive, Damaged, write_archive
from hierbayes.saving.stored_index import read_index, stored_index

if TYPE_CHECKING:
    from hierbayes.results.posterior_fit import PosteriorFit

FORMAT = 1
POSTERIOR = "posterior"  # the method of a saved posterior
ARRAY_ARGUMENTS = ("weights", "offset", "known_sd")
NUMBERS = "iuf"  # kinds of type
# Of the criterion, relative to itself or the number of rows, whichever is larger: another processor
# or version adds in another order, which moves it by 1e-12 and in the worst designs by 1e-9; a
# theta off by a thousandth of a standard error by more than this.
CRITERION_MARGIN = 1e-7
# Of the response, relative to its largest value: another processor's log(y) differs by 1e-16.
RESPONSE_MARGIN = 1e-12
NO_DIGESTS = Finding(
    "no_digests",
    "This fit was saved by hierbayes 0.1.0, whose files carry no digests: whether the file was "
    "changed since can't be told.",
    "Save it again to have them from now on.",
)


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
        "criterion": fit.criterion,
        "findings": stored_findings(fit.findings),
    }
    write_file(path, specification, arrays)


def stored_model(model: Model, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return a model in terms of JSON; its columns go to ``arrays``."""
    from hierbayes.priors.prior_records import prior_records

    check_unstructured(model.design, "Saving")
    columns = [_stored_column(model, name, arrays) for name in _used_columns(model)]
    arguments: dict[str, Any] = {
        "contrasts": model.arguments["contrasts"],
        "priors": prior_records(model.arguments["priors"]),
    }
    for name in ("family", "link"):
        if model.arguments.get(name) is not None:
            arguments[name] = str(model.arguments[name])
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
        "response_given": model.response_given,
        "index": stored_index(model.table.index, arrays),
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
    target = checked_path(path)
    try:
        with Draft(target) as draft:
            write_archive(draft.stream, specification, arrays)
            draft.sync()
            draft.commit()
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"The fit can't be written to {shown(target)}: {reason}.") from error


@checked_call("hb.load")
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
    file = readable_file(path, "a fit saved by hierbayes")
    with _opened(file) as archive:
        _check_family(archive, file)
        try:
            return _rebuilt(archive)
        except Damaged as error:
            message = f"{shown(file)} is damaged: {error}"
            raise DataError(f"{message}{_or_another_family(archive)}.") from error
        except MemoryError as error:
            raise DataError(f"{shown(file)} needs more memory than there is.") from error
        # A forged specification reaches all code that builds a model: this can be any error.
        except Exception as error:
            raise DataError(
                f"{shown(file)} is damaged: its specification and its arrays do not belong "
                "together."
            ) from error


def _check_family(archive: Archive, file: Path) -> None:
    """Refuse a posterior of a family of somebody's own that has not been registered here."""
    arguments = archive.specification.get("arguments")
    name = arguments.get("family", "gaussian") if isinstance(arguments, dict) else ""
    if isinstance(name, str) and name.isidentifier() and not is_known_family(name):
        raise DataError(
            f"{shown(file)} is of family {name!r:.60}, which is not registered; call "
            "hb.register_family with the family it was made with, then load it again."
        )


def _or_another_family(archive: Archive) -> str:
    """Say that a family of the user's own may have changed since, if there is one."""
    name = archive.specification["arguments"].get("family")
    is_own = isinstance(name, str) and is_known_family(name) and not family_named(name).is_builtin
    return f"; or the family registered as {name!r} is another than then" if is_own else ""


def _opened(file: Path) -> Archive:
    """Open a saved fit of our format."""
    try:
        archive = Archive(file)
    except Damaged as error:
        raise DataError(
            f"{shown(file)} is not a fit saved by hierbayes, or damaged: {error}."
        ) from error
    except OSError as error:
        if error.strerror:
            raise DataError(f"{shown(file)} can't be read: {error.strerror}.") from error
        raise DataError(f"{shown(file)} is not a fit saved by hierbayes, or damaged.") from error
    except Exception as error:  # what zip, deflate and JSON raise on bytes that are none
        raise DataError(f"{shown(file)} is not a fit saved by hierbayes, or damaged.") from error
    if archive.specification["format"] != FORMAT:
        found = archive.specification["format"]
        archive.close()
        raise DataError(
            f"{shown(file)} has format {found!r:.20}; this version reads format {FORMAT}. Update "
            "hierbayes, or save the fit again with this version."
        )
    return archive


def _rebuilt(archive: Archive) -> "LikelihoodFit | PosteriorFit":
    specification = archive.specification
    findings = read_findings(specification["findings"])
    if not archive.has_digests:
        findings += (NO_DIGESTS,)
    fit: LikelihoodFit | PosteriorFit
    if specification["method"] == POSTERIOR:
        from hierbayes.model.saving_posterior import read_posterior

        fit = read_posterior(archive, findings)
    else:
        fit = _read_likelihood_fit(archive, findings)
    archive.check_all_read()
    if not archive.has_digests:
        warnings.warn(str(NO_DIGESTS), HierBayesWarning, skip_file_prefixes=(PACKAGE,))
    return fit


def _read_likelihood_fit(archive: Archive, findings: tuple[Finding, ...]) -> LikelihoodFit:
    specification = archive.specification
    method = checked(specification["method"], str)
    if method not in get_args(Method):
        raise Damaged("it names an unknown method")
    model = read_model(archive)
    theta = archive.array("theta", kinds="f", shape=(model.kernel(method).shape.n_theta,))
    if not np.isfinite(theta).all():
        raise Damaged("theta is not finite")
    fit = model.at_theta(
        method,
        theta,
        response=read_response(archive, model),
        converged=checked(specification["converged"], bool),
        is_singular=checked(specification["is_singular"], bool),
        findings=findings,
    )
    _check_criterion(fit, specification)
    return fit


def _check_criterion(fit: LikelihoodFit, specification: dict[str, Any]) -> None:
    """Refuse theta, response or columns that another criterion belongs to."""
    if not (np.isfinite(fit.criterion) and fit.sigma > 0 and np.isfinite(fit.beta).all()):
        raise Damaged("no fit has its theta")
    if "criterion" not in specification:  # written by hierbayes 0.1.0
        return
    stored = checked(specification["criterion"], float)
    bound = CRITERION_MARGIN * max(abs(fit.criterion), fit.nobs)
    if not abs(stored - fit.criterion) <= bound:
        raise Damaged(
            f"the criterion of its theta and data is {fit.criterion:.10g}, not {stored:.10g} as "
            "when it was saved"
        )


def checked(value: Any, kind: type) -> Any:
    """Return a value of a specification that is of the type it should have."""
    if type(value) is not kind:
        raise Damaged(f"its specification holds {value!r:.40} where it can't be")
    return value


def read_response(archive: Archive, model: Model) -> Any:
    """Return the stored response, one row for each that the model uses."""
    response = archive.array("response", kinds="f", shape=model.design.y.shape)
    if not np.isfinite(response).all():
        raise Damaged("its response is not finite")
    y = model.design.y
    # Absent in files of hierbayes 0.1.0, where any response may have been given to refit.
    if not checked(archive.specification.get("response_given", True), bool) and not np.allclose(
        response, y, rtol=0, atol=RESPONSE_MARGIN * np.abs(y).max()
    ):
        raise Damaged("its response is not the one of its columns")
    return response


def read_model(archive: Archive) -> Model:
    """Return the model that ``stored_model`` wrote."""
    from hierbayes.priors.prior_records import read_prior_records

    specification = archive.specification
    stored = checked(specification["columns"], list)
    names = [checked(column["name"], str) for column in stored]
    if len(set(names)) != len(names):
        raise Damaged("two of its columns have one name")
    n_rows = archive.header(stored[0]["array"]).shape[0]
    columns = [_read_column(archive, column, n_rows) for column in stored]
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)))
    if specification["index"] is not None:
        frame.index = read_index(
            specification["index"], lambda name, kinds: archive.array(name, kinds=kinds)
        )
    table = PandasTable(frame)
    for column in stored:
        if "caution" in column:
            table.caution(column["name"], checked(column["caution"], str))
    given = specification["arguments"]
    if set(given) - {"priors", "family", "link"} != {"contrasts", *ARRAY_ARGUMENTS}:
        raise Damaged("its arguments are unknown")
    arguments = {
        name: _read_argument(archive, value, n_rows) if name in ARRAY_ARGUMENTS else value
        for name, value in given.items()
        if name != "priors"
    }
    arguments["priors"] = read_prior_records(given.get("priors"))
    return Model(
        checked(specification["formula"], str),
        table,
        data_name=checked(specification["data_name"], str),
        **arguments,
    )


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


def _used_columns(model: Model) -> list[str]:
    """Columns of formula and arguments, in the order of the data."""
    names = dict.fromkeys(columns_in(model.formula))
    for argument in ARRAY_ARGUMENTS:
        given = model.arguments[argument]
        if isinstance(given, str):
            known = given in model.table.names
            names.update(dict.fromkeys([given] if known else names_in(parse_expression(given))))
    place = {name: i for i, name in enumerate(model.table.names)}
    # Of two-level names the first level alone names a column too, though it isn't in the list.
    return sorted(names, key=lambda name: place.get(name, len(place)))


def _stored_column(model: Model, name: str, arrays: dict[str, Any]) -> dict[str, Any]:
    value = model.table.column(name)
    key = f"column_{len(arrays)}"
    if isinstance(value, Factor):
        arrays[key] = value.codes
        levels = [str(level) for level in value.levels]
        stored = {"name": name, "array": key, "levels": levels, "ordered": value.ordered}
        return stored | ({"caution": value.caution} if value.caution else {})
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
