r"""Reading the summary that lme4 prints, as text pasted from a paper or a terminal.

Read are the lines lme4 (and lmerTest) print for ``summary(lmer(...))`` and ``summary(glmer(...))``:
formula, data, family, criterion, the table of random effects, numbers of rows and levels, the table
of fixed effects, and their correlations, also where these are broken into several blocks. Names of
the correlations are abbreviated in print; they are in the order of the coefficients.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.calls import checked_call
from hierbayes.errors import DataError, OptionError
from hierbayes.results.published_model import PublishedModel
from hierbayes.results.varcorr import VarCorr, VarCorrTerm
from hierbayes.wording import shown

NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
NUMBERS = re.compile(rf"((?:\s+{NUMBER})+)\s*$")
P_VALUE = rf"<?\s*{NUMBER}|NA"
STARS = re.compile(r"\s+(?:\*{1,3}|\.)\s*$")
CRITERION = re.compile(rf"REML criterion at convergence:\s*({NUMBER})")
COUNTS = re.compile(r"Number of obs:\s*(\d+)(?:,\s*groups:\s*(.*))?", re.DOTALL)
PARTS = {
    "random": re.compile(r"^\s*Random effects:\s*$"),
    "fixed": re.compile(r"^\s*Fixed effects:\s*$"),
    "correlation": re.compile(r"^\s*Correlation of Fixed Effects:\s*$"),
}


@record
class _Printed:
    """A printed number and half a unit of its last digit."""

    value: float
    rounding: float


@checked_call("hb.read_summary")
def read_summary(text: str) -> PublishedModel:
    """Read the summary of a mixed model as lme4 prints it.

    Parameters
    ----------
    text : str
        What ``summary(lmer(...))`` or ``summary(glmer(...))`` prints, pasted with its line breaks
        and the blanks between its columns; lmerTest's and our own ``fit.summary()`` as well.

    Returns
    -------
    PublishedModel
        Prints what was read and what can be made of it; ``.beside(fit)`` lays a refit beside it,
        ``.model(priors)`` has the likelihood of its coefficients, ``hb.reanalyse(published,
        term=...)`` takes one of them through several priors.

    Raises
    ------
    DataError
        If there is no table of fixed effects, or a line of a table is not understood.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> published = hb.read_summary(str(fit.summary()))
    >>> published.fixef()["Days"], published.n_groups
    (np.float64(10.467), {'Subject': 18})
    """
    if not isinstance(text, str):
        raise OptionError(f"read_summary takes the text lme4 prints; it got {shown(text)}.")
    lines = text.expandtabs().splitlines()
    parts = {name: _after(lines, pattern) for name, pattern in PARTS.items()}
    if not parts["fixed"]:
        raise DataError(
            "There is no table of fixed effects in this text: paste what summary(fit) prints, from "
            '"Linear mixed model fit by" to the end.'
        )
    fixed = _fixed(parts["fixed"])
    components = _components(parts["random"]) if parts["random"] else None
    rows = [*fixed, *(_component_rows(*components) if components else ())]
    names = [row["term"] for row in fixed]
    criterion, method = _criterion(lines, text)
    counts = COUNTS.search(text)
    return PublishedModel(
        table=pd.DataFrame(rows, columns=COLUMNS),
        correlation=_correlation(parts["correlation"], len(names)),
        components=components[0] if components else None,
        method=method,
        criterion=None if criterion is None else criterion.value,
        criterion_rounding=0.0 if criterion is None else criterion.rounding,
        nobs=int(counts[1]) if counts else 0,
        n_groups=_groups(counts[2]) if counts and counts[2] else {},
        formula_text=_labelled(lines, "Formula:"),
        data_name=_labelled(lines, "Data:"),
        family=" ".join(_labelled(lines, "Family:").replace("( ", "(").replace(" )", ")").split()),
        source="the summary lme4 prints",
    )


BELOW_FORMULA = re.compile(r"\s*(Data|Weights|Offset|Subset|Control|REML criterion)\s*:|\s*AIC ")
AFTER_FIXED = ("---", "Signif.", "fit warnings", "optimizer (", "convergence code", "boundary (")
COLUMNS = ["effect", "group", "term", "estimate", "std_error", "df", "rounding"]


def _after(lines: list[str], start: re.Pattern[str]) -> list[str]:
    """Lines below a heading, up to an empty one."""
    for number, line in enumerate(lines):
        if start.match(line):
            rest = lines[number + 1 :]
            end = next((k for k, own in enumerate(rest) if not own.strip()), len(rest))
            return rest[:end]
    return []


def _labelled(lines: list[str], label: str) -> str:
    """Return what follows a label, with the further lines of a formula that was broken."""
    for number, line in enumerate(lines):
        if line.strip().startswith(label):
            found = [line.split(label, 1)[1]]
            for more in lines[number + 1 :] if label == "Formula:" else ():
                if not more.strip() or BELOW_FORMULA.match(more):
                    break
                found.append(more)
            return " ".join(" ".join(found).split())
    return ""


def _printed(text: str) -> _Printed:
    """Read a number with half a unit of its last digit."""
    digits, _, power = text.lower().partition("e")
    decimals = len(digits.partition(".")[2])
    return _Printed(value=float(text), rounding=0.5 * 10.0 ** (int(power or 0) - decimals))


def _criterion(lines: list[str], text: str) -> tuple[_Printed | None, str]:
    """Return REML criterion or -2 log likelihood, and the method."""
    found = CRITERION.search(text)
    if found:
        return _printed(found[1]), "reml"
    for line, below in pairwise(lines):
        names, values = line.split(), below.split()
        for name in ("deviance", "-2*log(L)"):
            if "AIC" in names and name in names and len(names) == len(values):
                return _printed(values[names.index(name)]), "ml"
    if re.search("fit by maximum likelihood", text):
        return None, "ml"
    return None, "reml" if re.search("fit by REML", text) else ""


def _fixed(lines: list[str]) -> list[dict[str, Any]]:
    """Read the table of fixed effects: names may hold blanks, so rows are read from the right."""
    header = lines[0]
    if "Estimate" not in header or "Std. Error" not in header:
        raise DataError(
            f"{shown(header.strip())} is not the header of lme4's table of fixed effects, which "
            "has Estimate and Std. Error."
        )
    has_df = bool(re.search(r"\bdf\b", header))
    optional = rf"\s+(?P<df>{NUMBER})" if has_df else "(?P<df>)"
    tested = rf"\s+{NUMBER}" if re.search(r"[tz] value", header) else ""
    tested += rf"\s+(?:{P_VALUE})" if "Pr(>" in header else ""
    row = re.compile(
        rf"^\s*(?P<term>.*?)\s+(?P<estimate>{NUMBER})\s+(?P<se>{NUMBER}){optional}{tested}\s*$"
    )
    found = []
    for line in lines[1:]:
        if line.lstrip().startswith(AFTER_FIXED):
            break
        read = row.match(STARS.sub("", line))
        if read is None:
            raise DataError(f"{shown(line)} is not understood as a row of the fixed effects.")
        estimate = _printed(read["estimate"])
        found.append(
            {
                "effect": "fixed",
                "group": None,
                "term": read["term"],
                "estimate": estimate.value,
                "std_error": float(read["se"]),
                "df": float(read["df"]) if read["df"] else np.nan,
                "rounding": estimate.rounding,
            }
        )
    return found


def _components(lines: list[str]) -> tuple[VarCorr, dict[str, list[list[_Printed]]]]:
    """Read the table of random effects; return it, and by group the rows sd and correlations."""
    at = lines[0].find("Name")
    if at < 0 or "Std.Dev." not in lines[0]:
        raise DataError(
            f"{shown(lines[0].strip())} is not the header of lme4's table of random effects, which "
            "has Groups, Name, Variance and Std.Dev."
        )
    columns: dict[str, list[str]] = {}
    rows: dict[str, list[list[_Printed]]] = {}
    sigma, group = None, ""
    for line in lines[1:]:
        if line.lstrip().startswith("Number of obs"):
            break
        numbers = NUMBERS.search(line)
        if numbers is None or len(numbers[1].split()) < 2:
            raise DataError(f"{shown(line)} is not understood as a row of the random effects.")
        sd, *corr = map(_printed, numbers[1].split()[1:])
        before = line[: numbers.start()]
        if before.strip() == "Residual":
            sigma = sd
            continue
        named, column = _names(before, at)
        group = named or group
        if not group or not column:
            raise DataError(f"{shown(line)} is not understood as a row of the random effects.")
        columns.setdefault(group, []).append(column)
        rows.setdefault(group, []).append([sd, *corr])
    terms = []
    for name, own in rows.items():
        corr_matrix = np.eye(len(own))
        for i, (_, *corr) in enumerate(own):
            for j, value in enumerate(corr):
                corr_matrix[i, j] = corr_matrix[j, i] = value.value
        sds = np.array([sd.value for sd, *_ in own])
        terms.append(VarCorrTerm(name=name, columns=tuple(columns[name]), sd=sds, corr=corr_matrix))
    rows["Residual"] = [[sigma]] if sigma is not None else []
    return VarCorr(
        terms=tuple(terms),
        sigma=1.0 if sigma is None else sigma.value,
        has_residual=sigma is not None,
    ), rows


def _names(before: str, at: int) -> tuple[str, str]:
    """Cut what stands before the numbers into group (empty where it goes on) and column.

    The header says where; in text whose blanks were lost the first word is the group.
    """
    if before[:at].strip() and before[at - 1 : at].strip():
        group, _, column = before.strip().partition(" ")
    else:
        group, column = before[:at].strip(), before[at:].strip()
    return (group, column.strip()) if column.strip() else ("", group)


def _component_rows(
    components: VarCorr, printed: dict[str, list[list[_Printed]]]
) -> Iterator[dict[str, Any]]:
    """Rows of sds and correlations, named as ``tidy`` names them."""

    def row(group: str, term: str, number: _Printed) -> dict[str, Any]:
        known = {"estimate": number.value, "rounding": number.rounding}
        return {"effect": "ran_pars", "group": group, "term": term, **known}

    for term in components.terms:
        for i, (sd, *corr) in enumerate(printed[term.name]):
            column = term.columns[i]
            yield row(term.name, f"sd__{column}", sd)
            for j, value in enumerate(corr):
                yield row(term.name, f"cor__{term.columns[j]}.{column}", value)
    for (sigma,) in printed["Residual"]:
        yield row("Residual", "sd__Observation", sigma)


def _groups(text: str) -> dict[str, int]:
    """Read "plate, 24; sample, 6", perhaps on several lines."""
    head = re.split(r"\n\s*\n", text)[0]
    pairs = re.findall(r"([^,;\n]+),\s*(\d+)", head)
    return {name.strip(): int(count) for name, count in pairs}


def _correlation(lines: list[str], p: int) -> FloatArray | None:
    """Read the lower triangle, in as many blocks of p - 1 rows as it was broken into."""
    if not lines or p < 2:
        return np.eye(1) if p == 1 else None
    found = np.eye(p)
    done, left = 0, lines
    while done < p - 1:
        block, left = left[1:p], left[p:]  # below the names of its columns
        cells = [NUMBERS.search(line) for line in block]
        values = [[float(v) for v in own[1].split()] if own else [] for own in cells]
        width = max(map(len, values), default=0)
        expected = [max(0, min(i + 1 - done, width)) for i in range(p - 1)]
        if width == 0 or [len(own) for own in values] != expected:
            raise DataError(
                f"The correlations of the fixed effects are not understood: {p} coefficients have "
                f"{p - 1} rows of them."
            )
        for i, own in enumerate(values):
            for j, value in enumerate(own):
                found[i + 1, done + j] = found[done + j, i + 1] = value
        done += width
    return found
