"""Structures of a model beside each other: what fits, at what price, and what predicts.

Each model is fitted by one method and, where asked, sampled; information criteria and marginal
likelihoods compare any of them, likelihood ratios those of which one is a special case of the
other, as ``hb.anova`` finds it. REML criteria compare models with the same fixed part; others are
fitted by ML.

Source: Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 5.4 (choosing
structures by likelihood ratios and information criteria).
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from hierbayes.arrays import record
from hierbayes.bayes.posterior import sample
from hierbayes.calls import checked_call
from hierbayes.comparison.boundary_mixture import ZERO_RATIO, mixture_p, why_not_nested
from hierbayes.comparison.elpd import compare_results
from hierbayes.comparison.loo import loo
from hierbayes.comparison.marginal_ratio import improper, untrusted
from hierbayes.comparison.placed_structures import (
    Placed,
    differing_arguments,
    placed_structures,
)
from hierbayes.comparison.same_data import aligned, check_families
from hierbayes.comparison.structure_verdict import criteria_sentences, tests_sentence
from hierbayes.errors import NotSupportedError, OptionError
from hierbayes.likelihood.fitting import fit
from hierbayes.options import Method, check_option, random_generator
from hierbayes.results.comparison import ElpdComparison
from hierbayes.results.finding import Finding
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.structure_table import (
    POSTERIOR_COLUMNS,
    STRUCTURE_COLUMNS,
    TEST_COLUMNS,
    StructureTable,
)
from hierbayes.specification.specification import Specification
from hierbayes.specification.specified import Specified
from hierbayes.wording import shown

PURPOSE = "their structures do not compare"
# Arguments of which why_not_nested and the designs know everything.
READ_OFF_DESIGNS = frozenset(
    ("weights", "offset", "known_sd", "contrasts", "family", "link", "priors")
)


@record
class _Test:
    """The likelihood ratio of two models, by their places; the larger holds the smaller."""

    small: int
    large: int
    chisq: float
    df: int
    p_value: float
    p_mixture: float
    reason: str

    @property
    def p(self) -> float:
        """The p value to go by."""
        return self.p_value if math.isnan(self.p_mixture) else self.p_mixture


@checked_call("hb.compare_structures")
def compare_structures(
    model: Specified,
    structures: Any,
    *,
    method: Method | None = None,
    posterior: bool | None = None,
    by: Any = None,
    random_seed: Any = None,
) -> StructureTable:
    """Compare structures of a model: covariances of its random effects, and of its residuals.

    Parameters
    ----------
    model : Model, LikelihoodFit or PosteriorFit
        Stands in the table as "model" unless it is among the structures.
    structures : list, or dict from names to structures
        What is put in place, each one of

        - a word for the covariance of the term that has more than an intercept: "us", "diag",
          "cs", "ar1", "toep", "none" (without it); with one sd for all columns, or one each,
          "cs(hom = TRUE)" or, as in glmmTMB, "homcs", "hetar1";
        - a correlation of the residuals, as ``residual=`` has it: "ar1(time | subject)";
        - a dict: ``{"Subject": "cs"}`` for the term of a grouping factor, and arguments of
          ``hb.Model`` by name, ``{"Subject": "cs", "residual": "ar1(Days | Subject)"}``;
        - a formula, in which ``.`` is the model's own: ``". ~ . + (1 | item)"``;
        - a model, a fit or a posterior of the same data.
    method : {"reml", "ml"}
        That of ``model`` where it is a fit, else "reml" of Gaussian models. Where fixed parts
        differ it is ML.
    posterior : bool
        Whether to sample each model and compare marginal likelihoods and predictions too. None:
        where all are Gaussian and the collapsed sampler has them: about a second each.
    by : str or array, optional
        What leave-one-out leaves out at once, as of ``hb.loo``: a grouping factor, for example.
    random_seed : int, Generator or SeedSequence
        For the posteriors.

    Returns
    -------
    StructureTable
        Prints a table and what is preferred by what.

    Raises
    ------
    OptionError, FormulaError, DataError
        If a structure can't be put in place, or is of other data.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("score ~ Machine + (0 + Machine | Worker)", hb.load_dataset("Machines"))
    >>> found = hb.compare_structures(model, ["us", "cs", "diag"], posterior=False)
    >>> print(found.verdict[0])
    AIC and BIC prefer cs.
    """
    if not isinstance(model, Specified):
        raise OptionError(
            f"compare_structures takes a model or a fit and the structures to put in place, "
            f'hb.compare_structures(model, ["us", "cs"]); it got {shown(model)}.'
        )
    if posterior not in (None, True, False):
        raise OptionError(f"posterior={shown(posterior)} must be True, False or None.")
    if method is not None:
        check_option("method", method, Method)
    rng = random_generator(random_seed)
    placed = placed_structures(model, structures)
    if len(placed) < 2:
        raise OptionError("compare_structures needs a structure other than the model's own.")
    fits, refitted = _fitted(model, placed, method)
    order = sorted(range(len(fits)), key=lambda i: fits[i].n_params)
    placed, fits = [placed[i] for i in order], [fits[i] for i in order]
    names = [own.name for own in placed]
    tests = _tests(fits)
    nearest = {test.large: test for test in tests}  # the last one is the largest below it
    drawn, without = _posteriors(placed, posterior, rng)
    left_out = [loo(post, by=by) for post in drawn]
    elpd = compare_results(left_out, names=tuple(names)) if drawn else None
    table = _table(names, fits, nearest, drawn, elpd)
    return StructureTable(
        table=table,
        tests=_tests_table(names, tests),
        models=_described(names, [own.spec for own in placed]),
        method=fits[0].method,
        refitted=refitted,
        verdict=_verdict(table, names, nearest, elpd),
        notes=(*_notes(names, nearest), *without),
        what=left_out[0].what if drawn else "",
        data_name=fits[0].data_name,
        n_obs=fits[0].nobs,
        findings=_findings(names, fits, drawn, elpd),
    )


def _fitted(
    model: Specified, placed: Sequence[Placed], method: Method | None
) -> tuple[list[LikelihoodFit], bool]:
    """Fits of all models by one method, and whether it is ML in place of REML."""
    own = model if isinstance(model, LikelihoodFit) else None
    nodes = own.n_quadrature if isinstance(own, GeneralisedFit) else 1
    linear = all(one.spec.family.is_linear for one in placed)
    wanted: Method = method or (own.method if own is not None else "reml" if linear else "ml")
    same = all(_same_columns(one.spec, placed[0].spec) for one in placed)
    used: Method = wanted if same else "ml"
    found = [
        one.fit
        if one.fit is not None and one.fit.method == used
        else fit(one.spec, used, n_quadrature=nodes, quietly=True)
        for one in placed
    ]
    fits = list(aligned(found, purpose=PURPOSE))
    check_families(fits, purpose=PURPOSE)
    return fits, used != wanted


def _same_columns(a: Specification, b: Specification) -> bool:
    if not (a.design.keeps_rows and b.design.keeps_rows):
        return a.formula.fixed == b.formula.fixed
    return np.array_equal(a.design.X, b.design.X)


def _tests(fits: Sequence[LikelihoodFit]) -> list[_Test]:
    """Likelihood ratios of all nested models, by increasing size of the larger, then smaller."""
    found = []
    for j, large in enumerate(fits):
        below = [
            i
            for i, small in enumerate(fits[:j])
            if small.n_params < large.n_params and _is_nested(small, large)
        ]
        for i in sorted(below, key=lambda i: (fits[i].n_params, fits[i].loglik)):
            found.append(_test(fits, i, j))
    return found


def _is_nested(small: LikelihoodFit, large: LikelihoodFit) -> bool:
    """Whether a model is a special case of another one, also in what designs do not show."""
    for name in differing_arguments(small.spec, large.spec):
        if name in READ_OFF_DESIGNS or (name == "residual" and _holds(large, small)):
            continue
        if getattr(small.spec.arguments, name) is not None or name == "cov":
            return False
    return not why_not_nested(small, large)


def _holds(large: LikelihoodFit, small: LikelihoodFit) -> bool:
    """Whether every correlation of residuals of a model is one of another: all are, of ``us``."""
    one, other = large.design.residual, small.design.residual
    if one is None or other is None or one.word != "us" or one.group != other.group:
        return False
    return other.word == "cs" or other.inner_label == one.inner_label


def _test(fits: Sequence[LikelihoodFit], i: int, j: int) -> _Test:
    small, large = fits[i], fits[j]
    unknown = large.n_undetermined - small.n_undetermined
    df = large.n_params - small.n_params
    chisq = 2 * (large.loglik - small.loglik)
    if chisq < ZERO_RATIO:
        chisq = 0.0  # two searches for one optimum
    mixture = mixture_p(small, large, chisq)
    p_value = float(chdtrc(df, chisq)) if unknown == 0 else math.nan
    note = large.undetermined_note or small.undetermined_note
    return _Test(
        small=i,
        large=j,
        chisq=chisq,
        df=df,
        p_value=p_value,
        p_mixture=mixture.p_value if unknown == 0 else math.nan,
        reason=mixture.reason if unknown == 0 else note,
    )


def _posteriors(
    placed: Sequence[Placed], asked: bool | None, rng: np.random.Generator
) -> tuple[list[PosteriorFit], tuple[str, ...]]:
    """Posteriors of all models, or none, and a sentence where they were not asked for in vain."""
    cheap = all(own.spec.family.is_linear and own.spec.design.keeps_rows for own in placed)
    if not (cheap if asked is None else asked):
        return [], ()
    try:
        return [
            _sampled(own.spec, rng) if own.posterior is None else own.posterior for own in placed
        ], ()
    except NotSupportedError as error:
        if asked:
            raise
        return [], (f"Posteriors are not compared. {error}",)


def _sampled(spec: Specification, rng: np.random.Generator) -> PosteriorFit:
    """Sample by the collapsed sampler, whose draws have a marginal likelihood; no warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sample(spec, sampler="collapsed", random_seed=rng)


