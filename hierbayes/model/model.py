"""The model a user writes down: a formula on data, fitted by each estimator.

``Model`` is the public face of a ``Specification``: it makes one from what is given, and each
method hands it to the layer that answers.
"""

import weakref
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from hierbayes.calls import checked_call, checked_init, checked_methods
from hierbayes.errors import OptionError
from hierbayes.families.family import Family
from hierbayes.families.named import family_named
from hierbayes.likelihood.fitting import fit
from hierbayes.options import (
    Method,
    Parameterization,
    Sampler,
    check_flag,
)
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.prior_table import PriorTable
from hierbayes.results.residual_calls import check_knows_fitted_sds, check_knows_residuals
from hierbayes.results.rich_text import Equation, RichText
from hierbayes.specification.build import specify
from hierbayes.specification.specification import Arguments, Specification
from hierbayes.specification.specified import Specified

if TYPE_CHECKING:
    import bambi
    import graphviz
    import pymc as pm
    from xarray import DataTree

    from hierbayes.results.posterior_fit import PosteriorFit


@checked_init("hb.Model")
@checked_methods("model")
class Model(Specified):
    """A multilevel model: an lme4 formula on a data frame.

    Parameters
    ----------
    formula : str
        In lme4's language, for example ``"Reaction ~ Days + (Days | Subject)"``. Without bars it
        is a plain linear model.
    data : data frame, dict of arrays, path or stream
        pandas, polars, pyarrow or anything narwhals reads; a CSV or Parquet path. Never changed.
        Or rows in parts: a folder of Parquet files, a pyarrow Dataset, a Polars LazyFrame, a DuckDB
        relation, a Dask DataFrame, frames one after the other, a function that returns these, or
        ``hb.Stream``, which has options for reading.
    family, link : str
        Response family and link, by their names in bambi, for example ``family="bernoulli",
        link="probit"``. REML is for "gaussian" with the identity link. A family of your own
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
    cov : dict, grouping factor -> covariance between its levels
        Levels whose effects are related: ``{"animal": A}`` with A from ``hb.relationship`` or
        ``hb.phylogeny``, a data frame with the levels' labels as index and columns, a pair
        (matrix, labels), or ``hb.Precision`` of its inverse. Levels without rows are estimated
        with the others. The sd estimated is that of a level whose entry on the diagonal is 1.
    sigma, nu, alpha, kappa, lam, b, psi, zi : str
        Formulas of further parameters of the family, with nothing left of ``~``: ``sigma="~ x + (x
        | g)"`` lets the residual sd hang on x and differ by g. The predictor is on the log scale,
        of psi and zi (1 - psi, the probability of a zero that is no count) on that of logits.
        ``sigma="~ log(fitted)"`` has residual sds that are a power of the fitted values, by REML
        and ML.
    residual : str
        Correlation of the residuals of a Gaussian model within series: ``"ar1(time | subject)"`` of
        rows at whole times, ``"car1(time | subject)"`` at any, ``"cs(1 | block)"`` one correlation,
        ``"us(visit | subject)"`` one of every pair of visits, with an sd each. Beside ``sigma=``, a
        formula without bars, REML and ML fit both; the formula of the mean may have no bars.
    priors : dict, name -> prior, or "flat"
        Priors of the Bayesian fit in place of the defaults, for example
        ``{"Days": hb.Normal(0, 10), "sd(Days|Subject)": hb.HalfNormal(10), "sd": ...}``; the names
        are those of ``model.priors``, and the classes "b" (slopes), "sd" and "cor". "flat" is
        ``hb.Flat()`` on every coefficient. REML and ML use none.
    data_name : str
        How the data are called in printed results; a path gives its file's name.
    stream : bool
        Whether the rows are added up part by part and forgotten: of Gaussian models nothing but
        what needs rows (residuals, their pictures) is lost. None: iterators and functions are
        streams; files are from 256 MB on, and what says its number of rows from two million on.

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
        cov: Mapping[str, Any] | None = None,
        sigma: str | None = None,
        nu: str | None = None,
        alpha: str | None = None,
        kappa: str | None = None,
        lam: str | None = None,
        b: str | None = None,
        psi: str | None = None,
        zi: str | None = None,
        residual: str | None = None,
        priors: Mapping[str, Any] | str | None = None,
        data_name: str | None = None,
        stream: bool | None = None,
    ) -> None:
        given = Arguments(
            family=family,
            link=link,
            weights=weights,
            offset=offset,
            contrasts=contrasts,
            known_sd=known_sd,
            cov=cov,
            priors=priors,
            sigma=sigma,
            nu=nu,
            alpha=alpha,
            kappa=kappa,
            lam=lam,
            b=b,
            psi=psi,
            zi=zi,
            residual=residual,
        )
        spec = specify(formula, data, given, data_name=data_name, stream=stream)
        vars(self)["spec"] = spec
        _made[spec] = weakref.ref(self)

    def _refuses(self, called: str) -> None:
        """Refuse a call that takes residuals to be independent; see ``calls.py``."""
        spec = vars(self).get("spec")  # none yet while it is made
        if spec is not None and spec.has_fitted_sds:
            check_knows_fitted_sds(called)
        if spec is not None and spec.design.residual is not None:
            check_knows_residuals(called)

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse: a model is what it was made from, and fits share it."""
        raise AttributeError(f"A Model does not change; {name!r} can't be set. Make a new Model.")

    @property
    def priors(self) -> PriorTable:
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

        return PriorTable(priors_table(self.spec.priors, self.design))

    def with_response(self, y: Any) -> "Model":
        """Return the same model of another response; see ``LikelihoodFit.refit``."""
        return model_of(self.spec.with_response(y))

    def fit(self, method: Method | None = None, n_quadrature: int = 1) -> LikelihoodFit:
        """Fit by REML or maximum likelihood.

        Parameters
        ----------
        method : {"reml", "ml"}
            "reml" when not given for a Gaussian model with the identity link, else "ml".
        n_quadrature : int
            Of other families: nodes of adaptive quadrature for each column of the random effects
            of a grouping factor, up to three; of several factors for that with the most levels,
            the effects of the others by Laplace. 1 is the Laplace approximation; 0 a quick look,
            as lme4's ``nAGQ = 0``.

        Returns
        -------
        LikelihoodFit
            A ``LinearFit``, or of other families a ``GeneralisedFit``.

        Raises
        ------
        DataError
            If no residual variation is left to model, or if a term has as many random effects as
            there are rows, so that its sds can't be told from the residual sd.
        NotSupportedError
            For "reml" of other families, and for families without a smooth density.

        Warns
        -----
        HierBayesWarning
            For each of the fit's findings, pointing at the caller's line.
        """
        return fit(self.spec, method, n_quadrature=n_quadrature)

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
            "collapsed" integrates fixed and random effects out of Gaussian responses, and the
            random effects, by quadrature or importance draws, out of others unless they have many
            crossed levels. "nuts" moves all of them, compiling nothing for the model (once on a
            machine, for all); only a family of your own with functions in its density that it
            does not know goes through PyMC. "auto" takes the first where it can, and NUTS where its
            weights have a Pareto k above 0.7; "collapsed" keeps such draws, with a finding.
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
        from hierbayes.bayes.posterior import sample

        return sample(
            self.spec,
            draws=draws,
            chains=chains,
            tune=tune,
            sampler=sampler,
            random_seed=random_seed,
            progress=progress,
            target_accept=target_accept,
        )

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
        from hierbayes.bayes.pymc_model import build_model

        return build_model(self.spec, parameterization=parameterization, add=add)

    def to_bambi(self) -> "bambi.Model":
        """Return this model as a ``bambi.Model`` with the same priors, not yet built.

        Raises
        ------
        NotSupportedError
            For what bambi can't express, correlated random effects first of all.
        """
        from hierbayes.bayes.to_bambi import bambi_model

        return bambi_model(self.spec)

    def prior_predictive(self, draws: int = 500, random_seed: Any = None) -> "DataTree":
        """Draw parameters and responses from the priors, without fitting.

        Returns
        -------
        xarray.DataTree
            Groups ``prior``, ``prior_predictive`` and ``observed_data``, for arviz_plots.
        """
        from hierbayes.bayes.prior_predictive import prior_predictive

        return prior_predictive(self.spec, draws=draws, random_seed=random_seed)

    def latex(self) -> Equation:
        """Return the model with its priors as a LaTeX ``aligned`` environment.

        A ``str``; notebooks show it as mathematics.
        """
        from hierbayes.bayes.equation import equation

        return Equation(equation(self.spec))

    def graph(self, parameterization: Parameterization = "noncentered") -> "graphviz.Digraph":
        """Return the graph of the PyMC model (a ``graphviz.Digraph``; needs graphviz)."""
        import pymc as pm

        import_module(
            "graphviz"
        )  # says that it is missing, which PyMC does with a bare ImportError
        return pm.model_to_graphviz(self.to_pymc(parameterization))

    def explain(self) -> RichText:
        """Say in words what the formula became on these data.

        Returns
        -------
        str
            Text that prints in lines of 80 characters and shows as a page in a notebook.

        Examples
        --------
        >>> import hierbayes as hb
        >>> model = hb.Model("strength ~ 1 + (1 | batch/cask)", hb.load_dataset("Pastes"))
        >>> "cask:batch" in model.explain()
        True
        """
        from hierbayes.reports.explain import explain_model

        return explain_model(self.spec)

    def __repr__(self) -> str:
        """Return what ``explain`` says."""
        return str(self.explain())

    def _repr_html_(self) -> str:
        """Return what ``explain`` says, for a notebook."""
        return self.explain()._repr_html_()


