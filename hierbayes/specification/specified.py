"""What is read off a specification, alike of a model and of every fit."""

from hierbayes.contract import Contract
from hierbayes.design.design import Design
from hierbayes.specification.specification import Specification


class Specified(Contract):
    """A model or a fit: something that has a specification, ``spec``."""

    __slots__ = ()
    spec: Specification

    def _refuses(self, called: str) -> None:
        """Raise NotSupportedError if a call is not for this; asked before each public call."""

    @property
    def family(self) -> str:
        """Name of the response family."""
        return self.spec.family.name

    @property
    def link(self) -> str:
        """Name of the link."""
        return self.spec.family.link.name

    @property
    def formula_text(self) -> str:
        """The formula with R's spacing."""
        return self.spec.formula_text

    @property
    def data_name(self) -> str:
        """How the data are called in printed results."""
        return self.spec.data_name

    @property
    def design(self) -> Design:
        """The arrays the model is fitted to."""
        return self.spec.design
