"""The Gaussian likelihood with the random effects integrated out, as a PyTensor expression.

On the cross-products of ``gaussian/products.py``, with r = y - X beta, Lambda_f = C_f / sigma and
C_f the Cholesky factor of the covariance of factor f,

    -2 log p(y | beta, C, sigma) = n log(2 pi sigma^2) - sum log w + log|L L'|
                                   + (r'Wr - |L^-1 Lambda'Z'W r|^2) / sigma^2

where L L' = Lambda'Z'WZ Lambda + I. The rows of the data do not appear, so one evaluation costs a
number of operations that depends on levels and columns only.

One factor, or factors nested in each other: the levels are eliminated from the finest factor up,
each a small Cholesky factor. Crossed factors: the largest is eliminated in this way and the others
make one dense matrix, as long as it is small (``MAX_REST``).

Works in the basis of the products' anchor; what enters and leaves is on the user's scale.
"""

from typing import Any

import numpy as np

from hierbayes.arrays import IntArray
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.gaussian.pattern.level_graph import level_graph
from hierbayes.gaussian.products import Products, dense_beside_first, dense_levels, products_of
from hierbayes.naming.variable_names import OBS, factor_variables, response_variable

MAX_REST = 1000  # columns of the dense matrix of the crossed factors but the largest
MAX_COUPLING = 2 * 10**7  # entries of the dense coupling of the largest factor with them


def add_marginal_likelihood(design: Design, beta: Any, sigma: Any, roots: list[Any]) -> None:
    """Add log p(y | beta, sds, correlations, sigma) to the PyMC model in context, as the response.

    One density of all rows, which share effects; drawn from, new effects are drawn with it.

    Parameters
    ----------
    design : Design
    beta : tensor, shape (p,), user's scale
    sigma : tensor, scalar; None where the residual sds are known
    roots : per factor, tensor (q, q), Cholesky factor of its covariance, user's scale

    Raises
    ------
    NotSupportedError
        If crossed factors are too large for dense algebra, or residuals too small beside effects.
    """
    import pymc as pm
    import pytensor.tensor as pt

    weights = design.weights if design.known_sd is None else design.known_sd**-2.0
    products = products_of(design, weights=weights)
    if products.remainder is not None:
        raise not_supported("marginal-far-levels")
    anchor = products.anchor
    names = [
        factor_variables([factor.name for factor in design.factors])[factor.name]
        for factor in design.factors
    ]
    nested = level_graph(products).is_nested
    if not nested:
        _check_size(products)
    residual_sd = np.float64(1.0) if sigma is None else sigma
    centred = pm.Data("to_basis", np.linalg.inv(anchor.x_basis)) @ (
        beta - pm.Data("first_fit", anchor.beta0)
    )
    xx, xy = pm.Data("xx", products.xx), pm.Data("xy", products.xy)
    squares = pm.Data("yy", np.asarray(products.yy)) - 2 * (xy @ centred)
    squares = squares + centred @ (xx @ centred)
    Lambdas, right, zz = [], [], []
    for f, (name, root) in enumerate(zip(names, roots, strict=True)):
        to_basis = pm.Data(f"to_basis_{name}", np.linalg.inv(anchor.z_bases[f]))
        Lambda = (to_basis @ root) / residual_sd
        zr = pm.Data(f"zy_{name}", products.zy[f])
        zr = zr - pm.Data(f"zx_{name}", products.zx[f]) @ centred
        Lambdas.append(Lambda)
        right.append(zr @ Lambda)
        zz.append(pm.Data(f"zz_{name}", products.zz[f]))
    eliminate = _eliminate_nested if nested else _eliminate_crossed
    log_det, explained = (
        (pt.zeros(()), pt.zeros(()))
        if not roots
        else eliminate(products, names, Lambdas, zz, right)
    )
    constant = pm.Data("log_weights", np.asarray(products.sum_log_weights))
    n = pm.Data("n_rows", np.asarray(float(products.n_obs)))
    minus_twice = (
        n * pt.log(2 * np.pi * residual_sd**2)
        - constant
        + log_det
        + (squares - explained) / residual_sd**2
    )
    _add_response(design, anchor.kept, beta, residual_sd, roots, log_density=-minus_twice / 2)


def _add_response(
    design: Design,
    kept: IntArray,
    beta: Any,
    residual_sd: Any,
    roots: list[Any],
    *,
    log_density: Any,
) -> None:
    """Add the observed response with its joint log density, a scalar of the model's variables."""
    import pymc as pm
    import pytensor.tensor as pt
    from pytensor.graph.replace import graph_replace

    X = design.X[:, kept]
    offset = np.zeros(X.shape[0]) if design.offset is None else design.offset
    noise = np.ones(X.shape[0]) if design.weights is None else design.weights**-0.5
    if design.known_sd is not None:
        noise = design.known_sd
    given = [beta, pt.as_tensor(residual_sd), *roots]

    def logp(value: Any, offset: Any, *parameters: Any) -> Any:
        del value, offset  # the cross-products are those of the response
        return graph_replace(log_density, dict(zip(given, parameters, strict=True)), strict=False)

    def random(offset: Any, *parameters: Any, rng: np.random.Generator, size: Any) -> Any:
        del size
        coefficients, sd, *own = parameters
        y = X @ coefficients + offset + sd * noise * rng.standard_normal(X.shape[0])
        for factor, root in zip(design.factors, own, strict=True):
            b = rng.standard_normal((factor.levels.size, root.shape[0])) @ root.T
            y = y + (b[factor.codes] * factor.z).sum(axis=1)
        return y

    matrices = "".join(f",(q{f},q{f})" for f in range(len(roots)))
    response = pm.CustomDist(
        response_variable(
            design.formula.response_label,
            factor_variables([factor.name for factor in design.factors]),
        ),
        offset,
        *given,
        logp=logp,
        random=random,
        signature=f"(n),(p),(){matrices}->(n)",
        observed=design.y,
        dims=OBS,
    )
    response.tag.log_density = (
        log_density  # part of the model's graph that its variables don't show
    )


