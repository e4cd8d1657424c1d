"""Writing reports to disk: completely or not at all."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

from hierbayes.files import Draft, cannot_write, checked_path


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, which is made if need be; nothing is left half written.

    All contents first go to drafts beside their own, and take these once all are written: a full
    disk or a folder that can't be written leaves older files as they were.

    Parameters
    ----------
    folder : where to
    files : content by file name

    Raises
    ------
    OptionError
        If the folder can't be made or written to.
    """
    folder = checked_path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            drafts = [stack.enter_context(Draft(folder / name)) for name in files]
            for draft, content in zip(drafts, files.values(), strict=True):
                draft.write(content)
            for draft in drafts:
                draft.commit()
    except OSError as error:
        where = folder / next(iter(files)) if len(files) == 1 else folder
        raise cannot_write(where, error) from error
