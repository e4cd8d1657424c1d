"""Do the samplers agree, with each other and with rstanarm? Exits with status 1 where they do not.

Every case samples one posterior in several ways, all of different code: the collapsed sampler
(beta and b integrated out), NUTS on the PyMC model in three parameterisations, and the stored
posteriors of rstanarm. Mean, sd and two or five quantiles of every parameter and of five random
effects must lie within 4 Monte-Carlo standard errors of each other, the errors of both sides
combined. Printed: mean and sd in the reference run, and the largest distance of each other run
from it, in those errors; `!` marks a distance above 4 between any two runs.

    .venv/bin/python benchmarks/agreement.py [--only NAME ...] [--draws 10000] [--seed 1]

rstanarm's prior of a covariance matrix ("decov") is not among ours: with two or more columns it
gives the sds in units of sigma, as the square roots of a simplex times a gamma-distributed total.
For sleepstudy, our draws under LKJ(1) are therefore weighted by the ratio of the two priors. With
one column and no sigma (cbpp) decov is the exponential distribution, and the priors are the same.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

import hierbayes as hb
from hierbayes.bayes.collapsed import sample_collapsed
from hierbayes.bayes.nuts import NutsSettings, sample_nuts
from hierbayes.bayes.pymc_model import build_model
from hierbayes.bayes.starting_points import free_values, start_from_priors
from hierbayes.naming.addresses import posterior_addresses
from hierbayes.results.chains import chain_statistics
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.posterior_parameters import (
    family_names,
    fixed_parameters,
    level_parameters,
    variance_parameters,
)

FloatArray = npt.NDArray[np.float64]

REFERENCE = Path(__file__).parents[1] / "tests" / "reference" / "bayes"
TRUSTED = 4.0  # Monte-Carlo standard errors
QUANTILES = (0.05, 0.95)
STORED = {"q2.5": 0.025, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q97.5": 0.975}
TRUSTED_DIVERGENCES = 0.002  # share of draws; where more diverge the fit itself says so
NOT_JUDGED = "not judged"  # ends the note of a run that need not agree
N_EFFECTS = 5  # random effects compared, of each factor
BAND = 0.02  # half width, in probability, over which the density at a quantile is taken


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One run: statistics (S, P) of P parameters and their Monte-Carlo standard errors (S, P)."""

    name: str
    parameters: tuple[str, ...]
    values: FloatArray
    errors: FloatArray
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Case:
    """The summaries of one posterior, the reference run first."""

    title: str
    runs: tuple[Summary, ...]


def quantities(draws: PosteriorDraws, model: hb.Model) -> tuple[tuple[str, ...], FloatArray]:
    """Names and draws (C, D, P) of all parameters and of five random effects a factor."""
    kept = model.spec.kept_columns.tolist()
    names = [model.design.coef_names[k] for k in kept]
    labels = posterior_addresses(
        model.design, kept, has_sigma=draws.sigma is not None, family=family_names(draws)
    ).labels
    parts = [
        fixed_parameters(draws, labels[: len(kept)], names),
        variance_parameters(draws, model.design, labels[len(kept) :]),
    ]
    found = [(part.names, part.draws) for part in parts]
    for part in level_parameters(draws, model.design):
        at = np.linspace(0, len(part.names) - 1, min(N_EFFECTS, len(part.names))).astype(int)
        found.append((tuple(part.names[k] for k in at), part.draws[:, :, at]))
    every = tuple(name for part, _ in found for name in part)
    return every, np.concatenate([values for _, values in found], axis=2)


def weighted_quantiles(flat: FloatArray, weights: FloatArray, p: Sequence[float]) -> FloatArray:
    """Quantiles (len(p), P) of draws (N, P) with weights (N,)."""
    order = np.argsort(flat, axis=0)
    share = np.cumsum(weights[order], axis=0) / weights.sum()
    ordered = np.take_along_axis(flat, order, axis=0)
    columns = [
        np.interp(p, s - 0.5 * w / weights.sum(), x)
        for s, w, x in zip(share.T, weights[order].T, ordered.T, strict=True)
    ]
    return np.array(columns).T


