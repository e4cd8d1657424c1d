"""The model a user writes down: a formula on data, fitted by REML or ML.

``Model`` builds the design once; the cross-products are made at the first fit and shared by all
later ones. It is also what a fit asks when it needs a layer above itself (``FitServices``).
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.design.build import build_design
from hierbayes.design.design import Design
from hierbayes.design.table import read_table
from hierbayes.errors import (
    BoundaryWarning,
    ConvergenceWarning,
    DataError,
    DesignWarning,
    HierBayesWarning,
    NotSupportedError,
    OptionError,
    RankDeficientWarning,
)
from hierbayes.formula.parser import formula_text, parse_formula
from hierbayes.formula.update import update_formula
from hierbayes.gaussian.marginal import Evaluation, Kernel, evaluate
from hierbayes.gaussian.products import with_response
from hierbayes.likelihood.lmm import (
    LmmFit,
    all_findings,
    fit_lmm,
    kernel_of,
    method_kernel,
    structure_of,
)
from hierbayes.options import Method, check_option
from hierbayes.results.finding import Finding
from hierbayes.results.likelihood_fit import LikelihoodFit

FloatArray = npt.NDArray[np.float64]

WARNING_OF: dict[str, type[HierBayesWarning]] = {
    "boundary": BoundaryWarning,
    "suspect": ConvergenceWarning,
    "rank_deficient": RankDeficientWarning,
}
STRUCTURES = {
    "nested": "Levels are eliminated block by block: one small Cholesky factor a level.",
    "crossed": (
        "The largest factor is eliminated block by block, the others as one dense matrix of "
        "{size} columns."
    ),
}


class Model:
    """A multilevel model: an lme4 formula on a data frame.

    Parameters
    ----------
    formula : str
        In lme4's language, for example ``"Reaction ~ Days + (Days | Subject)"``. Without bars it
        is a plain linear model.
    data : data frame, dict of arrays or path
        pandas, polars, pyarrow or anything narwhals reads; a CSV or Parquet path. Never changed.
    family, link : str
        Response family and link; this version fits "gaussian" with the identity link.
    weights : column name, array or expression
        Precision weights: Var(e) = sigma^2 / weight.
    offset : column name, array or expression
        Known part of the linear predictor.
    contrasts : dict, column -> "treatment", "sum", "helmert" or "poly"
        Coding of factors in the fixed part; treatment (ordered factors: poly) unless said.
    known_sd : column name, array or expression
        Known residual sds; sigma is then not estimated.
    priors : dict
        Priors of the Bayesian fit; not used by REML and ML.
    data_name : str
        How the data are called in printed results; a path gives its file's name.

    Raises
    ------
    FormulaError, DataError, OptionError
        One sentence each: what was found, where, and what to do.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> round(model.fit("reml").criterion, 2)
    1743.63
    """

    def __init__(
        self,
        formula: str,
        data: Any,
        family: str = "gaussian",
        link: str | None = None,
        *,
        weights: Any = None,
        offset: Any = None,
        contrasts: Mapping[str, str] | None = None,
        known_sd: Any = None,
        priors: Mapping[str, Any] | None = None,
        data_name: str | None = None,
    ) -> None:
        if family != "gaussian" or link not in (None, "identity"):
            raise NotSupportedError(
                f"family={family!r}, link={link!r}: this version fits Gaussian models with the "
                "identity link only."
            )
        if priors is not None:
            raise NotSupportedError("priors: Bayesian fits are not available in this version.")
        if known_sd is not None and weights is not None:
            raise OptionError(
                "known_sd and weights were both given; known residual sds already say how "
                "precise each row is, so give one of them."
            )
        if isinstance(data, Iterator):
            raise NotSupportedError("Data given in parts are not available in this version.")
        self.table = read_table(data)
        self.formula = parse_formula(formula, self.table.names if "." in str(formula) else None)
        self.arguments = {
            "weights": weights,
            "offset": offset,
            "contrasts": contrasts,
            "known_sd": known_sd,
        }
        self.design: Design = build_design(self.formula, self.table, **self.arguments)
        if self.design.y.ndim == 2:
            raise DataError(
                "cbind(...) as a response is for binomial models; a Gaussian model has one "
                "response column."
            )
        self.data_name = _name_of(data) if data_name is None else data_name
        self._kernel: Kernel | None = None

    @property
    def formula_text(self) -> str:
        """The formula with R's spacing."""
        return formula_text(self.formula)

    @property
    def weights(self) -> FloatArray | None:
        """Precision weights of the likelihood, shape (n,), or None."""
        if self.design.known_sd is not None:
            return np.asarray(self.design.known_sd**-2.0)
        return self.design.weights

    def kernel(self, method: Method) -> Kernel:
        """Return the marginal likelihood of this model; its products are made once."""
        if self._kernel is None:
            self._kernel = kernel_of(self.design, weights=self.weights, method=method)
        return method_kernel(self._kernel, method)

    def fit(self, method: Method = "reml") -> LikelihoodFit:
        """Fit by REML or maximum likelihood.

        Parameters
        ----------
        method : {"reml", "ml"}

        Raises
        ------
        DataError
            If no residual variation is left to model.
        """
        check_option("method", method, Method)
        found = fit_lmm(self.design, self.kernel(method))
        result = self._found(self.design, found)
        _issue(result.findings)
        return result

    def at_theta(
        self, method: Method, theta: FloatArray, *, response: FloatArray, **verdicts: Any
    ) -> LikelihoodFit:
        """Return the fit whose search ended at ``theta`` (k,), lme4's; nothing is searched.

        Parameters
        ----------
        method : {"reml", "ml"}
        theta : array, shape (k,)
        response : array, shape (n,), in place of the model's own
        **verdicts : ``converged``, ``is_singular`` and ``findings`` of that search
        """
        kernel = self.kernel(method)
        design = replace(self.design, y=response)
        if not np.array_equal(response, self.design.y):
            products = with_response(kernel.products, design, weights=self.weights, y=response)
            kernel = replace(kernel, products=products)
        inverses = [np.linalg.inv(basis) for basis in kernel.products.anchor.z_bases]
        at = evaluate(kernel, kernel.shape.transformed(theta, inverses)[None])
        return self._result(design, kernel, at, theta=theta, **verdicts)

    def explain(self) -> str:
        """Say in words what the formula became on these data.

        Examples
        --------
        >>> import hierbayes as hb
        >>> model = hb.Model("strength ~ 1 + (1 | batch/cask)", hb.load_dataset("Pastes"))
        >>> "cask:batch" in model.explain()
        True
        """
        from hierbayes.reports.explain import explain_text

        structure = ""
        if self.design.factors:
            products = self.kernel("reml").products
            size = sum(A.shape[0] * A.shape[1] for A in products.zz[1:])
            structure = STRUCTURES[structure_of(products).name].format(size=size)
        return explain_text(self.design, structure=structure)

    def __repr__(self) -> str:
        """Return what ``explain`` says."""
        return self.explain()

    # what a fit asks of its model

    def predict(self, fit: LikelihoodFit, newdata: Any, **options: Any) -> pd.Series:
        """Predictions of a fit; see ``LikelihoodFit.predict``."""
        from hierbayes.effects.predict import predict

        return predict(fit, newdata, **options)

    def simulate(self, fit: LikelihoodFit, nsim: int, random_seed: Any) -> pd.DataFrame:
        """Responses drawn from a fit; see ``LikelihoodFit.simulate``."""
        from hierbayes.effects.simulate import simulate

        return simulate(fit, nsim=nsim, random_seed=random_seed)

    def refit(self, fit: LikelihoodFit, y: Any) -> LikelihoodFit:
        """Fit the same model to another response; see ``LikelihoodFit.refit``."""
        response = _checked_response(y, fit.nobs)
        products = with_response(fit.kernel.products, fit.design, weights=fit.weights, y=response)
        design = replace(fit.design, y=response)
        found = fit_lmm(design, replace(fit.kernel, products=products))
        return self._found(design, found)

    def update(self, fit: LikelihoodFit, formula: str) -> LikelihoodFit:
        """Fit a changed formula to the same data by the same method."""
        changed = update_formula(self.formula, formula)
        model = Model(changed, self.table, data_name=self.data_name, **self.arguments)
        return model.fit(fit.method)

    def save(self, fit: LikelihoodFit, path: Any) -> None:
        """Write a fit to a file; see ``LikelihoodFit.save``."""
        from hierbayes.model.saving import save

        save(self, fit, path)

    def summary(self, fit: LikelihoodFit, **options: Any) -> str:
        """Summary of a fit as text."""
        from hierbayes.reports.summary import summary_text

        return summary_text(fit, **options)

    def _found(self, design: Design, found: LmmFit) -> LikelihoodFit:
        return self._result(
            design,
            found.kernel,
            found.at,
            theta=found.theta,
            converged=found.converged,
            is_singular=found.is_singular,
            findings=all_findings(design, found),
        )

    def _result(
        self, design: Design, kernel: Kernel, at: Evaluation, **estimates: Any
    ) -> LikelihoodFit:
        anchor = kernel.products.anchor
        return LikelihoodFit(
            model=self,
            design=design,
            method=kernel.method,
            formula_text=self.formula_text,
            data_name=self.data_name,
            beta=anchor.beta0 + anchor.x_basis @ at.beta[0],
            sigma=float(at.sigma[0]),
            criterion=float(at.criterion[0]),
            kernel=kernel,
            at=at,
            weights=self.weights,
            **estimates,
        )


