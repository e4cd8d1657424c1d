"""Documented generalised mixed models of R packages: our fit beside the package's own.

    Rscript benchmarks/documented_glmms.R FOLDER
    python benchmarks/documented_glmms.py FOLDER

reads what the R script wrote, fits every model through the public names, and writes
``documented_glmms.md`` beside this file. A row holds our -2 log-likelihood less that of the
reference (the optimum of the same criterion), the largest difference of a fixed effect in standard
errors, of a standard error and of an sd as shares, and the CPU seconds of both.

``tests/reference/documented.json`` are the numbers of the models whose data are kept with the
tests; ``--keep`` writes them anew.
"""

import argparse
import json
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hierbayes as hb

HERE = Path(__file__).parent
PAGE = HERE / "documented_glmms.md"
BAR = "\\|"  # in a table of Markdown
TESTS = HERE.parent / "tests" / "reference"
REPEATS = 3
TEXT = """# Documented generalised mixed models of R packages

What `benchmarks/documented_glmms.R` and `documented_glmms.py` found (R 4.2.2, lme4 1.1-31, glmmTMB
1.1.5, ordinal 2022.11-16, mlmRev 1.0-8, HSAUR3 1.0-13, geepack 1.3.9, MASS 7.3-58.2): {n} models of
help pages, vignettes and tests of R packages, fitted by the package and by hierbayes. Marginal models
of the documentation (GEE, PQL) are fitted as the mixed models they belong to.

The **reference** is the optimum of the very criterion: Newton steps with TMB's exact gradient for
Laplace, with Richardson derivatives of clmm's Laplace or quadrature value for ordered responses and
of glmer's quadrature value for more nodes. Its standard errors are from the Hessian there.

- Our -2 log-likelihood is never above the reference by more than {deviance:.0e}; coefficients and
  thresholds differ by {beta:.0e} standard errors at most, standard errors by {se:.0e} of their size,
  sds by {sd:.0e} of theirs. Nothing had to be mended for it.
- The packages' own answers end above the optimum ("theirs - reference"): glmer by up to 0.04
  (respiratory, survdat, toenail), clmm by up to 0.06 (respdis), as their inner loops and searches stop
  early. A value below zero (wine) is clmm's inner loop ending early; with more steps it gives ours.
- **At the boundary** our sd is zero; the reference searches along its logarithm, stops near 1e-4 and is
  above us by up to 1e-6. Sds and correlations of such fits are not compared.
- **Separated** coefficients have no estimate: the fit says so, the reference ends anywhere on the way
  to infinity, and only the others are compared. (With colonizer_2 and colonizer_3 we give no
  standard error at all, where those of four coefficients are known.)
- `bacteria_offset` is `bacteria_week` with the coefficient moved by one; glmer stops with an error.

Seconds are of the processor, ours warm, theirs the least of three calls where a call takes less than a
second ("-": not timed); both on a machine with other work, so only their size counts. Single small
cumulative models are the ones we are slower at (wine: clmm integrates its one factor in C).

| model | our -2 logLik | ours - reference | theirs - reference | coefficients (SE) | SEs | sds | correlations | ours s | theirs s | theirs |
|---|---|---|---|---|---|---|---|---|---|---|
{found}

| model | documented in | formula | family | rows |
|---|---|---|---|---|
{named}
"""  # noqa: E501
SEPARATED = 50.0  # standard errors of coefficients without an estimate, on the scale of the link
ZERO = 0.01  # sds of references that search along their logarithm, where ours is zero
LEAST_SD = 0.05  # smaller ones, on the scale of the link, are compared as if they were this
FAMILIES = {
    ("binomial", False): "binomial",
    ("poisson", False): "poisson",
    ("nbinom2", False): "negativebinomial",
    ("betabinomial", False): "beta_binomial",
    ("cumulative", False): "cumulative",
    ("poisson", True): "zero_inflated_poisson",
    ("nbinom2", True): "zero_inflated_negativebinomial",
}
# models that the tests hold, with the file of their data; cbpp is a bundled data set
KEPT = {
    "wine": "wine", "wine_agq10": "wine", "wine_temp_agq10": "wine", "wine_probit": "wine",
    "wine_slopes": "wine", "bacteria": "bacteria", "bacteria_week": "bacteria",
    "bacteria_offset": "bacteria", "epil": "epil", "gopher": "gopher", "culcita": "culcita",
    "hessianfly": "hessianfly", "Mmmec": "Mmmec", "koch": "koch",
    "seizure_slopes": "seizure_slopes",
    "epil2": "epil2", "owls_zip": "owls_zip", "owls_zinb": "owls_zip",
    "schizophrenia": "schizophrenia", "cbpp_betabinomial": "cbpp", "cbpp_obs": "cbpp_obs",
}  # fmt: skip


