"""Variance components: sds and correlations of the random effects and the residual sd."""

from typing import NamedTuple

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
    structure : of the covariance, "us" unless it has a pattern: "cs", "homcs", "ar1" ...
    parameters : names and values of the parameters of the pattern, ``("cor_rho", 0.8)``; none of a
        full covariance
    """

    name: str
    columns: tuple[str, ...]
    sd: FloatArray
    corr: FloatArray
    undetermined: BoolArray | None = None
    structure: str = "us"
    parameters: tuple[tuple[str, float], ...] = ()

    @property
    def covariance(self) -> FloatArray:
        """Covariance matrix, shape (q, q)."""
        off = np.where(np.isnan(self.corr), 0.0, self.corr)
        found = np.asarray(self.sd[:, None] * off * self.sd)
        if self.undetermined is not None:
            found[self.undetermined] = np.nan
        return found


@record(kw_only=False)
class ResidualRow:
    """A parameter of residuals that are correlated or of unequal variance, beside sigma.

    Attributes
    ----------
    group : "Residual", or what the series of a correlation are
    label : of a stratum, coefficient or correlation
    value : an sd of a stratum in response units; else a coefficient of log sds, or a correlation
    is_sd : whether it is an sd
    name : broom.mixed's way, ``cor__ar1``
    """

    group: str
    label: str
    value: float
    is_sd: bool
    name: str


@record(repr=False)
class VarCorr(Exportable):
    """Variance components of a fit, in lme4's order.

    Attributes
    ----------
    terms : one record a covariance term
    sigma : residual sd, response units (1 where the family has none)
    has_residual : False where the family has no residual sd
    residual : further parameters of correlated residuals, or of unequal variance: sds of strata
        (sigma is that of the reference) or coefficients of log sds, and correlations
    """

    terms: tuple[VarCorrTerm, ...]
    sigma: float
    has_residual: bool = True
    residual: tuple[ResidualRow, ...] = ()

    def to_frame(self) -> ResultTable:
        """Tidy table ``group term1 term2 vcov sdcor``, as R's ``as.data.frame(VarCorr(.))``.

        Per term first the q variances (``term2`` missing, ``sdcor`` the sd), then the covariances
        (``sdcor`` the correlation) column by column of the lower triangle; last the residual, and
        what else there is of residuals that are correlated or of unequal variance. Of a
        covariance with a pattern its own parameters: one sd of all columns is that of ``*``, and a
        correlation that is none of two columns has neither ``term2`` nor ``vcov``.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        >>> fit.varcorr().to_frame()["group"].tolist()
        ['Subject', 'Subject', 'Subject', 'Residual']
        """
        columns = ["group", "term1", "term2", "vcov", "sdcor"]
        rows = [row[:5] for row in component_rows(self)]
        return result_table(rows, "varcorr", columns=columns)


class ComponentRow(NamedTuple):
    """One sd or correlation; ``name`` is broom.mixed's, ``sd__Days``."""

    group: str
    term1: str | None
    term2: str | None
    vcov: float
    sdcor: float
    name: str


def component_rows(found: VarCorr) -> list[ComponentRow]:
    """Return the rows of ``to_frame()``."""
    rows: list[ComponentRow] = []
    for term in found.terms:
        if term.parameters:
            rows += [_own_row(term.name, name, value) for name, value in term.parameters]
            continue
        cov = term.covariance
        for i, column in enumerate(term.columns):
            row = (term.name, column, None, cov[i, i], term.sd[i], f"sd__{column}")
            rows.append(ComponentRow(*row))
        for j, first in enumerate(term.columns):
            for i in range(j + 1, len(term.columns)):
                second = term.columns[i]
                pair = (first, second, cov[i, j], term.corr[i, j], f"cor__{first}.{second}")
                rows.append(ComponentRow(term.name, *pair))
    if found.has_residual:
        own = (None, None, found.sigma**2, found.sigma, "sd__Observation")
        rows.append(ComponentRow("Residual", *own))
    for more in found.residual:
        vcov = more.value**2 if more.is_sd else np.nan
        rows.append(ComponentRow(more.group, more.label, None, vcov, more.value, more.name))
    return rows


def _own_row(group: str, name: str, value: float) -> ComponentRow:
    """Row of a parameter of a pattern, ``sd_*`` or ``cor_rho``."""
    kind, _, what = name.partition("_")
    vcov = value**2 if kind == "sd" else np.nan
    return ComponentRow(group, what or kind, None, vcov, value, f"{kind}__{what}")
