"""Variance components: sds and correlations of the random effects and the residual sd."""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.results.exporting import Exportable
from hierbayes.results.result_table import ResultTable, result_table


@record
class VarCorrTerm:
    """One covariance term.

    Attributes
    ----------
    name : lme4's name, ``"Subject"``, a second term of the factor ``"Subject.1"``
    columns : the q column names
    sd : array, shape (q,), units of the response per unit of each column
    corr : array, shape (q, q); NaN where an sd is zero, so that the correlation is undefined
    undetermined : array of bool, shape (q, q): sds (on the diagonal) and correlations that are NaN
        because the data do not determine them; None where they determine all
    """

    name: str
    columns: tuple[str, ...]
    sd: FloatArray
    corr: FloatArray
    undetermined: BoolArray | None = None

    @property
    def covariance(self) -> FloatArray:
        """Covariance matrix, shape (q, q)."""
        off = np.where(np.isnan(self.corr), 0.0, self.corr)
        found = np.asarray(self.sd[:, None] * off * self.sd)
        if self.undetermined is not None:
            found[self.undetermined] = np.nan
        return found


@record(repr=False)
class VarCorr(Exportable):
    """Variance components of a fit, in lme4's order.

    Attributes
    ----------
    terms : one record a covariance term
    sigma : residual sd, response units (1 where the family has none)
    has_residual : False where the family has no residual sd
    """

    terms: tuple[VarCorrTerm, ...]
    sigma: float
    has_residual: bool = True

    def to_frame(self) -> ResultTable:
        """Tidy table ``group term1 term2 vcov sdcor``, as R's ``as.data.frame(VarCorr(.))``.

        Per term first the q variances (``term2`` missing, ``sdcor`` the sd), then the covariances
        (``sdcor`` the correlation) column by column of the lower triangle; last the residual.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        >>> fit.varcorr().to_frame()["group"].tolist()
        ['Subject', 'Subject', 'Subject', 'Residual']
        """
        columns = ["group", "term1", "term2", "vcov", "sdcor"]
        return result_table(component_rows(self), "varcorr", columns=columns)


def component_rows(found: VarCorr) -> list[tuple[str, str | None, str | None, float, float]]:
    """Return the rows of ``to_frame()``."""
    rows: list[tuple[str, str | None, str | None, float, float]] = []
    for term in found.terms:
        cov = term.covariance
        for i, column in enumerate(term.columns):
            rows.append((term.name, column, None, cov[i, i], term.sd[i]))
        for j, first in enumerate(term.columns):
            for i in range(j + 1, len(term.columns)):
                rows.append((term.name, first, term.columns[i], cov[i, j], term.corr[i, j]))
    if found.has_residual:
        rows.append(("Residual", None, None, found.sigma**2, found.sigma))
    return rows
