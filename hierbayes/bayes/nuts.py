"""Sampling a PyMC model by NUTS (nutpie), started at estimates.

What is compiled depends on the graph of the model only, so within a process a compiled model
serves every model of the same graph: other data, other seeds, other parameters of priors.

Source: Hoffman & Gelman (2014), J. Mach. Learn. Res. 15:1593; Betancourt (2017), arXiv:1701.02434
(what a divergence says).
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.bayes.effect_draws import draw_effects
from hierbayes.bayes.nuts_progress import Watch
from hierbayes.bayes.pymc_graph import graph_key
from hierbayes.bayes.starting_points import JITTER, FreeValue
from hierbayes.design.design import Design
from hierbayes.errors import SamplingError
from hierbayes.gaussian.marginal import Kernel
from hierbayes.naming.variable_names import behind, factor_variables
from hierbayes.options import random_generator
from hierbayes.progress import progress_bar
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.finding import Finding

if TYPE_CHECKING:
    import pymc as pm

TARGET_ACCEPT = 0.9  # smaller steps than nutpie's 0.8: fewer divergences near an sd of zero
MAX_DEPTH = 10
MANY_DEEP = 0.05  # share of draws at the largest depth that is worth a finding
NEARER = 0.1  # of the usual distance, where chains can't start that far apart
NO_START = "initialization points failed"  # what nutpie says then
LONGEST_REASON = 200  # letters of what another package said that are repeated
KEPT_COMPILED = 8  # compiled models held at a time
STATS = {
    "diverging": "diverging",
    "depth": "tree_depth",
    "n_steps": "n_steps",
    "mean_tree_accept": "acceptance_rate",
    "step_size": "step_size",
    "energy": "energy",
    "logp": "lp",
}
_compiled: dict[Any, Any] = {}


@record
class NutsSettings:
    """How long and how carefully to sample.

    Attributes
    ----------
    draws, chains : draws a chain that are kept, and chains
    tune : draws a chain used to adapt and thrown away
    random_seed : int, Generator, SeedSequence or None
    progress : True, False, or None for "where somebody watches"
    target_accept : between 0 and 1; larger takes smaller steps
    """

    draws: int = 1000
    chains: int = 4
    tune: int = 1000
    random_seed: Any = None
    progress: bool | None = None
    target_accept: float = TARGET_ACCEPT


def sample_nuts(
    model: "pm.Model",
    design: Design,
    settings: NutsSettings,
    *,
    start: Mapping[str, FreeValue] | None = None,
    family: Sequence[str] = (),
    kernel: Kernel | None = None,
) -> PosteriorDraws:
    """Sample a model of ``build_model``.

    Parameters
    ----------
    model : pymc.Model
    design : Design
    settings : NutsSettings
    start : values of free variables (``free_values``); others start where PyMC puts them
    family : names of the further parameters of the response family
    kernel : Kernel
        Needed for a marginal model: the random effects are then drawn afterwards, exactly, from
        their conditional distribution.

    Raises
    ------
    SamplingError
        If nutpie can't compile the model, or no start has a finite density.
    """
    began = time.perf_counter()
    rng = random_generator(settings.random_seed)
    predictors = [(design, ""), *((design.of(name), behind(name)) for name in design.formulas)]
    wanted = [name for own, before in predictors for name in _variables(own, before)]
    wanted += ["beta", "sigma", *family, *(f"{before}beta" for _, before in predictors[1:])]
    wanted = [name for name in wanted if name in model.named_vars]
    watch = Watch()
    with progress_bar(lambda: watch.now, show=settings.progress) as shown:
        watch.callback = watch.look if shown else None
        tree = _sampled(model, wanted, settings, start or {}, rng=rng, watch=watch)
    posterior = {name: np.asarray(tree["posterior"][name]) for name in wanted}
    stats = stats_of(tree)
    mean, *further = (_of_predictor(posterior, *own, settings) for own in predictors)
    formulas = dict(zip(design.formulas, further, strict=True))
    found = replace(
        mean,
        sigma=posterior.get("sigma"),
        family={name: posterior[name] for name in family if name in posterior},
        formulas=formulas,
        sample_stats=stats,
        findings=nuts_findings(stats, every_sd(mean, formulas), settings),
    )
    if kernel is not None and design.factors:
        found = replace(found, b=_effects(kernel, found, rng))
    return replace(found, seconds=time.perf_counter() - began)


def _variables(design: Design, before: str) -> list[str]:
    """Return the names that the random effects of a predictor may have, with their scales."""
    stems = factor_variables([factor.name for factor in design.factors]).values()
    return [f"{before}{part}_{stem}" for stem in stems for part in ("sd", "corr", "b")]


def _of_predictor(
    posterior: Mapping[str, FloatArray], design: Design, before: str, settings: NutsSettings
) -> PosteriorDraws:
    """Coefficients and random effects of one predictor, whose names begin with ``before``."""
    names = factor_variables([factor.name for factor in design.factors])
    corr = {name: f"{before}corr_{stem}" for name, stem in names.items()}
    return PosteriorDraws(
        beta=posterior.get(f"{before}beta", np.empty((settings.chains, settings.draws, 0))),
        sigma=None,
        sd={name: posterior[f"{before}sd_{stem}"] for name, stem in names.items()},
        corr={name: posterior[own] for name, own in corr.items() if own in posterior},
        b={name: posterior.get(f"{before}b_{stem}", np.empty(0)) for name, stem in names.items()},
        sampler="nuts",
    )


def every_sd(mean: PosteriorDraws, formulas: Mapping[str, PosteriorDraws]) -> dict[str, FloatArray]:
    """Return the sds of the random effects of the mean, and of further parameters, by name."""
    found = dict(mean.sd)
    for name, own in formulas.items():
        found |= {f"{factor} ({name})": sd for factor, sd in own.sd.items()}
    return found


def _sampled(
    model: "pm.Model",
    wanted: Sequence[str],
    settings: NutsSettings,
    start: Mapping[str, FreeValue],
    *,
    rng: np.random.Generator,
    watch: Watch,
) -> Any:
    """Return nutpie's draws: from around the start, nearer to it, or from where PyMC starts."""

    def around(values: Mapping[str, FreeValue], width: float) -> Callable[[], Any]:
        def compiled() -> Any:
            found = compiled_model(model, wanted)
            watch.compiled()
            return replace(found, initial_point_func=_initial(model, values, width))

        return compiled

    starts = [around(start, 1.0), around(start, NEARER), around({}, 1.0)]
    return first_that_starts(starts, settings, rng=rng, watch=watch)