def influences(
    draws: FloatArray, weights: FloatArray, probabilities: Sequence[float]
) -> tuple[FloatArray, FloatArray]:
    """Statistics (S, P) of draws (C, D, P), and what each draw adds to their errors (S, C, D, P).

    The statistics are the mean, the sd and quantiles. To first order the error of each is the mean
    of its influence function over the draws, whose Monte-Carlo error is that of any mean.
    """
    C, D, P = draws.shape
    flat, w = draws.reshape(C * D, P), weights.ravel()
    mean = w @ flat / w.sum()
    away = flat - mean
    sd = np.sqrt(w @ away**2 / w.sum())
    quantiles = weighted_quantiles(flat, w, probabilities)
    parts = [away, (away**2 - sd**2) / (2 * sd)]
    for p, at in zip(probabilities, quantiles, strict=True):
        band = min(BAND, p / 2, (1 - p) / 2)
        low, high = weighted_quantiles(flat, w, (p - band, p + band))
        parts.append((p - (flat <= at)) * (high - low) / (2 * band))
    relative = (w / w.mean())[:, None]
    every = np.stack([(relative * part).reshape(C, D, P) for part in parts])
    return np.vstack([mean, sd, quantiles]), every


def summary(
    name: str,
    draws: PosteriorDraws,
    model: hb.Model,
    *,
    log_weights: FloatArray | None = None,
    probabilities: Sequence[float] = QUANTILES,
) -> Summary:
    """Summarise one run, weighted where its draws come from another prior."""
    parameters, values = quantities(draws, model)
    log_w = np.zeros(values.shape[:2]) if log_weights is None else log_weights
    weights = np.exp(log_w - log_w.max())
    statistics, parts = influences(values, weights, probabilities)
    errors = np.array([chain_statistics(part).mcse_mean for part in parts])
    diverging = draws.sample_stats.get("diverging")
    note = f"{values.shape[0]} x {values.shape[1]} draws, {draws.seconds:.1f} s"
    if diverging is not None:
        note += f", {int(np.sum(diverging))} divergences"
    if draws.pareto_k is not None:
        note += f", Pareto k {draws.pareto_k:.2f}"
    if log_weights is not None:
        note += f", efficiency of the weights {weights.mean() ** 2 / (weights**2).mean():.2f}"
    return Summary(name=name, parameters=parameters, values=statistics, errors=errors, note=note)


def by_nuts(
    model: hb.Model, draws: int, seed: int, *, parameterization: str = "noncentered"
) -> PosteriorDraws:
    """Sample by NUTS from prior medians, so that nothing is shared with the other samplers."""
    built = build_model(model.spec, parameterization=parameterization)
    start = free_values(model.design, start_from_priors(model.design, model.spec.priors))
    settings = NutsSettings(
        draws=draws, tune=2000, random_seed=seed, progress=False, target_accept=0.95
    )
    kernel = model.spec.kernel("reml") if parameterization == "marginal" else None
    return sample_nuts(built, model.design, settings, start=start, kernel=kernel)


def by_collapsed(model: hb.Model, draws: int, seed: int) -> PosteriorDraws:
    """Sample by the collapsed sampler."""
    return sample_collapsed(
        model.spec.kernel("reml"), model.spec.priors, model.design, draws=draws, random_seed=seed
    )


