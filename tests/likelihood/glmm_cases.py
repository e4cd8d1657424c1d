"""Small generalised models of every family, link and structure, simulated."""

import numpy as np
import pandas as pd

import hierbayes as hb
from hierbayes.families.builtin import FAMILIES
from hierbayes.specification.specification import Specification

FURTHER = {
    "sigma": 0.7, "nu": 5.0, "alpha": 2.5, "kappa": 6.0, "psi": 0.7, "lam": 4.0,
    "threshold": [-0.8, 0.1, 0.9],
}  # fmt: skip
STRUCTURES = {
    "one": "(1 | g)",
    "slope": "(x | g)",
    "independent": "(x || g)",
    "nested": "(1 | g/s)",
    "crossed": "(1 | g) + (1 | t)",
    "crossed slope": "(x | g) + (1 | t)",
}
FAMILY_LINKS = [
    (family.name, link)
    for family in FAMILIES.values()
    if family.log_density is not None and family.is_smooth
    for link in family.link_names
    if not (family.name == "gaussian" and link == "identity")
]


def table(
    family: str, link: str, *, seed: int = 1, n_levels: int = 7, each: int = 6
) -> pd.DataFrame:
    """Data of a model y ~ x with random effects of g, s within g and t."""
    rng = np.random.default_rng(seed)
    n = n_levels * each
    g, s = np.repeat(np.arange(n_levels), each), np.tile(np.repeat([0, 1], each // 2), n_levels)
    t = rng.integers(0, 4, n)
    x = rng.normal(size=n)
    own = FAMILIES[family].with_link(link)
    eta = 0.3 * x + 0.3 * rng.normal(size=n_levels)[g] + 0.2 * rng.normal(size=4)[t]
    if own.link.name in ("identity", "inverse", "inverse_squared", "sqrt"):
        eta = (0.5 + 0.05 * np.tanh(eta)) if own.reads_categories else 2.0 + 0.3 * np.tanh(eta)
    if link == "log" and own.reads_categories:
        eta = -1.0 + 0.3 * np.tanh(eta)
    at = {name: np.asarray(value) for name, value in FURTHER.items()}
    trials = rng.integers(2, 9, n).astype(float)
    y = own.drawn(rng, eta, at | {"trials": trials})
    if family == "beta":
        y = np.clip(y, 1e-3, 1 - 1e-3)
    return pd.DataFrame(
        {"y": y, "failures": trials - y, "x": x, "g": [f"g{i}" for i in g],
         "s": [f"s{i}" for i in s], "t": [f"t{i}" for i in t]}
    )  # fmt: skip


def specification(family: str, link: str, structure: str, **options: int) -> Specification:
    """A model of such data."""
    response = "cbind(y, failures)" if FAMILIES[family].counts_trials else "y"
    formula = f"{response} ~ x + {STRUCTURES[structure]}"
    return hb.Model(formula, table(family, link, **options), family=family, link=link).spec
