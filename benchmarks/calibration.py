"""Simulation-based calibration of the collapsed sampler and of NUTS.

Parameters are drawn from the prior, data from the parameters, and the posterior is sampled. If
the sampler is right, the rank of the true value among (nearly independent) posterior draws is
uniform, for every parameter. Printed: for each parameter the largest distance of the empirical
distribution of the ranks from the uniform one beside its 99 % bound, and how many of 20 bars of
the rank histogram leave their 99 % band (0.2 are expected to).

    .venv/bin/python benchmarks/calibration.py [--sampler collapsed] [--data-sets 300]
        [--figure ranks.png]

NUTS is studied on two of the Gaussian models and on counts (Poisson, correlated slopes), each
compiled once.

Source: Talts, Betancourt, Simpson, Vehtari & Gelman (2018), arXiv:1804.06788; Saeilynoja, Buerkner
& Vehtari (2022), Statistics and Computing 32:32.
"""

import argparse
import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom, kstwo

import hierbayes as hb
from hierbayes.bayes.collapsed import sample_collapsed
from hierbayes.bayes.coordinates import beta_shapes, correlation_root
from hierbayes.bayes.nuts import NutsSettings, sample_nuts
from hierbayes.bayes.pymc_model import build_model
from hierbayes.bayes.starting_points import free_values, start_from_priors
from hierbayes.families.named import family_named
from hierbayes.priors.spec.priors import model_priors

RANKS = 99  # posterior draws a rank is taken among
BARS = 20
ETA = 2.0  # of the LKJ prior
TUNE, DRAWS = 600, 500  # of each of 4 NUTS chains


@dataclass(frozen=True, kw_only=True)
class Study:
    """A model, its data without response, and the scales of its priors.

    Attributes
    ----------
    intercept, slope : mean and sd of normal priors
    sd, sigma : scales of half-normal priors
    """

    name: str
    formula: str
    data: pd.DataFrame
    family: str = "gaussian"
    intercept: tuple[float, float] = (10.0, 3.0)
    slope: tuple[float, float] = (0.0, 1.5)
    sd: float = 1.0
    sigma: float = 1.0

    def design(self) -> Any:
        """Return the design, with a response that stands for any."""
        y = np.arange(len(self.data)) % 3.0
        return hb.Model(self.formula, self.data.assign(y=y), family=self.family).design

    def priors(self, design: Any) -> Any:
        """Return the priors of the study, which do not look at the response."""
        user = {
            "(Intercept)": hb.Normal(*self.intercept),
            "b": hb.Normal(*self.slope),
            "sd": hb.HalfNormal(self.sd),
        }
        if self.family == "gaussian":
            user["sigma"] = hb.HalfNormal(self.sigma)
        if any(len(term.columns) > 1 for term in design.terms):
            user["cor"] = hb.LKJ(ETA)
        return model_priors(
            design, np.arange(design.X.shape[1]), family=family_named(self.family), user=user
        )


def studies(sampler):
    """Return the models a sampler is studied on."""
    x = np.linspace(-1, 1, 5)
    one = pd.DataFrame({"x": np.tile(x, 8), "g": np.repeat(np.arange(8), 5)})
    crossed = pd.DataFrame({"g": np.repeat(np.arange(8), 5), "h": np.tile(np.arange(5), 8)})
    crossed["x"] = np.random.default_rng(0).normal(size=len(crossed))
    nested = pd.DataFrame(
        {"a": np.repeat(np.arange(6), 6), "b": np.tile(np.repeat([1, 2, 3], 2), 6)}
    )
    nested["x"] = np.random.default_rng(1).normal(size=len(nested))
    slopes = Study(name="correlated slopes", formula="y ~ x + (x | g)", data=one)
    crossed_factors = Study(
        name="crossed factors", formula="y ~ x + (1 | g) + (1 | h)", data=crossed
    )
    nested_factors = Study(name="nested factors", formula="y ~ x + (1 | a/b)", data=nested)
    if sampler == "collapsed":
        return [slopes, crossed_factors, nested_factors]
    counts = replace(
        slopes, name="counts", family="poisson", intercept=(1.0, 0.7), slope=(0.0, 0.5), sd=0.7
    )
    return [slopes, nested_factors, counts]


def truth(study, design, rng):
    """Draw parameters from the prior and a response from them."""
    slopes = rng.normal(*study.slope, size=design.X.shape[1] - 1)
    alpha = rng.normal(*study.intercept)
    beta = np.append(alpha - design.X[:, 1:].mean(axis=0) @ slopes, slopes)
    eta = design.X @ beta
    values = {f"beta{i}": b for i, b in enumerate(beta)}
    for factor in design.factors:
        q = factor.z.shape[1]
        sds = np.abs(rng.normal(0, study.sd, size=q))
        shapes = beta_shapes(q, ETA)
        root = correlation_root(2 * rng.beta(shapes, shapes)[None] - 1, q)[0]
        b = rng.standard_normal((factor.levels.size, q)) @ (sds[:, None] * root).T
        eta = eta + (factor.z * b[factor.codes]).sum(axis=1)
        values |= {f"sd{i}_{factor.name}": sd for i, sd in enumerate(sds)}
        values[f"b_{factor.name}"] = b[0, 0]
        if q > 1:
            values[f"cor_{factor.name}"] = (root @ root.T)[0, 1]
    if study.family == "poisson":
        return values, rng.poisson(np.exp(eta)).astype(float)
    values["sigma"] = abs(rng.normal(0, study.sigma))
    return values, eta + values["sigma"] * rng.standard_normal(eta.size)


