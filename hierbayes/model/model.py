"""The model a user writes down: a formula on data, fitted by REML or ML.

``Model`` builds the design once; the cross-products are made at the first fit and shared by all
later ones. It is also what a fit asks when it needs a layer above itself (``FitServices``).
"""

import copy
import os
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.calls import checked_call, checked_init, checked_methods
from hierbayes.capabilities import not_supported
from hierbayes.design.alignment import aligned
from hierbayes.design.build import build_design
from hierbayes.design.design import Design
from hierbayes.design.table import Table, read_table
from hierbayes.errors import (
    BoundaryWarning,
    ConvergenceWarning,
    DataError,
    DesignWarning,
    HierBayesWarning,
    OptionError,
    RankDeficientWarning,
)
from hierbayes.families.family import Family
from hierbayes.families.named import family_named
from hierbayes.families.observations import check_supported, checked_observations
from hierbayes.formula.parser import formula_text, parse_formula
from hierbayes.formula.terms import Formula
from hierbayes.formula.update import update_formula
from hierbayes.gaussian.kernel import kernel_of, method_kernel, one_thread_for, with_products
from hierbayes.gaussian.marginal import Evaluation, Kernel, evaluate
from hierbayes.gaussian.products import with_response_fitted
from hierbayes.gaussian.structures import check_unstructured
from hierbayes.likelihood.answers import check_bounded, check_sigma, check_told_apart
from hierbayes.likelihood.lmm import (
    LmmFit,
    all_findings,
    fit_lmm,
)
from hierbayes.likelihood.undetermined_findings import undetermined_findings
from hierbayes.linalg.rank import column_basis
from hierbayes.naming.variable_names import factor_variables, response_variable
from hierbayes.options import (
    Ddf,
    Link,
    Method,
    Parameterization,
    Sampler,
    check_family_name,
    check_flag,
    check_option,
    shown,
)
from hierbayes.results.finding import Finding
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.specification.magnitudes import check_magnitudes, check_residuals, check_sizes
from hierbayes.specification.response import checked_response

if TYPE_CHECKING:
    import bambi
    import graphviz
    import pymc as pm
    from xarray import DataTree

    from hierbayes.intervals.linear_tests import RowTests
    from hierbayes.priors.model_priors import ModelPriors
    from hierbayes.results.posterior_fit import PosteriorFit


WARNING_OF: dict[str, type[HierBayesWarning]] = {
    "boundary": BoundaryWarning,
    "suspect": ConvergenceWarning,
    "rank_deficient": RankDeficientWarning,
    "r_hat": ConvergenceWarning,
    "low_ess": ConvergenceWarning,
    "divergences": ConvergenceWarning,
    "pareto_k": ConvergenceWarning,
    "fallback_to_nuts": ConvergenceWarning,
}
PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"  # warnings point at the first line outside of it
MANY_COLUMNS = 1000  # of X: a fit of n rows takes n times their square operations
STRUCTURES = {
    "nested": "Levels are eliminated block by block: one small Cholesky factor a level.",
    "crossed": (
        "The largest factor is eliminated block by block, the others as one dense matrix of "
        "{size} columns."
    ),
    "sparse": (
        "The levels of all factors are eliminated together, in an order that keeps the matrix "
        "sparse: its Cholesky factor holds {numbers:,} numbers."
    ),
}


