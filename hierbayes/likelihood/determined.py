"""The model without the columns of random effects that are held at zero.

Where the data cannot determine a variance (``gaussian/undetermined.py``), the search goes over the
model without it: what is left has the same (restricted) likelihood, and its estimates are those of
the formula without the undetermined term. The cross-products of that model are in those of the
whole one, no row is read again.
"""

from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.kernel import of_other_levels
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.products import Products
from hierbayes.gaussian.structures import UNSTRUCTURED
from hierbayes.gaussian.turned import turned
from hierbayes.gaussian.undetermined import Undetermined, told_apart
from hierbayes.wording import listed


def determined_design(design: Design, found: Undetermined) -> Design:
    """Return a design without the columns held at zero, nor factors and terms without others."""
    kept = found.kept
    place = _places(kept)
    terms = []
    for term in design.terms:
        columns = tuple(kept[term.factor].index(c) for c in term.columns if c in kept[term.factor])
        if columns:
            terms.append(replace(term, factor=place[term.factor], columns=columns))
    factors = tuple(
        factor.with_columns(some) for factor, some in zip(design.factors, kept, strict=True) if some
    )
    return design.with_mean(replace(design.mean, factors=factors, terms=tuple(terms)))


def check_structures(design: Design, kernel: Kernel) -> None:
    """Raise DataError where parameters of a term's structure are not determined by the data."""
    shape, known = kernel.basis_shape, kernel.sigma_known
    relations = [factor.relation for factor in design.factors]
    is_related = [own is not None for own in relations]
    if shape.is_plain and not any(is_related):
        return
    if told_apart(kernel.products, shape, relations, sigma_known=known):
        return
    named = listed(
        [
            term.label
            for term in design.terms
            if term.covariance != UNSTRUCTURED or is_related[term.factor]
        ]
    )
    raise DataError(
        f"The data do not tell the parameters of the covariance of {named} from each other, from "
        "other variances, or from the residual sd. Use fewer random effects, or a covariance with "
        "fewer parameters."
    )


def determined_shape(found: Undetermined) -> CovarianceShape:
    """Return the covariance shape of that design."""
    kept = found.kept
    place = _places(kept)
    terms = []
    for f, columns in found.shape.terms:
        some = tuple(kept[f].index(c) for c in columns if c in kept[f])
        if some:
            terms.append((place[f], some))
    sizes = tuple(len(some) for some in kept if some)
    return CovarianceShape(sizes=sizes, terms=tuple(terms))


def doubtful_terms(found: Undetermined) -> set[int]:
    """Positions among the terms of that design of those with an undetermined parameter."""
    kept = found.kept
    left = [
        own
        for (f, columns), own in zip(found.shape.terms, found.slices, strict=True)
        if set(columns) & set(kept[f])
    ]
    return {i for i, own in enumerate(left) if found.parameters[own].any()}


def determined_products(products: Products, found: Undetermined) -> Products:
    """Return the products of that design, in columns that are orthonormal where they were.

    With B the basis of a term, z B its columns in the products and S those kept, z_S has the
    coordinates (B^-1)_S = Q R, so that z B Q is an orthonormal basis of its span.
    """
    kept = found.kept
    axes, bases = [], []
    for f, some in enumerate(kept):
        basis = products.anchor.z_bases[f]
        Q = np.zeros((basis.shape[0], len(some)))
        for factor, columns in found.shape.terms:
            own = [c for c in columns if c in some]
            if factor == f and own:
                inverse = np.linalg.inv(basis[np.ix_(columns, columns)])
                places = [columns.index(c) for c in own]
                Q[np.ix_(columns, [some.index(c) for c in own])] = np.linalg.qr(inverse[:, places])[
                    0
                ]
        axes.append(Q)
        bases.append((basis @ Q)[some])
    whole = turned(products, axes)
    place = _places(kept)
    left = whole.remainder
    if left is not None:
        left = replace(
            left,
            levels=tuple(left.levels[f] for f in place),
            zr=tuple(left.zr[f] for f in place),
        )
    return replace(
        whole,
        remainder=left,
        anchor=replace(whole.anchor, z_bases=tuple(bases[f] for f in place)),
        zz=tuple(whole.zz[f] for f in place),
        zx=tuple(whole.zx[f] for f in place),
        zy=tuple(whole.zy[f] for f in place),
        couplings={
            (place[f], place[g]): coupling
            for (f, g), coupling in whole.couplings.items()
            if f in place and g in place
        },
    )


def on_all_columns(found: Undetermined, theta: FloatArray) -> FloatArray:
    """Theta of all columns, shape (T, k), from that of the kept ones (T, r), user's scale."""
    Lambdas = determined_shape(found).unpack(theta)
    whole = [np.zeros((theta.shape[0], q, q)) for q in found.shape.sizes]
    for f, at in _places(found.kept).items():
        some = found.kept[f]
        whole[f][:, np.array(some)[:, None], some] = Lambdas[at]
    return found.shape.pack(whole)


def on_kept_columns(found: Undetermined, theta: FloatArray) -> FloatArray:
    """Theta (r,) of the kept columns, from that of all columns (k,) with zeros elsewhere."""
    Lambdas = found.shape.unpack(theta[None])
    kept = [(f, some) for f, some in enumerate(found.kept) if some]
    parts = [Lambdas[f][:, np.array(some)[:, None], some] for f, some in kept]
    return np.asarray(determined_shape(found).pack(parts)[0])


def _places(kept: list[list[int]]) -> dict[int, int]:
    """Place of each factor among those that have columns left."""
    used = [f for f, some in enumerate(kept) if some]
    return {f: i for i, f in enumerate(used)}


def determined_kernel(kernel: Kernel) -> Kernel:
    """Return the kernel of the model without the columns held at zero; this one without any."""
    found = kernel.undetermined
    if found is None or not any(found.removed):
        return kernel
    products = determined_products(kernel.products, found)
    left = of_other_levels(kernel, products)
    return replace(left, shape=determined_shape(found), undetermined=None)
