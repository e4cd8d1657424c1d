"""Posteriors of different models compared by what they predict for rows they have not seen.

The difference of two elpds is a sum over the same rows (or groups) left out, so its standard error
comes from the spread of the differences, which is smaller than those of the two elpds.

Source: Vehtari, Gelman & Gabry (2017), Statistics and Computing 27:1413; Sivula, Magnusson,
Matamoros & Vehtari (2025), Bayesian Analysis (how far to trust the standard error).
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from hierbayes.comparison.loo import loo, standard_error
from hierbayes.errors import DataError
from hierbayes.results.comparison import ElpdComparison, KFold, Loo
from hierbayes.results.draws import TRUSTED_K
from hierbayes.results.finding import Finding
from hierbayes.results.posterior_fit import PosteriorFit

CLEAR = 2.0  # standard errors from zero at which a difference is called clear
SMALL = 4.0  # smaller differences of elpd are small, and their standard error is unreliable
FEW = 100  # terms below which the standard error of a difference tends to be too small


def compare_elpd(
    fits: Sequence[PosteriorFit], *, names: tuple[str, ...] | None, by: Any
) -> ElpdComparison:
    """Compare posteriors of the same data by leave-one-out prediction; see ``hb.compare``."""
    results = [loo(fit, by=by) for fit in fits]
    return compare_results(results, names=names)


def compare_results(
    results: Sequence[Loo | KFold], *, names: tuple[str, ...] | None
) -> ElpdComparison:
    """Compare results of ``hb.loo`` or ``hb.kfold``, of models of the same rows.

    Raises
    ------
    DataError
        If what was left out differs.
    """
    labels = names or tuple(f"m.{i + 1}" for i in range(len(results)))
    _check_terms(results)
    order = sorted(range(len(results)), key=lambda i: -results[i].elpd)
    best = results[order[0]].pointwise["elpd"].to_numpy()
    records = []
    for i in order:
        found = results[i]
        gaps = found.pointwise["elpd"].to_numpy() - best
        records.append(
            {
                "elpd": found.elpd,
                "se": found.se,
                "p_loo": found.p_loo if isinstance(found, Loo) else float("nan"),
                "elpd_diff": float(gaps.sum()),
                "se_diff": standard_error(gaps),
                "high_k": _untrusted(found),
            }
        )
    table = pd.DataFrame(records, index=pd.Index([labels[i] for i in order], name="model"))
    first = results[0]
    return ElpdComparison(
        table=table,
        formulas={label: own.formula_text for label, own in zip(labels, results, strict=True)},
        what=" ".join([first.what, *_how(labels, results)]),
        verdict=verdict(table, n_terms=best.size),
        data_name=first.data_name,
        n_obs=int(first.pointwise["n_rows"].sum()),
        k=first.k if isinstance(first, KFold) else None,
        findings=_named(labels, results),
    )


def _how(labels: Sequence[str], results: Sequence[Loo | KFold]) -> list[str]:
    """Say how leave-one-out was found, of each model where they differ."""
    hows = [found.how for found in results if isinstance(found, Loo)]
    if len(set(hows)) < 2:
        return hows[:1]
    return [f"{label}: {how}" for label, how in zip(labels, hows, strict=True)]


def _untrusted(found: Loo | KFold) -> int:
    if isinstance(found, KFold):
        return 0
    bad = (found.pointwise["pareto_k"] > TRUSTED_K) & ~found.pointwise["refitted"]
    return int(bad.sum())


def _check_terms(results: Sequence[Loo | KFold]) -> None:
    first = results[0]
    for found in results[1:]:
        if type(found) is not type(first):
            raise DataError(
                "Leave-one-out and k-fold leave out different rows; compare results of one kind."
            )
        if found.by != first.by:
            a, b = (own.by or "row" for own in (first, found))
            raise DataError(f"What is left out differs: each {a} here, each {b} there.")
        same = len(found.pointwise) == len(first.pointwise)
        labelled = found.by is not None  # rows of one order may have other labels
        if not same or (labelled and not found.pointwise.index.equals(first.pointwise.index)):
            raise DataError(
                f"The models have different {'rows' if first.by is None else 'levels of '}"
                f"{first.by or ''}, so what is left out differs."
            )
        if (
            isinstance(found, KFold)
            and not (found.pointwise["fold"].to_numpy() == first.pointwise["fold"].to_numpy()).all()
        ):
            raise DataError(
                "The folds differ; give hb.kfold the same k, stratify and random_seed each time."
            )


def verdict(table: pd.DataFrame, *, n_terms: int) -> str:
    """Say in words whether the best model predicts better than the next."""
    best, second = table.index[:2]
    gap, error = -float(table["elpd_diff"].iloc[1]), float(table["se_diff"].iloc[1])
    text = f"{best} predicts best; {second} is {gap:.1f} (SE {error:.1f}) behind"
    if gap <= CLEAR * error:
        text += f", less than {CLEAR:g} SE: the data do not tell them apart."
    elif gap < SMALL:
        text += ": a small difference, whose SE can't be relied on."
    else:
        text += f", more than {CLEAR:g} SE."
    if n_terms < FEW:
        text += f" With {n_terms} terms the SE of a difference is rough, and often too small."
    return text


def _named(labels: Sequence[str], results: Sequence[Loo | KFold]) -> tuple[Finding, ...]:
    return tuple(
        Finding(finding.code, f"{label}: {finding.sentence}", finding.advice, finding.numbers)
        for label, found in zip(labels, results, strict=True)
        for finding in found.findings
    )
