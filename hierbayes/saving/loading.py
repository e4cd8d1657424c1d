"""Reading any saved fit: its archive is opened, its kind found, and all of it accounted for.

The file (``archive.py``) holds arrays and a specification in JSON; no pickle. Files of hierbayes
0.1.0 carry neither digests nor the criterion, and a finding says so.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierbayes.calls import checked_call
from hierbayes.errors import DataError, HierBayesWarning
from hierbayes.families.named import family_named, is_known_family
from hierbayes.files import readable_file, shown
from hierbayes.results.finding import Finding
from hierbayes.saving.archive import Archive, Damaged
from hierbayes.saving.stored_specification import FORMAT, checked, read_findings
from hierbayes.wording import warn

if TYPE_CHECKING:
    from hierbayes.results.likelihood_fit import LikelihoodFit
    from hierbayes.results.posterior_fit import PosteriorFit

Reader = Callable[[Archive, tuple[Finding, ...]], Any]
# What a file says was fitted -> what reads it, as module:function of this folder.
READERS = {
    "reml": "fit_file:read",
    "ml": "fit_file:read",
    "generalised": "generalised_file:read",
    "posterior": "posterior_file:read",
}
_registered: dict[str, Reader] = {}
NO_DIGESTS = Finding(
    "no_digests",
    "This fit was saved by hierbayes 0.1.0, whose files carry no digests: whether the file was "
    "changed since can't be told.",
    "Save it again to have them from now on.",
)


def register_reader(method: str, read: Reader) -> None:
    """Say what reads files whose specification names a method of its own.

    Parameters
    ----------
    method : as the file's specification names it
    read : function of the open archive and the findings stored in it, that returns the result
    """
    _registered[method] = read


@checked_call("hb.load")
def load(path: Any) -> "LikelihoodFit | PosteriorFit":
    """Read a fit written by ``fit.save(path)``.

    Raises
    ------
    DataError
        If the file is missing or isn't one of ours.

    Examples
    --------
    >>> import hierbayes as hb, tempfile, pathlib
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "dyestuff.fit"
    >>> fit.save(file)
    >>> bool(abs(hb.load(file).criterion - fit.criterion) < 1e-8)
    True
    """
    file = readable_file(path, "a fit saved by hierbayes")
    with _opened(file) as archive:
        _check_family(archive, file)
        try:
            return _rebuilt(archive)
        except Damaged as error:
            message = f"{shown(file)} is damaged: {error}"
            raise DataError(f"{message}{_or_another_family(archive)}.") from error
        except MemoryError as error:
            raise DataError(f"{shown(file)} needs more memory than there is.") from error
        # A forged specification reaches all code that builds a model: this can be any error.
        except Exception as error:
            raise DataError(
                f"{shown(file)} is damaged: its specification and its arrays do not belong "
                "together."
            ) from error


def _check_family(archive: Archive, file: Path) -> None:
    """Refuse a posterior of a family of somebody's own that has not been registered here."""
    arguments = archive.specification.get("arguments")
    name = arguments.get("family", "gaussian") if isinstance(arguments, dict) else ""
    if isinstance(arguments, dict) and "curve" in arguments:  # a psychometric function of ours
        return
    if isinstance(name, str) and name.isidentifier() and not is_known_family(name):
        raise DataError(
            f"{shown(file)} is of family {name!r:.60}, which is not registered; call "
            "hb.register_family with the family it was made with, then load it again."
        )


def _or_another_family(archive: Archive) -> str:
    """Say that a family of the user's own may have changed since, if there is one."""
    name = archive.specification.get("arguments", {}).get("family")
    is_own = isinstance(name, str) and is_known_family(name) and not family_named(name).is_builtin
    return f"; or the family registered as {name!r} is another than then" if is_own else ""


def _opened(file: Path) -> Archive:
    """Open a saved fit of our format."""
    try:
        archive = Archive(file)
    except Damaged as error:
        raise DataError(
            f"{shown(file)} is not a fit saved by hierbayes, or damaged: {error}."
        ) from error
    except OSError as error:
        if error.strerror:
            raise DataError(f"{shown(file)} can't be read: {error.strerror}.") from error
        raise DataError(f"{shown(file)} is not a fit saved by hierbayes, or damaged.") from error
    except Exception as error:  # what zip, deflate and JSON raise on bytes that are none
        raise DataError(f"{shown(file)} is not a fit saved by hierbayes, or damaged.") from error
    if archive.specification["format"] != FORMAT:
        found = archive.specification["format"]
        archive.close()
        raise DataError(
            f"{shown(file)} has format {found!r:.20}; this version reads format {FORMAT}. Update "
            "hierbayes, or save the fit again with this version."
        )
    return archive


def _rebuilt(archive: Archive) -> Any:
    specification = archive.specification
    findings = read_findings(specification["findings"])
    if not archive.has_digests:
        findings += (NO_DIGESTS,)
    result = _reader(checked(specification["method"], str))(archive, findings)
    archive.check_all_read()
    if not archive.has_digests:
        warn(str(NO_DIGESTS), HierBayesWarning)
    return result


def _reader(method: str) -> Reader:
    if method in _registered:
        return _registered[method]
    if method not in READERS:
        raise Damaged("it names an unknown method")
    module, _, name = READERS[method].partition(":")
    found: Reader = getattr(import_module(f"hierbayes.saving.{module}"), name)
    return found