def _check_size(products: Products) -> None:
    rest = sum(A.shape[0] * A.shape[1] for A in products.zz[1:])
    J, q = products.zz[0].shape[:2]
    if rest > MAX_REST or J * q * rest > MAX_COUPLING:
        raise not_supported(
            "marginal-size",
            others=rest,
            of_largest=J * q,
            most_others=MAX_REST,
            most_products=MAX_COUPLING,
        )


def _eliminate_nested(
    products: Products, names: list[str], Lambdas: list[Any], zz: list[Any], right: list[Any]
) -> tuple[Any, Any]:
    """Return log|L L'| and |L^-1 right|^2, level by level from the finest factor."""
    import pymc as pm
    import pytensor.tensor as pt

    m = len(names)
    diagonal = [
        Lam.T @ A @ Lam + np.eye(product.shape[1])
        for A, Lam, product in zip(zz, Lambdas, products.zz, strict=True)
    ]
    coupled, parent = {}, {}
    for (f, g), coupling in products.couplings.items():
        blocks = pm.Data(f"zz_{names[f]}_{names[g]}", coupling.blocks)
        coupled[f, g] = Lambdas[f].T @ blocks @ Lambdas[g]
        parent[f, g] = pm.Data(f"parent_{names[f]}_{names[g]}", coupling.columns.astype(np.int64))
    log_det, explained = pt.zeros(()), pt.zeros(())
    for f in range(m):
        size = products.zz[f].shape[1]
        L = _cholesky(diagonal[f], size)
        half = _solve(L, right[f][:, :, None], size)
        log_det = log_det + 2 * pt.log(pt.diagonal(L, axis1=1, axis2=2)).sum()
        explained = explained + (half**2).sum()
        spread = {g: _solve(L, coupled[f, g], size) for g in range(f + 1, m)}
        for g in range(f + 1, m):
            up, left = parent[f, g], spread[g].transpose(0, 2, 1)
            diagonal[g] = diagonal[g][up].inc(-(left @ spread[g]))
            right[g] = right[g][up].inc(-(left @ half)[:, :, 0])
            for h in range(g + 1, m):
                coupled[g, h] = coupled[g, h][up].inc(-(left @ spread[h]))
    return log_det, explained


def _eliminate_crossed(
    products: Products, names: list[str], Lambdas: list[Any], zz: list[Any], right: list[Any]
) -> tuple[Any, Any]:
    """Return log|L L'| and |L^-1 right|^2: levels of the first factor, then one dense matrix."""
    import pymc as pm
    import pytensor.tensor as pt

    from hierbayes.gaussian.pattern.crossed import crossed_pattern

    pattern = crossed_pattern(level_graph(products))
    J, q = products.zz[0].shape[:2]
    dense = dense_beside_first(products.zz, products.couplings)
    sizes = [A.shape[:2] for A in products.zz[1:]]

    def scaled(M: Any, rows: Any) -> Any:
        """M (rows, r) times the block-diagonal Lambda of the other factors."""
        parts = []
        for f, (J_f, q_f) in enumerate(sizes, start=1):
            part = M[:, pattern.rest_slice(f)].reshape((rows, J_f, q_f))
            parts.append((part @ Lambdas[f]).reshape((rows, J_f * q_f)))
        return pt.concatenate(parts, axis=1)

    L = _cholesky(Lambdas[0].T @ zz[0] @ Lambdas[0] + np.eye(q), q)
    coupling = Lambdas[0].T @ pm.Data(f"zz_{names[0]}_others", dense)
    E = scaled(_solve(L, coupling, q).reshape((J * q, pattern.n_rest)), J * q)
    half = _solve(L, right[0][:, :, None], q).reshape((J * q,))
    rest = pm.Data("zz_others", dense_levels(products.zz, products.couplings, first=1))
    F = scaled(scaled(rest, pattern.n_rest).T, pattern.n_rest)
    F = F + np.eye(pattern.n_rest) - E.T @ E
    root = pt.linalg.cholesky(F)
    others = pt.concatenate([part.ravel() for part in right[1:]]) - E.T @ half
    last = pt.linalg.solve_triangular(root, others, lower=True)
    log_det = pt.log(pt.diagonal(L, axis1=1, axis2=2)).sum() + pt.log(pt.diagonal(root)).sum()
    return 2 * log_det, (half**2).sum() + (last**2).sum()


def _cholesky(stack: Any, size: int) -> Any:
    """Cholesky factors of a stack (J, q, q)."""
    import pytensor.tensor as pt

    return pt.sqrt(stack) if size == 1 else pt.linalg.cholesky(stack)


def _solve(L: Any, right: Any, size: int) -> Any:
    """L^-1 right for stacks (J, q, q) and (J, q, c)."""
    import pytensor.tensor as pt

    if size == 1:
        return right / L[:, 0, 0][:, None, None]
    return pt.linalg.solve_triangular(L, right, lower=True, b_ndim=2)
