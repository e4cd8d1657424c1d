"""What is to be fitted, made once from a formula and data: what ``Model`` and every fit hold.

A specification knows no estimator and no result. Data enter it as design and kernel,

    y | b ~ family(X beta + Z b + offset),   b ~ N(0, Sigma(theta)),

computed when first asked for. It never changes: another response, other rows or another formula
(``build.py``) are another specification.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.design import Design
from hierbayes.design.level_covariance import LevelCovariance
from hierbayes.design.table import Table
from hierbayes.families.family import Family
from hierbayes.families.observations import checked_observations
from hierbayes.families.parameter_formulas import (
    PARAMETERS,
    check_no_formulas,
    unknown_residuals,
)
from hierbayes.formula.parser import formula_text
from hierbayes.formula.terms import Formula
from hierbayes.gaussian.kernel import kernel_of, method_kernel, with_products
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.pattern.related import is_related
from hierbayes.gaussian.products import with_response
from hierbayes.gaussian.residual.kernel import ResidualKernel, residual_kernel
from hierbayes.gaussian.residual.of_design import DesignResiduals, is_structured, residuals_of
from hierbayes.gaussian.residual.products import residual_products
from hierbayes.linalg.rank import column_basis, columns_beside_constant
from hierbayes.options import Method
from hierbayes.specification.fitted_values import FITTED
from hierbayes.specification.magnitudes import check_residuals, check_sizes
from hierbayes.specification.response import check_categories, checked_response

if TYPE_CHECKING:
    from hierbayes.priors.model_priors import ModelPriors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arguments:
    """What was given beside formula and data, as it was given.

    Attributes
    ----------
    weights, offset, known_sd : column name, expression, array in the order of the table, or None
    contrasts : dict, column -> coding, or None
    family, link : names
    priors : dict, name -> prior, "flat" or None
    cov : dict, grouping factor -> covariance between its levels, as read; or None
    sigma, nu, alpha, kappa, lam, b, psi, zi : formulas of further parameters as text, or None
    residual : the term of the residuals' correlation as text, or None
    """

    weights: Any = None
    offset: Any = None
    contrasts: Mapping[str, str] | None = None
    known_sd: Any = None
    family: Any = "gaussian"
    link: Any = None
    priors: Any = None
    cov: Mapping[str, LevelCovariance] | None = None
    residual: str | None = None
    sigma: str | None = None
    nu: str | None = None
    alpha: str | None = None
    kappa: str | None = None
    lam: str | None = None
    b: str | None = None
    psi: str | None = None
    zi: str | None = None

    @property
    def formulas(self) -> dict[str, Any]:
        """Formulas of further parameters that were given, by their names."""
        return {name: text for name in PARAMETERS if (text := getattr(self, name)) is not None}

    def options(self) -> dict[str, Any]:
        """Return them by name, as ``specify`` takes them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@record
