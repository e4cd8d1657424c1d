"""A model known from print alone: coefficients with standard errors, perhaps more."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.calls import checked_methods
from hierbayes.errors import DataError, OptionError
from hierbayes.results import verbs
from hierbayes.results.fit import Fit
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.results.tabled import Tabled
from hierbayes.results.varcorr import VarCorr

NO_CORRELATIONS = (
    "The correlations of the coefficients were not published, so their covariance matrix is not "
    "known; hb.reanalyse(published, term=...) takes one coefficient alone."
)


@checked_methods("published")
@record(repr=False)
class PublishedModel(Tabled):
    """What a publication prints of a model.

    Attributes
    ----------
    table : one row a parameter, as ``tidy`` names it: ``effect group term estimate std_error df``,
        and ``rounding``, half a unit of the last digit of the estimate
    correlation : array, shape (p, p), correlations of the coefficients, or None
    components : sds and correlations of the random effects and the residual sd, or None
    method : "reml", "ml", or "" where it is not known
    criterion : REML criterion, or -2 log likelihood; None where it is not known
    criterion_rounding : half a unit of its last digit
    nobs, n_groups : number of rows (0 where it is not known), levels by grouping factor
    formula_text, data_name, family : of the model, empty where they are not known
    source : what was read
    """

    FRAME: ClassVar = ("table", "published")

    table: pd.DataFrame
    correlation: FloatArray | None = None
    components: VarCorr | None = None
    method: str = ""
    criterion: float | None = None
    criterion_rounding: float = 0.0
    nobs: int = 0
    n_groups: Mapping[str, int] = field(default_factory=dict)
    formula_text: str = ""
    data_name: str = ""
    family: str = ""
    source: str = "a table of coefficients"

    @property
    def coefficients(self) -> pd.DataFrame:
        """Rows of the coefficients, indexed by their names."""
        rows = self.table[self.table["effect"] == "fixed"]
        return pd.DataFrame(rows.drop(columns=["effect", "group"]).set_index("term"))

    def fixef(self) -> "pd.Series[float]":
        """Coefficients by name."""
        return self.coefficients["estimate"].copy()

    def vcov(self) -> ResultTable:
        """Covariance matrix of the coefficients, from standard errors and correlations.

        Raises
        ------
        DataError
            If the correlations are not known, or printed ones make no covariance matrix.
        """
        if self.correlation is None:
            raise DataError(NO_CORRELATIONS)
        own = self.coefficients
        se = own["std_error"].to_numpy(dtype=np.float64)
        if np.linalg.eigvalsh(self.correlation)[0] <= 0:
            raise DataError(
                "The printed correlations of the coefficients make no covariance matrix: rounding "
                "has taken what was left of it; hb.reanalyse(published, term=...) takes one "
                "coefficient alone."
            )
        return result_table(
            se[:, None] * self.correlation * se, "vcov", index=own.index, columns=list(own.index)
        )

    def varcorr(self) -> VarCorr:
        """Sds and correlations of the random effects, and the residual sd.

        Raises
        ------
        DataError
            If none were published.
        """
        if self.components is None:
            raise DataError("No sds of random effects were published with these coefficients.")
        return self.components

    @property
    def parameters(self) -> dict[str, float]:
        """Every estimate by the name that ``hb.simulate`` knows it by."""
        found = {str(name): float(value) for name, value in self.fixef().items()}
        if self.components is None:
            return found
        for term in self.components.terms:
            for i, column in enumerate(term.columns):
                found[f"sd({column}|{term.name})"] = float(term.sd[i])
                for j in range(i):
                    found[f"cor({term.columns[j]},{column}|{term.name})"] = float(term.corr[i, j])
        return found | ({"sigma": self.components.sigma} if self.components.has_residual else {})

    def beside(self, fit: Fit) -> ResultTable:
        """Lay a fit of the same model beside the published numbers.

        Parameters
        ----------
        fit : LikelihoodFit or PosteriorFit

        Returns
        -------
        DataFrame
            One row a parameter, and the criterion where both have it: ``published``, ``fit``,
            ``difference`` and ``same``: whether the fit rounds to what was printed. A parameter
            that only one of them has misses the other's number.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> published = hb.read_summary(str(fit.summary()))
        >>> bool(published.beside(fit)["same"].all())
        True
        """
        if not isinstance(fit, Fit):
            raise OptionError(f"beside takes a fit; it got {type(fit).__name__}.")
        keys = ["effect", "group", "term"]
        own, other = (
            frame.assign(group=frame["group"].fillna("")).set_index(keys)["estimate"]
            for frame in (self.table, fit.tidy(("fixed", "ran_pars")))
        )
        room = pd.Series(self.table["rounding"].to_numpy(), own.index)
        both = pd.concat([own, other], axis=1, keys=["published", "fit"], sort=False)
        both["difference"] = both["fit"] - both["published"]
        both["same"] = both["difference"].abs() <= room.reindex(both.index) * (1 + 1e-9)
        both.index = pd.Index(
            [f"{term}|{group}" if group else str(term) for _, group, term in both.index]
        )
        ours = getattr(fit, "criterion", None)
        if self.criterion is not None and ours is not None and fit.method == self.method:
            off = float(ours) - self.criterion
            same = abs(off) <= self.criterion_rounding * (1 + 1e-9)
            both.loc["criterion"] = [self.criterion, float(ours), off, same]
        return result_table(both, "beside")

    def model(self, priors: Any = None) -> Any:
        """Return a model of the coefficients alone, whose likelihood is the published one.

        The coefficients b with their covariance matrix V are all that is known, so their
        likelihood is N(b | beta, V). The model has it exactly: of L'L = V^-1 the rows are
        L b + 1 and L b - 1 with the columns of L and a known sd of sqrt(2), whose fit by REML is b
        with V. Priors are flat unless given.

        Parameters
        ----------
        priors : dict, name of a coefficient -> prior

        Returns
        -------
        Model

        Raises
        ------
        DataError
            If the correlations of several coefficients are not known.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        >>> published = hb.read_summary(str(fit.summary()))
        >>> post = published.model({"Days": hb.Normal(0, 3)}).sample(random_seed=1)
        >>> bool(post.fixef().iloc[1] < published.fixef()["Days"])
        True
        """
        return verbs.ask(self, "model", priors)

    @property
    def notes(self) -> tuple[str, ...]:
        """What can be made of it, and what can't."""
        said = []
        if self.correlation is None and len(self.coefficients) > 1:
            said.append(NO_CORRELATIONS)
        elif self.correlation is not None:
            said.append(
                "Coefficients, standard errors and correlations are the whole likelihood of the "
                "coefficients as far as it is normal: .model(priors) has it."
            )
        if self.coefficients["std_error"].isna().any():
            said.append("Coefficients without a standard error can't be analysed again.")
        if self.components is not None:
            said.append(
                "Sds and correlations of random effects have no errors in print: nothing can be "
                "said of how certain they are. hb.simulate makes data with .parameters."
            )
        if self.formula_text:
            said.append("With the data, a refit is laid beside these numbers by .beside(fit).")
        said.append(
            "Without the rows there are no effects of single levels, residuals, checks, or other "
            "models of the same data; standard errors are taken as known, which widens nothing for "
            "few groups."
        )
        return tuple(said)
