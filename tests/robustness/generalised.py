"""Random generalised models: responses that a family may have, and its links."""

import numpy as np
import pandas as pd

# Draws of n responses of mean mu.
FAMILIES = {
    "bernoulli": lambda rng, mu: (rng.random(mu.size) < mu / (1 + mu)).astype(int),
    "poisson": lambda rng, mu: rng.poisson(np.minimum(mu, 1e6)),
    "negativebinomial": lambda rng, mu: rng.negative_binomial(2, 2 / (2 + np.minimum(mu, 1e6))),
    "zero_inflated_poisson": lambda rng, mu: rng.poisson(1 + mu % 5) * (rng.random(mu.size) < 0.7),
    "gamma": lambda rng, mu: rng.gamma(2, mu / 2),
    "wald": lambda rng, mu: rng.wald(mu, 4.0),
    "beta": lambda rng, mu: rng.beta(2 * mu / (1 + mu), 2 / (1 + mu)),
    "t": lambda rng, mu: mu + rng.standard_t(4, mu.size),
    "binomial": lambda rng, mu: rng.binomial(5, mu / (1 + mu)) / 5,
}
LINKS = (None, None, None, "log", "probit", "cauchit", "sqrt", "inverse", "identity", "nonsense")
NODES = (1, 1, 1, 1, 0, 3, 7, -1, 500, "x")


def random_response(rng, frame, names):
    """Give a family, a link and options, and the frame with responses of the family, mostly."""
    family = str(rng.choice(list(FAMILIES)))
    link = LINKS[int(rng.integers(len(LINKS)))]
    options = {}
    plain = list(frame.columns) == list(names.values()) and frame.columns.is_unique
    if plain and rng.random() < 0.85:
        groups = pd.factorize(frame[names["g"]].map(str))[0]
        effects = rng.normal(size=groups.max(initial=0) + 1) * rng.choice([0.0, 0.5, 4.0])
        mu = np.exp(np.clip(effects[groups] + rng.choice([0.0, 1.0, -3.0]), -10, 10))
        frame = frame.assign(**{names["y"]: FAMILIES[family](rng, mu)})
        if family == "binomial" and rng.random() < 0.8:
            options["weights"] = np.full(len(frame), 5)
    return family, link, frame, options
