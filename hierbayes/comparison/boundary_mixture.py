"""The null distribution of a likelihood ratio when a variance is set to zero.

A variance cannot be negative, so under "it is zero" the likelihood ratio is zero about half the
time and the chi-squared with as many degrees of freedom as parameters is too wide. As the number
of levels grows the distribution becomes a mixture (chi-bar-squared):

    one variance of its own                   1/2 chi2_0     + 1/2 chi2_1
    one column of a q-column covariance       1/2 chi2_{q-1} + 1/2 chi2_q

where chi2_0 is the point zero: one less than, and as many as, the parameters that are dropped. It
holds while all other variances are away from zero. By what two models differ is read off their
designs: columns and levels, not names.

Source: Self & Liang (1987), J. Am. Stat. Assoc. 82:605, cases 5 and 6; Stram & Lee (1994),
Biometrics 50:1171.
"""

from typing import Literal

import numpy as np
from scipy.special import chdtrc

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.comparison.pattern_nesting import DIAGONAL, Columns, Place, place_in_pattern
from hierbayes.design.design import Design
from hierbayes.design.not_kept import NotKept
from hierbayes.design.pictured import pictured
from hierbayes.design.table import MissingColumnError
from hierbayes.gaussian.patterned import is_special_case
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.specification.build import specify

# What is left of a column after others are projected out, as part of its length, below which it
# lies in their span: R's tolerance for the rank of a model matrix.
IN_SPAN = 1e-7
# A likelihood ratio below this is zero: what two searches for one optimum differ by.
ZERO_RATIO = 1e-7

SINGULAR = (
    "the model without it is itself on the boundary, so more than one variance is at zero there "
    "and the weights of the mixture are not known"
)
FIXED = "the fixed parts differ as well"
UNIDENTIFIED = "the data do not determine all covariances of the larger model"
SEVERAL = (
    "{count} variances are set to zero at once, and the weights of their mixture depend on the "
    "design"
)
PATTERN = "a covariance with a pattern loses variances, whose mixture is not known"
NOT_NESTED = "the smaller covariance is not a special case of the larger one, so this is no test"


@record
class Reduced:
    """The fit of a model without one of its random effects: what tests ask of it."""

    design: Design
    kept: IntArray
    is_singular: bool
    n_params: int
    loglik: float
    n_undetermined: int


@record
class Mixture:
    """The mixture of two chi-squared distributions a likelihood ratio has, if it is known.

    Attributes
    ----------
    kind : "mixture"; "interior" (no variance is set to zero: the plain chi-squared is right); or
        "unknown"
    df : degrees of freedom of its two halves; None unless kind is "mixture"
    p_value : under the mixture; NaN unless kind is "mixture"
    reason : why it is not known, a part of a sentence; else empty
    """

    kind: Literal["mixture", "interior", "unknown"]
    df: tuple[int, int] | None = None
    p_value: float = float("nan")
    reason: str = ""

    @property
    def words(self) -> str:
        """The mixture as text, for example "1/2 chi2(0) + 1/2 chi2(1)"; empty if not known."""
        return " + ".join(f"1/2 chi2({df})" for df in self.df or ())


@record(kw_only=False)
class _Term:
    """One covariance term: the level of each row, its columns (n, q), and its structure."""

    codes: IntArray
    z: FloatArray
    structure: str = "us"


def mixture_p(small: LikelihoodFit | Reduced, large: LikelihoodFit, chisq: float) -> Mixture:
    """P value of a likelihood ratio under the chi-bar-squared mixture.

    Parameters
    ----------
    small, large : fits of nested models to the same rows, the smaller first
    chisq : twice the difference of their log-likelihoods

    Returns
    -------
    Mixture
        Known where the models have one fixed part and differ by exactly one variance with its
        covariances.

    Examples
    --------
    >>> import hierbayes as hb
    >>> from hierbayes.comparison.boundary_mixture import mixture_p
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> small = hb.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    >>> large = hb.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> mixture_p(small, large, chisq=2 * (large.loglik - small.loglik)).df
    (1, 2)
    """
    designs = _on_same_rows(small, large)
    if designs is None:
        return Mixture(kind="unknown", reason=NOT_NESTED)
    less, more = pictured(designs)
    found = _structure(less, more)
    if found.df is None:
        return found
    if not _same_span(less.X[:, small.kept], more.X[:, large.kept]):
        return Mixture(kind="unknown", reason=FIXED)
    if any(finding.code == "not_identified" for finding in large.findings):
        return Mixture(kind="unknown", reason=UNIDENTIFIED)
    if small.is_singular:
        return Mixture(kind="unknown", reason=SINGULAR)
    return Mixture(kind="mixture", df=found.df, p_value=mixture_tail(chisq, found.df))


