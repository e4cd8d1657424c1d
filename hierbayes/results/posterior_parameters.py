"""The parameters of a posterior, flat: names as people write them, draws beside them.

Order and names of the variance parameters are those of ``varcorr().to_frame()``. Names tell
parameters apart (``naming/addresses.py``), terms are those lme4 prints.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.design.design import Design
from hierbayes.gaussian.products import covariance_shape
from hierbayes.gaussian.structures import Searched
from hierbayes.naming.addresses import Addresses, effect_details, quoted
from hierbayes.options import Effect
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.effects_on_demand import EffectsByTerm, EffectsOnDemand


@record
class Parameters:
    """P parameters of one kind.

    Attributes
    ----------
    effect : "fixed", "ran_pars" or "ran_vals"
    names : for example "Days", "sd(Days|Subject)", "cor((Intercept),Days|Subject)", "sigma",
        "Subject[308,Days]"
    group, level, term : as in ``tidy()``
    draws : array, shape (C, D, P), or EffectsByTerm, which stands for one
    spellings : of random effects, texts that address each; else empty
    """

    effect: Effect
    names: tuple[str, ...]
    group: tuple[str | None, ...]
    level: tuple[str | None, ...]
    term: tuple[str, ...]
    draws: Any
    spellings: tuple[tuple[str, ...], ...] = ()


def family_names(draws: PosteriorDraws) -> tuple[str, ...]:
    """Names of the further parameters of the response family, numbered where one has several."""
    names: list[str] = []
    for name, value in draws.family.items():
        names += [name] if value.ndim == 2 else [f"{name}[{k + 1}]" for k in range(value.shape[2])]
    return tuple(names)


def fixed_parameters(
    draws: PosteriorDraws, labels: Sequence[str], coef_names: Sequence[str]
) -> Parameters:
    """Return the fixed effects of the columns that were kept."""
    nothing = (None,) * len(coef_names)
    return Parameters(
        effect="fixed",
        names=tuple(labels),
        group=nothing,
        level=nothing,
        term=tuple(coef_names),
        draws=draws.beta,
    )


def variance_parameters(draws: PosteriorDraws, design: Design, labels: Sequence[str]) -> Parameters:
    """Sds and correlations of every covariance term, then sigma, then those of the family."""
    group: list[str | None] = []
    terms: list[str] = []
    values: list[FloatArray] = []

    def add(owner: str | None, term: str, value: FloatArray) -> None:
        group.append(owner)
        terms.append(term)
        values.append(value)

    for t, term in enumerate(design.terms):
        factor = design.factors[term.factor]
        columns = [(c, factor.columns[c]) for c in term.columns]
        own = structure_draws(draws, design, t)
        if own:
            for name, value in own:
                kind, _, what = name.partition("_")
                add(term.name, f"{kind}__{what}", value)
            continue
        for c, column in columns:
            sd = draws.sd[factor.name][:, :, c]
            add(term.name, f"sd__{column}", sd)
        for j, (c, first) in enumerate(columns):
            for d, second in columns[j + 1 :]:
                corr = draws.corr[factor.name][:, :, d, c]
                add(term.name, f"cor__{first}.{second}", corr)
    if draws.sigma is not None:
        add("Residual", "sd__Observation", draws.sigma)
    further = [
        column
        for value in draws.family.values()
        for column in ([value] if value.ndim == 2 else np.moveaxis(value, 2, 0))
    ]
    for name, value in zip(family_names(draws), further, strict=True):
        add("Residual", name, value)
    shape = draws.beta.shape[:2]
    return Parameters(
        effect="ran_pars",
        names=tuple(labels),
        group=tuple(group),
        level=(None,) * len(group),
        term=tuple(terms),
        draws=np.stack(values, axis=2) if values else np.empty((*shape, 0)),
    )


def formula_parameters(
    draws: PosteriorDraws,
    design: Design,
    coef_names: Sequence[str],
    *,
    parameter: str,
    labels: Sequence[str],
) -> tuple[Parameters, Parameters]:
    """Return coefficients, and sds and correlations, of the formula of a further parameter.

    ``draws`` and ``design`` are those of its predictor. Terms have its name before the column's, as
    broom.mixed has them: ``sigma_Days``, ``sd__sigma_Days``.
    """
    p = len(coef_names)
    fixed = fixed_parameters(draws, labels[:p], coef_names)
    varied = variance_parameters(draws, design, labels[p:])
    return _of_formula(parameter, fixed), _of_formula(parameter, varied)


def _of_formula(parameter: str, own: Parameters) -> Parameters:
    def term(text: str) -> str:
        kind, found, rest = text.partition("__")
        if not found or kind not in ("sd", "cor"):
            return f"{parameter}_{text}"
        return f"{kind}__{'.'.join(f'{parameter}_{part}' for part in rest.split('.'))}"

    return replace(own, term=tuple(map(term, own.term)))


def structure_draws(
    draws: PosteriorDraws, design: Design, term: int
) -> tuple[tuple[str, FloatArray], ...]:
    """Names and draws (C, D) of the parameters of a term's structure; none of a full covariance."""
    own, at = covariance_shape(design).structures[term], design.terms[term]
    if own is None:
        return ()
    assert not isinstance(own, Searched)
    factor, columns = design.factors[at.factor], np.array(at.columns)
    sd = draws.sd[factor.name][..., columns]
    C, D, q = sd.shape
    corr = np.broadcast_to(np.eye(q), (C, D, q, q))
    if factor.name in draws.corr:
        corr = draws.corr[factor.name][..., columns[:, None], columns]
    covariance = sd[..., :, None] * corr * sd[..., None, :]
    found = own.nearest(covariance.reshape(C * D, q, q)).reshape(C, D, -1)
    names = own.names_of([factor.columns[c] for c in at.columns])
    return tuple((name, found[..., k]) for k, name in enumerate(names))


