"""Errors and warnings of hierbayes.

Everything we raise on purpose derives from ``HierBayesError``; every condition of a fit that is
issued as a warning derives from ``HierBayesWarning``.
"""


class HierBayesError(Exception):
    """Base class of every error hierbayes raises on purpose."""


class OptionError(HierBayesError, ValueError):
    """An argument has a value that is not allowed; the message lists the allowed ones."""


class UnknownNameError(HierBayesError, AttributeError):
    """A fit, a model or the package has no such name; the message says what it is called."""


class FormulaError(HierBayesError, ValueError):
    """A formula can't be read or doesn't fit the data; the message shows the place."""


class FormulaSyntaxError(FormulaError):
    """The text isn't a formula of lme4's language."""


class DataError(HierBayesError, ValueError):
    """The data can't carry the model: missing columns, wrong types, no rows left."""


class NewLevelError(DataError):
    """New data hold a level that was not in the data the model was fitted to."""


class PriorError(HierBayesError, ValueError):
    """A prior names nothing in the model, or can't be a prior of what it names."""


class NotSupportedError(HierBayesError, NotImplementedError):
    """The request is meaningful but this path can't do it (yet)."""


class RowsNotKeptError(NotSupportedError):
    """What was asked for needs rows, and a model of a stream keeps none.

    Attributes
    ----------
    called : the public function that was called, ``"fit.residuals"``; empty inside of one
    """

    ASKED = "{asked}"  # where the message says what was called

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.called = ""

    def __str__(self) -> str:
        """Say what was asked, why it can't be answered, and what to do."""
        return str(self.args[0]).replace(self.ASKED, f"{self.called}()" if self.called else "This")


class MissingPackageError(HierBayesError, ImportError):
    """What was asked for needs a package that isn't installed; the message names it."""


class SamplingError(HierBayesError, RuntimeError):
    """A sampler found no way into the posterior: its density can't be computed where it began."""


class HierBayesWarning(UserWarning):
    """Base class of the warnings that accompany findings."""


class BoundaryWarning(HierBayesWarning):
    """A variance component was estimated on the boundary (a singular fit)."""


class ConvergenceWarning(HierBayesWarning):
    """The search for the optimum ended without a proof that it is one."""


class RankDeficientWarning(HierBayesWarning):
    """Columns of X were dropped because others already determine them."""


class DesignWarning(HierBayesWarning):
    """The data or the formula look unintended: few levels, bars swapped, rows dropped."""
