"""Compile what numba compiles, before the tests: ``make test``.

In a fresh clone each test worker would compile all functions for itself, a minute and a half of
its time. Here two processes share them and leave them in numba's cache.
"""

import subprocess
import sys

import numpy as np
import pandas as pd

import hierbayes as hb


def _nuts() -> None:
    sleepstudy = hb.load_dataset("sleepstudy")
    model = hb.Model("Reaction ~ Days + (Days | Subject)", sleepstudy)
    model.sample(draws=10, chains=1, sampler="nuts", random_seed=1)


def _large_crossed_factors() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 3000, size=(2, 6000))
    frame = pd.DataFrame({"y": rng.normal(size=6000), "g": codes[0], "h": codes[1]})
    hb.lmer("y ~ 1 + (1 | g) + (1 | h)", frame)


def _other_families() -> None:
    cbpp = hb.load_dataset("cbpp")
    model = hb.Model(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
    )
    model.sample(draws=100, random_seed=1)


def _streams() -> None:
    sleepstudy = hb.load_dataset("sleepstudy")
    hb.Model("Reaction ~ Days + (Days | Subject)", [sleepstudy], stream=True).fit()


SHARES = {"linear": (_nuts, _large_crossed_factors), "others": (_other_families, _streams)}


def main() -> None:
    if len(sys.argv) > 1:
        for compiled in SHARES[sys.argv[1]]:
            compiled()
        return
    shares = [subprocess.Popen([sys.executable, "-W", "ignore", __file__, name]) for name in SHARES]
    failed = [name for name, share in zip(SHARES, shares, strict=True) if share.wait()]
    sys.exit(f"What tests need compiled could not be: {failed}." if failed else None)


if __name__ == "__main__":
    main()
