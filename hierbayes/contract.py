"""What fits and models answer to, and what happens to names they don't have.

``dir()``, and so completion in an editor, shows the names that scripts may rely on; docs/public.md
lists the same. A name that is not there is an AttributeError of ours with the call that is meant:
for names of other packages from ``spellings.py``, else the nearest of those there are.
"""

import sys
from typing import TYPE_CHECKING

from hierbayes.errors import UnknownNameError
from hierbayes.spellings import NAMES
from hierbayes.wording import did_you_mean, nearest

FIT = (
    "augment", "beta", "coef", "contrast", "converged", "findings", "fitted", "fixef",
    "formula_text", "glance", "is_singular", "method", "model", "n_groups", "n_params", "nobs",
    "predict", "ranef", "ranef_cov", "ranef_sd", "refit", "report", "residuals", "save", "sigma",
    "sentence", "simulate", "summary", "tidy", "update", "varcorr", "vcov",
)  # fmt: skip
LIKELIHOOD = ("aic", "bic", "criterion", "deviance", "loglik", "theta")
GENERALISED = ("dispersion", "laplace_error", "n_quadrature")
PSYCHOMETRIC = ("goodness_of_fit", "jnd", "pse", "slope", "threshold", "width")
POSTERIOR = (
    "diagnostics", "hypothesis", "idata", "log_marginal_likelihood", "priors", "tidy_draws",
)  # fmt: skip
MODEL = (
    "explain", "fit", "formula_text", "graph", "latex", "prior_predictive", "priors", "sample",
    "to_bambi", "to_pymc",
)  # fmt: skip
# By the class that has them; a class has those of its bases as well.
CONTRACT = {
    "FitTables": FIT,
    "LikelihoodFit": LIKELIHOOD,
    "GeneralisedFit": GENERALISED,
    "Thresholds": PSYCHOMETRIC,
    "PosteriorFit": POSTERIOR,
    "Model": MODEL,
}
# Those of them that are no methods.
ATTRIBUTES = frozenset(
    {
        "aic", "beta", "bic", "converged", "criterion", "deviance", "dispersion", "findings",
        "formula_text", "idata", "is_singular", "laplace_error", "log_marginal_likelihood",
        "loglik", "method", "model", "n_groups", "n_params", "n_quadrature", "nobs", "priors",
        "sigma", "theta",
    }
)  # fmt: skip


class Contract:
    """A fit or a model: its public names, and a sentence for others."""

    __slots__ = ()

    def __dir__(self) -> list[str]:
        """Return the public names, and Python's own."""
        own = [name for name in object.__dir__(self) if name.startswith("__")]
        return sorted({*own, *_names_of(type(self))})

    if not TYPE_CHECKING:  # which would take any name for one that is there

        def __getattr__(self, name: str) -> object:
            """Refuse a name that isn't there; Python asks here when all else has failed."""
            if name.startswith("_"):  # protocols of Python and of notebooks ask for these
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            if hasattr(type(self), name):  # a property of ours that failed: its own error
                return object.__getattribute__(self, name)
            raise UnknownNameError(_sentence(type(self), name))


def unknown_function(name: str, functions: list[str]) -> str:
    """Say what a name that the package doesn't have is called."""
    if name in FIT or name in LIKELIHOOD:
        return f"hierbayes has no {name!r}: a fit has it, fit.{name}{_call_of(name)}."
    if name in POSTERIOR:
        return f"hierbayes has no {name!r}: a posterior has it, post.{name}{_call_of(name)}."
    if name in MODEL:
        call = f"hb.Model(formula, data).{name}{_call_of(name)}"
        return f"hierbayes has no {name!r}: a model has it, {call}."
    if name in NAMES:
        return f"hierbayes has no {name!r}; here it is {NAMES[name].ours}."
    if name in _pictures():
        return f"hierbayes has no {name!r}: it is a picture, hb.plot.{name}(...)."
    return f"hierbayes has no {name!r}{did_you_mean(name, functions)}"


def _names_of(cls: type) -> tuple[str, ...]:
    return tuple(n for base in cls.__mro__ for n in CONTRACT.get(base.__name__, ()))


def _sentence(cls: type, name: str) -> str:
    """Say what a name that a class doesn't have is called."""
    bases = {base.__name__ for base in cls.__mro__}
    kind = next(k for k in ("Model", "PosteriorFit", "FitTables", "object") if k in bases)
    called = {"Model": "A model", "PosteriorFit": "A posterior", "FitTables": "A fit"}
    begin = f"{called.get(kind, cls.__name__)} has no {name!r}"
    if kind == "Model" and (name in FIT or name in LIKELIHOOD):
        return f"{begin}: it is not fitted. model.fit().{name}{_call_of(name)} has it."
    if name in POSTERIOR:
        model = "model" if kind == "Model" else "fit.model"
        return f"{begin}: a posterior has it, {model}.sample().{name}{_call_of(name)}."
    if kind == "PosteriorFit" and name in LIKELIHOOD:
        return f"{begin}, a fit by REML or ML has it: fit.model.fit().{name}."
    of_package = sys.modules[__package__].__all__
    if name in NAMES:
        text = NAMES[name].of(kind == "PosteriorFit")
        if kind == "Model":
            text = text.replace("fit.model.", "model.").replace("fit.", "model.fit().")
            text = text.replace("(fit", "(model.fit()")
        sentence = text if text[0].isupper() else f"here it is {text}."
        return f"{begin}; {sentence}"
    if name in of_package and name.islower():
        fit = "model.fit()" if kind == "Model" else "fit"
        return f"{begin}: a method reads what was estimated, hb.{name}({fit}) computes it."
    if name in _pictures():
        fit = "model.fit()" if kind == "Model" else "fit"
        return f"{begin}: it is a picture, hb.plot.{name}({fit})."
    names = sorted(_names_of(cls))
    guess = nearest(name, names)
    if guess is None:
        return f"{begin}. It has {', '.join(names)}."
    return f"{begin}; did you mean {guess!r}?"


def _pictures() -> list[str]:
    """Names of the pictures, once any is imported: an unknown name is no reason to import them."""
    plots = sys.modules.get(f"{__package__}.plots")
    return [] if plots is None else list(plots.__all__)


def _call_of(name: str) -> str:
    return "" if name in ATTRIBUTES else "()"