def first_that_starts(
    starts: Sequence[Callable[[], Any]],
    settings: NutsSettings,
    *,
    rng: np.random.Generator,
    watch: Watch,
) -> Any:
    """Return nutpie's draws from the first model whose starts have a finite density.

    What nutpie, numba or PyTensor raise becomes an error of ours: all of them throw bare classes
    of Python.
    """
    try:
        for compiled in starts:
            try:
                return _run(compiled(), settings, seed=int(rng.integers(2**31)), watch=watch)
            except RuntimeError as error:
                if NO_START not in str(error).lower():
                    raise
    except ModuleNotFoundError:
        raise  # said where the call began
    except Exception as error:
        said = str(error).strip().split("\n")[0][:LONGEST_REASON]
        raise SamplingError(
            f"NUTS could not sample this model: {said or type(error).__name__}. Check the priors "
            "and the scale of the data; to_pymc() gives the model that was tried."
        ) from error
    raise SamplingError(
        "NUTS found no values of the parameters with a finite density to start from: the data are "
        "impossible, or overflow, under the priors. Check the range of the response and scale the "
        "predictors, or give priors in the range of the data; to_pymc() gives the model."
    )


def stats_of(tree: Any) -> dict[str, FloatArray]:
    """Return what nutpie says of each draw, each (C, D), by the names of ArviZ."""
    found = tree["sample_stats"]
    return {new: np.asarray(found[old]) for old, new in STATS.items() if old in found}


def compiled_model(model: "pm.Model", wanted: Sequence[str]) -> Any:
    """Return the model compiled by nutpie, from a model of the same graph where there was one."""
    import nutpie

    key = (graph_key(model), tuple(wanted))
    data = {var.name: var.get_value() for var in model.data_vars}
    if key in _compiled:
        compiled = _compiled.pop(key)
        used = {var.name for var in compiled.shared_var_keys}
        compiled = compiled.with_data(**{k: v for k, v in data.items() if k in used})
    else:
        with warnings.catch_warnings():
            # said once a process to everybody who installed PyTensor by pip; numba has its own BLAS
            warnings.filterwarnings("ignore", message="PyTensor could not link to a BLAS")
            compiled = nutpie.compile_pymc_model(model, var_names=list(wanted))
        while len(_compiled) >= KEPT_COMPILED:
            del _compiled[next(iter(_compiled))]
    _compiled[key] = compiled
    return compiled


def _initial(
    model: "pm.Model", start: Mapping[str, FreeValue], width: float
) -> Callable[[Any], FloatArray]:
    """Return the function of a seed that nutpie asks for the start of each chain."""
    centre, spread = [], []
    values = start_point(model, {name: at.value for name, at in start.items()})
    for rv in model.free_RVs:
        value = values[rv.name]
        at = start.get(rv.name)
        fits = at is not None and at.jitter.shape == value.shape
        jitter = at.jitter if at is not None and fits else np.full(value.shape, JITTER)
        centre.append(value.ravel())
        spread.append(np.asarray(jitter).ravel())
    middle, away = np.concatenate(centre), width * np.concatenate(spread)

    def initial(seed: Any = None) -> FloatArray:
        return middle + away * np.random.default_rng(seed).uniform(-1, 1, middle.size)

    return initial


