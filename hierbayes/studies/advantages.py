"""What multilevel models are better at, as numbers: on sleepstudy made unbalanced, and simulated.

Five claims are tried: estimates of groups with few rows (no, complete and partial pooling), what
averaging before the analysis does to an interval, an average that weighs every group by its own
standard error, the spread of groups as an estimate of its own, and prediction of rows and of groups
that were left out. Everything is done by REML and by the posterior.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.errors import HierBayesWarning
from hierbayes.model.model import Model, lmer
from hierbayes.options import random_generator
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit

FORMULA = "Reaction ~ Days + (Days | Subject)"
COMPLETE = "Reaction ~ Days"
NONE = "Reaction ~ 0 + Subject + Subject:Days"
DAYS_KEPT = (3, 4, 5, 6, 8, 10)  # of a driver; each number as often as the others
N_DAYS = 10
DRAWS = 500  # a chain, of the posterior of simulated data
LEVEL = 0.95
POOLINGS = ("no pooling", "complete pooling", "REML", "posterior")
AVERAGED = "averages of each day"
AVERAGED_ALL = "averages, no day left out"
SAME_SETS = "REML, the posterior's sets"
OWN = "own lines, averaged"


@record
class Advantages:
    """The claims' numbers; response in ms, slopes in ms a day.

    Attributes
    ----------
    rows : the unbalanced sleepstudy
    lines : simulated; root mean square error of a driver's line over ten days, rows the number of
        days kept, columns ``POOLINGS``
    slopes : simulated; of the slope of all drivers by each way, columns ``error`` (root mean
        square), ``coverage`` of its 95 % intervals and its Monte-Carlo error ``mcse``, their mean
        ``width``, and ``n`` data sets
    spread : simulated; sd of the drivers' slopes by each way, columns ``true median n``
    left_out : sleepstudy; errors of and 95 % prediction intervals for days and drivers that were
        left out, columns ``left_out way error coverage n``
    weights : sleepstudy; days of a driver, standard error of the driver's own slope and the
        driver's share in the slope of all, index the driver
    """

    rows: pd.DataFrame
    lines: pd.DataFrame
    slopes: pd.DataFrame
    spread: pd.DataFrame
    left_out: pd.DataFrame
    weights: pd.DataFrame


def advantages(
    sleep: pd.DataFrame, *, n_datasets: int, n_posteriors: int, random_seed: Any = None
) -> Advantages:
    """Make sleepstudy unbalanced and try the claims.

    Parameters
    ----------
    sleep : the data, ten days of every driver
    n_datasets : to simulate, from REML's estimates on all of the data
    n_posteriors : of how many of them posteriors are sampled
    random_seed : int, Generator or SeedSequence
    """
    choosing, simulating, sampling = random_generator(random_seed).spawn(3)
    is_kept = kept_rows(sleep["Subject"].nunique(), choosing)
    rows, hidden = sleep[is_kept].reset_index(drop=True), sleep[~is_kept]
    rows.attrs["name"] = "unbalanced"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HierBayesWarning)  # some of many small data sets are odd
        simulated = Simulation(lmer(FORMULA, sleep), sleep, is_kept, n_datasets, simulating)
        found = [simulated.by_reml(), simulated.by_posterior(n_posteriors, sampling)]
        return Advantages(
            rows=rows,
            lines=simulated.lines(*found),
            slopes=simulated.slopes(*found),
            spread=simulated.spread(*found),
            left_out=pd.concat([left_out_days(rows, hidden), left_out_drivers(rows)]),
            weights=weights_of_drivers(lmer(FORMULA, rows), rows),
        )


def kept_rows(n_drivers: int, rng: np.random.Generator) -> BoolArray:
    """Choose the days that are kept: some drivers have few, others all."""
    n_kept = rng.permutation(np.resize(DAYS_KEPT, n_drivers))
    days = rng.permuted(np.tile(np.arange(N_DAYS), (n_drivers, 1)), axis=1)
    return (days < n_kept[:, None]).ravel()


@record
class Estimates:
    """What one way makes of each data set.

    Attributes
    ----------
    lines : intercepts and slopes of the drivers, shape (data sets, drivers, 2)
    slope : of all drivers, with the limits of its interval, shape (data sets, 3)
    sd : of the drivers' slopes, one a data set
    """

    lines: FloatArray
    slope: FloatArray
    sd: FloatArray


class Simulation:
    """Responses from known lines on the days that are kept, and what is made of them."""

    def __init__(
        self,
        truth: LikelihoodFit,
        sleep: pd.DataFrame,
        is_kept: BoolArray,
        n: int,
        rng: np.random.Generator,
    ) -> None:
        (term,) = truth.varcorr().terms
        self.rows = sleep[is_kept]
        driver: IntArray = sleep["Subject"].cat.codes.to_numpy().astype(np.intp)
        day: FloatArray = sleep["Days"].to_numpy(dtype=np.float64)
        self.true_slope, self.true_sd = float(truth.fixef()["Days"]), float(term.sd[1])
        root = np.linalg.cholesky(term.corr * np.outer(term.sd, term.sd))
        n_drivers = int(driver.max()) + 1
        effects = rng.standard_normal((n, n_drivers, 2)) @ root.T
        self.true_lines = truth.fixef().to_numpy() + effects
        on_rows = self.true_lines[:, driver]
        noise = truth.sigma * rng.standard_normal((n, day.size))
        Y: FloatArray = on_rows[..., 0] + on_rows[..., 1] * day + noise
        self.days_of_means = np.unique(day)
        self.means_of_all_rows = _means(Y, day)
        self.driver, self.day, self.Y = driver[is_kept], day[is_kept], Y[:, is_kept]

    def by_reml(self) -> Estimates:
        """Fit every data set by REML; intervals with Satterthwaite's degrees of freedom."""
        fit = lmer(FORMULA, self.rows)
        return _estimates([fit.refit(y) for y in self.Y])

    def by_posterior(self, n: int, rng: np.random.Generator) -> Estimates:
        """Sample the posterior of the first data sets."""
        options: dict[str, Any] = {"draws": DRAWS, "sampler": "collapsed", "progress": False}
        return _estimates(
            [
                Model(FORMULA, self.rows.assign(Reaction=y)).sample(**options, random_seed=seed)
                for y, seed in zip(self.Y[:n], rng.spawn(n), strict=True)
            ]
        )

    @cached_property
    def own_lines(self) -> FloatArray:
        """Every driver's own least-squares line, shape (data sets, drivers, 2)."""
        of = [self.driver == j for j in range(self.driver.max() + 1)]
        return np.stack([_fitted_lines(self.day[one], self.Y[:, one]) for one in of], axis=1)

    def lines(self, reml: Estimates, posterior: Estimates) -> pd.DataFrame:
        """Errors of the drivers' lines by their number of days."""
        complete = _fitted_lines(self.day, self.Y)[:, None, :]
        found = (self.own_lines, complete, reml.lines, posterior.lines)
        n_days = np.bincount(self.driver)
        table = pd.DataFrame(index=pd.Index(sorted(set(n_days)), name="days of a driver"))
        for name, lines in zip(POOLINGS, found, strict=True):
            off = (lines - self.true_lines[: len(lines)]) @ _line(np.arange(float(N_DAYS))).T
            squares = (off**2).mean(axis=2)  # (data sets, drivers)
            table[name] = [np.sqrt(squares[:, n_days == n].mean()) for n in table.index]
        return table

    def slopes(self, reml: Estimates, posterior: Estimates) -> pd.DataFrame:
        """Errors of the slope of all drivers, and how often its intervals hold the truth."""
        own = self.own_lines[..., 1]
        n = own.shape[1]
        ways = {
            AVERAGED_ALL: _slope_of_line(self.days_of_means, self.means_of_all_rows),
            AVERAGED: _slope_of_line(self.days_of_means, _means(self.Y, self.day)),
            POOLINGS[1]: _slope_of_line(self.day, self.Y),
            OWN: _interval(own.mean(axis=1), own.std(axis=1, ddof=1) / np.sqrt(n), n - 1),
            "REML": reml.slope,
            SAME_SETS: reml.slope[: len(posterior.slope)],
            "posterior": posterior.slope,
        }
        return pd.DataFrame({name: self._judged(slope) for name, slope in ways.items()}).T

    def _judged(self, slope: FloatArray) -> dict[str, float]:
        estimate, lower, upper = slope.T
        holds = (lower <= self.true_slope) & (self.true_slope <= upper)
        return {
            "error": float(np.sqrt(np.mean((estimate - self.true_slope) ** 2))),
            "coverage": float(holds.mean()),
            "mcse": float(holds.std(ddof=1) / np.sqrt(holds.size)),
            "width": float(np.mean(upper - lower)),
            "n": holds.size,
        }

    def spread(self, reml: Estimates, posterior: Estimates) -> pd.DataFrame:
        """Sds of the drivers' slopes, beside the true one."""
        own = self.own_lines[..., 1].std(axis=1, ddof=1)
        ways = {"own lines": own, "REML": reml.sd, "posterior": posterior.sd}
        return pd.DataFrame(
            {
                name: {"true": self.true_sd, "median": float(np.median(sd)), "n": sd.size}
                for name, sd in ways.items()
            }
        ).T


