"""Results that are a table, and what is known beside it."""

from typing import ClassVar

from hierbayes.results.exporting import Exportable
from hierbayes.results.result_table import ResultTable, result_table


class Tabled(Exportable):
    """A result one of whose attributes is the table of its numbers.

    Attributes
    ----------
    FRAME : the name of that attribute, and the kind of table
    KNOWN : names of attributes that the table keeps in its ``attrs``
    """

    __slots__ = ()
    FRAME: ClassVar[tuple[str, str]]
    KNOWN: ClassVar[tuple[str, ...]] = ()

    def to_frame(self) -> ResultTable:
        """Copy of the table of numbers; its rows and columns are described with the class.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        >>> hb.r2(fit).to_frame()["estimate"].round(2).to_dict()
        {'marginal': 0.28, 'conditional': 0.8}
        """
        attribute, kind = self.FRAME
        known = {name: getattr(self, name) for name in self.KNOWN}
        return result_table(getattr(self, attribute), kind, attrs=known)