def why_not_nested(small: LikelihoodFit, large: LikelihoodFit) -> str:
    """Say why a model is no special case of one with more parameters; empty if it is one.

    Read off the designs, so that names and codings do not matter: fixed part, offset, weights and
    known sds, covariances.
    """
    designs = _on_same_rows(small, large)
    if designs is None:
        return "it uses columns of the data that the larger one doesn't"
    a, b = designs
    same_weights = _same_rows(a.weights, b.weights, absent=1.0)
    same_sds = _same_rows(a.known_sd, b.known_sd, absent=1.0)
    same_offsets = _same_rows(a.offset, b.offset, absent=0.0)
    known = {small.has_residual_sd, large.has_residual_sd}
    if not (same_weights and same_sds and same_offsets) or len(known) > 1:
        return "they have different weights, known sds or offsets"
    less, more = pictured(designs)
    X = less.X[:, small.kept]
    if X.size and not _in_span(X, more.X[:, large.kept]):
        return "its fixed part is not a part of the larger one's"
    terms, own = _terms(more), _terms(less)
    held = all(_may_hold(terms, term) for term in own)
    if not held or "outside" in _places_in_patterns(own, terms):
        return "its random effects are not a part of the larger one's"
    return ""


def _places_in_patterns(small: list[_Term], large: list[_Term]) -> list[Place]:
    """Where covariances of a model lie among those of each pattern of a larger one.

    Of patterns that share their levels with no other term, and of several columns with a variance
    each, where the smaller model has terms.
    """
    found = []
    for term in large:
        same = [t for t in large if _same_levels(t, term)]
        own = [_columns(t) for t in small if _same_levels(t, term)]
        is_diagonal = len(same) > 1 and all(t.structure == "us" and t.z.shape[1] == 1 for t in same)
        if is_diagonal and own and same[0] is term:
            whole = np.concatenate([t.z for t in same], axis=1)
            found.append(place_in_pattern(own, Columns(whole, DIAGONAL)))
        if term.structure != "us" and len(same) == 1 and own:
            found.append(place_in_pattern(own, _columns(term)))
    return found


def _columns(term: _Term) -> Columns:
    return Columns(term.z, term.structure)


def _on_same_rows(
    small: "LikelihoodFit | Reduced", large: LikelihoodFit
) -> tuple[Design, Design] | None:
    """Return the designs over the same rows, or over the cells of the larger model.

    None where the columns of the smaller one are not in these cells.
    """
    if small.design.cells is None or large.design.cells is None:
        return small.design, large.design
    cells = large.design.cells
    own = small.design.cells
    if isinstance(small, LikelihoodFit):  # the cells of the larger one tell more rows apart
        table, given = large.spec.table, small.spec.arguments
        try:
            found = specify(small.formula_text, table, given).design.cells
        except MissingColumnError:
            return None
        assert found is not None
        own = found
    return (own, cells) if own.y.shape == cells.y.shape else None


def _same_rows(a: FloatArray | None, b: FloatArray | None, *, absent: float) -> bool:
    """Whether two columns are equal; None stands for the value ``absent`` everywhere."""
    if isinstance(a, NotKept) or isinstance(b, NotKept):
        return isinstance(a, NotKept) and isinstance(b, NotKept)
    if a is None or b is None:
        return a is b or bool(np.all((a if b is None else b) == absent))
    return np.array_equal(a, b)


def mixture_tail(chisq: float, df: tuple[int, int]) -> float:
    """P(T >= chisq) for T = 1/2 chi2_df[0] + 1/2 chi2_df[1]; chi2_0 is the point zero."""
    if chisq <= ZERO_RATIO:
        return 1.0
    return float(sum(chdtrc(part, chisq) if part else 0.0 for part in df) / 2)


