"""Write what `hierbayes conformance` compares with, from the references of the tests.

    PYTHONPATH=. .venv/bin/python tests/reference/scripts/conformance.py

The file is hierbayes/studies/conformance/references.json; a test holds it to this script.
"""

import json
from typing import Any

import numpy as np

from hierbayes.studies.conformance.ours import spread_name
from hierbayes.studies.conformance.references import FILE
from tests.reference_fits import generalized_fits, linear_fits, load_fit, load_reference

DIGITS = 12
SMALL = 1e-6  # of the residual variance: smaller ones have no relative size, nor correlations
EARLY = 1e-4  # deviance that a default search may stop above before it is told
SUBSET = ("cake_cell", "ss_subset")  # R conditions on rows
SPLIT = "lme4 1.1 keeps the columns of a factor or of poly() left of || correlated: another model"
OFF = {
    "mac_dbar": {"": SPLIT},
    "ss_poly_dbar": {"": SPLIT},
    "ort_group": {
        "correlation": "no subject is both male and female: the data don't determine it",
    },
    "ss_wt": {
        kind: "pbkrtest leaves out the weights of the rows"
        for kind in ("df, Kenward-Roger", "std. error, Kenward-Roger")
    },
    "ss_over_reml": {"df, Satterthwaite": "lmerTest's derivatives are numerical; 17 is exact"},
    "ss_over_ml": {"df, Satterthwaite": "lmerTest's derivatives are numerical; 18 is exact"},
    "va_probit_agq0": {"": "lme4 takes expected curvatures for links that are not canonical"},
}
# lme4 takes expected curvatures here, or another dispersion; glmmTMB maximises what we do.
OBSERVED = ("cbpp_probit", "cbpp_cloglog", "gt_bern_cll", "ss_gamma", "ss_gamma_slope")


def rounded(value: Any) -> Any:
    """Numbers with as many digits as matter, everywhere in a record."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def relative(names: list[str], values: Any) -> dict[str, Any]:
    """Numbers whose unit is their size."""
    return {name: [v, abs(v)] for name, v in zip(names, values, strict=True)}


def spreads(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Sds and correlations; without those of a variance that is zero or nearly."""
    columns = record["VarCorr"]["as_data_frame"]["columns"]
    keys = ("grp", "var1", "var2", "vcov", "sdcor")
    rows = list(zip(*(columns[key] for key in keys), strict=True))
    scale = record["sigma"] if record["family"] == "gaussian" else 1.0
    zero = {
        (group, first) for group, first, second, vcov, _ in rows
        if second is None and vcov <= SMALL * scale**2
    }  # fmt: skip
    found: dict[str, dict[str, Any]] = {"sd": {}, "correlation": {}}
    for group, first, second, _, value in rows:
        if {(group, first), (group, second)} & zero:
            continue
        kind, unit = ("sd", abs(value)) if second is None else ("correlation", 1.0)
        found[kind][spread_name(group, first, second)] = [value, unit]
    return {kind: numbers for kind, numbers in found.items() if numbers}


