"""Whether fits belong beside each other: the same rows and the same response, in any order.

Rows of two frames are matched by their labels where these tell rows apart and lead to the same
response, else by the values of the variables both models have.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from hierbayes.arrays import IntArray
from hierbayes.design.design import Design
from hierbayes.design.moments import Moments, moments_of
from hierbayes.errors import DataError
from hierbayes.results.fit import Fit
from hierbayes.results.fit_tables import observed_of
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.specification.specification import Specification

# Means and sds of one response, as part of its size: only the order of additions differs.
SAME = 1e-9


def check_same_data(fits: Sequence[Fit], *, purpose: str) -> None:
    """Raise DataError naming the difference if the fits have other rows or other responses.

    ``purpose`` ends the sentence: what can't be done then.
    """
    for fit in fits[1:]:
        _order(fits[0], fit, purpose=purpose)


def check_same_rows(fits: Sequence[Fit], *, purpose: str) -> None:
    """Raise DataError if the fits have other rows, or the same in another order."""
    for fit in fits[1:]:
        if _order(fits[0], fit, purpose=purpose) is not None:
            raise DataError(
                f"The fits have the same rows in another order, so {purpose}. Fit both to one "
                "data frame."
            )


def aligned[Kind: Fit](fits: Sequence[Kind], *, purpose: str) -> tuple[Kind, ...]:
    """Return the fits with the rows of their designs in the order of the first one's.

    Estimates don't depend on the order of the rows; what is said of rows is said of the same ones.

    Raises
    ------
    DataError
        If the fits have other rows or other responses; ``purpose`` ends the sentence.
    """
    found = [fits[0]]
    for fit in fits[1:]:
        order = _order(fits[0], fit, purpose=purpose)
        if order is not None:
            fit = replace(fit, spec=_spec_in_order(fit.spec, order))
        found.append(fit)
    return tuple(found)


def check_families(fits: Sequence[LikelihoodFit], *, purpose: str) -> None:
    """Raise DataError if the fits are not of one family and link, or by different quadrature.

    ``purpose`` ends the sentence: what can't be done then.
    """
    first = fits[0]
    for fit in fits[1:]:
        if (fit.family, fit.link) != (first.family, first.link):
            pairs = [f"{one.family} with link {one.link}" for one in (first, fit)]
            raise DataError(
                f"The fits are of different families ({' and '.join(pairs)}), so "
                f"{purpose} as those of nested models. AIC compares them: fit.aic."
            )
    nodes = sorted({fit.n_quadrature for fit in fits if isinstance(fit, GeneralisedFit)})
    if len(nodes) > 1:
        raise DataError(
            f"The fits have n_quadrature={nodes[0]} and n_quadrature={nodes[1]}, approximations of "
            f"different error, so {purpose}. Fit all with one."
        )


def _order(first: Fit, fit: Fit, *, purpose: str) -> IntArray | None:
    """Positions of the first fit's rows among those of a fit; None where they are the same."""
    a, b = first.design, fit.design
    if fit.nobs != first.nobs:
        raise DataError(
            f"The fits used different rows ({first.nobs} and {fit.nobs}), so {purpose}. Fit "
            "all to the rows that are complete for all."
        )
    label, other = a.formula.response_label, b.formula.response_label
    if not (a.keeps_rows and b.keeps_rows):
        if label == other and _same_moments(a, b):
            return None
        told = f"{label} and {other}" if label != other else f"different values of {label}"
        raise DataError(f"The fits have different responses ({told}), so {purpose}.")
    if np.array_equal(a.y, b.y):
        return None
    if a.y.shape == b.y.shape:
        for order in (_by_label(a, b), _by_content(a, b)):
            if order is not None and np.array_equal(a.y, b.y[order]):
                return order
    if other != label:
        raise DataError(f"The fits have different responses ({label} and {other}), so {purpose}.")
    if np.array_equal(np.sort(a.y, axis=0), np.sort(b.y, axis=0)):
        raise DataError(
            f"The fits have the same values of {label} in another order, beside other values of "
            f"their predictors or groups, so {purpose}."
        )
    raise DataError(
        f"The fits have different responses (different values of {label}), so {purpose}."
    )


def _same_moments(a: Design, b: Design) -> bool:
    """Whether responses have the same mean, spread and range: what is known of those of streams."""
    first, second = (
        moments_of(observed_of(own)[:, None]) if own.keeps_rows else _moments(own) for own in (a, b)
    )
    unit = float(first.rms[0]) or 1.0
    return bool(
        abs(first.mean[0] - second.mean[0]) <= SAME * unit
        and abs(first.sd[0] - second.sd[0]) <= SAME * unit
        and first.low[0] == second.low[0]
        and first.high[0] == second.high[0]
    )


def _moments(design: Design) -> Moments:
    assert design.rows.moments is not None
    return design.rows.moments.response


def same_moments(a: Moments, b: Moments) -> bool:
    """Whether columns may be the same ones, added up in another order."""
    if a.mean.shape != b.mean.shape or a.n != b.n:
        return False
    near = np.abs(a.mean - b.mean) <= SAME * np.maximum(a.rms, b.rms)
    return bool((near & (np.abs(a.sd - b.sd) <= SAME * np.maximum(a.sd, b.sd) + SAME)).all())


def same_columns(a: Design, b: Design) -> bool:
    """Whether two designs have the same fixed-effects columns; of streams, by their moments."""
    known, other = a.rows.moments, b.rows.moments
    if known is None and other is None:
        return np.array_equal(a.X, b.X)
    if a.coef_names != b.coef_names:
        return False
    first = moments_of(a.X) if known is None else known.X
    return same_moments(first, moments_of(b.X) if other is None else other.X)


def _by_label(a: Design, b: Design) -> IntArray | None:
    """Match rows by their labels in the users' frames, where both tell rows apart."""
    if not (a.row_labels.is_unique and b.row_labels.is_unique):
        return None
    order = b.row_labels.get_indexer(a.row_labels)
    return None if (order < 0).any() else np.asarray(order, dtype=np.intp)


def _by_content(a: Design, b: Design) -> IntArray | None:
    """Match rows by the variables both models have; rows alike in all of them are exchangeable."""
    common = a.variables.keys() & b.variables.keys()
    hashes = []
    for design in (a, b):
        frame = design.model_frame
        kept = frame[[name for name in sorted(common) if name in frame.columns]].astype(object)
        hashes.append(pd.util.hash_pandas_object(kept.astype(str), index=False).to_numpy())
    orders = [np.argsort(values, kind="stable") for values in hashes]
    if not np.array_equal(hashes[0][orders[0]], hashes[1][orders[1]]):
        return None
    found = np.empty_like(orders[0])
    found[orders[0]] = orders[1]
    return found


def _spec_in_order(spec: Specification, order: IntArray) -> Specification:
    """Return the same specification with its rows in another order; sums are the same."""
    kernel = spec.reml_kernel if spec.family.is_linear else None
    return replace(spec, design=spec.design.with_rows(order), kernel_given=kernel)