def _table(
    names: Sequence[str],
    fits: Sequence[LikelihoodFit],
    nearest: dict[int, _Test],
    drawn: Sequence[PosteriorFit],
    elpd: ElpdComparison | None,
) -> pd.DataFrame:
    values = [[own.n_params, own.aic, own.bic, own.criterion] for own in fits]
    table = pd.DataFrame(
        values, columns=list(STRUCTURE_COLUMNS), index=pd.Index(names, name="model")
    )
    table = table.astype({"npar": int})
    for name in TEST_COLUMNS:
        empty: Any = "" if name == "against" else math.nan
        table[name] = [
            (names[nearest[j].small] if name == "against" else getattr(nearest[j], name))
            if j in nearest
            else empty
            for j in range(len(fits))
        ]
    if elpd is None:
        return table.assign(**dict.fromkeys(POSTERIOR_COLUMNS, math.nan))
    logs = [_evidence(own) for own in drawn]
    table[POSTERIOR_COLUMNS[0]] = [log for log, _ in logs]
    table[POSTERIOR_COLUMNS[1]] = [mcse for _, mcse in logs]
    own = elpd.table.loc[list(names)]
    return table.assign(**{name: own[name] for name in POSTERIOR_COLUMNS[2:]})


def _evidence(post: PosteriorFit) -> tuple[float, float]:
    """Log marginal likelihood and its Monte-Carlo error; missing with flat priors or by NUTS."""
    if post.log_marginal_likelihood is None or improper(post.priors):
        return math.nan, math.nan
    return float(post.log_marginal_likelihood), float(post.log_marginal_likelihood_mcse or 0.0)