def _structure(small: Design, large: Design) -> Mixture:
    """Say by what the covariance of the larger model exceeds that of the smaller."""
    left = _terms(large)
    rest = []
    for term in _terms(small):
        twin = next((t for t in left if _same_levels(t, term) and _same_span(t.z, term.z)), None)
        if twin is None:
            rest.append(term)
        elif not _is_special(term, twin):
            return Mixture(kind="unknown", reason=NOT_NESTED)
        else:
            left.remove(twin)
    if not left:
        if rest:
            return Mixture(kind="unknown", reason=NOT_NESTED)
        return Mixture(kind="interior")
    if any(not any(_same_levels(t, term) and _in_span(term.z, t.z) for t in left) for term in rest):
        return Mixture(kind="unknown", reason=NOT_NESTED)
    if len(left) == 1 and left[0].structure == "homdiag" and not rest:
        return Mixture(kind="mixture", df=(0, 1))  # one variance of independent columns
    if any(term.structure != "us" for term in (*left, *rest)):
        if len(left) == 1 and _places_in_patterns(rest, left) == ["interior"]:
            return Mixture(kind="interior")
        return Mixture(kind="unknown", reason=PATTERN)
    dropped = sum(t.z.shape[1] for t in left) - sum(term.z.shape[1] for term in rest)
    if dropped == 0:
        return Mixture(kind="interior")
    if dropped > 1:
        return Mixture(kind="unknown", reason=SEVERAL.format(count=dropped))
    df = _n_covariances(left) - _n_covariances(rest)
    return Mixture(kind="mixture", df=(df - 1, df))


def _may_hold(terms: list[_Term], term: _Term) -> bool:
    """Whether the covariance of a term could be a special case of that of several terms.

    True where one of them has coarser levels: (1 | a:b) is a special case of (0 + b | a).
    """
    same = [t for t in terms if _same_levels(t, term)]
    twins = [t for t in same if _same_span(t.z, term.z)]
    if any(t.structure != "us" for t in twins):
        return any(_is_special(term, t) for t in twins)
    if any(_is_coarser(t, term) for t in terms if not any(t is twin for twin in same)):
        return True
    return bool(same) and _in_span(term.z, np.concatenate([t.z for t in same], axis=1))


def _is_special(term: _Term, twin: _Term) -> bool:
    """Whether a covariance is a special case of that of the same columns."""
    if term.structure == twin.structure or twin.structure == "us":
        return True
    same_columns = np.array_equal(term.z, twin.z)  # a pattern is one of its columns
    return same_columns and is_special_case(term.structure, twin.structure)


def _is_coarser(a: _Term, b: _Term) -> bool:
    """Whether every level of b lies within one level of a."""
    n_b = int(b.codes.max(initial=0)) + 1
    return bool(np.unique(a.codes * n_b + b.codes).size == np.unique(b.codes).size)


def _n_covariances(terms: list[_Term]) -> int:
    return sum(q * (q + 1) // 2 for q in (term.z.shape[1] for term in terms))


def _terms(design: Design) -> list[_Term]:
    return [
        _Term(
            design.factors[term.factor].codes,
            design.factors[term.factor].z[:, term.columns],
            term.covariance,
        )
        for term in design.terms
    ]


def _same_levels(a: _Term, b: _Term) -> bool:
    """Whether two factors part the rows in the same way, whatever their levels are called."""
    if np.array_equal(a.codes, b.codes):
        return True
    n_b = int(b.codes.max(initial=0)) + 1
    pairs = np.unique(a.codes * n_b + b.codes).size
    return bool(pairs == np.unique(a.codes).size == np.unique(b.codes).size)


def _same_span(a: FloatArray, b: FloatArray) -> bool:
    if a.shape != b.shape:
        return False
    return np.array_equal(a, b) or _in_span(a, b)


def _in_span(a: FloatArray, b: FloatArray) -> bool:
    """Whether every column of a (n, p) is a combination of the columns of b (n, q)."""
    lengths = np.sqrt((b**2).sum(axis=0))
    scaled = b / np.where(lengths > 0, lengths, 1.0)
    left = a - scaled @ np.linalg.lstsq(scaled, a, rcond=None)[0]
    return bool(((left**2).sum(axis=0) <= IN_SPAN**2 * (a**2).sum(axis=0)).all())
