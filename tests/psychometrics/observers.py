"""Simulated observers, for tests: a few lines of a psychometric experiment."""

import numpy as np
import pandas as pd
from scipy.special import ndtr

SPEED = "faster ~ speed * vibration + (speed | subject)"


def observers(
    seed=1,
    *,
    levels=8,
    guess=0.0,
    lapse=0.0,
    trials=30,
    slope=1.2,
    kappa=None,
    scale=1.0,
    origin=0.0,
):
    """Draw responses of observers at seven stimuli: columns x, k, n, subject, half."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-2.0, 2.0, 7)
    b = rng.standard_normal((levels, 2)) * [0.5, 0.2]
    eta = 0.3 + b[:, :1] + (slope + b[:, 1:]) * x
    psi = guess + (1 - guess - lapse) * ndtr(eta)
    if kappa is not None:
        psi = rng.beta(psi * kappa, (1 - psi) * kappa)
    names = [f"s{j + 1}" for j in range(levels)]
    return pd.DataFrame({
        "x": np.tile(origin + scale * x, levels),
        "k": rng.binomial(trials, psi).ravel(),
        "n": trials,
        "subject": np.repeat(names, x.size),
        "half": np.repeat(np.where(np.arange(levels) % 2, "odd", "even"), x.size),
    })  # fmt: skip
