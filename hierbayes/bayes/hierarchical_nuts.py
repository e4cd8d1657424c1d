"""NUTS for any model whose density is in NumPy's words, with nothing compiled for the model.

nutpie moves a point in whitened coordinates (``whitening.py``), asking for the log density and its
gradient that one function, compiled once on a machine, gives for all models. That function lets
other threads run, so chains run side by side; their draws do not depend on how many do.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.bayes.hierarchical import HierarchicalTarget, Places, hierarchical_target
from hierbayes.bayes.hierarchical_kernel import AT, log_density, parameters_of
from hierbayes.bayes.hierarchical_parameters import ParameterSpace
from hierbayes.bayes.nuts import (
    NEARER,
    NutsSettings,
    every_sd,
    first_that_starts,
    nuts_findings,
    stats_of,
)
from hierbayes.bayes.nuts_progress import Watch
from hierbayes.bayes.whitening import whitened
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.pattern.related import is_related
from hierbayes.gaussian.patterned import check_patterned
from hierbayes.generalised.conditional import conditional
from hierbayes.options import random_generator
from hierbayes.progress import progress_bar
from hierbayes.results.draws import PosteriorDraws
from hierbayes.specification.specification import Specification

WIDTHS = (1.0, NEARER, 0.0)  # of starts around the mode, in sds of the posterior, tried in turn
POINT = "point"


def hierarchical_density(spec: Specification) -> HierarchicalTarget | None:
    """Return the density of a model; None where it is there in PyMC alone.

    That is so of families of one's own in words of PyTensor, of related levels, and of correlated
    residuals.

    Raises
    ------
    NotSupportedError
        If a covariance has a structure that is no pattern.
    """
    check_patterned(spec.design, "PyMC models and NUTS")
    if spec.family.log_density is None or is_related(spec.design):
        return None
    if spec.design.residual is not None:
        return None
    model = conditional(spec.design, spec.family, needs_curvature=False)
    try:
        return hierarchical_target(model.cells, spec.priors)
    except (TypeError, AttributeError, IndexError):
        return None  # of one's own, in words that only tensors know


def sample_hierarchical(
    target: HierarchicalTarget, design: Design, settings: NutsSettings
) -> PosteriorDraws:
    """Sample the posterior of a model.

    Raises
    ------
    SamplingError
        If no start has a finite density.
    """
    began = time.perf_counter()
    rng = random_generator(settings.random_seed)
    watch = Watch()
    with progress_bar(lambda: watch.now, show=settings.progress) as shown:
        watch.callback = watch.look if shown else None
        # where there is no mode to be found the sampler says whether there is a start
        with suppress(DataError, np.linalg.LinAlgError):
            target = whitened(target)
        watch.compiled()
        starts = [lambda width=width: _compiled(target, width) for width in WIDTHS]
        tree = first_that_starts(starts, settings, rng=rng, watch=watch)
    points = np.asarray(tree["posterior"][POINT])
    stats = stats_of(tree)
    shared, b = _parameters(target, points.reshape(-1, target.size))
    return _draws(
        target, shared, b, design, settings, stats=stats, seconds=time.perf_counter() - began
    )


def _compiled(target: HierarchicalTarget, width: float) -> Any:
    """Return the model as nutpie drives it, its chains starting about the mode."""
    from nutpie.compiled_pyfunc import from_pyfunc

    ints, floats, size = target.ints, target.floats, target.size

    def of_chain() -> Callable[[FloatArray], tuple[float, FloatArray]]:
        room, gradient = target.room(), np.zeros(size)

        def at(point: FloatArray) -> tuple[float, FloatArray]:
            return log_density(ints, floats, room, point, gradient), gradient

        return at

    def expand(*seeds: Any) -> Callable[[FloatArray], dict[str, FloatArray]]:
        return lambda point: {POINT: point}

    def start(seed: Any) -> FloatArray:
        return width * np.random.default_rng(seed).standard_normal(size)

    return from_pyfunc(
        size,
        of_chain,
        expand,
        [np.dtype(np.float64)],
        [(size,)],
        [POINT],
        make_initial_point_fn=start,
    )


def _parameters(target: HierarchicalTarget, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shared numbers (N, S) and effects in the basis (N, r) of points (N, D)."""
    sizes = [own.n_levels * own.z.shape[0] for own in target.factors]
    shared = np.empty((points.shape[0], int(target.ints[AT.shared])))
    effects = np.empty((points.shape[0], sum(sizes)))
    parameters_of(
        target.ints, target.floats, target.room(), np.ascontiguousarray(points), shared, effects
    )
    return shared, effects


def _draws(
    target: HierarchicalTarget,
    shared: FloatArray,
    effects: FloatArray,
    design: Design,
    settings: NutsSettings,
    *,
    stats: dict[str, FloatArray],
    seconds: float,
) -> PosteriorDraws:
    mean, *further = target.placed
    sizes = [
        sum(f.n_levels * f.z.shape[0] for f in target.factors if f.predictor == s)
        for s in range(len(target.spaces))
    ]
    of_mean, *parts = np.split(effects, np.cumsum(sizes)[:-1], axis=1)
    found = _of_predictor(target.spaces[0], mean, shared, of_mean, design, settings)
    formulas = {
        name: _of_predictor(space, own, shared, part, design.of(name), settings)
        for name, space, own, part in zip(
            design.formulas, target.spaces[1:], further, parts, strict=True
        )
    }
    shape = (settings.chains, settings.draws)
    family = {name: shared[:, at].reshape(*shape, *at.shape) for name, at in mean.family.items()}
    has_sigma = target.spaces[0].priors.sigma is not None
    return replace(
        found,
        sigma=family.pop("sigma") if has_sigma else None,
        family=family,
        formulas=formulas,
        sample_stats=stats,
        findings=nuts_findings(stats, every_sd(found, formulas), settings),
        seconds=seconds,
    )


def _of_predictor(
    space: ParameterSpace,
    places: Places,
    shared: FloatArray,
    effects: FloatArray,
    design: Design,
    settings: NutsSettings,
) -> PosteriorDraws:
    """Coefficients, sds, correlations and effects (N, r) of one predictor, whose design it is."""
    model, shape = space.model, (settings.chains, settings.draws)
    sd, corr, b = {}, {}, {}
    start = 0
    for f, (factor, basis) in enumerate(zip(design.factors, model.z_bases, strict=True)):
        root = _matrix(shared, places.user_roots[f])
        size = np.sqrt((root**2).sum(axis=2))
        q = size.shape[1]
        sd[factor.name] = size.reshape(*shape, q)
        if any(g == f and len(columns) > 1 for g, columns in model.shape.terms):
            R = root / size[:, :, None]
            matrix = R @ R.transpose(0, 2, 1)
            matrix[:, np.arange(q), np.arange(q)] = 1.0
            corr[factor.name] = matrix.reshape(*shape, q, q)
        end = start + model.levels.n_levels[f] * q
        own = effects[:, start:end].reshape(*shape, model.levels.n_levels[f], q)
        b[factor.name] = own @ basis.T
        start = end
    return PosteriorDraws(
        beta=shared[:, places.beta].reshape(*shape, -1),
        sigma=None,
        sd=sd,
        corr=corr,
        b=b,
        sampler="nuts",
    )


def _matrix(shared: FloatArray, places: IntArray) -> FloatArray:
    """Matrices (N, q, q) of shared numbers; zero where a place is -1."""
    return np.where(places >= 0, shared[:, places], 0.0)