class Specification:
    """A formula on data, ready for any estimator.

    Attributes
    ----------
    table : the data
    formula : the formula, parsed
    arguments : what was given beside them
    family : response family with its link
    design : the arrays
    data_name : how the data are called in printed results
    response_given : whether the response, or the choice of rows, is not that of the table
    kernel_given : the REML kernel of such a response or such rows
    priors_given : the priors, where they are not to follow from the data
    """

    table: Table
    formula: Formula
    arguments: Arguments
    family: Family
    design: Design
    data_name: str
    response_given: bool = False
    kernel_given: Kernel | None = None
    priors_given: "ModelPriors | None" = None

    @property
    def formula_text(self) -> str:
        """The formula with R's spacing."""
        return formula_text(self.formula)

    @property
    def model_text(self) -> str:
        """The formula, and those of further parameters and the residuals, ``sigma ~ x``."""
        further = [
            f"{name} ~ {formula_text(own).partition(' ~ ')[2]}"
            for name, own in self.design.formulas.items()
        ]
        term = self.design.residual
        return ", ".join([self.formula_text, *further, *([] if term is None else [term.call])])

    @cached_property
    def weights(self) -> FloatArray | None:
        """Precision weights of the likelihood, shape (n,), or None."""
        if self.design.known_sd is not None and not self.design.keeps_rows:
            return self.design.known_sd  # says that it is not kept
        if self.design.known_sd is not None:
            with np.errstate(over="ignore"):  # checked by check_magnitudes
                return np.asarray(self.design.known_sd**-2.0)
        return self.design.weights

    @cached_property
    def reml_kernel(self) -> Kernel:
        """The restricted likelihood of a linear model; its cross-products are made once."""
        if self.kernel_given is not None:
            return self.kernel_given
        check_no_formulas(self.design, "The likelihood with random effects integrated out")
        kernel = kernel_of(self.design, weights=self.weights, method="reml")
        check_residuals(self.design, kernel, self.weights)
        return kernel

    @property
    def has_kernel(self) -> bool:
        """Whether the cross-products are made already."""
        return "reml_kernel" in vars(self) or self.kernel_given is not None

    @property
    def has_residual_structure(self) -> bool:
        """Whether residuals are Gaussian, and correlated or of unequal variance by a formula."""
        return self.family.is_linear and is_structured(self.design)

    @property
    def has_fitted_sds(self) -> bool:
        """Whether fitted values of the model stand in the formula of sigma."""
        return FITTED in self.table.made

    @cached_property
    def residuals(self) -> DesignResiduals:
        """The structure of the residuals of a model whose design has one."""
        return residuals_of(self.design)

    @property
    def visits(self) -> tuple[str, ...]:
        """Labels of the visits whose residuals have correlations of their own; else none."""
        term = self.design.residual
        if term is None or term.word != "us":
            return ()
        assert self.residuals.series is not None
        return self.residuals.series.visits

    @cached_property
    def _residual_kernel(self) -> ResidualKernel:
        found = self.residuals
        products = residual_products(self.design, found.structure, weights=found.weights)
        return residual_kernel(self.design, products)

    def residual_kernel(self, method: Method, *, related: bool = False) -> ResidualKernel:
        """Return the marginal likelihood of a linear model whose residuals have a structure.

        ``related`` says that a known covariance between levels is no matter to who asks.
        """
        if not related and is_related(self.design):
            raise unknown_residuals("The likelihood with cov=")
        return replace(self._residual_kernel, method=method)

    def kernel(self, method: Method) -> Kernel:
        """Return the marginal likelihood of a linear model for a method."""
        return method_kernel(self.reml_kernel, method)

    @property
    def _has_plain_kernel(self) -> bool:
        """Whether responses are Gaussian, their residuals independent and of one sd."""
        return self.family.is_linear and not self.design.formulas and self.design.residual is None

    @cached_property
    def kept_columns(self) -> IntArray:
        """The columns of X that have a coefficient: not determined by earlier ones, shape (p,).

        In an ordinal model the thresholds take the place of the intercept.
        """
        if self._has_plain_kernel:
            return self.reml_kernel.products.anchor.kept
        design = self.design.summands
        X = design.X
        if design.counts is not None:  # a column is as long as its rows are many
            X = X * np.sqrt(design.counts / design.counts.mean())[:, None]
        if self.family.is_ordinal:
            return columns_beside_constant(design.X, design.assign == 0)
        return column_basis(X).kept

    @cached_property
    def kept_of(self) -> dict[str, IntArray]:
        """Of each further parameter that has a formula, the columns of X with a coefficient."""
        return {name: column_basis(self.design.of(name).X).kept for name in self.design.formulas}

    @cached_property
    def priors(self) -> "ModelPriors":
        """The priors of this model, the defaults and the user's."""
        if self.priors_given is not None:
            return self.priors_given
        from hierbayes.priors.model_priors import model_priors

        return model_priors(
            self.design,
            self.kept_columns,
            family=self.family,
            user=self.arguments.priors,
            kept_of=self.kept_of,
        )

    def with_priors(self, priors: Mapping[str, Any]) -> "Specification":
        """Return the same specification under other priors, by the names of its parameters."""
        return replace(
            self,
            arguments=replace(self.arguments, priors=priors),
            kernel_given=self.reml_kernel if self._has_plain_kernel else None,
        )

    def with_response(self, y: Any) -> "Specification":
        """Return the same specification of another response; see ``LikelihoodFit.refit``."""
        response = checked_response(y, self.design, index=self.table.index)
        if self.family.is_ordinal:
            check_categories(response, self.design)
        check_sizes(response[:, None], lambda _: "The response given to refit")
        if self.family.counts_trials and self.design.y.ndim == 2:  # successes of the same trials
            response = np.column_stack([response, self.design.y.sum(axis=1) - response])
        design = self.design.with_response(response)
        if not self.family.is_linear or self.design.formulas:
            checked_observations(design, self.family)
            return replace(self, design=design, response_given=True)
        if self.has_residual_structure:
            return replace(self, design=design, response_given=True)
        kernel = self.reml_kernel
        products = with_response(
            kernel.products, design, weights=self.weights, y=response, fitted=True
        )
        kernel = with_products(kernel, products)
        check_residuals(design, kernel, self.weights)
        return replace(self, design=design, kernel_given=kernel, response_given=True)

    def with_rows_of(self, response: FloatArray) -> "Specification":
        """Return the same specification of another response of a family, as its design holds it."""
        design = self.design.with_response(response)
        checked_observations(design, self.family)
        return replace(self, design=design, response_given=True)

    def with_other_design(self, design: Design) -> "Specification":
        """Return the specification of another design, whose kernel is not at hand."""
        assert not self.family.is_linear or self.has_residual_structure
        return replace(self, design=design, response_given=True)

    def with_design(self, design: Design, kernel: Kernel) -> "Specification":
        """Return the same specification of another design (other rows) with its kernel."""
        kernel = method_kernel(kernel, "reml")
        return replace(self, design=design, kernel_given=kernel, response_given=True)
