"""The parameters of a posterior, flat: names as people write them, draws beside them.

Order and names of the variance parameters are those of ``varcorr().to_frame()``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hierbayes.design.design import Design
from hierbayes.options import Effect
from hierbayes.results.draws import PosteriorDraws

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """P parameters of one kind.

    Attributes
    ----------
    effect : "fixed", "ran_pars" or "ran_vals"
    names : for example "Days", "sd(Days|Subject)", "cor((Intercept),Days|Subject)", "sigma",
        "Subject[308,Days]"
    group, level, term : as in ``tidy()``
    draws : array, shape (C, D, P)
    """

    effect: Effect
    names: tuple[str, ...]
    group: tuple[str | None, ...]
    level: tuple[str | None, ...]
    term: tuple[str, ...]
    draws: FloatArray


def fixed_parameters(draws: PosteriorDraws, coef_names: Sequence[str]) -> Parameters:
    """Return the fixed effects of the columns that were kept."""
    names = tuple(coef_names)
    nothing = (None,) * len(names)
    return Parameters(
        effect="fixed", names=names, group=nothing, level=nothing, term=names, draws=draws.beta
    )


def variance_parameters(draws: PosteriorDraws, design: Design) -> Parameters:
    """Sds and correlations of every covariance term, then sigma, then those of the family."""
    names: list[str] = []
    group: list[str | None] = []
    terms: list[str] = []
    values: list[FloatArray] = []

    def add(name: str, owner: str | None, term: str, value: FloatArray) -> None:
        names.append(name)
        group.append(owner)
        terms.append(term)
        values.append(value)

    for term in design.terms:
        factor = design.factors[term.factor]
        columns = [(c, factor.columns[c]) for c in term.columns]
        for c, column in columns:
            sd = draws.sd[factor.name][:, :, c]
            add(f"sd({column}|{factor.name})", term.name, f"sd__{column}", sd)
        for j, (c, first) in enumerate(columns):
            for d, second in columns[j + 1 :]:
                corr = draws.corr[factor.name][:, :, d, c]
                name = f"cor({first},{second}|{factor.name})"
                add(name, term.name, f"cor__{first}.{second}", corr)
    if draws.sigma is not None:
        add("sigma", "Residual", "sd__Observation", draws.sigma)
    for name, value in draws.family.items():
        if value.ndim == 2:
            add(name, "Residual", name, value)
        for k in range(value.shape[2] if value.ndim == 3 else 0):
            add(f"{name}[{k + 1}]", "Residual", f"{name}[{k + 1}]", value[:, :, k])
    shape = draws.beta.shape[:2]
    return Parameters(
        effect="ran_pars",
        names=tuple(names),
        group=tuple(group),
        level=(None,) * len(names),
        term=tuple(terms),
        draws=np.stack(values, axis=2) if values else np.empty((*shape, 0)),
    )


def level_parameters(draws: PosteriorDraws, design: Design) -> list[Parameters]:
    """Random effects, a record a factor: level by level within each column."""
    found = []
    for factor in design.factors:
        b = draws.b[factor.name]
        C, D, J, q = b.shape
        levels = factor.levels.tolist()
        found.append(
            Parameters(
                effect="ran_vals",
                names=tuple(f"{factor.name}[{v},{c}]" for c in factor.columns for v in levels),
                group=(factor.name,) * (J * q),
                level=tuple(levels) * q,
                term=tuple(c for c in factor.columns for _ in levels),
                draws=np.swapaxes(b, 2, 3).reshape(C, D, q * J),
            )
        )
    return found