def left_out_days(rows: pd.DataFrame, hidden: pd.DataFrame) -> pd.DataFrame:
    """Predict the days that are not kept, of the drivers that are known."""
    fits: dict[str, LikelihoodFit | PosteriorFit] = {
        "no pooling": lmer(NONE, rows),
        "complete pooling": lmer(COMPLETE, rows),
        "REML": lmer(FORMULA, rows),
        "posterior": Model(FORMULA, rows).sample(random_seed=1),
    }
    found = {
        name: [fit.predict(hidden, interval="prediction", level=LEVEL)]
        for name, fit in fits.items()
    }
    return _predicted("days", found, hidden["Reaction"])


def left_out_drivers(rows: pd.DataFrame) -> pd.DataFrame:
    """Predict every driver from the others; there is no line of one's own to go by."""
    found: dict[str, list[pd.DataFrame]] = {"complete pooling": [], "REML": [], "posterior": []}
    options: dict[str, Any] = {"interval": "prediction", "level": LEVEL}
    seen = []
    for driver in rows["Subject"].cat.categories:
        others, one = rows[rows["Subject"] != driver], rows[rows["Subject"] == driver]
        model = Model(FORMULA, others)
        found["complete pooling"].append(lmer(COMPLETE, others).predict(one, **options))
        for name, fit in (
            ("REML", model.fit()),
            ("posterior", model.sample(draws=DRAWS, random_seed=1)),
        ):
            found[name].append(fit.predict(one, new_levels="sample", random_seed=1, **options))
        seen.append(one["Reaction"])
    return _predicted("drivers", found, pd.concat(seen))


