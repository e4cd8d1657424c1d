"""Simulation-based calibration of the collapsed sampler.

Parameters are drawn from the prior, data from the parameters, and the posterior is sampled. If
the sampler is right, the rank of the true value among (nearly independent) posterior draws is
uniform, for every parameter. Printed: for each parameter the largest distance of the empirical
distribution of the ranks from the uniform one beside its 99 % bound, and how many of 20 bars of
the rank histogram leave their 99 % band (0.2 are expected to).

    .venv/bin/python benchmarks/calibration.py [--data-sets 300] [--figure ranks.png]

Source: Talts, Betancourt, Simpson, Vehtari & Gelman (2018), arXiv:1804.06788; Saeilynoja, Buerkner
& Vehtari (2022), Statistics and Computing 32:32.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from scipy.stats import binom, kstwo

import hierbayes as hb
from hierbayes.bayes.collapsed import sample_collapsed
from hierbayes.bayes.coordinates import beta_shapes, correlation_root
from hierbayes.bayes.priors import model_priors

RANKS = 99  # posterior draws a rank is taken among
BARS = 20
INTERCEPT, SLOPE = (10.0, 3.0), (0.0, 1.5)
SD, SIGMA = 1.0, 1.0  # scales of the half-normal priors
ETA = 2.0


def layouts():
    """Name, formula and data without response of the three models."""
    x = np.linspace(-1, 1, 5)
    one = pd.DataFrame({"x": np.tile(x, 8), "g": np.repeat(np.arange(8), 5)})
    crossed = pd.DataFrame({"g": np.repeat(np.arange(8), 5), "h": np.tile(np.arange(5), 8)})
    crossed["x"] = np.random.default_rng(0).normal(size=len(crossed))
    nested = pd.DataFrame(
        {"a": np.repeat(np.arange(6), 6), "b": np.tile(np.repeat([1, 2, 3], 2), 6)}
    )
    nested["x"] = np.random.default_rng(1).normal(size=len(nested))
    return [
        ("correlated slopes", "y ~ x + (x | g)", one),
        ("crossed factors", "y ~ x + (1 | g) + (1 | h)", crossed),
        ("nested factors", "y ~ x + (1 | a/b)", nested),
    ]


def priors_of(design):
    """Return the priors of the study, which do not look at the response."""
    user = {
        "(Intercept)": hb.Normal(*INTERCEPT),
        "b": hb.Normal(*SLOPE),
        "sd": hb.HalfNormal(SD),
        "sigma": hb.HalfNormal(SIGMA),
    }
    if any(len(term.columns) > 1 for term in design.terms):
        user["cor"] = hb.LKJ(ETA)
    return model_priors(design, np.arange(design.X.shape[1]), family="gaussian", user=user)


def truth(design, rng):
    """Draw parameters from the prior and a response from them."""
    slopes = rng.normal(*SLOPE, size=design.X.shape[1] - 1)
    alpha = rng.normal(*INTERCEPT)
    beta = np.append(alpha - design.X[:, 1:].mean(axis=0) @ slopes, slopes)
    sigma = abs(rng.normal(0, SIGMA))
    y = design.X @ beta + sigma * rng.standard_normal(design.X.shape[0])
    values = {f"beta{i}": b for i, b in enumerate(beta)} | {"sigma": sigma}
    for factor in design.factors:
        q = factor.z.shape[1]
        sds = np.abs(rng.normal(0, SD, size=q))
        shapes = beta_shapes(q, ETA)
        root = correlation_root(2 * rng.beta(shapes, shapes)[None] - 1, q)[0]
        b = rng.standard_normal((factor.levels.size, q)) @ (sds[:, None] * root).T
        y = y + (factor.z * b[factor.codes]).sum(axis=1)
        values |= {f"sd{i}_{factor.name}": sd for i, sd in enumerate(sds)}
        values[f"b_{factor.name}"] = b[0, 0]
        if q > 1:
            values[f"cor_{factor.name}"] = (root @ root.T)[0, 1]
    return values, y


def drawn(draws, design):
    """Return the same quantities among the posterior draws, each flattened."""
    values = {f"beta{i}": draws.beta[..., i] for i in range(draws.beta.shape[2])}
    values["sigma"] = draws.sigma
    for factor in design.factors:
        sds = draws.sd[factor.name]
        values |= {f"sd{i}_{factor.name}": sds[..., i] for i in range(sds.shape[2])}
        values[f"b_{factor.name}"] = draws.b[factor.name][:, :, 0, 0]
        if factor.name in draws.corr:
            values[f"cor_{factor.name}"] = draws.corr[factor.name][..., 0, 1]
    return {name: value.ravel() for name, value in values.items()}


def ranks_of(formula, data, n, rng):
    """Ranks (0 ... RANKS) of the true values over n simulated data sets, per parameter."""
    ranks, worst_k = {}, []
    frame = data.assign(y=rng.normal(size=len(data)))
    design = hb.Model(formula, frame).design
    for _ in range(n):
        values, y = truth(design, rng)
        model = hb.Model(formula, data.assign(y=y))
        draws = sample_collapsed(
            model.kernel("reml"), priors_of(model.design), model.design, draws=250, random_seed=rng
        )
        worst_k.append(draws.pareto_k)
        pick = np.linspace(0, 999, RANKS).astype(int)
        for name, sample in drawn(draws, design).items():
            ranks.setdefault(name, []).append(int((sample[pick] < values[name]).sum()))
    return {name: np.array(r) for name, r in ranks.items()}, np.array(worst_k)


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
    parser.add_argument("--data-sets", type=int, default=300)
    parser.add_argument("--figure")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    warnings.simplefilter("ignore", hb.HierBayesWarning)
    results = []
    print(f"{given.data_sets} data sets a model, ranks among {RANKS} draws")
    print(f"{'model':<20}{'parameter':<14}{'distance':>10}{'99 % bound':>12}{'bars outside':>14}")
    for number, (name, formula, data) in enumerate(layouts()):
        started = time.perf_counter()
        rng = np.random.default_rng([given.seed, number])
        ranks, ks = ranks_of(formula, data, given.data_sets, rng)
        results.append((name, ranks))
        for parameter, r in ranks.items():
            distance, bound, outside, _ = verdict(r)
            print(f"{name:<20}{parameter:<14}{distance:>10.3f}{bound:>12.3f}{outside:>10} / {BARS}")
        print(
            f"  Pareto k above 0.7 in {(ks > 0.7).mean():.1%} of the data sets; "
            f"{time.perf_counter() - started:.0f} s"
        )
    if given.figure:
        draw_figure(results, given.figure, given.data_sets)


if __name__ == "__main__":
    main()
