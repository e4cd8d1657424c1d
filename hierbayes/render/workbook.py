"""Frames as an Excel workbook: numbers are numbers, and what is said of them is a sheet of notes.

openpyxl is imported when a workbook is written.
"""

import io
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.files import checked_path, shown
from hierbayes.render import blocks as kinds
from hierbayes.render.output_files import write_files
from hierbayes.results.plain_frame import with_names

FORBIDDEN = re.compile(r"[\[\]:*?/\\]")  # in the name of a sheet
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # what no cell may hold
LONGEST_NAME = 31  # of a sheet
WIDEST = 40.0  # of a column, in letters
NOTE_WIDTH = 100.0


def write_workbook(
    frames: Mapping[str, pd.DataFrame], blocks: Iterable[kinds.Block], path: Any
) -> Path:
    """Write frames, a sheet each, and the sentences of a result's blocks on a sheet of notes.

    Raises
    ------
    ModuleNotFoundError
        Without openpyxl.
    OptionError
        If the path doesn't end in .xlsx, or can't be written; nothing is half written.
    """
    target = checked_path(path)
    if target.suffix.lower() != ".xlsx":
        raise OptionError(f"to_excel writes a file that ends in .xlsx; {shown(target)} does not.")
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, frame in frames.items():
        _fill(book.create_sheet(_sheet_name(name or "table", book.sheetnames)), frame)
    notes = list(said(blocks))
    if notes:
        sheet = book.create_sheet(_sheet_name("notes", book.sheetnames))
        sheet.column_dimensions["A"].width = NOTE_WIDTH
        for row, note in enumerate(notes, start=1):
            _write(sheet.cell(row, 1), note)
            sheet.cell(row, 1).alignment = openpyxl.styles.Alignment(wrap_text=True, vertical="top")
    stream = io.BytesIO()
    book.save(stream)
    write_files(target.parent, {target.name: stream.getvalue()})
    return target


def said(blocks: Iterable[kinds.Block]) -> Iterable[str]:
    """Yield the sentences of blocks: titles, facts, paragraphs, notes of tables, findings."""
    for block in kinds.page_blocks(blocks):
        match block:
            case kinds.Heading() | kinds.Paragraph():
                yield block.text
            case kinds.Fact():
                yield f"{block.label} {block.text}".strip()
            case kinds.Table():
                yield from block.notes
            case kinds.Findings():
                yield from block.sentences
            case _:
                pass


def _sheet_name(name: str, taken: Iterable[str]) -> str:
    plain = CONTROL.sub("", FORBIDDEN.sub(" ", name)).strip(" '")[:LONGEST_NAME] or "table"
    known = {other.casefold() for other in taken}
    unique, number = plain, 2
    while unique.casefold() in known:
        unique = f"{plain[: LONGEST_NAME - 4]} {number}"
        number += 1
    return unique


def _fill(sheet: Any, frame: pd.DataFrame) -> None:
    """Write names of columns in bold, then the rows."""
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    named = with_names(frame)
    for j, (name, values) in enumerate(named.items(), start=1):
        _write(sheet.cell(1, j), str(name))
        sheet.cell(1, j).font = Font(bold=True)
        cells = [_plain(value) for value in values.astype(object)]
        for i, value in enumerate(cells, start=2):
            _write(sheet.cell(i, j), value)
        longest = max((len(str(v)) for v in cells if isinstance(v, str)), default=10)
        width = min(WIDEST, max(longest, len(str(name)), 10) + 2.0)
        sheet.column_dimensions[get_column_letter(j)].width = width
    sheet.freeze_panes = "A2"


def _write(cell: Any, value: Any) -> None:
    cell.value = CONTROL.sub("", value) if isinstance(value, str) else value
    if isinstance(value, str):
        cell.data_type = "s"  # a name that begins with "=" is no formula


def _plain(value: Any) -> Any:
    """Return a value as a cell holds it: missing ones are empty, infinite ones in words."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else ("Inf" if value > 0 else "-Inf")
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value if isinstance(value, bool | int | str) else str(value)