def drawn(draws, design):
    """Return the same quantities among the posterior draws, each flattened."""
    values = {f"beta{i}": draws.beta[..., i] for i in range(draws.beta.shape[2])}
    if draws.sigma is not None:
        values["sigma"] = draws.sigma
    for factor in design.factors:
        sds = draws.sd[factor.name]
        values |= {f"sd{i}_{factor.name}": sds[..., i] for i in range(sds.shape[2])}
        values[f"b_{factor.name}"] = draws.b[factor.name][:, :, 0, 0]
        if factor.name in draws.corr:
            values[f"cor_{factor.name}"] = draws.corr[factor.name][..., 0, 1]
    return {name: value.ravel() for name, value in values.items()}


def sampled(study, design, y, *, sampler, rng):
    """Sample the posterior given a response."""
    if sampler == "collapsed":
        model = hb.Model(study.formula, study.data.assign(y=y))
        priors = study.priors(model.design)
        kernel = model.spec.kernel("reml")
        return sample_collapsed(kernel, priors, model.design, draws=250, random_seed=rng)
    design = design.with_response(y)
    priors = study.priors(design)
    kept = np.arange(design.X.shape[1])
    model = build_model(
        design, kept, priors, family=family_named(study.family), priors_as_data=True
    )
    start = free_values(design, start_from_priors(design, priors))
    settings = NutsSettings(draws=DRAWS, tune=TUNE, random_seed=rng, progress=False)
    return sample_nuts(model, design, settings, start=start)


def ranks_of(study, n, *, sampler, rng):
    """Ranks (0 ... RANKS) of the true values over n simulated data sets, and what went wrong."""
    ranks, trouble = {}, []
    design = study.design()
    for _ in range(n):
        values, y = truth(study, design, rng)
        draws = sampled(study, design, y, sampler=sampler, rng=rng)
        if sampler == "collapsed":
            trouble.append(any(finding.code == "pareto_k" for finding in draws.findings))
        else:
            trouble.append(draws.sample_stats["diverging"].any())
        found = drawn(draws, design)
        for name, sample in found.items():
            pick = np.linspace(0, sample.size - 1, RANKS).astype(int)
            ranks.setdefault(name, []).append(int((sample[pick] < values[name]).sum()))
    return {name: np.array(r) for name, r in ranks.items()}, np.array(trouble)


def verdict(ranks):
    """Distance from uniform, its 99 % bound, and the bars outside of their 99 % bands."""
    n = ranks.size
    grid = np.arange(RANKS + 1)
    distance = np.abs((ranks[:, None] <= grid).mean(axis=0) - (grid + 1) / (RANKS + 1)).max()
    bars = np.bincount(ranks * BARS // (RANKS + 1), minlength=BARS)
    low, high = binom.ppf([0.005, 0.995], n, 1 / BARS)
    return distance, kstwo.ppf(0.99, n), int(((bars < low) | (bars > high)).sum()), bars


def draw_figure(results, path, n):
    """Draw one rank histogram a parameter with its 99 % band."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    cells = [(model, name, r) for model, ranks in results for name, r in ranks.items()]
    columns = 7
    rows = -(-len(cells) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2 * columns, 1.6 * rows), sharey=True)
    low, high = binom.ppf([0.005, 0.995], n, 1 / BARS)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (model, name, ranks) in zip(axes.flat, cells, strict=False):
        ax.set_axis_on()
        ax.axhspan(low, high, color="0.85")
        ax.bar(np.arange(BARS), verdict(ranks)[3], color="0.3", width=0.9)
        ax.set_title(f"{model}\n{name}", fontsize=7)
        ax.set_xticks([])
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main():
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sampler", choices=["collapsed", "nuts"], default="collapsed")
    parser.add_argument("--data-sets", type=int, help="300 for collapsed, 100 for nuts")
    parser.add_argument("--figure")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    warnings.simplefilter("ignore", hb.HierBayesWarning)
    n = given.data_sets or (300 if given.sampler == "collapsed" else 100)
    what = "untrusted weights" if given.sampler == "collapsed" else "divergences"
    results = []
    print(f"{given.sampler}: {n} data sets a model, ranks among {RANKS} draws")
    print(f"{'model':<20}{'parameter':<14}{'distance':>10}{'99 % bound':>12}{'bars outside':>14}")
    for number, study in enumerate(studies(given.sampler)):
        started = time.perf_counter()
        rng = np.random.default_rng([given.seed, number])
        ranks, trouble = ranks_of(study, n, sampler=given.sampler, rng=rng)
        results.append((study.name, ranks))
        for parameter, r in ranks.items():
            distance, bound, outside, _ = verdict(r)
            numbers = f"{distance:>10.3f}{bound:>12.3f}{outside:>10} / {BARS}"
            print(f"{study.name:<20}{parameter:<14}{numbers}")
        seconds = time.perf_counter() - started
        print(f"  {what} in {trouble.mean():.1%} of the data sets; {seconds:.0f} s", flush=True)
    if given.figure:
        draw_figure(results, given.figure, n)


if __name__ == "__main__":
    main()
