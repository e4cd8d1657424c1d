"""Simulation-based calibration of the collapsed samplers and of NUTS.

Parameters are drawn from the prior, data from the parameters, and the posterior is sampled. If
the sampler is right, the rank of the true value among (nearly independent) posterior draws is
uniform, for every parameter. Printed: for each parameter the largest distance of the empirical
distribution of the ranks from the uniform one, times the root of the number of data sets, beside
its 99 % bound, and how many of 20 bars of the rank histogram leave their 99 % band (0.2 are
expected to); then for each model the largest distance beside the 99.9 % bound of the largest of as
many parameters.

    .venv/bin/python benchmarks/calibration.py [--sampler collapsed] [--data-sets 300]
        [--models "counts, nested" ordinal] [--figure ranks.png]

The collapsed sampler is studied on Gaussian and on generalised models; NUTS on two of the Gaussian
models and on counts (Poisson, correlated slopes), each compiled once.

Responses that a model refuses (an empty category) are drawn again with their parameters: ranks are
uniform given any response, so also among those that are not refused.

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
from scipy.special import expit, ndtr
from scipy.stats import binom, kstwo

import hierbayes as hb
from hierbayes.bayes.coordinates import beta_shapes, correlation_root
from hierbayes.gaussian.residual.root import correlated
from hierbayes.gaussian.structures import structure
from hierbayes.results.draws import TRUSTED_K

RANKS = 99  # posterior draws a rank is taken among
BARS = 20
ETA = 2.0  # of the LKJ prior
TUNE, DRAWS = 600, 500  # of each of 4 NUTS chains
TRIALS = 20  # a row of psychometric functions
CATEGORIES = 3
CUTS = 1.5  # sd of the prior of thresholds
LAPSE = (1.0, 10.0)  # shapes of the beta prior of lapse rates
LOG_SD, LOG_RATIO = (0.0, 0.5), (0.0, 0.7)  # priors of a formula of sigma
ALPHA = (2.0, 0.5)  # shape and rate of the gamma prior of the negative binomial's alpha


@dataclass(frozen=True, kw_only=True)
class Study:
    """A model, its data without response, and the scales of its priors.

    Attributes
    ----------
    intercept, slope : mean and sd of normal priors
    sd, sigma : scales of half-normal priors
    cov : known covariances between levels, or None
    residual : correlation of the residuals, or None
    spread : formula of the residual sd, or None
    """

    name: str
    formula: str
    data: pd.DataFrame
    family: str = "gaussian"
    intercept: tuple[float, float] = (10.0, 3.0)
    slope: tuple[float, float] = (0.0, 1.5)
    sd: float = 1.0
    sigma: float = 1.0
    cov: Any = None
    residual: str | None = None
    spread: str | None = None

    def model(self, y: Any = None) -> hb.Model:
        """Return the model of a response, or of one that stands for any."""
        y = np.arange(len(self.data)) % 3.0 if y is None else y
        if self.family == "cumulative":
            y = pd.Categorical(y, categories=range(CATEGORIES), ordered=True)
        data, priors = self.data.assign(y=y), self.priors()
        if self.family == "psychometric":
            return hb.psychometric(
                self.formula, data, "x", guess=0.0, lapse="estimate", n=TRIALS, priors=priors
            )
        options = {"cov": self.cov, "residual": self.residual, "sigma": self.spread}
        return hb.Model(self.formula, data, family=self.family, priors=priors, **options)

    def priors(self) -> dict[str, Any]:
        """Return the priors of the study, which do not look at the response."""
        priors: dict[str, Any] = {"b": hb.Normal(*self.slope)}
        if "|" in self.formula:
            priors["sd"] = hb.HalfNormal(self.sd)
        if self.family != "cumulative":
            priors["(Intercept)"] = hb.Normal(*self.intercept)
        if "(x |" in self.formula:
            priors["cor"] = hb.LKJ(ETA)
        own = {
            "gaussian": {"sigma": hb.HalfNormal(self.sigma)},
            "of its own": {
                "sigma_(Intercept)": hb.Normal(*LOG_SD),
                "sigma_b": hb.Normal(*LOG_RATIO),
            },
            "negativebinomial": {"alpha": hb.Gamma(*ALPHA)},
            "psychometric": {"lapse": hb.Beta(*LAPSE)},
            "cumulative": {"threshold": hb.Normal(0, CUTS)},
        }
        return priors | own.get("of its own" if self.spread else self.family, {})


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
    scales = {"intercept": (1.0, 0.7), "slope": (0.0, 0.5), "sd": 0.7}
    counts = replace(slopes, name="counts", family="poisson", **scales)
    visits = pd.DataFrame(
        {"g": np.repeat(np.arange(12), 8), "visit": np.tile(np.repeat([1, 2, 3, 4], 2), 12)}
    )
    visits["x"] = np.random.default_rng(2).normal(size=len(visits))
    ar1 = Study(name="ar1", formula="y ~ x + ar1(0 + factor(visit) | g)", data=visits)
    cs = replace(ar1, name="cs", formula="y ~ x + cs(0 + factor(visit) | g)")
    herds = animals()
    alone = replace(herds, name="animals", formula="y ~ x + (1 | animal)")
    varying = replace(herds, name="animals, slopes", formula="y ~ x + (x | animal)")
    if sampler == "nuts":
        return [slopes, nested_factors, counts, ar1]
    wider = pd.DataFrame({"x": np.tile(np.linspace(-2, 2, 8), 8), "g": np.repeat(np.arange(8), 8)})
    return [
        slopes,
        crossed_factors,
        nested_factors,
        replace(nested_factors, name="counts, nested", family="poisson", **scales),
        replace(crossed_factors, name="counts, crossed", family="poisson", **scales),
        replace(
            counts,
            name="negative binomial",
            formula="y ~ x + (1 | g)",
            data=wider,
            family="negativebinomial",
        ),
        Study(
            name="psychometric, lapse",
            formula="y ~ x + (x | g)",
            data=wider,
            family="psychometric",
            intercept=(0.0, 0.7),
            slope=(1.0, 0.5),
            sd=0.5,
        ),
        Study(
            name="ordinal",
            formula="y ~ x + (1 | g)",
            data=wider.assign(x=wider["x"] + 3),  # thresholds have their prior at its middle
            family="cumulative",
            slope=(0.0, 1.0),
        ),
        ar1,
        cs,
        alone,
        herds,
        varying,
        *correlated_residuals(),
    ]


def correlated_residuals():
    """Return studies of residuals that are correlated or of unequal variance, with gaps in time."""
    data = pd.DataFrame({"g": np.repeat(np.arange(10), 5), "t": np.tile([0, 1, 2, 4, 7], 10)})
    data["h"] = np.where(data["g"] < 4, "a", "b")
    data["x"] = np.random.default_rng(4).normal(size=len(data))
    data = data.drop([3, 11, 12, 40])
    strata = Study(name="sds by group", formula="y ~ x + (1 | g)", data=data, spread="~ h")
    return [
        replace(strata, name="ar1 residuals", spread=None, residual="ar1(t | g)"),
        strata,
        replace(strata, name="car1, sds by group", residual="car1(t | g)"),
        replace(strata, name="us residuals", formula="y ~ x", spread=None, residual="us(t | g)",
                data=data[data["t"] < 4]),
    ]  # fmt: skip


def animals():
    """Return a study of 24 related animals, of which the first, founders, have no rows."""
    rng = np.random.default_rng(3)
    labels = [f"a{i:02d}" for i in range(24)]
    parents = [(None, None)] * 6 + [tuple(rng.choice(labels[:i], 2)) for i in range(6, 24)]
    table = pd.DataFrame({"id": labels, "sire": [a for a, _ in parents],
                          "dam": [b for _, b in parents]})  # fmt: skip
    data = pd.DataFrame({"animal": np.repeat(labels[3:], 2), "x": rng.normal(size=42)})
    data["herd"] = np.tile(list("pqrst"), 9)[:42]
    return Study(
        name="animals, herds",
        formula="y ~ x + (1 | animal) + (1 | herd)",
        data=data,
        cov={"animal": hb.relationship(table)},
    )


def truth(study, design, rng):
    """Draw parameters from the prior and a response from them."""
    predictors = design.X[:, 1:]
    beta = rng.normal(*study.slope, size=predictors.shape[1])
    centred = predictors.mean(axis=0) @ beta
    eta = predictors @ beta
    if study.family != "cumulative":  # thresholds are in the intercept's place
        alpha = rng.normal(*study.intercept) - centred
        eta, beta = eta + alpha, np.append(alpha, beta)
    values = {f"beta{i}": b for i, b in enumerate(beta)}
    for f, factor in enumerate(design.factors):
        q = factor.z.shape[1]
        name = next(term.covariance for term in design.terms if term.factor == f)
        whole = pattern_root(study, structure(name, q), rng) if name != "us" else None
        if whole is None:
            sds = np.abs(rng.normal(0, study.sd, size=q))
            shapes = beta_shapes(q, ETA)
            root = correlation_root(2 * rng.beta(shapes, shapes)[None] - 1, q)[0]
            whole = sds[:, None] * root
        else:
            sds = np.sqrt((whole**2).sum(axis=1))
            root = whole / sds[:, None]
        b = factor.spread(rng.standard_normal((factor.levels.size, q))) @ whole.T
        eta = eta + (factor.z * b[factor.codes]).sum(axis=1)
        values |= {f"sd{i}_{factor.name}": sd for i, sd in enumerate(sds)}
        values[f"b_{factor.name}"] = b[0, 0]
        if q > 1:
            values[f"cor_{factor.name}"] = (root @ root.T)[0, 1]
    if study.residual or study.spread:
        further, y = with_residuals(study, eta, rng)
    else:
        further, y = response(study, eta, centred, rng)
    return values | further, y


def with_residuals(study, eta, rng):
    """Draw the parameters of residuals with a structure, and a response at predictors eta (n,)."""
    spec = study.model().spec
    found, values = spec.residuals, {}
    own, sd = found.structure.correlation, np.ones(eta.size)
    if study.spread:
        X, laws = spec.design.of("sigma").X, spec.priors.formulas["sigma"]
        gamma = rng.normal(*LOG_RATIO, size=X.shape[1])
        gamma[0] = rng.normal(*LOG_SD) - laws.centre[1:] @ gamma[1:]
        values |= {f"sigma_beta{i}": value for i, value in enumerate(gamma)}
        sd = np.exp(X @ gamma)
    else:
        values["sigma"] = abs(rng.normal(0, study.sigma))
        sd = sd * values["sigma"]
    correlations = np.empty(0)
    if found.visits:
        names = found.names[: found.visits]
        laws = [spec.priors.family[name] for name in names]
        ratios = np.array([rng.normal(law.mu, law.sigma) for law in laws])
        values |= dict(zip(names, ratios, strict=True))
        sd = sd * np.exp(np.append(0, ratios)[found.series.visit])
        shapes = beta_shapes(own.n_visits, ETA)
        root = correlation_root(2 * rng.beta(shapes, shapes)[None] - 1, own.n_visits)[0]
        correlations = (root @ root.T)[np.tril_indices(own.n_visits, -1)]
    elif found.series is not None:
        law = spec.priors.family[found.names[-1]]
        correlations = law.quantile(rng.random(1))
    values |= dict(zip(found.names[found.scale.size :], correlations, strict=True))
    z = rng.standard_normal((eta.size, 1))
    e = z if found.series is None else correlated(found, correlations[None], z)
    return values, eta + sd * e[:, 0]


def pattern_root(study, own, rng):
    """Draw the parameters of a pattern and return the root of its covariance."""
    sds = np.abs(rng.normal(0, study.sd, size=int(own.is_scale.sum())))
    low, high = own.bounds[~own.is_scale].T
    return own.root(np.concatenate([sds, rng.uniform(low, high)])[None])[0]


def response(study, eta, centred, rng):
    """Draw the further parameters of a family, and a response at predictors eta (n,)."""
    if study.family == "poisson":
        return {}, rng.poisson(np.exp(eta)).astype(float)
    if study.family == "negativebinomial":
        alpha = rng.gamma(ALPHA[0], 1 / ALPHA[1])
        rate = np.exp(eta) * rng.gamma(alpha, 1 / alpha, size=eta.size)
        return {"alpha": alpha}, rng.poisson(rate).astype(float)
    if study.family == "psychometric":
        lapse = rng.beta(*LAPSE)
        return {"lapse": lapse}, rng.binomial(TRIALS, (1 - lapse) * ndtr(eta)).astype(float)
    if study.family == "cumulative":
        cuts = centred + np.sort(rng.normal(0, CUTS, size=CATEGORIES - 1))
        above = rng.random(eta.size)[:, None] < expit(eta[:, None] - cuts)
        return {f"threshold{i}": cut for i, cut in enumerate(cuts)}, above.sum(axis=1)
    sigma = abs(rng.normal(0, study.sigma))
    return {"sigma": sigma}, eta + sigma * rng.standard_normal(eta.size)


def drawn(draws, design):
    """Return the same quantities among the posterior draws, each flattened."""
    values = {f"beta{i}": draws.beta[..., i] for i in range(draws.beta.shape[2])}
    if draws.sigma is not None:
        values["sigma"] = draws.sigma
    for name, own in draws.formulas.items():
        values |= {f"{name}_beta{i}": own.beta[..., i] for i in range(own.beta.shape[2])}
    for name, further in draws.family.items():
        if further.ndim == 2:
            values[name] = further
        else:
            values |= {f"{name}{i}": further[..., i] for i in range(further.shape[2])}
    for factor in design.factors:
        sds = draws.sd[factor.name]
        values |= {f"sd{i}_{factor.name}": sds[..., i] for i in range(sds.shape[2])}
        values[f"b_{factor.name}"] = draws.b[factor.name][:, :, 0, 0]
        if factor.name in draws.corr:
            values[f"cor_{factor.name}"] = draws.corr[factor.name][..., 0, 1]
    return {name: value.ravel() for name, value in values.items()}


def sampled(model, *, sampler, rng):
    """Sample the posterior of a model; few draws are enough where they are nearly independent."""
    options = {"draws": 250, "chains": 2} if sampler == "collapsed" else {"draws": DRAWS}
    return model.sample(
        sampler=sampler, tune=TUNE, random_seed=rng, progress=False, **options
    ).draws


def ranks_of(study, n, *, sampler, rng):
    """Ranks (0 ... RANKS) of the true values over n simulated data sets, and what went wrong."""
    ranks, trouble = {}, []
    design = study.model().design
    while len(trouble) < n:
        values, y = truth(study, design, rng)
        try:
            model = study.model(y)
        except hb.DataError:
            continue
        draws = sampled(model, sampler=sampler, rng=rng)
        if sampler == "collapsed":
            trouble.append(draws.pareto_k > TRUSTED_K)
        else:
            trouble.append(draws.sample_stats["diverging"].any())
        found = drawn(draws, design)
        for name, sample in found.items():
            pick = np.linspace(0, sample.size - 1, RANKS).astype(int)
            ranks.setdefault(name, []).append(int((sample[pick] < values[name]).sum()))
    return {name: np.array(r) for name, r in ranks.items()}, np.array(trouble)


def verdict(ranks):
    """Distance from uniform times the root of n, and the bars outside of their 99 % bands."""
    n = ranks.size
    grid = np.arange(RANKS + 1)
    distance = np.abs((ranks[:, None] <= grid).mean(axis=0) - (grid + 1) / (RANKS + 1)).max()
    bars = np.bincount(ranks * BARS // (RANKS + 1), minlength=BARS)
    low, high = binom.ppf([0.005, 0.995], n, 1 / BARS)
    return np.sqrt(n) * distance, int(((bars < low) | (bars > high)).sum()), bars


def bound(n, level, parameters=1):
    """Return what the largest distance of n ranks stays below, of any number of parameters."""
    return np.sqrt(n) * kstwo.ppf(1 - (1 - level) / parameters, n)


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
        ax.bar(np.arange(BARS), verdict(ranks)[2], color="0.3", width=0.9)
        ax.set_title(f"{model}\n{name}", fontsize=7)
        ax.set_xticks([])
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main():
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sampler", choices=["collapsed", "nuts"], default="collapsed")
    parser.add_argument("--data-sets", type=int, help="300 for collapsed, 100 for nuts")
    parser.add_argument("--models", nargs="+", help="some of them, by the names that are printed")
    parser.add_argument("--figure")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    warnings.simplefilter("ignore", hb.HierBayesWarning)
    n = given.data_sets or (300 if given.sampler == "collapsed" else 100)
    what = "untrusted weights" if given.sampler == "collapsed" else "divergences"
    every = list(enumerate(studies(given.sampler)))
    unknown = set(given.models or ()) - {study.name for _, study in every}
    if unknown:
        parser.error(f"no such models: {', '.join(sorted(unknown))}")
    results = []
    print(f"{given.sampler}: {n} data sets a model, ranks among {RANKS} draws")
    print(f"{'model':<22}{'parameter':<14}{'distance':>10}{'99 % bound':>12}{'bars outside':>14}")
    for number, study in every:
        if given.models and study.name not in given.models:
            continue
        started = time.perf_counter()
        rng = np.random.default_rng([given.seed, number])
        ranks, trouble = ranks_of(study, n, sampler=given.sampler, rng=rng)
        results.append((study.name, ranks))
        found = {parameter: verdict(r) for parameter, r in ranks.items()}
        for parameter, (distance, outside, _) in found.items():
            numbers = f"{distance:>10.3f}{bound(n, 0.99):>12.3f}{outside:>10} / {BARS}"
            print(f"{study.name:<22}{parameter:<14}{numbers}")
        largest = max(distance for distance, _, _ in found.values())
        limit, seconds = bound(n, 0.999, len(found)), time.perf_counter() - started
        print(f"  largest {largest:.3f}, 99.9 % bound of {len(found)} parameters {limit:.3f}")
        print(f"  {what} in {trouble.mean():.1%} of the data sets; {seconds:.0f} s", flush=True)
    if given.figure:
        draw_figure(results, given.figure, n)


if __name__ == "__main__":
    main()
