"""Analysis of variance: F tests of the terms of one fit, or likelihood ratios of several."""

from typing import get_args

from hierbayes.calls import checked_call
from hierbayes.comparison.f_tests import term_table
from hierbayes.comparison.likelihood_ratio import likelihood_ratio_table
from hierbayes.errors import OptionError
from hierbayes.options import AnovaType, Ddf, check_flag, check_option
from hierbayes.results.anova_table import AnovaTable
from hierbayes.results.f_table import FTable
from hierbayes.results.fit_tables import own_ddf
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.specification.fitted_values import unknown_fitted_sds
from hierbayes.wording import shown

ROMAN = {"I": "1", "II": "2", "III": "3"}  # as SAS and R write types of sums of squares


@checked_call("hb.anova")
def anova(
    *fits: LikelihoodFit,
    refit: bool = True,
    names: tuple[str, ...] | None = None,
    type: AnovaType | None = None,
    ddf: Ddf | None = None,
) -> AnovaTable | FTable:
    """F tests of the terms of one fit, or likelihood-ratio tests of two or more nested fits.

    Parameters
    ----------
    *fits : LikelihoodFit
        One, or several fitted to the same rows and the same response, in any order.
    refit : bool
        Of several fits: fit REML fits again with ML first, as lme4 does.
    names : names of several models in the table, in the order given; "m.1", "m.2" ... unless said
    type : {1, 2, 3}
        Of one fit: what a term is tested for. 1: what it adds to the terms before it. 2: what it
        adds to all terms that don't contain it. 3 (the default, as in lmerTest): its effect
        averaged, with equal weights, over the levels of the factors it interacts with. The tests
        do not depend on the contrasts of the factors.
    ddf : {"satterthwaite", "kenward-roger", "normal", "none"}
        Of one fit: denominator degrees of freedom, "satterthwaite" unless said, of other families
        "normal": Wald tests. "kenward-roger" is for REML fits.

    Returns
    -------
    FTable
        Of one fit: one row a term of the fixed part.
    AnovaTable
        Of several: by increasing number of parameters, each model tested against the one before
        it.

    Raises
    ------
    DataError
        If several fits have different rows or responses, or with ``refit=False`` likelihoods that
        do not compare.
    NotSupportedError
        For ``ddf="kenward-roger"`` of an ML fit.

    Notes
    -----
    Kuznetsova, Brockhoff & Christensen (2017), J. Stat. Softw. 82(13); Kenward & Roger (1997),
    Biometrics 53:983.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("score ~ Machine + (Machine | Worker)", hb.load_dataset("Machines"))
    >>> hb.anova(fit, ddf="kenward-roger").to_frame().round(3)["f_value"].to_dict()
    {'Machine': 32.803}
    >>> smaller = hb.lmer("score ~ Machine + (1 | Worker)", hb.load_dataset("Machines"))
    >>> hb.anova(fit, smaller).to_frame()["df"].iloc[1]
    np.float64(5.0)
    """
    for fit in fits:
        _check_fit(fit)
    if ddf is not None:
        check_option("ddf", ddf, Ddf)
    is_type = isinstance(type, int) and not isinstance(type, bool) and type in get_args(AnovaType)
    if type is not None and not is_type:
        number = ROMAN.get(type, type) if isinstance(type, str) else type
        same = next((known for known in get_args(AnovaType) if str(known) == number), None)
        hint = "." if same is None else f"; did you mean {same}?"
        raise OptionError(f"type={shown(type)} is not one of 1, 2, 3{hint}")
    check_flag("refit", refit, "True (fit REML fits again with ML) or False")
    if not fits:
        raise OptionError("anova needs a fit, for F tests of its terms, or several to compare.")
    if len(fits) == 1:
        if names is not None:
            raise OptionError("names= are of several fits that are compared; this is one fit.")
        return term_table(fits[0], type=type or 3, ddf=ddf or own_ddf(fits[0]))
    if type is not None or ddf is not None:
        raise OptionError(
            f"type= and ddf= are for F tests of the terms of one fit; {len(fits)} fits are "
            "compared by likelihood-ratio tests. Leave them out, or give one fit."
        )
    if any(fit.spec.has_fitted_sds for fit in fits):  # each model has others
        raise unknown_fitted_sds("anova of several fits")
    return likelihood_ratio_table(fits, refit=refit, names=names)


def _check_fit(given: object) -> None:
    if isinstance(given, list | tuple):
        raise OptionError(
            "anova takes the fits one by one, anova(small, large), not as a "
            f"{given.__class__.__name__}."
        )
    if isinstance(given, PosteriorFit):
        raise OptionError(
            "anova tests fits by REML or ML; it got a posterior. fit.hypothesis('Days > 0') gives "
            "the probability of a statement, hb.bayes_factor and hb.compare compare models."
        )
    if not isinstance(given, LikelihoodFit):
        raise OptionError(f"anova is about fits of hb.lmer; it got {given.__class__.__name__}.")