def lmer(formula: str, data: Any, reml: bool = True, **model_options: Any) -> LikelihoodFit:
    """Fit a linear mixed model: ``Model(formula, data, ...).fit("reml" or "ml")``.

    Parameters
    ----------
    formula, data, **model_options
        As for ``Model``.
    reml : bool
        REML (the default) or maximum likelihood.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> round(fit.sigma, 2)
    49.51
    """
    if not isinstance(reml, (bool, np.bool_)):
        raise OptionError(f"reml={reml!r} must be True (REML) or False (maximum likelihood).")
    return Model(formula, data, **model_options).fit("reml" if reml else "ml")


def glmer(
    formula: str,
    data: Any,
    family: str = "binomial",
    link: str | None = None,
    n_quadrature: int = 1,
    **model_options: Any,
) -> LikelihoodFit:
    """Fit a generalised linear mixed model; not available in this version.

    Raises
    ------
    NotSupportedError
        Always.
    """
    del formula, data, link, n_quadrature, model_options
    raise NotSupportedError(
        f"glmer with family={family!r}: generalised linear mixed models are not available in "
        "this version; lmer fits Gaussian ones."
    )


def _checked_response(y: Any, nobs: int) -> FloatArray:
    try:
        response = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError("refit needs a numeric response.") from error
    if response.ndim == 2 and response.shape[1] == 1:
        response = response[:, 0]
    if response.shape != (nobs,):
        raise DataError(
            f"refit got a response of shape {response.shape}; the model was fitted to {nobs} "
            "rows, so give one number for each of them."
        )
    if not np.isfinite(response).all():
        bad = int((~np.isfinite(response)).sum())
        raise DataError(f"refit got a response with {bad} missing or infinite values.")
    return response


def _issue(findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        warnings.warn(str(finding), WARNING_OF.get(finding.code, DesignWarning), stacklevel=4)


def _name_of(data: Any) -> str:
    """How printed results call the data: a file's name, or what ``attrs["name"]`` says."""
    if isinstance(data, pd.DataFrame):
        name = data.attrs.get("name", "")
        return name if isinstance(name, str) else ""
    text = getattr(data, "stem", data)
    return text.rsplit("/", 1)[-1].split(".")[0] if isinstance(text, str) else ""
