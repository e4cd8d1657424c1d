"""What a picture needs besides what it is given: made here, and nowhere else in this folder.

Pictures draw tables. Who asks for the picture of a fit wants the profile, the posterior or the
checks it is drawn from made first; a bar shows how far that is where it takes a while.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

import hierbayes.checks.panel as panel
import hierbayes.comparison.loo as leaving_out
import hierbayes.intervals.likelihood_surface as surfaces
import hierbayes.intervals.profile as profiles
import hierbayes.prior_sensitivity.sensitivity as sensitivities
from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.intervals.confint import confint
from hierbayes.plots.labels import unquoted
from hierbayes.plots.response_names import observed_words
from hierbayes.progress import Progress, progress_bar
from hierbayes.results.comparison import KFold, Loo
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.likelihood_surface import LikelihoodSurface
from hierbayes.results.model_check import ModelCheck
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.profile_result import ProfileResult
from hierbayes.results.sensitivity import PowerScaling, Sensitivity
from hierbayes.specification.specified import Specified
from hierbayes.wording import shown

SEED = 1  # of what is sampled or simulated for a picture, so that it is the same every time


def profile_for(given: object, picture: str) -> ProfileResult:
    """Return a profile: what was given, or that of the likelihood fit given."""
    if isinstance(given, ProfileResult):
        return given
    return profiles.profile(likelihood_for(given, picture, "hb.profile(fit)"))


def likelihood_for(given: object, picture: str, made: str) -> LikelihoodFit:
    """Return a likelihood fit: what was given, or ML's of the model of the posterior given."""
    if isinstance(given, LikelihoodFit):
        return given
    if isinstance(given, PosteriorFit):
        fit: LikelihoodFit = given.model.fit("ml")
        return fit
    raise OptionError(
        f"plot.{picture} takes a fit or what {made} returns; it got {kind_of(given)}."
    )


def posterior_for(given: Fit) -> PosteriorFit:
    """Return a posterior: what was given, or one of the model of the fit given."""
    if isinstance(given, PosteriorFit):
        return given
    posterior: PosteriorFit = given.model.sample(random_seed=SEED)
    return posterior


def intervals_for(given: Any, further: Sequence[Any]) -> Any:
    """Return intervals by kind: what was given, or those of the fits given."""
    if isinstance(given, pd.DataFrame) and not further:
        method = str(given.attrs.get("method", "interval"))
        return {"Wald" if method == "wald" else method: given}
    if not isinstance(given, Fit):
        if further:
            raise OptionError("intervals takes one dict of tables, or fits one by one.")
        return given
    tables: dict[str, pd.DataFrame] = {}
    fits = [given, *further]
    for fit in fits:
        if not isinstance(fit, Fit):
            raise OptionError(f"intervals takes fits one by one; it got {kind_of(fit)}.")
        for kind, table in _kinds(fit).items():
            estimator = "" if isinstance(fit, PosteriorFit) else f"{fit.method.upper()}, "
            tables[f"{estimator if len(fits) > 2 else ''}{kind}"] = table
    return tables


def _kinds(fit: Fit) -> dict[str, pd.DataFrame]:
    if isinstance(fit, PosteriorFit):
        return {"posterior": confint(fit)}
    return {"Wald": confint(fit), "profile": confint(fit, method="profile")}


@record
class DataDrawn:
    """Data, the names of the columns to draw, and what y is called where a model says it."""

    frame: Any
    x: str
    y: str
    group: str | None
    by: str | None
    y_words: str | None = None


