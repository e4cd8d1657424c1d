"""The archive of an analysis: what a reader needs to make its numbers again, in one zip.

It holds a script, the data the script reads (or their digest alone), the numbers it must find, the
draws, the report and the versions of all packages. The script is made of public names only.
"""

import io
import platform
import re
import zipfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.calls import checked_call
from hierbayes.capabilities import not_supported
from hierbayes.design.values import Factor, Logical
from hierbayes.errors import OptionError
from hierbayes.families.parameter_formulas import check_no_formulas
from hierbayes.files import checked_path, shown
from hierbayes.formula.expressions import names_in
from hierbayes.gaussian.pattern.related import check_unrelated
from hierbayes.options import Guideline, check_flag
from hierbayes.render.output_files import write_files
from hierbayes.reports.code_lines import fit_code, literal
from hierbayes.reports.reanalysis import reanalysis_code
from hierbayes.results.fit import Fit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.printing import Reportable, report_document
from hierbayes.results.reanalysis import Reanalysis
from hierbayes.specification.specification import Specification
from hierbayes.specification.specified import Specified
from hierbayes.specification.used_data import (
    ARRAY_ARGUMENTS,
    GIVEN,
    used_columns,
    used_text,
)
from hierbayes.specification.used_data import data_digest as digest_of

WHEN = (1980, 1, 1, 0, 0, 0)  # of every member: the same analysis is the same archive
SAME = 1e-8  # of a number, relative to the largest of its column: rounding in another order
BEGIN = '''\
"""Make the numbers of this archive again and compare them: python script.py{given}"""

import sys
from pathlib import Path

import pandas as pd

import hierbayes as hb

HERE = Path(__file__).parent
'''
END = """\
path = HERE / "numbers.csv"
again.to_csv(HERE / "numbers_again.csv", index=False)
stored = pd.read_csv(path)
again = pd.read_csv(HERE / "numbers_again.csv")
columns = list(stored.select_dtypes("number"))
size = stored[columns].abs().max()
off = ((again[columns] - stored[columns]).abs() / size.where(size > 0, 1)).max().max()
missing = not again[columns].isna().equals(stored[columns].isna())
if missing or off > {same}:
    sys.exit(
        f"Other numbers: they differ by up to {{off:.2g}} of the largest of their column. "
        "Are Python and the packages those of environment.txt?"
    )
print(f"The same numbers: {{stored[columns].notna().sum().sum()}} within {{off:.2g}}.")
"""
README = """\
{title}

script.py        makes the analysis again and compares its numbers: python script.py{given}
{data}
numbers.csv      the numbers it must find; numbers_again.csv is what it found
{draws}report.html      the report
environment.txt  Python and every package, to install: pip install -r environment.txt
"""


