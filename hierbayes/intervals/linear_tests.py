"""t and F tests of linear combinations L beta of fixed effects, by every kind of df.

A t test of one row l has the statistic (l'beta - r) / sqrt(l'V l). For q independent rows the
Wald statistic (L beta - r)'(L V L')^-1(L beta - r) / q is about F(q, df):

- Satterthwaite: with L V L' = P diag(d) P' the statistic is the mean of the squared t's of the
  rows of P'L, taken as independent with nu_m degrees of freedom; df matches its expectation,
  E = sum nu_m / (nu_m - 2): df = 2 E / (E - q), or 2 if a nu_m is not above 2.
- Kenward-Roger: V is the adjusted covariance, and the statistic is scaled.
- "normal": df is infinite, q F is chi-squared.

Source: Fai & Cornelius (1996), J. Stat. Comput. Simul. 54:363; Kuznetsova, Brockhoff &
Christensen (2017), J. Stat. Softw. 82(13), section 2; Kenward & Roger (1997), Biometrics 53:983.
"""

import numpy as np
from scipy.special import chdtrc, fdtrc, ndtr, stdtr

from hierbayes.arrays import FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.errors import OptionError
from hierbayes.intervals.determined_part import determined_rows, is_determined
from hierbayes.intervals.kenward_roger import f_scaling, kenward_roger, kenward_roger_df
from hierbayes.intervals.satterthwaite import held_notes, satterthwaite_df
from hierbayes.options import Ddf
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.row_tests import RowTests

# Rows whose remainder is below this, in their own standard errors, depend on the others.
DEPENDENT = 1e-7
# Degrees of freedom that differ by less than this part are one number: far above the rounding they
# differ by in balanced designs, and the formula for unequal ones is continuous there.
EQUAL = 1e-8


@record
class FTest:
    """F test of L beta = rhs.

    Attributes
    ----------
    f_value : the statistic, scaled under Kenward-Roger
    num_df, den_df : degrees of freedom; ``num_df`` is the rank of L
    p_value : probability of a larger F
    mean_square : the statistic before scaling times sigma^2, squared response units
    """

    f_value: float
    num_df: int
    den_df: float
    p_value: float
    mean_square: float


def _linear(fit: LikelihoodFit, ddf: Ddf) -> LinearFit:
    """Return a linear fit, whose tests have degrees of freedom; refuse any other."""
    if isinstance(fit, GeneralisedFit):
        raise not_supported("ddf-of-family", family=fit.family, link=fit.link, ddf=ddf)
    assert isinstance(fit, LinearFit)
    return fit


def coefficient_tests(fit: LikelihoodFit, ddf: Ddf) -> "RowTests":
    """Test each fixed effect of a fit."""
    return row_tests(fit, np.eye(fit.beta.size), ddf=ddf)


def row_tests(
    fit: LikelihoodFit, L: FloatArray, *, ddf: Ddf = "satterthwaite", rhs: float | FloatArray = 0.0
) -> RowTests:
    """Test each row of L beta = rhs on its own.

    Parameters
    ----------
    fit : LikelihoodFit
    L : array, shape (c, p), combinations of the fixed effects that were estimated
    ddf : {"satterthwaite", "kenward-roger", "normal", "none"}
    rhs : number or array, shape (c,)

    Raises
    ------
    NotSupportedError
        For ``ddf="kenward-roger"`` of an ML fit.
    """
    estimate = L @ fit.beta
    if ddf == "kenward-roger":
        variance = np.einsum("ci,ij,cj->c", L, kenward_roger(_linear(fit, ddf)).vcov, L)
    else:
        variance = ((L @ fit.representing.vcov_root) ** 2).sum(axis=1)
    se = np.sqrt(np.maximum(variance, 0.0))
    df = row_df(fit, L, ddf=ddf)
    if ddf != "none":  # a variance whose own spread is not known is not known either
        se = np.where(np.isnan(df), np.nan, se)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (estimate - rhs) / se
    p_value = two_sided_p(statistic, df) if ddf != "none" else np.full(df.shape, np.nan)
    known = determined_rows(fit, L)
    tested = known.estimate & known.variance
    return RowTests(
        estimate=np.where(known.estimate, estimate, np.nan),
        std_error=np.where(tested, se, np.nan),
        statistic=np.where(tested, statistic, np.nan),
        df=np.where(tested, df, np.nan),
        p_value=np.where(tested, p_value, np.nan),
        notes=held_notes(fit, ddf),
    )


def two_sided_p(statistic: FloatArray, df: FloatArray) -> FloatArray:
    """Probability of a t statistic further from zero, (c,); infinite df are a normal one's."""
    size = -np.abs(statistic)
    finite = np.isfinite(df)
    return np.asarray(2 * np.where(finite, stdtr(np.where(finite, df, 1.0), size), ndtr(size)))