def gaussian_case(
    model: hb.Model,
    *,
    title: str,
    draws: int,
    seed: int,
    parameterizations: Sequence[str] = (),
) -> Case:
    """The collapsed sampler and NUTS in further parameterisations against noncentered NUTS."""
    runs = [
        summary("NUTS noncentered", by_nuts(model, draws, seed), model),
        summary("collapsed", by_collapsed(model, draws * 5 // 2, seed + 1), model),
    ]
    for number, name in enumerate(parameterizations):
        found = by_nuts(model, draws // 2, seed + 2 + number, parameterization=name)
        runs.append(summary(f"NUTS {name}", found, model))
    return Case(title=title, runs=tuple(runs))


def stored_posterior(record: dict, parameters: Sequence[str], like: Summary) -> Summary:
    """Posterior of rstanarm in our names.

    Its errors follow from its effective sample sizes and from the spread of our own draws'
    influences, which the errors of ``like`` tell: error = spread / sqrt(effective draws).
    """
    known = {entry["name"]: entry for entry in record["parameters"]}
    derived = record["derived"]
    smallest = min(entry["ess_bulk"] for name, entry in known.items() if name.startswith("Sigma"))
    rows, sizes = [], []
    for name in parameters:
        theirs = rstanarm_name(name)
        entry = derived.get(theirs) or known[theirs]
        rows.append([entry["mean"], entry["sd"], *(entry[key] for key in STORED)])
        tail = entry.get("ess_tail", smallest)
        bulk = entry.get("ess_bulk", smallest)
        sizes.append([bulk, *[min(bulk, tail)] * (1 + len(STORED))])
    values = np.array(rows).T
    sd_like = like.values[1]
    p = np.array(list(STORED.values()))
    spread = np.empty_like(values)
    spread[0] = sd_like
    spread[1] = sd_like / np.sqrt(2)  # kurtosis of a normal; the sds here are near it
    ordered = like.values[2:]
    slopes = np.gradient(ordered, p, axis=0)
    spread[2:] = slopes * np.sqrt(p * (1 - p))[:, None]
    errors = spread / np.sqrt(np.array(sizes).T)
    return Summary(
        name="rstanarm",
        parameters=tuple(parameters),
        values=values,
        errors=errors,
        note=f"{record['chains']} x {record['iter'] - record['warmup']} draws, stored",
    )


def rstanarm_name(name: str) -> str:
    """``Subject[308,Days]`` as ``b[Days Subject:308]``, ``sd(Days|Subject)`` as in `derived`."""
    if name.startswith("sd("):
        column, factor = name[3:-1].split("|")
        return f"sd_{factor}__{column}"
    if name.startswith("cor("):
        columns, factor = name[4:-1].split("|")
        first, second = columns.rsplit(",", 1)
        return f"cor_{factor}__{second}__{first}"
    if "[" in name:
        factor, rest = name[:-1].split("[", 1)
        level, column = rest.split(",", 1)
        return f"b[{column} {factor}:{level}]"
    return name


def decov_ratio(draws: PosteriorDraws, model: hb.Model) -> FloatArray:
    """Log of rstanarm's prior of (two sds, correlation) over ours, up to a constant, (C, D).

    With sigma the residual sd, tau ~ Exponential(1) and pi uniform on the simplex, sd_j^2 = 2 pi_j
    (tau sigma)^2; the correlation is uniform. So p(sd_1, sd_2) = exp(-tau) sd_1 sd_2 / (2 sigma^4
    tau^3) with tau^2 = (sd_1^2 + sd_2^2) / (2 sigma^2).
    """
    (sd,) = draws.sd.values()
    assert draws.sigma is not None
    tau = np.sqrt((sd**2).sum(axis=2) / 2) / draws.sigma
    theirs = -tau + np.log(sd).sum(axis=2) - 4 * np.log(draws.sigma) - 3 * np.log(tau)
    (laws,) = model.spec.priors.sd
    ours = sum(law.log_density(sd[:, :, k]) for k, law in enumerate(laws))
    return np.asarray(theirs - ours)


def sleepstudy(draws: int, seed: int) -> Case:
    """Four ways to the posterior of the lecture's model."""
    model = hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    return gaussian_case(
        model,
        title="sleepstudy (Days | Subject), default priors",
        draws=draws,
        seed=seed,
        parameterizations=("marginal", "centered"),
    )


def rstanarm_cbpp(draws: int, seed: int) -> Case:
    """A binomial model whose priors are exactly rstanarm's."""
    record = json.loads((REFERENCE / "bayes_cbpp.json").read_text())
    scales = record["prior_summary"]["prior"]["adjusted_scale"]
    periods = ("period2", "period3", "period4")
    priors = {name: hb.Normal(0, scale) for name, scale in zip(periods, scales, strict=True)}
    model = hb.Model(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)",
        hb.load_dataset("cbpp"),
        family="binomial",
        priors=priors | {"(Intercept)": hb.Normal(0, 2.5), "sd": hb.Exponential(1)},
    )
    found = by_nuts(model, draws, seed)
    ours = summary("NUTS noncentered", found, model, probabilities=tuple(STORED.values()))
    return Case(
        title="cbpp, binomial, rstanarm's priors",
        runs=(stored_posterior(record, ours.parameters, ours), ours),
    )


def rstanarm_sleepstudy(draws: int, seed: int, *, nuts: bool = True) -> Case:
    """Our draws of sleepstudy weighted to rstanarm's priors."""
    record = json.loads((REFERENCE / "bayes_sleepstudy_max.json").read_text())
    known = record["prior_summary"]
    model = hb.Model(
        "Reaction ~ Days + (Days | Subject)",
        hb.load_dataset("sleepstudy"),
        priors={
            "(Intercept)": hb.Normal(
                known["prior_intercept"]["location"][0],
                known["prior_intercept"]["adjusted_scale"],
            ),
            "Days": hb.Normal(0, known["prior"]["adjusted_scale"][0]),
            "sigma": hb.Exponential(1 / known["prior_aux"]["adjusted_scale"]),
            "cor": hb.LKJ(1),
        },
    )
    probabilities = tuple(STORED.values())
    found = {"collapsed, weighted": by_collapsed(model, draws * 5, seed)}
    if nuts:
        found["NUTS, weighted"] = by_nuts(model, draws * 2, seed + 1)
    runs = [
        summary(
            name,
            one,
            model,
            log_weights=decov_ratio(one, model),
            probabilities=probabilities,
        )
        for name, one in found.items()
    ]
    plain = summary("no weights", found["collapsed, weighted"], model, probabilities=probabilities)
    stored = stored_posterior(record, runs[0].parameters, runs[0])
    return Case(
        title="sleepstudy, rstanarm's priors by weighting ours (LKJ(1), half-t sds)",
        runs=(stored, *runs, replace(plain, note=f"{plain.note}, {NOT_JUDGED}")),
    )


def dyestuff2(draws: int, seed: int) -> Case:
    """An sd whose REML estimate is zero."""
    model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    return gaussian_case(model, title="Dyestuff2 (1 | Batch)", draws=draws, seed=seed)


def machines(draws: int, seed: int) -> Case:
    """Three correlated effects of six workers."""
    model = hb.Model("score ~ Machine + (Machine | Worker)", hb.load_dataset("Machines"))
    return gaussian_case(model, title="Machines (Machine | Worker)", draws=draws, seed=seed)


def two_levels(draws: int, seed: int) -> Case:
    """A factor with two levels."""
    sleep = hb.load_dataset("sleepstudy")
    two = sleep[sleep["Subject"].isin(["308", "309"])]
    model = hb.Model("Reaction ~ Days + (1 | Subject)", two)
    return gaussian_case(model, title="two subjects of sleepstudy", draws=draws, seed=seed)


def one_row_a_level(draws: int, seed: int) -> Case:
    """Only their priors tell sd and sigma apart: NUTS and the collapsed sampler against a grid."""
    dyestuff = hb.load_dataset("Dyestuff")
    rows = dyestuff.assign(row=[f"row {k:02d}" for k in range(len(dyestuff))])
    model = hb.Model("Yield ~ 1 + (1 | row)", rows)
    runs = [on_a_grid(model)]
    for name, found in (
        ("NUTS noncentered", by_nuts(model, draws, seed)),
        ("collapsed", by_collapsed(model, draws * 5 // 2, seed + 1)),
    ):
        one = summary(name, found, model)
        at = [one.parameters.index(parameter) for parameter in runs[0].parameters]
        diverging = found.sample_stats.get("diverging", np.zeros(1))
        trusted = not any(finding.code == "pareto_k" for finding in found.findings)
        trusted = trusted and float(np.mean(diverging)) < TRUSTED_DIVERGENCES
        runs.append(
            replace(
                one,
                parameters=runs[0].parameters,
                values=one.values[:, at],
                errors=one.errors[:, at],
                note=one.note if trusted else f"{one.note}, {NOT_JUDGED}",
            )
        )
    return Case(title="Dyestuff, one row a level, default priors", runs=tuple(runs))


def on_a_grid(model: hb.Model) -> Summary:
    """Posterior of sd and sigma of ``y ~ 1 + (1 | row)``, where Var(y) = (sd^2 + sigma^2) I."""
    y, n = model.design.y, model.design.y.size
    priors = model.spec.priors
    (intercept,), ((law,),), sigma_law = priors.beta, priors.sd, priors.sigma
    assert isinstance(intercept, hb.Normal) and sigma_law is not None
    axis = (np.arange(3000) + 0.5) / 3000 * 8 * y.std()
    sd, sigma = np.meshgrid(axis, axis, indexing="ij")
    variance = sd**2 + sigma**2
    mean_variance = variance / n + intercept.sigma**2  # of the mean of y, intercept integrated out
    log_density = (
        -(n - 1) / 2 * np.log(variance)
        - ((y - y.mean()) ** 2).sum() / (2 * variance)
        - np.log(mean_variance) / 2
        - (y.mean() - intercept.mu) ** 2 / (2 * mean_variance)
        + law.log_density(axis)[:, None]
        + sigma_law.log_density(axis)
    )
    weights = np.exp(log_density - log_density.max())
    columns = []
    for margin in (weights.sum(axis=1), weights.sum(axis=0)):
        share = margin / margin.sum()
        mean = share @ axis
        spread = np.sqrt(share @ (axis - mean) ** 2)
        edges, reached = axis + (axis[1] - axis[0]) / 2, np.cumsum(share)
        columns.append([mean, spread, *np.interp(QUANTILES, reached, edges)])
    values = np.array(columns).T
    return Summary(
        name="grid",
        parameters=("sd((Intercept)|row)", "sigma"),
        values=values,
        errors=np.zeros_like(values),
        note="exact",
    )


CASES: dict[str, Callable[[int, int], Case]] = {
    "sleepstudy": sleepstudy,
    "cbpp": rstanarm_cbpp,
    "rstanarm": rstanarm_sleepstudy,
    "dyestuff2": dyestuff2,
    "machines": machines,
    "two-levels": two_levels,
    "one-row": one_row_a_level,
}


def distances(first: Summary, second: Summary) -> FloatArray:
    """Differences in combined Monte-Carlo standard errors, shape (S, P)."""
    with np.errstate(invalid="ignore"):
        return np.abs(first.values - second.values) / np.hypot(first.errors, second.errors)


def judged(case: Case) -> list[Summary]:
    """Return the runs that have to agree."""
    return [run for run in case.runs if not run.note.endswith(NOT_JUDGED)]


def disagreements(case: Case) -> list[str]:
    """Every distance above 4 between any two runs, in words."""
    statistics = ["mean", "sd", *(f"quantile {k + 1}" for k in range(len(STORED)))]
    found = []
    for first, second in combinations(judged(case), 2):
        far = distances(first, second)
        for s, p in np.argwhere(~(far <= TRUSTED)):
            found.append(
                f"{case.title}: {statistics[s]} of {first.parameters[p]} is "
                f"{first.values[s, p]:.5g} by {first.name} and {second.values[s, p]:.5g} by "
                f"{second.name}, {far[s, p]:.1f} Monte-Carlo standard errors apart"
            )
    return found


def table(case: Case) -> str:
    """Parameters, their mean and sd in the reference run, and the distance of the other runs."""
    reference, *others = case.runs
    wide = max(map(len, reference.parameters)) + 2
    lines = [case.title]
    lines += [f"  {run.name}: {run.note}" for run in case.runs]
    heads = "".join(f"{run.name:>22}" for run in others)
    lines.append(f"{'parameter':<{wide}}{'mean':>11}{'sd':>10}{heads}")
    far = [distances(reference, run).max(axis=0) for run in others]
    for p, name in enumerate(reference.parameters):
        cells = "".join(f"{column[p]:>21.1f}{' !'[int(column[p] > TRUSTED)]}" for column in far)
        mean, sd = reference.values[:2, p]
        lines.append(f"{name:<{wide}}{mean:>11.4g}{sd:>10.4g}{cells}")
    return "\n".join(lines)


def main() -> None:
    """Run the cases and print a table of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--draws", type=int, default=10_000, help="a chain, of the reference run")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    warnings.simplefilter("ignore", hb.HierBayesWarning)
    wrong: list[str] = []
    for name in given.only:
        began = time.perf_counter()
        case = CASES[name](given.draws, given.seed)
        wrong += disagreements(case)
        print(f"{table(case)}\n  {time.perf_counter() - began:.0f} s\n", flush=True)
    print("\n".join(wrong) if wrong else "All runs agree within 4 Monte-Carlo standard errors.")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