@checked_call("hb.archive")
def archive(
    result: Reportable,
    path: Any,
    *,
    guideline: Guideline | None = None,
    statements: Mapping[str, str] | None = None,
    rope: Mapping[str, tuple[float, float]] | None = None,
    include_data: bool = True,
) -> Path:
    """Write an analysis as a zip that makes its numbers again.

    Within are ``script.py``, which reads the data, fits or samples, and compares what it finds with
    ``numbers.csv``; ``data.csv``, the columns the model uses; ``draws.npz``, the draws of a
    posterior with the names of their parameters; ``report.html``; ``environment.txt``.

    Parameters
    ----------
    result : fit, posterior or reanalysis
    path : a file ending in ``.zip``
    guideline, statements, rope : of the report, as of ``result.report``
    include_data : bool
        False where the data can't be given away: the archive then has their SHA-256 only, no random
        effects of single levels, and the script takes the data as its argument and checks them.
        The report still names what it shows, levels of grouping factors for example.

    Returns
    -------
    pathlib.Path
        Of the archive.

    Raises
    ------
    OptionError
        If the path ends otherwise or can't be written, or no seed makes the draws again.
    NotSupportedError
        If no script can make the result again: its response was replaced, or its family is the
        user's own.

    Examples
    --------
    >>> import tempfile, pathlib, zipfile, hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "dyestuff.zip"
    >>> path = hb.archive(model.sample(random_seed=1), path, guideline="BARG")
    >>> sorted(zipfile.ZipFile(path).namelist())[:3]
    ['README.txt', 'data.csv', 'draws.npz']
    """
    check_flag("include_data", include_data, "True (data within) or False (their digest only)")
    target = checked_path(path)
    if target.suffix.lower() != ".zip":
        raise OptionError(f"An archive is a file that ends in .zip; {shown(target)} does not.")
    fits = _fits(result)
    spec = next(iter(fits.values())).spec
    _check_repeatable(result, spec)
    document = report_document(result, guideline=guideline, statements=statements, rope=rope)
    given = "" if include_data else " DATA.csv"
    draws = _draws(fits, with_levels=include_data)
    members = {
        "script.py": _script(result, spec, include_data=include_data).encode(),
        "numbers.csv": _numbers(result).to_csv(index=False, lineterminator="\n").encode(),
        "report.html": document.html().encode(),
        "environment.txt": _environment().encode(),
        **({"draws.npz": draws} if draws else {}),
        **({"data.csv": used_text(spec)} if include_data else {}),
    }
    members["README.txt"] = README.format(
        title=document.title,
        given=given,
        data=f"{'data.csv        ' if include_data else 'DATA.csv, yours,'} the columns "
        f"{', '.join(used_columns(spec))}; SHA-256 {digest_of(spec)}",
        draws="draws.npz        draws (chains, draws, parameters) and names, for numpy.load\n"
        if draws
        else "",
    ).encode()
    write_files(target.parent, {target.name: _zipped(members)})
    return target


@checked_call("hb.data_digest")
def data_digest(model: Specified) -> str:
    """Return the SHA-256 of the data a model uses: its columns, whoever has them.

    It is that of the columns as CSV in UTF-8: a line of names in the order of the data, lines ended
    by a line feed, numbers with the fewest digits that give them back, truth values as 1 and 0,
    categories by their labels, nothing where a value is missing.

    Parameters
    ----------
    model : Model, or a fit of it

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> len(hb.data_digest(model))
    64
    """
    if not isinstance(model, Specified):
        raise OptionError(
            f"data_digest takes a model, hb.Model(...), or a fit; it got {type(model).__name__}."
        )
    return digest_of(model.spec)


def _fits(result: Reportable) -> dict[str, Fit]:
    if isinstance(result, Reanalysis):
        return dict(result.fits)
    if isinstance(result, Fit):
        return {"": result}
    raise OptionError(
        f"hb.archive takes a fit, a posterior or a reanalysis; it got {type(result).__name__}."
    )


def _check_repeatable(result: Reportable, spec: Specification) -> None:
    """Refuse what no script can make again."""
    if spec.response_given:
        raise not_supported("archive-given-response")
    check_unrelated(spec.design, "The script of an archive")
    if not isinstance(result, LinearFit) and not spec.has_residual_structure:
        check_no_formulas(spec.design, "The script of an archive")
    if not spec.family.is_builtin and spec.family.curve is None:
        raise not_supported("archive-own-family", family=spec.family.name)
    seed: Any = 0
    if isinstance(result, Reanalysis):
        seed = result.arguments.get("random_seed")
    elif isinstance(result, PosteriorFit):
        seed = result.settings.get("random_seed")
    if not isinstance(seed, (int, np.integer)):
        raise OptionError(
            "No whole number was given as random_seed, so no script makes these draws again; "
            "sample with random_seed=1, for example, and archive that."
        )


