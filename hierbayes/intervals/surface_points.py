"""The points of a likelihood surface: covariances with two sds at values of a grid."""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.gaussian.covariance import CovarianceShape, lower_triangles, term_covariances
from hierbayes.results.interval_parameters import IntervalParameter


def theta_at(
    shape: CovarianceShape,
    theta: FloatArray,
    parameters: Sequence[IntervalParameter],
    values: Sequence[FloatArray],
    *,
    sigma: float,
    relative_to: FloatArray,
) -> FloatArray:
    """Return theta (N, k) of a fit with some of its sds at other values, correlations kept.

    Of a pattern the correlations are its parameters, the same at every point.

    Parameters
    ----------
    shape : on the user's scale
    theta : array, shape (k,), of the fit
    parameters, values : some of which are sds, and N values of each
    sigma : residual sd of the fit
    relative_to : array, shape (N,), the residual sd at each point
    """
    found = term_covariances(shape, theta, sigma)
    N = relative_to.size
    Lambdas = [np.zeros((N, q, q)) for q in shape.sizes]
    for number, ((factor, columns), term) in enumerate(zip(shape.terms, found, strict=True)):
        sds = np.tile(term.sd, (N, 1))
        for parameter, given in zip(parameters, values, strict=True):
            if parameter.term == number and parameter.place < 0:
                sds[:, parameter.row] = given
        corr = np.where(np.isnan(term.corr), np.eye(len(columns)), term.corr)
        sizes, axes = np.linalg.eigh(corr)
        root = axes * np.sqrt(np.maximum(sizes, 0.0))
        at = np.array(columns)
        block = sds[:, :, None] * root / relative_to[:, None, None]
        Lambdas[factor][:, at[:, None], at[None, :]] = lower_triangles(block)
    packed = shape.packed_triangles(Lambdas)
    for number, own, part in shape.structured:
        packed[:, part] = np.where(
            own.is_scale, theta[part] * (sigma / relative_to)[:, None], theta[part]
        )
        for parameter, given in zip(parameters, values, strict=True):
            if parameter.term == number:
                packed[:, part.start + parameter.place] = given / relative_to
    return packed