def level_parameters(draws: PosteriorDraws, design: Design) -> list[Parameters]:
    """Random effects, a record a factor: level by level within each column.

    Those of formulas of further parameters come last, ``sigma_Subject[308,Days]``.
    """
    found = _level_parameters(draws, design)
    for parameter, own in draws.formulas.items():
        for part in _level_parameters(own, design.of(parameter)):
            found.append(
                replace(
                    part,
                    names=tuple(f"{parameter}_{name}" for name in part.names),
                    spellings=tuple(
                        tuple(f"{parameter}_{way}" for way in ways) for ways in part.spellings
                    ),
                    term=tuple(f"{parameter}_{term}" for term in part.term),
                )
            )
    return found


def _level_parameters(draws: PosteriorDraws, design: Design) -> list[Parameters]:
    found = []
    for position, factor in enumerate(design.factors):
        b = draws.b[factor.name]
        C, D, J, q = b.shape
        levels = factor.levels.tolist()
        columns = zip(factor.columns, effect_details(design, position), strict=True)
        spellings = tuple(
            (
                f"{factor.name}[{v},{column}]",
                f"{factor.name}[{v},{detail}]",
                f"{quoted(factor.name)}[{v},{column}]",
                f"{factor.name}[#{j + 1},#{c + 1}]",
            )
            for c, (column, detail) in enumerate(columns)
            for j, v in enumerate(levels)
        )
        found.append(
            Parameters(
                effect="ran_vals",
                names=Addresses(spellings).labels,
                spellings=spellings,
                group=(factor.name,) * (J * q),
                level=tuple(levels) * q,
                term=tuple(c for c in factor.columns for _ in levels),
                draws=EffectsByTerm(b)
                if isinstance(b, EffectsOnDemand)
                else np.swapaxes(b, 2, 3).reshape(C, D, q * J),
            )
        )
    return found
