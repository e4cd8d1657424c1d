"""How results are written to files that ``hb.load`` reads: by the verb "save" of their class."""

from typing import Any

from hierbayes.calls import checked_methods
from hierbayes.results import verbs


@checked_methods("fit")
class Storable:
    """A result that can be saved."""

    __slots__ = ()

    def save(self, path: Any) -> None:
        """Write this to a file that ``hb.load`` reads: data used, specification, what was found.

        Raises
        ------
        DataError
            If the file can't be written; a file of that name is then as it was.

        Examples
        --------
        >>> import tempfile, pathlib, hierbayes as hb
        >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "dyestuff.fit"
        >>> fit.save(path)
        >>> bool(abs(hb.load(path).sigma - fit.sigma) < 1e-9)
        True
        """
        verbs.ask(self, "save", path)