def row_df(fit: LikelihoodFit, L: FloatArray, *, ddf: Ddf) -> FloatArray:
    """Degrees of freedom (c,) of t tests of the rows of L (c, p)."""
    if ddf == "satterthwaite":
        return satterthwaite_df(_linear(fit, ddf), L)
    if ddf == "kenward-roger":
        return kenward_roger_df(_linear(fit, ddf), L)
    return np.full(L.shape[0], np.inf if ddf == "normal" else np.nan)


def f_test(
    fit: LikelihoodFit, L: FloatArray, *, ddf: Ddf = "satterthwaite", rhs: float | FloatArray = 0.0
) -> FTest:
    """Test L beta = rhs, all rows together.

    Parameters
    ----------
    fit, ddf, rhs : as of ``row_tests``
    L : array, shape (c, p)
        Rows that depend on others are left out.

    Raises
    ------
    OptionError
        If dependent rows have right sides that contradict each other.
    """
    known = kenward_roger(_linear(fit, ddf)) if ddf == "kenward-roger" else None
    root = fit.representing.vcov_root if known is None else np.linalg.cholesky(known.vcov)
    right = np.broadcast_to(np.asarray(rhs, dtype=float), L.shape[:1])
    L, right = _independent(L, right, root)
    q = L.shape[0]
    if q == 0:
        return FTest(f_value=np.nan, num_df=0, den_df=np.nan, p_value=np.nan, mean_square=np.nan)
    if not is_determined(fit, L):
        return FTest(f_value=np.nan, num_df=q, den_df=np.nan, p_value=np.nan, mean_square=np.nan)
    # rows of L are orthonormal in vcov now, so the statistic is a mean of squares
    plain = float(np.mean((L @ fit.beta - right) ** 2))
    den_df, factor = np.nan, 1.0
    if known is not None:
        scaling = f_scaling(known, L)
        den_df, factor = scaling.df, scaling.factor
        plain = np.nan if np.isnan(den_df) else plain
    elif ddf == "satterthwaite":
        den_df = joint_df(satterthwaite_df(_linear(fit, ddf), L))
        plain = np.nan if np.isnan(den_df) else plain
    elif ddf == "normal":
        den_df = np.inf
    return FTest(
        f_value=plain * factor,
        num_df=q,
        den_df=den_df,
        p_value=_f_probability(plain * factor, q, den_df),
        mean_square=plain * fit.sigma**2,
    )


def joint_df(nu: FloatArray) -> float:
    """Denominator degrees of freedom of the mean of squared t's with nu (q,) of their own."""
    if np.isnan(nu).any():
        return float("nan")
    if nu.size == 1 or np.isinf(nu).all() or np.ptp(nu) < EQUAL * nu.max():
        return float(nu.mean())
    if (nu <= 2).any():
        return 2.0
    excess = float((2 / (nu - 2)).sum())  # E - q
    return 2 * (nu.size + excess) / excess


def _f_probability(f: float, q: int, df: float) -> float:
    if np.isnan(df):
        return float("nan")
    return float(chdtrc(q, q * f) if np.isinf(df) else fdtrc(q, df, f))


def _independent(L: FloatArray, rhs: FloatArray, root: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Combine the rows of L to rows that are orthonormal in vcov = R R', and their right sides.

    The combinations are the eigenvectors of L vcov L', because degrees of freedom by
    Satterthwaite depend (a little, in unbalanced data) on which orthonormal rows are taken.
    """
    rows = L @ root
    size = np.sqrt((rows**2).sum(axis=1))
    used = size > 0
    unit, scaled = rows[used] / size[used, None], rhs[used] / size[used]
    left, singular, _ = np.linalg.svd(unit, full_matrices=False)
    kept = singular > DEPENDENT * singular.max(initial=0.0)
    turn = left[:, kept] / singular[kept]
    back = left[:, kept] @ (left[:, kept].T @ scaled)
    slack = DEPENDENT * max(1.0, float(np.abs(scaled).max(initial=0.0)))
    if np.abs(back - scaled).max(initial=0.0) > slack or np.any(rhs[~used] != 0):
        raise OptionError(
            "The rows of L depend on each other and their rhs contradict each other, so no beta "
            "fulfils them all. Leave out the rows that follow from others."
        )
    if kept.sum() < used.size:
        return turn.T @ (L[used] / size[used, None]), turn.T @ scaled
    left, singular, _ = np.linalg.svd(rows, full_matrices=False)
    turn = left / singular
    return turn.T @ L, turn.T @ rhs