def read(folder: Path, name: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the record of a model and its data."""
    record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return record, read_data(folder / f"{name}.csv", record["factors"])


def read_data(path: Path, factors: dict[str, Any]) -> pd.DataFrame:
    """Read the columns of a model, factors with R's order of levels."""
    data = pd.read_csv(path, dtype=dict.fromkeys(factors, str), keep_default_na=False)
    for name, about in factors.items():
        data[name] = pd.Categorical(
            data[name], categories=about["levels"], ordered=about["ordered"]
        )
    return data


def fitted(record: dict[str, Any], data: pd.DataFrame) -> Any:
    """Fit a model of the R script."""
    return hb.glmer(
        record["formula"],
        data,
        family=FAMILIES[record["family"], record["zi"]],
        link=record["link"],
        n_quadrature=record["nAGQ"],
    )


def differences(fit: Any, reference: dict[str, Any]) -> dict[str, float]:
    """Our fit less the reference.

    Returns
    -------
    dict
        ``deviance``, of the -2 log-likelihood; ``beta``, the largest difference of a coefficient
        or threshold in standard errors; ``se``, the largest of a standard error, ``sd``, of an
        sd of random effects, both as shares, and ``corr``, of a correlation. Coefficients that
        separate the response have no estimate; ``separated`` counts them.
    """
    assert list(fit.fixef().index) == _listed(reference["names"]), fit.fixef().index
    ours, se = fit.fixef().to_numpy(), np.sqrt(np.diag(fit.vcov()))
    theirs, their_se = _numbers(reference["beta"]), _numbers(reference["se"])
    if reference.get("thresholds"):
        found = np.array(list(fit.further_parameters.values()))
        ours, se = np.append(ours, found[:, 0]), np.append(se, found[:, 1])
        theirs = np.append(theirs, _numbers(reference["thresholds"]))
        their_se = np.append(their_se, _numbers(reference["threshold_se"]))
    within = (their_se < SEPARATED) & (se < SEPARATED)  # False where there is none
    sds, corrs = _random(fit, reference["terms"])
    return {
        "deviance": -2 * fit.loglik - reference["minus2loglik"],
        "beta": _largest((ours - theirs)[within] / their_se[within]),
        "se": _largest(se[within] / their_se[within] - 1),
        "separated": int((~within).sum()),
        "sd": sds,
        "corr": corrs,
    }


def _random(fit: Any, terms: list[dict[str, Any]]) -> tuple[float, float]:
    """Largest difference of sds, as share, and of correlations."""
    ours: dict[Any, list[Any]] = {}
    for term in fit.varcorr().terms:
        ours.setdefault(len(term.sd), []).append(term)
    sds, corrs = [0.0], [0.0]
    for term in terms:
        sd = _numbers(term["sd"])
        own = [t for t in ours[sd.size] if t.name == term["group"]]
        assert len(own) == 1, (term["group"], [t.name for t in fit.varcorr().terms])
        if fit.is_singular and (sd.size > 1 or (own[0].sd[0] == 0 and sd[0] < ZERO)):
            continue  # at the boundary a search over logarithms stops where it likes
        sds += list(np.abs(own[0].sd - sd) / np.maximum(sd, LEAST_SD))
        if sd.size > 1:
            corrs += list(np.abs(own[0].corr - np.array(term["corr"], float)).ravel())
    return float(max(sds)), float(max(corrs))


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max()) if values.size else np.nan


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _numbers(value: Any) -> np.ndarray:
    return np.array(_listed(value), dtype=float)