def _script(result: Reportable, spec: Specification, *, include_data: bool) -> str:
    data = _data_lines(spec, include_data=include_data)
    if isinstance(result, Reanalysis):
        code, last = reanalysis_code(result, data), "again = found.to_frame().reset_index()"
    else:
        assert isinstance(result, Fit)
        code, last = fit_code(result, data), "again = fit.tidy()"
    model = "found.fits['REML']" if isinstance(result, Reanalysis) else "fit"
    check = (
        f"if hb.data_digest({model}) != {literal(digest_of(spec))}:",
        '    sys.exit("These are not the data of this archive: their digest differs.")',
    )
    begin = BEGIN.format(given="" if include_data else " DATA.csv")
    body = "\n".join([*code[1:], *check, last])  # without the import
    return f"{begin}{body}\n{END.format(same=SAME)}"


def _data_lines(spec: Specification, *, include_data: bool) -> list[str]:
    """Return the lines that read the data as they were."""
    numbers, lines = [], []
    for name in used_columns(spec):
        column, key = spec.table.column(name), f"data[{literal(name)}]"
        if isinstance(column, Factor):
            levels = literal([str(level) for level in column.levels])
            ranked = column.ranked and name in names_in(spec.formula.response)
            ordered = ", ordered=True" if column.ordered or ranked else ""
            known = f"{key}.where({key} != {literal('')})" if (column.codes < 0).any() else key
            lines.append(f"{key} = pd.Categorical({known}, {levels}{ordered})")
        elif isinstance(column, Logical):
            words = '{"1": True, "0": False, "1.0": True, "0.0": False}'
            lines.append(f"{key} = {key}.map({words})")
        else:
            numbers.append(name)
    numbers += [GIVEN + name for name in _given_arrays(spec)]
    source = 'HERE / "data.csv"' if include_data else "sys.argv[1]"
    return [
        f"data = pd.read_csv({source}, dtype=str, keep_default_na=False)",
        f"for name in {literal(numbers)}:",
        '    data[name] = [float(text or "nan") for text in data[name]]',
        *lines,
        *(f'{name} = data["{GIVEN}{name}"].to_numpy()' for name in _given_arrays(spec)),
    ]


def _given_arrays(spec: Specification) -> list[str]:
    """Names of the arguments that were given as arrays."""
    given = {name: getattr(spec.arguments, name) for name in ARRAY_ARGUMENTS}
    return [name for name, value in given.items() if not isinstance(value, str | None)]


def _numbers(result: Any) -> pd.DataFrame:
    if isinstance(result, Reanalysis):
        return pd.DataFrame(result.to_frame()).reset_index()
    return pd.DataFrame(result.tidy())


def _draws(fits: Mapping[str, Fit], *, with_levels: bool) -> bytes:
    """Return the draws of the posteriors as an ``.npz``; nothing of other fits."""
    arrays: dict[str, Any] = {}
    for name, fit in fits.items():
        if not isinstance(fit, PosteriorFit):
            continue
        effects = ("fixed", "ran_pars", "ran_vals") if with_levels else ("fixed", "ran_pars")
        parts = fit.parameters(effects)
        key = f"{name}_" if name else ""
        arrays[f"{key}draws"] = np.concatenate([part.draws for part in parts], axis=2)
        arrays[f"{key}names"] = np.array([own for part in parts for own in part.names])
    if not arrays:
        return b""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _environment() -> str:
    """Return Python and the package with all it requires, as pip reads them."""
    found: dict[str, str] = {}
    left = ["hierbayes"]
    while left:
        name = left.pop()
        try:
            own = distribution(name)
        except PackageNotFoundError:
            continue
        if own.metadata["Name"].lower() in found:
            continue
        found[own.metadata["Name"].lower()] = own.version
        for line in own.requires or ():
            if "extra ==" not in line:
                left += re.findall(r"^[\w.-]+", line)
    lines = [f"{name}=={version}" for name, version in sorted(found.items())]
    return "\n".join([f"# Python {platform.python_version()}", *lines, ""])


def _zipped(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sorted(members):
            file.writestr(zipfile.ZipInfo(name, WHEN), members[name], zipfile.ZIP_DEFLATED)
    return stream.getvalue()
