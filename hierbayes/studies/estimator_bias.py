"""What ML, REML and the posterior say about known variances, over many simulated data sets."""

from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.bayes.posterior import sample
from hierbayes.gaussian.moments import moment_start
from hierbayes.gaussian.responses import ResponseProducts
from hierbayes.likelihood.refits import refit_many
from hierbayes.options import Method, random_generator
from hierbayes.specification.build import specify
from hierbayes.specification.specification import Specification
from hierbayes.studies.lecture.lecture import BiasTable, OneWay


def estimator_bias(
    truth: OneWay, *, n_datasets: int, n_posteriors: int, random_seed: Any = None
) -> BiasTable:
    """Simulate responses of few subjects and average the estimates of both variances.

    Parameters
    ----------
    truth : what to draw from
    n_datasets : data sets for ML and REML, fitted in one batch
    n_posteriors : how many of them the posterior is sampled for
    random_seed : int, Generator or SeedSequence
    """
    rng = random_generator(random_seed)
    day = np.tile(np.arange(truth.n_days), truth.n_subjects)
    subject = np.repeat(np.arange(truth.n_subjects), truth.n_days)
    effects = truth.subject_sd * rng.standard_normal((truth.n_subjects, n_datasets))
    noise = truth.sigma * rng.standard_normal((day.size, n_datasets))
    Y = truth.intercept + truth.slope * day[:, None] + effects[subject] + noise
    frame = pd.DataFrame({"Reaction": Y[:, 0], "Days": day, "Subject": subject})
    spec = specify("Reaction ~ Days + (1 | Subject)", frame)
    ml, reml = (_estimates(spec, Y, method) for method in ("ml", "reml"))
    medians = []
    for y, seed in zip(Y.T[:n_posteriors], rng.spawn(n_posteriors), strict=True):
        draws = sample(spec.with_response(y), random_seed=seed).draws
        assert draws.sigma is not None
        medians.append([np.median(draws.sd["Subject"] ** 2), np.median(draws.sigma**2)])
    true = np.array([truth.subject_sd**2, truth.sigma**2])
    found = {"ML": ml, "REML": reml, "posterior median": np.array(medians)}
    rows = [
        (name, parameter, true[i], values[:, i].mean(), _error(values[:, i]), len(values))
        for i, parameter in enumerate(("between subjects", "residual"))
        for name, values in found.items()
    ]
    columns = ["method", "variance", "true", "mean", "mcse", "n"]
    return BiasTable(truth=truth, table=pd.DataFrame(rows, columns=columns))


def _estimates(spec: Specification, Y: FloatArray, method: Method) -> FloatArray:
    """Variances between subjects and within, one row a data set."""
    kernel = spec.kernel(method)
    responses = ResponseProducts(kernel.products, spec.design, spec.weights).of(Y)
    found = refit_many(kernel, responses, design=spec.design, start=moment_start(kernel))
    return np.column_stack([(found.sigma * found.theta[:, 0]) ** 2, found.sigma**2])


def _error(values: FloatArray) -> float:
    return float(values.std(ddof=1) / np.sqrt(values.size))