def row(folder: Path, name: str) -> dict[str, Any]:
    """Fit one model and compare it."""
    record, data = read(folder, name)
    out = {key: record[key] for key in ("id", "source", "formula", "family", "n", "nAGQ")}
    out |= {"zi": record["zi"], "link": record["link"]}
    theirs, reference = record["theirs"], record["reference"]
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        fit = fitted(record, data)
        seconds.append(time.process_time() - start)
    out |= {"ours_s": min(seconds), "theirs_s": theirs.get("seconds", np.nan)}
    out |= {"call": theirs["call"], "refused": "error" in theirs}
    out["minus2loglik"] = -2 * fit.loglik
    theirs_at = theirs.get("minus2loglik", np.nan)
    out["theirs_deviance"] = (
        theirs_at - reference["minus2loglik"] if record["nAGQ"] == 1 else np.nan
    )
    out["findings"] = [finding.code for finding in fit.findings]
    out["gradient"] = reference["gradient"]
    return out | differences(fit, reference)


def main() -> None:
    """Compare every model of a folder and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("ids", nargs="*", help="these models only, and no page")
    parser.add_argument("--keep", action="store_true", help="write the tests' references")
    given = parser.parse_args()
    warnings.simplefilter("ignore", hb.HierBayesWarning)
    if given.keep:
        keep(given.folder)
        return
    rows = []
    for name in given.ids or sorted((p.stem for p in given.folder.glob("*.json")), key=str.lower):
        rows.append(row(given.folder, name))
        print(rows[-1], flush=True)
    if not given.ids:
        PAGE.write_text(page(rows), encoding="utf-8")


def page(rows: list[dict[str, Any]]) -> str:
    """Write what was found as a page."""

    def largest(name: str) -> float:
        return float(np.nanmax([r[name] for r in rows]))

    named = [
        f"| {r['id']} | {r['source']} | `{r['formula'].replace('|', BAR)}` | {_family(r)} "
        f"| {r['n']:,} |"
        for r in rows
    ]
    found = [
        f"| {r['id']} | {r['minus2loglik']:.5f} | {r['deviance']:.1e} | {r['theirs_deviance']:.1e} "
        f"| {r['beta']:.0e} | {r['se']:.0e} | {r['sd']:.0e} | {r['corr']:.0e} "
        f"| {r['ours_s']:.3f} | {r['theirs_s']:.3f} | {_notes(r)} |"
        for r in rows
    ]
    return TEXT.format(
        n=len(rows),
        **{name: max(largest(name), 0.0) for name in ("deviance", "beta", "se", "sd")},
        found="\n".join(found).replace("nan", "-"),
        named="\n".join(named),
    )


def _family(r: dict[str, Any]) -> str:
    name = FAMILIES[r["family"], r["zi"]]
    link = f", {r['link']}" if r["link"] == "probit" else ""
    nodes = f", {r['nAGQ']} nodes" if r["nAGQ"] > 1 else ""
    return f"{name}{link}{nodes}"


def _notes(r: dict[str, Any]) -> str:
    words = [r["call"]]
    if r["refused"]:
        words.append("stops with an error")
    if "boundary" in r["findings"]:
        words.append("at the boundary")
    if r["separated"]:
        words.append(f"{r['separated']} separated")
    return "; ".join(words)


def keep(folder: Path) -> None:
    """Write numbers and data of the models that the tests hold."""
    records = {}
    (TESTS / "documented").mkdir(exist_ok=True)
    for name, file in KEPT.items():
        record, _ = read(folder, name)
        if file != "cbpp":
            source = name if file == name else file
            shutil.copy(folder / f"{source}.csv", TESTS / "documented" / f"{file}.csv")
        records[name] = {key: value for key, value in record.items() if key != "theirs"}
        records[name]["data"] = file
    text = json.dumps(records, indent=1)
    (TESTS / "documented.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