# The models that users hold, so that a fit of one gives that one back.
_made: WeakKeyDictionary[Specification, weakref.ref[Model]] = WeakKeyDictionary()


def model_of(spec: Specification) -> Model:
    """Return the model of a specification: the user's own where there is one."""
    known = _made.get(spec)
    model = None if known is None else known()
    if model is None:
        model = object.__new__(Model)
        vars(model)["spec"] = spec
        _made[spec] = weakref.ref(model)
    return model


@checked_call("hb.lmer")
def lmer(
    formula: str,
    data: Any,
    reml: bool = True,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, str] | None = None,
    known_sd: Any = None,
    cov: Mapping[str, Any] | None = None,
    sigma: str | None = None,
    nu: str | None = None,
    alpha: str | None = None,
    kappa: str | None = None,
    lam: str | None = None,
    b: str | None = None,
    psi: str | None = None,
    zi: str | None = None,
    residual: str | None = None,
    family: str | Family = "gaussian",
    link: str | None = None,
    priors: Mapping[str, Any] | str | None = None,
    data_name: str | None = None,
    stream: bool | None = None,
) -> LikelihoodFit:
    """Fit a linear mixed model: ``Model(formula, data, ...).fit("reml" or "ml")``.

    Parameters
    ----------
    formula, data, weights, offset, contrasts, known_sd, cov, sigma, nu, alpha, kappa, lam, b, \
psi, zi, residual, family, link, priors, data_name, stream
        As for ``Model``; priors are for the posterior of ``fit.model``, REML and ML
        use none.
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
    given = Arguments(
        family=family,
        link=link,
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        known_sd=known_sd,
        cov=cov,
        sigma=sigma,
        nu=nu,
        alpha=alpha,
        kappa=kappa,
        lam=lam,
        b=b,
        psi=psi,
        zi=zi,
        residual=residual,
        priors=priors,
    )
    spec = specify(formula, data, given, data_name=data_name, stream=stream)
    return fit(spec, "reml" if reml else "ml")


# What R calls families and links, where we take bambi's names.
R_FAMILIES: dict[Any, str] = {
    "Gamma": "gamma",
    "inverse.gaussian": "wald",
    "negative.binomial": "negativebinomial",
    "nbinom2": "negativebinomial",
}
R_LINKS: dict[Any, str] = {"1/mu^2": "inverse_squared"}


@checked_call("hb.glmer")
def glmer(
    formula: str,
    data: Any,
    family: str | Family = "binomial",
    link: str | None = None,
    n_quadrature: int = 1,
    *,
    offset: Any = None,
    weights: Any = None,
    known_sd: Any = None,
    contrasts: Mapping[str, str] | None = None,
    cov: Mapping[str, Any] | None = None,
    sigma: str | None = None,
    nu: str | None = None,
    alpha: str | None = None,
    kappa: str | None = None,
    lam: str | None = None,
    b: str | None = None,
    psi: str | None = None,
    zi: str | None = None,
    residual: str | None = None,
    priors: Mapping[str, Any] | str | None = None,
    data_name: str | None = None,
    stream: bool | None = None,
) -> LikelihoodFit:
    """Fit a generalised linear mixed model by maximum likelihood.

    Parameters
    ----------
    formula, data, offset, weights, known_sd, contrasts, cov, sigma, nu, alpha, kappa, lam, b, \
