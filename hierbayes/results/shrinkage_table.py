"""The table behind every shrinkage picture: a DataFrame that carries its matrices with it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.options import ShrinkageType
from hierbayes.results.fit import Fit
from hierbayes.results.result_table import ResultTable

SHRINKAGE_COLUMNS = (
    "group",
    "level",
    "term",
    "n",
    "within_group",
    "within_group_se",
    "unpenalised",
    "unpenalised_se",
    "population",
    "effect",
    "effect_sd",
    "coefficient",
    "coefficient_sd",
    "reliability",
)


@record
class FactorShrinkage:
    """What one grouping factor of q terms and J levels adds to the columns of the table.

    Attributes
    ----------
    levels : the J labels
    terms : the q column names
    population : array, shape (q,), fixed effects of the terms; 0 where a term has none
    covariance : array, shape (q, q), Var(b) of a level, response units squared
    matrices : array, shape (J, q, q), S_j: what of a level's own deviation is kept
    unpenalised_covariance : array, shape (J, q, q), of the unpenalised estimates; inf and NaN
        where a level does not tell a term
    effect_covariance : array, shape (J, q, q), of the effects given beta and the variances; of a
        posterior with all that is unknown
    own_effect : array, shape (J, q), unpenalised minus population; finite where that is not: what
        stands for it in pictures
    """

    levels: tuple[str, ...]
    terms: tuple[str, ...]
    population: FloatArray
    covariance: FloatArray
    matrices: FloatArray
    unpenalised_covariance: FloatArray
    effect_covariance: FloatArray
    own_effect: FloatArray


@record
class ShrinkageDetails:
    """What a shrinkage table knows besides its columns.

    Attributes
    ----------
    factors : grouping factor -> its matrices
    sigma : residual sd; 1 where it is known and in the weights
    method : "reml", "ml" or "posterior"
    formula_text, data_name, response : the model, its data and its response
    link : name of the link
    scale : "link" for coefficients on its scale, "response" for expected responses
    """

    factors: Mapping[str, FactorShrinkage]
    sigma: float
    method: str
    formula_text: str
    data_name: str
    response: str
    link: str
    scale: ShrinkageType

    @property
    def is_linear(self) -> bool:
        """Whether coefficients are in units of the response."""
        return self.link == "identity"


class ShrinkageTable(ResultTable):
    """One row a level and term: its own estimate, the population's, and what lies between.

    A DataFrame in all but how it prints. Columns

    - ``group level term n``: grouping factor, level, column of Z, rows of the level;
    - ``within_group within_group_se``: least squares on the rows of the level alone, with the
      residual sd of these rows; NaN where they do not determine it;
    - ``unpenalised unpenalised_se``: the estimate without shrinkage, the limit of a large variance
      of this factor; infinite where all responses of a level are of one kind (0 of 12, 12 of 12);
    - ``population``: the fixed effect;
    - ``effect effect_sd``: conditional mode, or posterior mean and sd;
    - ``coefficient coefficient_sd``: population plus effect;
    - ``reliability``: share of the variance between levels that the rows of this level reveal.

    ``matrices`` holds S_j by grouping factor, ``details`` all matrices and names.
    """

    _metadata: ClassVar[list[str]] = ["origin", "details"]
    origin = "shrinkage"
    details: ShrinkageDetails | None = None

    @property
    def matrices(self) -> dict[str, FloatArray]:
        """Shrinkage matrices S_j by grouping factor, arrays (J, q, q) in the order of its levels.

        In a model of one grouping factor b_j = S_j (unpenalised - population). Elsewhere S_j is
        the level's own block: Var(b-hat_j) = S_j Var(b_j) given beta and the variances.
        """
        known = self.details
        return {} if known is None else {name: f.matrices for name, f in known.factors.items()}


def gathered_table(
    fit: Fit,
    factors: Mapping[str, FactorShrinkage],
    parts: Sequence[Mapping[str, Any]],
    *,
    scale: ShrinkageType,
) -> ShrinkageTable:
    """Make the table of a fit of the columns of each factor, arrays (J, q), one after the other."""
    columns = {name: np.concatenate([np.ravel(part[name]) for part in parts]) for name in parts[0]}
    details = ShrinkageDetails(
        factors=factors,
        sigma=fit.sigma,
        method=fit.method,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
        response=fit.design.formula.response_label,
        link=fit.link,
        scale=scale,
    )
    return shrinkage_table(columns, details)


def shrinkage_table(columns: Mapping[str, Any], details: ShrinkageDetails) -> ShrinkageTable:
    """Make the table of its columns."""
    table = ShrinkageTable({name: columns[name] for name in SHRINKAGE_COLUMNS})
    table.details = details
    return table
