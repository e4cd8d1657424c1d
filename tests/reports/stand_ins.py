"""Stand-ins for fits, made from numbers that R printed, so that only the printing is tested."""

import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.families.named import family_named
from hierbayes.formula.parser import parse_formula
from hierbayes.results.varcorr import VarCorr, VarCorrTerm
from tests.reference_fits import load_fit

PRINTED = Path(__file__).with_name("printed_by_r.json")
R_MISSING = {"NA": "nan", "NaN": "nan"}


@cache
def printed_by_r() -> dict[str, Any]:
    return json.loads(PRINTED.read_text(encoding="utf-8"))


def numbers(texts: Any) -> list[float]:
    """Numbers of the JSON, written exactly as text."""
    listed = texts if isinstance(texts, list) else [texts]
    return [float(R_MISSING.get(text, text)) for text in listed]


def stripped(lines: Any) -> list[str]:
    """Lines without the blanks at their ends."""
    split = lines.split("\n") if isinstance(lines, str) else lines
    return [line.rstrip() for line in split]


def reference_varcorr(record: dict[str, Any]) -> VarCorr:
    terms = tuple(
        VarCorrTerm(
            name=group["term"],
            columns=tuple(group["names"]),
            sd=np.array(group["sd"], dtype=float),
            corr=np.array(group["cor"], dtype=float),
        )
        for group in record["VarCorr"]["groups"]
    )
    return VarCorr(terms=terms, sigma=record["VarCorr"]["residual_sd"])


def reference_fit(fit_id: str) -> SimpleNamespace:
    """A linear mixed fit with the numbers lme4 printed.

    The five quantiles of its residuals are handed over as its residuals: the quantiles of five
    numbers are these numbers.
    """
    record = load_fit(fit_id).record
    fixef = record["fixef"]
    dropped = fixef["dropped_columns"] or ()
    quantiles = np.array(record["residuals"]["pearson_scaled_quantiles"])
    return SimpleNamespace(
        method="reml" if record["REML"] else "ml",
        formula_text=record["formula"],
        data_name=record["dataset"],
        criterion=record["optimisation"]["objective"],
        deviance=record["deviance"],
        loglik=record["logLik"],
        aic=record["AIC"],
        bic=record["BIC"],
        df_residual=record["df_residual"],
        nobs=record["nobs"],
        n_groups=record["ngrps"],
        sigma=record["sigma"],
        residuals=lambda kind: pd.Series(quantiles * record["sigma"]),
        varcorr=lambda: reference_varcorr(record),
        coef_names=tuple(fixef["names"]),
        beta=np.array(fixef["estimate"], dtype=float),
        fixef=lambda: pd.Series(np.array(fixef["estimate"], dtype=float)),
        shown_beta=np.array(fixef["estimate"], dtype=float),
        kept=np.arange(len(fixef["estimate"])),
        vcov=lambda: pd.DataFrame(record["vcov"]),
        dropped_columns=(dropped,) if isinstance(dropped, str) else tuple(dropped),
        weighted=record["weights"] is not None,
        residual=None,
        design=SimpleNamespace(
            formula=parse_formula(record["formula"]),
            formulas={},
            residual=None,
            known_sd=None,
            keeps_rows=True,
        ),
        spec=SimpleNamespace(
            arguments=SimpleNamespace(weights=record["weights"], offset=record["offset"])
        ),
        findings=(),
        rows_dropped={},
        n_rows_given=record["nobs"],
        is_linear_model=False,
        response_family=family_named("gaussian"),
    )


def least_squares_fit(case: dict[str, Any]) -> SimpleNamespace:
    """An ordinary or weighted least-squares fit of the design R used."""
    kept = np.array(case["kept"])
    X = np.array([numbers(row) for row in case["X"]])[:, kept]
    y = np.array(numbers(case["y"]))
    weights = None if case["weights"] is None else np.array(numbers(case["weights"]))
    root = np.ones_like(y) if weights is None else np.sqrt(weights)
    Q, R = np.linalg.qr(X * root[:, None])
    beta = np.linalg.solve(R, Q.T @ (root * y))
    fitted = X @ beta
    df = y.size - X.shape[1]
    pearson = pd.Series(root * (y - fitted), index=case["rows"])
    sigma = float(np.sqrt((pearson**2).sum() / df))
    names = [name for name, keep in zip(case["names"], kept, strict=True) if keep]
    dropped = [name for name in case["names"] if name not in names]
    inverse = np.linalg.inv(R)
    return SimpleNamespace(
        method="reml",
        is_linear_model=True,
        formula_text=case["formula"],
        data_name=case["data_name"],
        weighted=weights is not None,
        residual=None,
        design=SimpleNamespace(
            weights=weights,
            formula=parse_formula(case["formula"]),
            formulas={},
            residual=None,
            known_sd=None,
            keeps_rows=True,
        ),
        spec=SimpleNamespace(
            arguments=SimpleNamespace(weights=case["weights_text"] or None, offset=None)
        ),
        coef_names=tuple(names),
        beta=beta,
        fixef=lambda: pd.Series(beta, index=names).reindex(case["names"]),
        shown_beta=beta,
        vcov=lambda: pd.DataFrame(sigma**2 * inverse @ inverse.T),
        fitted=lambda: pd.Series(fitted, index=case["rows"]),
        residuals=lambda kind: pearson,
        sigma=sigma,
        nobs=y.size,
        n_rows_given=case["n_given"],
        rows_dropped={},
        dropped_columns=tuple(dropped),
        findings=(),
        response_family=family_named("gaussian"),
    )