def linear_numbers(fit_id: str, record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All numbers of a linear fit."""
    best, fixef = record["optimisation"]["objective"], record["fixef"]
    names, se = fixef["names"], fixef["se"]
    found = {
        "criterion": {"": [best, 1.0]},
        "estimate": {n: [v, s] for n, v, s in zip(names, fixef["estimate"], se, strict=True)},
        "std. error": relative(names, se),
        **spreads(record),
    }
    tests = record.get("inference") or {}
    ways = {"Satterthwaite": "satterthwaite", "Kenward-Roger": "kenward_roger"}
    for how, key in ways.items():
        columns = tests.get(key, {}).get("columns")
        if columns is None or (how == "Satterthwaite" and record["singular"]):
            continue
        found[f"df, {how}"] = relative(names, columns["df"])
        if how == "Kenward-Roger":
            found[f"std. error, {how}"] = relative(names, columns["Std. Error"])
    return found | limits(fit_id)


def limits(fit_id: str) -> dict[str, dict[str, Any]]:
    """Profile limits, where there are any."""
    try:
        profile = load_reference(f"ci/ci_{fit_id}")["profile"]
    except FileNotFoundError:
        return {}
    found: dict[str, dict[str, Any]] = {"lower, profile": {}, "upper, profile": {}}
    for name, (lower, upper) in zip(profile["names"], profile["values"], strict=True):
        for kind, value in (("lower, profile", lower), ("upper, profile", upper)):
            found[kind][name] = [value, upper - lower]
    return found


def generalized_numbers(fit_id: str, record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All numbers of a generalised fit, of the exactly converged criterion where that is known."""
    polish = record["optimisation"].get("polish") or {}
    names = record["fixef"]["names"]
    beta = polish.get("fixef_exact") or record["fixef"]["estimate"]
    vcov = polish.get("vcov_exact_hessian") or record["vcov"]
    se = np.sqrt(np.diag(vcov)).tolist()
    found: dict[str, dict[str, Any]] = {}
    if record["nAGQ"] <= 1:  # of more nodes lme4 leaves a constant of the data out
        best = polish.get("objective_exact") or record["optimisation"]["objective"]
        found["criterion"] = {"": [best, 1.0]}
    found["estimate"] = {n: [v, s] for n, v, s in zip(names, np.atleast_1d(beta), se, strict=True)}
    found["std. error"] = relative(names, se)
    return found | spreads(record) | limits(fit_id)


def cross_checked(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What glmmTMB says of the model; its optimum is good to 1e-3 standard errors."""
    other, names = record["cross_check"], record["fixef"]["names"]
    se = np.atleast_1d(other["se"]).tolist()
    return {
        "criterion": {"": [other["minus_2_logLik"], 1.0]},
        "estimate": {
            n: [v, 10 * s] for n, v, s in zip(names, np.atleast_1d(other["fixef"]), se, strict=True)
        },
        "std. error": {n: [s, 10 * s] for n, s in zip(names, se, strict=True)},
    }


def entry(fit_id: str) -> dict[str, Any]:
    """One line of the file."""
    fit = load_fit(fit_id)
    record = fit.record
    linear = record["model"] == "LMM"
    versions = record["versions"]
    program = f"lme4 {versions['lme4']}"
    if linear:
        program += f", lmerTest {versions['lmerTest']}, pbkrtest {versions['pbkrtest']}"
        method, numbers = "REML" if fit.reml else "ML", linear_numbers(fit_id, record)
    else:
        known = {0: "nAGQ = 0", 1: "Laplace"}
        method = known.get(record["nAGQ"], f"quadrature ({record['nAGQ']})")
        numbers = generalized_numbers(fit_id, record)
    off = OFF.get(fit_id, {})
    if "" in off:
        off = dict.fromkeys(numbers, off[""])
    if fit_id in OBSERVED:
        program, numbers = record["cross_check"]["program"], cross_checked(record)
    made = {
        "id": fit_id, "formula": fit.formula, "data": fit.dataset, "method": method,
        "program": program, "family": fit.family, "link": fit.link,
        "n_quadrature": 1 if linear else record["nAGQ"], "options": fit.options,
        "call": record["call"], "numbers": numbers, "off": off,
    }  # fmt: skip
    return with_default_search(made, record)


def with_default_search(made: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """Add where lme4's default search stops, if that is above the optimum."""
    best, default = made["numbers"].get("criterion"), record["optimisation"]["tried"]["default"]
    if best is None or record["id"] in OBSERVED or "" in OFF.get(record["id"], {}):
        return made
    above = default["objective"] - best[""][0]
    if above > EARLY:
        kind = "criterion, default search"
        reason = f"as it comes, lme4 ends {above:.2g} above the optimum"
        made["numbers"][kind] = {"": [default["objective"], 1.0]}
        made["off"] = made["off"] | {kind: reason}
    return made


def rstanarm_cbpp() -> dict[str, Any]:
    """The posterior of rstanarm whose priors are also ours."""
    record = load_reference("bayes/bayes_cbpp")
    scales = record["prior_summary"]["prior"]["adjusted_scale"]
    priors: dict[str, Any] = {
        f"period{k}": ["Normal", 0, scale] for k, scale in zip((2, 3, 4), scales, strict=True)
    }
    known = {one["name"]: one for one in record["parameters"]}
    ours = {name: name for name in ("(Intercept)", *priors)}
    ours |= {f"b[(Intercept) herd:{k}]": f"herd[{k},(Intercept)]" for k in range(1, 16)}
    spread = record["derived"]["sd_herd__(Intercept)"]
    size = known["Sigma[herd:(Intercept),(Intercept)]"]["ess_bulk"]
    parameters = [
        {"name": name, "mean": known[theirs]["mean"], "sd": known[theirs]["sd"],
         "mean_error": known[theirs]["mcse"],
         "sd_error": known[theirs]["sd"] / np.sqrt(2 * known[theirs]["ess_bulk"])}
        for theirs, name in ours.items()
    ]  # fmt: skip
    parameters.append(
        {"name": "sd((Intercept)|herd)", "mean": spread["mean"], "sd": spread["sd"],
         "mean_error": spread["sd"] / np.sqrt(size), "sd_error": spread["sd"] / np.sqrt(2 * size)}
    )  # fmt: skip
    draws = f"{record['chains']} x {record['iter'] - record['warmup']} draws"
    return posterior(
        "cbpp_posterior",
        {
            "dataset": "cbpp", "program": f"rstanarm {record['rstanarm']}, {draws}",
            "formula": "cbind(incidence, size - incidence) ~ period + (1 | herd)",
            "priors": priors | {"(Intercept)": ["Normal", 0, 2.5], "sd": ["Exponential", 1]},
            "family": "binomial", "link": "logit", "call": record["call"],
            "parameters": parameters,
        },
    )  # fmt: skip


def posterior(name: str, record: dict[str, Any]) -> dict[str, Any]:
    """One line of a posterior."""
    numbers = {
        f"posterior {statistic}": {
            one["name"]: [one[statistic], one[f"{statistic}_error"]] for one in record["parameters"]
        }
        for statistic in ("mean", "sd")
    }
    more = {key: record[key] for key in ("family", "link", "call") if key in record}
    options = {"known_sd": record["known_sd"]} if "known_sd" in record else {}
    return {
        "id": name, "formula": record["formula"], "data": record["dataset"],
        "method": "posterior", "program": record["program"], "priors": record["priors"],
        "options": options, "numbers": numbers, **more,
    }  # fmt: skip


def content() -> str:
    """The whole file."""
    fits = [entry(name) for name in (*linear_fits(), *generalized_fits()) if name not in SUBSET]
    fits += [
        posterior("ss_max_posterior", load_reference("bayes/pymc_sleepstudy")),
        posterior("schools_posterior", load_reference("bayes/quadrature_schools")),
        rstanarm_cbpp(),
    ]
    lines = [json.dumps(rounded(fit), ensure_ascii=False) for fit in fits]
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    FILE.write_text(content(), encoding="utf-8")