@checked_init("hb.Model")
@checked_methods("model")
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
        Response family and link, by their names in bambi, for example ``family="bernoulli",
        link="probit"``. REML and ML are for "gaussian" with the identity link. A family of your own
        is an ``hb.Family``, or the name under which ``hb.register_family`` has it.
    weights : column name, array or expression
        Precision weights: Var(e) = sigma^2 / weight. As with all values given beside the data, a
        pandas Series is matched by its labels, anything else by position.
    offset : column name, array or expression
        Known part of the linear predictor.
    contrasts : dict, column -> "treatment", "sum", "helmert" or "poly"
        Coding of factors in the fixed part; treatment (ordered factors: poly) unless said.
    known_sd : column name, array or expression
        Known residual sds; sigma is then not estimated.
    priors : dict, name -> prior, or "flat"
        Priors of the Bayesian fit in place of the defaults, for example
        ``{"Days": hb.Normal(0, 10), "sd(Days|Subject)": hb.HalfNormal(10), "sd": ...}``; the names
        are those of ``model.priors``, and the classes "b" (slopes), "sd" and "cor". "flat" is
        ``hb.Flat()`` on every coefficient. REML and ML use none.
    data_name : str
        How the data are called in printed results; a path gives its file's name.

    Raises
    ------
    FormulaError, DataError, OptionError, PriorError
        One sentence each: what was found, where, and what to do.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> round(model.fit("reml").criterion, 2)
    1743.63
    """

    table: Table
    formula: Formula
    arguments: dict[str, Any]
    response_family: Family
    design: Design
    data_name: str
    response_given: bool  # the response was given to refit, it is not in the table

    def __init__(
        self,
        formula: str,
        data: Any,
        family: str | Family = "gaussian",
        link: str | None = None,
        *,
        weights: Any = None,
        offset: Any = None,
        contrasts: Mapping[str, str] | None = None,
        known_sd: Any = None,
        priors: Mapping[str, Any] | str | None = None,
        data_name: str | None = None,
    ) -> None:
        response_family = family_named(family, link)
        if known_sd is not None and weights is not None:
            raise OptionError(
                "known_sd and weights were both given; known residual sds already say how "
                "precise each row is, so give one of them."
            )
        if contrasts is not None and not isinstance(contrasts, Mapping):
            raise OptionError(
                f"contrasts={shown(contrasts)} must be a dict from a factor to its coding, for "
                'example {"recipe": "sum"}.'
            )
        if isinstance(data, Iterator):
            raise not_supported("data-in-parts")
        table = read_table(_own(data))
        arguments = {
            "weights": aligned("weights", _own(weights), table.index),
            "offset": aligned("offset", _own(offset), table.index),
            "contrasts": None if contrasts is None else dict(contrasts),
            "known_sd": aligned("known_sd", _own(known_sd), table.index),
        }
        formula_read = parse_formula(formula, table.names if "." in str(formula) else None)
        design = build_design(
            formula_read,
            table,
            **arguments,
            allow_saturated=True,  # its posterior exists; fit() refuses it
            binary_response=response_family.reads_categories,
        )
        if response_family.is_linear and design.y.ndim == 2:
            raise DataError(
                "cbind(...) as a response is for binomial models; a Gaussian model has one "
                "response column."
            )
        if not response_family.is_linear:
            check_supported(design, response_family)
            checked_observations(design, response_family)
            _check_parameter_names(design, response_family)
        if isinstance(family, Family) and family.link_name:
            link = response_family.link.name  # which files and code name
        vars(self).update(
            table=table,
            formula=formula_read,
            arguments={**arguments, "family": family, "link": link, "priors": _own(priors)},
            response_family=response_family,
            design=design,
            data_name=_name_of(data) if data_name is None else data_name,
            response_given=False,
        )
        check_magnitudes(design, self.weights)
        if priors is not None:
            _ = self.model_priors  # an error belongs to the line that gave them

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse: a model is what it was made from, and fits share it."""
        raise AttributeError(f"A Model does not change; {name!r} can't be set. Make a new Model.")

    @property
    def family(self) -> str:
        """Name of the response family."""
        return self.response_family.name

    @property
    def link(self) -> str:
        """Name of the link."""
        return self.response_family.link.name

    @property
    def formula_text(self) -> str:
        """The formula with R's spacing."""
        return formula_text(self.formula)

    @cached_property
    def weights(self) -> FloatArray | None:
        """Precision weights of the likelihood, shape (n,), or None."""
        if self.design.known_sd is not None:
            with np.errstate(over="ignore"):  # checked by check_magnitudes
                return np.asarray(self.design.known_sd**-2.0)
        return self.design.weights

    @cached_property
    def _reml_kernel(self) -> Kernel:
        kernel = kernel_of(self.design, weights=self.weights, method="reml")
        check_residuals(self.design, kernel, self.weights)
        return kernel

    @property
    def is_linear(self) -> bool:
        """Whether this is a linear mixed model: Gaussian response, identity link."""
        return self.response_family.is_linear

    @cached_property
    def kept_columns(self) -> IntArray:
        """The columns of X that have a coefficient: not determined by earlier ones, shape (p,).

        In an ordinal model the thresholds take the place of the intercept.
        """
        if self.is_linear:
            return self._reml_kernel.products.anchor.kept
        kept = column_basis(self.design.X).kept
        return kept[self.design.assign[kept] > 0] if self.response_family.is_ordinal else kept

    @cached_property
    def model_priors(self) -> "ModelPriors":
        """The priors of this model, the defaults and the user's."""
        from hierbayes.priors.model_priors import model_priors

        return model_priors(
            self.design,
            self.kept_columns,
            family=self.response_family,
            user=self.arguments["priors"],
        )

    @property
    def priors(self) -> pd.DataFrame:
        """The priors as a table.

        One row a parameter: ``parameter``; ``prior``; its 5, 50 and 95 % quantiles ``q05 q50
        q95`` in units of the response (a slope: per unit of its column), NaN where it is
        improper; ``source``, "default" or "user". The intercept's prior is at centred predictors.

        Examples
        --------
        >>> import hierbayes as hb
        >>> model = hb.Model("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
        >>> print(model.priors)
        parameter                prior                      q05    q50    q95  source
        (Intercept)              Normal(298.5, 140.8)     66.88  298.5  530.1  default
        Days                     Normal(0, 48.89)        -80.42      0  80.42  default
        sd((Intercept)|Subject)  HalfStudentT(4, 140.8)   9.397  104.3    391  default
        sigma                    HalfStudentT(4, 56.33)   3.759  41.72  156.4  default
        """
        from hierbayes.priors.model_priors import priors_table

        return priors_table(self.model_priors, self.design)

    def kernel(self, method: Method) -> Kernel:
        """Return the marginal likelihood of this model; its products are made once."""
        return method_kernel(self._reml_kernel, method)

    def with_response(self, y: Any) -> "Model":
        """Return the same model of another response; see ``LikelihoodFit.refit``."""
        response = checked_response(y, self.design, index=self.table.index)
        check_sizes(response[:, None], ["The response given to refit"])
        design = self.design.with_response(response)
        if not self.is_linear:
            checked_observations(design, self.response_family)
            other = copy.copy(self)
            vars(other).pop("model_priors", None)
            vars(other).update(design=design, response_given=True)
            return other
        kernel = self._reml_kernel
        products = with_response_fitted(kernel.products, design, weights=self.weights, y=response)
        kernel = with_products(kernel, products)
        check_residuals(design, kernel, self.weights)
        other = copy.copy(self)
        vars(other).pop("model_priors", None)  # the defaults follow the response
        vars(other).update(design=design, _reml_kernel=kernel, response_given=True)
        return other

    def fit(self, method: Method = "reml") -> LikelihoodFit:
        """Fit by REML or maximum likelihood.

        Parameters
        ----------
        method : {"reml", "ml"}

        Raises
        ------
        DataError
            If no residual variation is left to model, or if a term has as many random effects as
            there are rows, so that its sds can't be told from the residual sd.

        Warns
        -----
        HierBayesWarning
            For each of the fit's findings, pointing at the caller's line.
        """
        check_option("method", method, Method)
        if not self.is_linear:
            raise not_supported("fit-of-family", family=self.family, link=self.link)
        check_told_apart(self.design)
        self._warn_of_many_columns()
        with one_thread_for(self.design):
            check_sigma(self.design, self.kernel(method))
            found = fit_lmm(self.design, self.kernel(method))
            check_bounded(self.design, found)
            findings = all_findings(self.design, found)
        _issue(findings)
        return self._found(found, findings)

    def sample(
        self,
        draws: int = 1000,
        chains: int = 4,
        tune: int = 1000,
        sampler: Sampler = "auto",
        random_seed: Any = None,
        progress: bool | None = None,
        target_accept: float = 0.9,
    ) -> "PosteriorFit":
        """Draw from the posterior under ``priors``.

        Parameters
        ----------
        draws, chains : int
            Draws a chain, and chains.
        tune : int
            Draws a chain that NUTS takes to adapt; they are not kept.
        sampler : {"auto", "collapsed", "nuts"}
            "collapsed" integrates fixed and random effects out: Gaussian responses with Gaussian
            (or flat) priors of the coefficients. "nuts" samples the PyMC model. "auto" takes the
            first where it can, and NUTS where the weights of the first have a Pareto k above 0.7;
            "collapsed" keeps such draws, with a finding.
        random_seed : int, Generator or SeedSequence
            The same numbers give the same draws.
        progress : bool
            Show a progress bar; by default only where somebody watches.
        target_accept : float
            Of NUTS, between 0 and 1: larger means smaller steps, and fewer divergences.

        Raises
        ------
        NotSupportedError
            If the sampler can't sample this model.
        SamplingError
            If no parameters have a density that can be computed.

        Warns
        -----
        HierBayesWarning
            For each finding, pointing at the caller's line.

        Examples
        --------
        >>> import hierbayes as hb
        >>> model = hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        >>> post = model.sample(random_seed=1)
        >>> bool(abs(post.fixef()["Days"] - 10.47) < 0.3)
        True
        """
        from hierbayes.model.bayesian import sample

        fit = sample(
            self,
            draws=draws,
            chains=chains,
            tune=tune,
            sampler=sampler,
            random_seed=random_seed,
            progress=progress,
            target_accept=target_accept,
        )
        _issue(fit.findings)
        return fit

    def to_pymc(
        self,
        parameterization: Parameterization = "noncentered",
        *,
        add: Callable[[Any], Any] | None = None,
    ) -> "pm.Model":
        """Return this model as a ``pymc.Model`` to read, change and sample.

        Its free variables are those of ``PosteriorFit.idata``, so PyMC works on our draws: inside
        ``with model.to_pymc():``, ``pm.sample_posterior_predictive(post.idata)`` predicts (new
        rows after ``pm.set_data``), ``pm.compute_log_likelihood`` and ``pm.compute_log_prior`` take
        the same trace. The linear predictor is the variable ``eta``.

        Parameters
        ----------
        parameterization : {"noncentered", "centered", "marginal"}
            How the random effects are written: scaled from standard normals, directly, or (for
            Gaussian models) integrated out. The posterior of everything else is the same. A
            marginal model predicts new levels in the place of these, and its response has one
            density of all rows; any other one takes its trace.
        add : function of the model, called in its context
            Returns a term of your own in PyMC, shape (n,), that joins the linear predictor.

        Raises
        ------
        NotSupportedError
            For "marginal" where the random effects can't be integrated out, and with ``add``.

        Examples
        --------
        >>> import hierbayes as hb
        >>> model = hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        >>> sorted(rv.name for rv in model.to_pymc().free_RVs)
        ['b_Subject', 'beta', 'corr_Subject', 'sd_Subject', 'sigma']

        A term that formulas do not have, a weekly rhythm of unknown phase:

        >>> import numpy as np, pymc as pm
        >>> def rhythm(pymc_model):
        ...     phase = pm.VonMises("phase", mu=0, kappa=0.1)
        ...     return 10 * np.sin(2 * np.pi * model.design.X[:, 1] / 7 + phase)
        >>> "phase" in model.to_pymc(add=rhythm).named_vars
        True
        """
        from hierbayes.model.pymc_views import to_pymc

        return to_pymc(self, parameterization, add)

    def to_bambi(self) -> "bambi.Model":
        """Return this model as a ``bambi.Model`` with the same priors, not yet built.

        Raises
        ------
        NotSupportedError
            For what bambi can't express, correlated random effects first of all.
        """
        from hierbayes.model.pymc_views import to_bambi

        return to_bambi(self)

    def prior_predictive(self, draws: int = 500, random_seed: Any = None) -> "DataTree":
        """Draw parameters and responses from the priors, without fitting.

        Returns
        -------
        xarray.DataTree
            Groups ``prior``, ``prior_predictive`` and ``observed_data``, for arviz_plots.
        """
        from hierbayes.model.pymc_views import prior_predictive

        return prior_predictive(self, draws, random_seed)

    def latex(self) -> str:
        """Return the model with its priors as a LaTeX ``aligned`` environment."""
        from hierbayes.model.pymc_views import latex

        return latex(self)

    def graph(self, parameterization: Parameterization = "noncentered") -> "graphviz.Digraph":
        """Return the graph of the PyMC model (a ``graphviz.Digraph``; needs graphviz)."""
        from hierbayes.model.pymc_views import graph

        return graph(self, parameterization)

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
        same = np.array_equal(response, self.design.y)
        model = self if same else self.with_response(response)
        kernel = model.kernel(method)
        at = evaluate(kernel, kernel.in_basis(theta)[None])
        return model._result(kernel, at, representative=theta, **verdicts)

    def with_design(self, design: Design, kernel: Kernel) -> "Model":
        """Return the same model on other rows of its table, with the kernel of those rows."""
        other = copy.copy(self)
        for name in ("weights", "kept_columns", "model_priors"):  # computed from the design
            vars(other).pop(name, None)
        vars(other).update(
            design=design, _reml_kernel=method_kernel(kernel, "reml"), response_given=True
        )
        return other

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
        if self.design.factors and self.is_linear:
            kernel = self.kernel("reml")
            size = sum(A.shape[0] * A.shape[1] for A in kernel.products.zz[1:])
            structure = STRUCTURES[kernel.pattern.name].format(
                size=size, numbers=kernel.pattern.n_numbers
            )
        said = explain_text(self.design, structure=structure, family=self.response_family)
        if not structure:
            return said
        found = undetermined_findings(self.design, self.kernel("reml").undetermined)
        return "\n".join([said, *("\n" + textwrap.fill(str(one), 80) for one in found)])

    def __repr__(self) -> str:
        """Return what ``explain`` says."""
        return self.explain()

    # what a fit asks of its model

    def predict(self, fit: LikelihoodFit, newdata: Any, **options: Any) -> Any:
        """Predictions of a fit; see ``LikelihoodFit.predict``."""
        from hierbayes.prediction.predict import predict

        return predict(fit, newdata, **options)

    def simulate(self, fit: LikelihoodFit, nsim: int, random_seed: Any) -> pd.DataFrame:
        """Responses drawn from a fit; see ``LikelihoodFit.simulate``."""
        from hierbayes.prediction.simulate import simulate

        return simulate(fit, nsim=nsim, random_seed=random_seed)

    def refit(self, fit: LikelihoodFit, y: Any) -> LikelihoodFit:
        """Fit the same model to another response; see ``LikelihoodFit.refit``."""
        model = self.with_response(y)
        with one_thread_for(model.design):
            found = fit_lmm(model.design, model.kernel(fit.method))
        check_bounded(model.design, found)
        _issue(found.findings)  # those of the design were issued when the model was first fitted
        return model._found(found, all_findings(model.design, found))

    def update(self, fit: LikelihoodFit, formula: str) -> LikelihoodFit:
        """Fit a changed formula to the same data by the same method; see ``LikelihoodFit``."""
        return self.updated(formula).fit(fit.method)

    def updated(self, formula: str) -> "Model":
        """Return the model of a changed formula on the same data; ``"."`` is what was there."""
        check_unstructured(self.design, "A changed formula")
        changed = update_formula(self.formula, formula)
        left = {"contrasts": self._contrasts_left(changed), "priors": None}
        arguments = self.arguments | left
        model = Model(changed, self.table, data_name=self.data_name, **arguments)
        model._inherit_priors(self)
        if self.response_given and model.formula.response == self.formula.response:
            if not np.array_equal(model.design.rows.positions, self.design.rows.positions):
                raise DataError(
                    f"{model.formula_text} uses other rows than the fit, whose response was given "
                    "to refit row by row. Update the fit first, then refit it."
                )
            model = model.with_response(self.design.y)
        return model

    def save(self, fit: LikelihoodFit, path: Any) -> None:
        """Write a fit to a file; see ``LikelihoodFit.save``."""
        from hierbayes.model.saving import save

        save(self, fit, path)

    def coefficient_tests(self, fit: LikelihoodFit, ddf: Ddf) -> "RowTests":
        """Test each fixed effect of a fit."""
        from hierbayes.intervals.linear_tests import row_tests

        return row_tests(fit, np.eye(fit.beta.size), ddf=ddf)

    def contrast(self, fit: LikelihoodFit, L: Any, **options: Any) -> Any:
        """Linear combinations of fixed effects; see ``LikelihoodFit.contrast``."""
        from hierbayes.intervals.contrast import contrast

        return contrast(fit, L, **options)

    def summary(self, fit: LikelihoodFit, **options: Any) -> str:
        """Summary of a fit as text."""
        from hierbayes.reports.summary import summary_text

        return summary_text(fit, **options)

    def _inherit_priors(self, before: "Model") -> None:
        """Take over the user's priors of another model without those of parameters left out."""
        user = before.arguments["priors"]
        if user is not None:
            from hierbayes.priors.user_priors import priors_left

            old, new = before.model_priors.parameters, self.model_priors.parameters
            vars(self)["arguments"] = self.arguments | {"priors": priors_left(user, old, new)}
            del vars(self)["model_priors"]  # made without them

    def _contrasts_left(self, changed: str) -> dict[str, str] | None:
        """Return the contrasts without those of factors that a changed formula left out."""
        given = self.arguments["contrasts"]
        if given is None:
            return None
        terms = parse_formula(changed, self.table.names).fixed.terms
        left = {label for term in terms for label in term.labels}
        before = {label for term in self.formula.fixed.terms for label in term.labels}
        return {name: coding for name, coding in given.items() if name not in before - left}

    def _warn_of_many_columns(self) -> None:
        p = self.design.X.shape[1]
        if p > MANY_COLUMNS and "_reml_kernel" not in vars(self):
            message = (
                f"The fixed part has {p} columns, so this fit takes long. A factor of so many "
                "levels usually belongs right of a bar, as in (1 | factor)."
            )
            warnings.warn(message, DesignWarning, skip_file_prefixes=(PACKAGE,))

    def _found(self, found: LmmFit, findings: tuple[Finding, ...]) -> LikelihoodFit:
        return self._result(
            found.kernel,
            found.at,
            representative=found.theta,
            converged=found.converged,
            is_singular=found.is_singular,
            findings=findings,
        )

    def _result(self, kernel: Kernel, at: Evaluation, **estimates: Any) -> LikelihoodFit:
        anchor = kernel.products.anchor
        return LikelihoodFit(
            model=self,
            design=self.design,
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


@checked_call("hb.lmer", options_of=Model)
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
    check_flag("reml", reml, "True (REML) or False (maximum likelihood)")
    return Model(formula, data, **model_options).fit("reml" if reml else "ml")


@checked_call("hb.glmer", options_of=Model)
def glmer(
    formula: str,
    data: Any,
    family: str | Family = "binomial",
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
    del formula, data, n_quadrature, model_options
    if not isinstance(family, Family):
        check_family_name(family)
    if link is not None:
        check_option("link", link, Link)
    raise not_supported("glmer", family=family)


def _own(given: Any) -> Any:
    """Return data or an argument so that later changes by its owner do not reach the model.

    A shallow copy is enough for pandas, which copies when written to.
    """
    if isinstance(given, pd.DataFrame | pd.Series):
        own = given.copy(deep=False)
        own.attrs = {}  # pandas copies them with each column that is read
        return own
    if isinstance(given, np.ndarray):
        return given.copy()
    if isinstance(given, list):
        return list(given)
    if isinstance(given, Mapping):
        return {name: _own(values) for name, values in given.items()}
    return given


def _check_parameter_names(design: Design, family: Family) -> None:
    """Refuse a parameter of the user's family that is called like a variable of the data."""
    factors = factor_variables([factor.name for factor in design.factors])
    response = design.formula.response_label
    taken = {variable: name for name, variable in factors.items()}
    taken |= {response_variable(response, factors): response}
    for parameter in family.further_parameters:
        if parameter.name in taken:
            raise OptionError(
                f"family {family.name!r} has a parameter {parameter.name!r}, and the data a "
                f"variable {taken[parameter.name]!r}, which draws would call the same; rename one."
            )


def _issue(findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        category = WARNING_OF.get(finding.code, DesignWarning)
        warnings.warn(str(finding), category, skip_file_prefixes=(PACKAGE,))


def _name_of(data: Any) -> str:
    """How printed results call the data: a file's name, or what ``attrs["name"]`` says."""
    if isinstance(data, pd.DataFrame):
        name = data.attrs.get("name", "")
        return name if isinstance(name, str) else ""
    return Path(data).name.split(".")[0] if isinstance(data, str | Path) else ""