psi, zi, residual, priors, data_name, stream
        As for ``Model``. A binomial response is 0 or 1, true or false, a column of two categories
        (the first is failure), ``cbind(successes, failures)``, or proportions with
        ``weights`` their numbers of trials.
    family, link : str
        By their names in bambi or in R: ``"binomial"``, ``"poisson"``, ``"Gamma"``, ...
    n_quadrature : int
        Nodes of adaptive quadrature for each column of the random effects, as lme4's ``nAGQ`` but
        for several columns and factors as well (see ``Model.fit``); 1 is the Laplace
        approximation, 0 a quick look.

    Raises
    ------
    OptionError
        For a Gaussian model with the identity link, which ``hb.lmer`` fits.
    NotSupportedError
        For families without a smooth density.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)",
    ...     hb.load_dataset("cbpp"))
    >>> fit.fixef().round(2).tolist()
    [-1.4, -0.99, -1.13, -1.58]
    """
    family, link = R_FAMILIES.get(family, family), R_LINKS.get(link, link)
    chosen = family_named(family, link)
    if chosen.is_linear:
        raise OptionError(
            "glmer is for other families than Gaussian with the identity link; hb.lmer fits that "
            "by REML or maximum likelihood."
        )
    model = Model(
        formula,
        data,
        family,
        link,
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        known_sd=known_sd,
        cov=cov,
        sigma=sigma,
        nu=nu,
        alpha=alpha,
        kappa=kappa,
        lam=lam,
        b=b,
        psi=psi,
        zi=zi,
        residual=residual,
        priors=priors,
        data_name=data_name,
        stream=stream,
    )
    return model.fit("ml", n_quadrature)