def _tests_table(names: Sequence[str], tests: Sequence[_Test]) -> pd.DataFrame:
    return pd.DataFrame(
        [(names[t.small], names[t.large], t.chisq, t.df, t.p_value, t.p_mixture) for t in tests],
        columns=["small", "large", "chisq", "df", "p_value", "p_mixture"],
    )


def _described(names: Sequence[str], specs: Sequence[Specification]) -> dict[str, str]:
    """Return the formula of each model, and the words of arguments in which models differ."""
    differing = dict.fromkeys(
        name for spec in specs[1:] for name in differing_arguments(specs[0], spec)
    )
    found = {}
    for name, spec in zip(names, specs, strict=True):
        given = {key: getattr(spec.arguments, key) for key in differing}
        words = [f"{key} = {value}" for key, value in given.items() if isinstance(value, str)]
        found[name] = ", ".join([spec.formula_text, *words])
    return found


def _verdict(
    table: pd.DataFrame,
    names: Sequence[str],
    nearest: dict[int, _Test],
    elpd: ElpdComparison | None,
) -> tuple[str, ...]:
    said = [(names[t.large], names[t.small], t.p) for t in nearest.values()]
    sentences = [*criteria_sentences(table), tests_sentence(said)]
    if elpd is not None:
        sentences.append(elpd.verdict)
    return tuple(sentence for sentence in sentences if sentence)


def _notes(names: Sequence[str], nearest: dict[int, _Test]) -> tuple[str, ...]:
    return tuple(
        f"The p of {names[t.large]} against {names[t.small]} is the plain chi-squared one: "
        f"{t.reason}."
        if not math.isnan(t.p_value)
        else f"No test of {names[t.large]} against {names[t.small]}. {t.reason}"
        for t in nearest.values()
        if t.reason
    )


def _findings(
    names: Sequence[str],
    fits: Sequence[LikelihoodFit],
    drawn: Sequence[PosteriorFit],
    elpd: ElpdComparison | None,
) -> tuple[Finding, ...]:
    found = [
        Finding(own.code, f"{name}: {own.sentence}", own.advice, own.numbers)
        for name, one in zip(names, fits, strict=True)
        for own in one.findings
    ]
    if elpd is not None:
        found += [*untrusted(list(names), drawn), *elpd.findings]
    return tuple(found)