def data_of(
    given: Any, x: str | None, y: str | None, group: str | None, by: str | None
) -> DataDrawn:
    """Return data and the names of what is drawn: those given, or those of the model given.

    The rows of a model or fit are those it uses; ``x`` is its first numeric predictor, else its
    first factor, ``by`` the second one then, ``y`` its response and ``group`` its first grouping
    factor, unless named.
    """
    if not isinstance(given, Specified):
        if x is None or y is None:
            raise OptionError(
                "plot.data takes data with x= and y=, or a model or a fit, which has them."
            )
        return DataDrawn(frame=given, x=x, y=y, group=group, by=by)
    design = given.design
    frame = pd.DataFrame(design.model_frame).rename(columns=unquoted)
    x, y, group, by = (name if name is None else unquoted(name) for name in (x, y, group, by))
    fixed = design.mean.fixed_columns()
    y_words = None
    if y is None:
        y_words = observed_words(given)
        y = unquoted(design.formula.response_label)
        frame = frame.assign(**{y: _response(given)})
    if group is None and design.factors:
        group = design.factors[0].name
        if group not in frame:
            factor = design.factors[0]
            frame = frame.assign(**{group: np.asarray(factor.levels)[factor.codes]})
    if x is None:
        known = {*fixed, *design.mean.random_columns()} - {y, group}
        x = next((str(c) for c in frame if c in known and _is_numeric(frame[c])), None)
    if x is None:
        factors = [name for name in fixed if name in frame]
        if not factors:
            raise OptionError(
                "plot.data of a model draws the response over a predictor; this one has none. "
                "Name a column by x=."
            )
        x, by = factors[0], by or next(iter(factors[1:]), None)
    frame.attrs["name"] = given.data_name
    return DataDrawn(frame=frame, x=x, y=y, group=group, by=by, y_words=y_words)


def _response(model: Specified) -> Any:
    """Return the response of the rows used; of counts out of trials, the share of successes."""
    y = np.asarray(model.design.y)
    return y[:, 0] / y.sum(axis=1) if y.ndim == 2 else y


def _is_numeric(column: "pd.Series[Any]") -> bool:
    return bool(pd.api.types.is_numeric_dtype(column))


def check_for(given: object) -> ModelCheck:
    """Return the checks of a model: what was given, or those of the fit given."""
    if isinstance(given, ModelCheck):
        return given
    if not isinstance(given, Fit):
        raise OptionError(
            f"plot.check takes a fit or what hb.check(fit) returns; it got {kind_of(given)}."
        )
    return watched("checking the model", lambda: panel.check(given, random_seed=SEED))


def surface_for(given: object) -> LikelihoodSurface:
    """Return a likelihood over two parameters: what was given, or that of the fit given."""
    if isinstance(given, LikelihoodSurface):
        return given
    fit = likelihood_for(given, "likelihood_surface", "hb.likelihood_surface(fit)")
    return watched("evaluating the likelihood", lambda: surfaces.likelihood_surface(fit))


def sensitivity_for(
    given: object, parameter: str | Sequence[str] | None
) -> Sensitivity | PowerScaling:
    """Return a sensitivity to priors: what was given, or that of the posterior given."""
    if isinstance(given, Sensitivity | PowerScaling):
        return _with_its_own(given, "parameter", parameter)
    post = _posterior_for("sensitivity", given, "hb.sensitivity(fit)")

    def made() -> Sensitivity | PowerScaling:
        if parameter is None:
            return sensitivities.sensitivity(post)
        return sensitivities.sensitivity(post, parameter, random_seed=SEED)

    return watched("looking at other priors", made)


def loo_for(given: object, by: Any) -> Loo | KFold:
    """Return a leave-one-out or k-fold result: what was given, or that of the posterior given."""
    if isinstance(given, Loo | KFold):
        return _with_its_own(given, "by", by)
    post = _posterior_for("loo", given, "hb.loo(fit) or hb.kfold(fit)")
    return watched("leaving out", lambda: leaving_out.loo(post, by))


def _with_its_own[Made](made: Made, option: str, value: object) -> Made:
    if value is not None:
        raise OptionError(f"{option}= is for a posterior; what was given has its own.")
    return made


def _posterior_for(picture: str, given: object, made_by: str) -> PosteriorFit:
    if isinstance(given, PosteriorFit):
        return given
    raise OptionError(
        f"plot.{picture} takes a posterior or what {made_by} returns; it got {kind_of(given)}."
    )


def watched[Made](stage: str, make: Callable[[], Made]) -> Made:
    """Make something with a bar that says what is being done, where it takes a while."""
    with progress_bar(lambda: Progress(stage=stage), show=None):
        return make()


def kind_of(given: Any) -> str:
    """Say what was given, in a word."""
    return shown(given) if isinstance(given, str) else type(given).__name__