def start_point(model: "pm.Model", values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return transformed values of all free variables; PyMC's own start where none is given."""
    import pytensor
    from pymc.initial_point import make_initial_point_expression
    from pytensor.compile.mode import Mode

    given = {rv: values[rv.name] for rv in model.free_RVs if rv.name in values}
    points = make_initial_point_expression(
        free_rvs=model.free_RVs,
        rvs_to_transforms=model.rvs_to_transforms,
        initval_strategies={**model.rvs_to_initial_values, **given},
        default_strategy="support_point",
        return_transformed=True,
    )
    # interpreted: compiling would take longer than everything else
    mode = Mode(linker="py", optimizer="fast_compile")
    function = pytensor.function([], points, mode=mode, on_unused_input="ignore")
    names = [rv.name for rv in model.free_RVs]
    return {name: np.asarray(x) for name, x in zip(names, function(), strict=True)}


def _run(compiled: Any, settings: NutsSettings, *, seed: int, watch: Watch) -> Any:
    import nutpie

    return nutpie.sample(
        compiled,
        draws=settings.draws,
        tune=settings.tune,
        chains=settings.chains,
        seed=seed,
        progress_bar=False,
        progress_callback=watch.callback,
        save_warmup=False,
        target_accept=settings.target_accept,
        maxdepth=MAX_DEPTH,
    )


def _effects(
    kernel: Kernel, found: PosteriorDraws, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Draw the random effects of a marginal model."""
    C, D, p = found.beta.shape
    roots = []
    for name, sd in found.sd.items():
        flat = sd.reshape(C * D, -1)
        root = np.eye(flat.shape[1])[None]
        if name in found.corr:
            q = flat.shape[1]
            root = _root(found.corr[name].reshape(C * D, q, q))
        roots.append(flat[:, :, None] * root)
    sigma = None if found.sigma is None else found.sigma.ravel()
    b = draw_effects(kernel, beta=found.beta.reshape(C * D, p), sigma=sigma, roots=roots, rng=rng)
    return {
        name: effects.reshape(C, D, *effects.shape[1:])
        for name, effects in zip(found.sd, b, strict=True)
    }


def _root(corr: FloatArray) -> FloatArray:
    """Cholesky factors of correlation matrices (S, q, q) that rounding may have left singular."""
    tiny = 4 * np.finfo(float).eps * corr.shape[1]
    return np.linalg.cholesky(corr + tiny * np.eye(corr.shape[1]))


def nuts_findings(
    stats: Mapping[str, FloatArray], sd: Mapping[str, FloatArray], settings: NutsSettings
) -> tuple[Finding, ...]:
    """Say where the sampler could not follow the posterior."""
    found = []
    total = settings.draws * settings.chains
    diverging = np.asarray(stats.get("diverging", np.zeros((1, 1))), dtype=bool)
    count = int(diverging.sum())
    if count:
        near = _where_divergences_are(diverging, sd)
        place = f", most of them where the sd of {near} is small" if near else ""
        found.append(
            Finding(
                "divergences",
                f"{count} of {total} draws of NUTS diverged{place}: the sampler's steps were too "
                "long for part of the posterior, which may be missing from the draws.",
                "Sample with smaller steps, sample(target_accept=0.99); if divergences stay, give "
                "the sd a prior that keeps it from zero, or leave the term out.",
                {"divergences": count, "draws": total},
            )
        )
    depth = np.asarray(stats.get("tree_depth", np.zeros((1, 1))))
    deep = int((depth >= MAX_DEPTH).sum())
    if deep > MANY_DEEP * total:
        found.append(
            Finding(
                "tree_depth",
                f"{deep} of {total} draws of NUTS reached the largest number of steps "
                f"(2^{MAX_DEPTH}); the draws are right but follow each other closely.",
                "Scale the predictors, or give weakly determined parameters tighter priors.",
                {"deep": deep, "draws": total},
            )
        )
    return tuple(found)


def _where_divergences_are(diverging: BoolArray, sd: Mapping[str, FloatArray]) -> str:
    """Return the factor whose smallest sd is most often in its lowest quarter at divergences."""
    shares: dict[str, float] = {}
    for name, values in sd.items():
        for k in range(values.shape[2]):
            low = values[..., k] < np.quantile(values[..., k], 0.25)
            shares[name] = max(shares.get(name, 0.0), float(low[diverging].mean()))
    near = max(shares, key=lambda name: shares[name], default="")
    return near if near and shares[near] > 0.5 else ""
