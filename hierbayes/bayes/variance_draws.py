"""Draws of sds and correlations, by grouping factor, from draws of their coordinates."""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.bayes.coordinates import Coordinates
from hierbayes.design.design import Design


def sd_draws(
    coordinates: Coordinates, phi: FloatArray, design: Design, shape: tuple[int, int]
) -> dict[str, FloatArray]:
    """Sds by factor, each (C, D, q), from phi (C D, d) and (C, D)."""
    sds = coordinates.sds(phi)
    if not coordinates.shape.is_plain:
        sds = [np.sqrt((root**2).sum(axis=2)) for root in coordinates.roots(phi)]
    return {
        factor.name: sd.reshape(*shape, -1) for factor, sd in zip(design.factors, sds, strict=True)
    }


def correlation_draws(
    coordinates: Coordinates, phi: FloatArray, design: Design, shape: tuple[int, int]
) -> dict[str, FloatArray]:
    """Correlation matrices of the factors that have correlated columns."""
    out: dict[str, FloatArray] = {}
    for term, (f, columns) in enumerate(coordinates.shape.terms):
        if len(columns) == 1:
            continue
        name, q = design.factors[f].name, coordinates.shape.sizes[f]
        full = out.setdefault(name, np.tile(np.eye(q), (*shape, 1, 1)))
        at = np.array(columns)
        if coordinates.shape.structures[term] is None:
            R = coordinates.correlation_root(phi, term)
        else:
            root = coordinates.roots(phi)[f][:, at[:, None], at]
            R = root / np.sqrt((root**2).sum(axis=2, keepdims=True))
        block = (R @ np.swapaxes(R, 1, 2)).reshape(*shape, at.size, at.size)
        full[..., at[:, None], at[None, :]] = block
    return out
