"""Writing reports to disk: completely or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path

from hierbayes.errors import OptionError


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, which is made if need be; nothing is left half written.

    All contents first go to temporary names beside their own, and take these once all are
    written: a full disk or a folder that can't be written leaves older files as they were.

    Parameters
    ----------
    folder : where to
    files : content by file name

    Raises
    ------
    OptionError
        If the folder can't be made or written to.
    """
    drafts = {folder / f".{name}.{os.getpid()}.part": folder / name for name in files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for draft, content in zip(drafts, files.values(), strict=True):
            draft.write_bytes(content)
        for draft, final in drafts.items():
            draft.replace(final)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OptionError(
            f"Can't write to {str(folder)!r}: {reason}. Give a folder you may write to."
        ) from error
    finally:
        for draft in drafts:
            if draft.exists():
                draft.unlink()