def weights_of_drivers(fit: LikelihoodFit, rows: pd.DataFrame) -> pd.DataFrame:
    """Say how much each driver's own slope counts in the slope of all, and how well it is known."""
    (term,) = fit.varcorr().terms
    omega = term.corr * np.outer(term.sd, term.sd)
    table, total = {}, np.zeros((2, 2))
    for driver, own in rows.groupby("Subject", observed=True):
        X = _line(own["Days"].to_numpy(dtype=np.float64))
        sampling = fit.sigma**2 * np.linalg.inv(X.T @ X)
        precision = np.linalg.inv(omega + sampling)
        total += precision
        table[driver] = (len(own), np.sqrt(sampling[1, 1]), precision)
    shares = {driver: np.linalg.solve(total, W)[1, 1] for driver, (_, _, W) in table.items()}
    return pd.DataFrame(
        {
            "days": {driver: n for driver, (n, _, _) in table.items()},
            "std_error": {driver: error for driver, (_, error, _) in table.items()},
            "share": shares,
        }
    )


def _estimates(fits: "list[LikelihoodFit] | list[PosteriorFit]") -> Estimates:
    """Collect what is asked of every fit."""
    limits = [fit.tidy("fixed", level=LEVEL).set_index("term").loc["Days"] for fit in fits]
    return Estimates(
        lines=np.array([fit.coef()["Subject"].to_numpy() for fit in fits]),
        slope=np.array([[row["estimate"], row["conf_low"], row["conf_high"]] for row in limits]),
        sd=np.array([fit.varcorr().terms[0].sd[1] for fit in fits]),
    )


def _predicted(
    left_out: str, found: Mapping[str, Sequence[pd.DataFrame]], seen: pd.Series
) -> pd.DataFrame:
    """Judge predictions by what was seen."""
    y = seen.to_numpy()
    rows = []
    for name, parts in found.items():
        table = pd.concat(parts)
        holds = (table["lower"].to_numpy() <= y) & (y <= table["upper"].to_numpy())
        error = np.sqrt(np.mean((table["prediction"].to_numpy() - y) ** 2))
        rows.append((left_out, name, error, holds.mean(), y.size))
    return pd.DataFrame(rows, columns=["left_out", "way", "error", "coverage", "n"])


def _means(Y: FloatArray, day: FloatArray) -> FloatArray:
    """Average responses (data sets, rows) over the drivers of each day."""
    return np.stack([Y[:, day == d].mean(axis=1) for d in np.unique(day)], axis=1)


def _line(x: FloatArray) -> FloatArray:
    """Columns of a straight line."""
    return np.column_stack([np.ones_like(x), x])


def _fitted_lines(x: FloatArray, Y: FloatArray) -> FloatArray:
    """Least-squares intercept and slope of each row of Y, shape (n, 2)."""
    return Y @ np.linalg.pinv(_line(x)).T


def _slope_of_line(x: FloatArray, Y: FloatArray) -> FloatArray:
    """Least-squares slope of each row of Y, with its interval."""
    X, lines, df = _line(x), _fitted_lines(x, Y), x.size - 2
    sigma = np.sqrt(((Y - lines @ X.T) ** 2).sum(axis=1) / df)
    return _interval(lines[:, 1], sigma * np.sqrt(np.linalg.inv(X.T @ X)[1, 1]), df)


def _interval(estimate: FloatArray, error: FloatArray, df: int) -> FloatArray:
    """Estimates with their t intervals, shape (n, 3)."""
    half = stats.t.ppf((1 + LEVEL) / 2, df) * error
    return np.column_stack([estimate, estimate - half, estimate + half])
