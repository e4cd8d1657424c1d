"""Data given by a path: what is no table is one sentence that says what it is."""

import gzip
import io

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.design.table import read_table

TEXT = hb.load_dataset("sleepstudy").to_csv(index=False).encode()
PACKED = gzip.compress(TEXT, mtime=0)
DAMAGED = {
    "empty.csv": (b"", "empty.csv' can't be read as a table: it is empty"),
    "lines.csv": (b"\n\n\n", "it is empty"),
    "header.csv": (b"Reaction,Days,Subject\n", "have no rows"),
    "nul.csv": (TEXT.replace(b"308", b"3\x0008"), "a table: it holds NUL characters"),
    "utf16.csv": (TEXT.decode().encode("utf-16"), "as text in UTF-16"),
    "latin.csv": (TEXT.replace(b"308", b"gr\xf6\xdfe"), "a table: it is not text in UTF-8"),
    "ragged.csv": (TEXT + b"1,2,3,4,5\n", "Expected 3 fields in line 182, saw 5"),
    "cut.csv.gz": (PACKED[:-20], "can't be read as a table: Compressed file ended"),
    "other.csv.gz": (b"hello", "can't be read as a table: Not a gzipped file"),
    "flipped.csv.gz": (PACKED[:300] + b"xxxx" + PACKED[304:], "can't be read as a table"),
    "empty.parquet": (b"", "can't be read as a table"),
    "magic.parquet": (b"PAR1" + b"\xff" * 100 + b"PAR1", "can't be read as a table"),
    "book.docx": (b"PK", "'book.docx' is neither a CSV nor a Parquet file"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_that_is_no_table_is_one_sentence(tmp_path, name):
    content, words = DAMAGED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(hb.DataError) as caught:
        hb.lmer("Reaction ~ Days + (1 | Subject)", str(tmp_path / name))
    assert words in str(caught.value)


def test_a_damaged_parquet_file_is_a_table_or_one_sentence(tmp_path):
    pytest.importorskip("pyarrow")
    file = tmp_path / "a.parquet"
    hb.load_dataset("sleepstudy").to_parquet(file)
    content = file.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(30):
        changed = bytearray(content)
        for place in rng.integers(0, len(content), 5):
            changed[place] ^= int(rng.integers(1, 256))
        file.write_bytes(changed)
        try:
            hb.Model("Reaction ~ Days + (1 | Subject)", file)
        except (hb.DataError, hb.FormulaError):
            continue


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + TEXT)
    fit = hb.lmer("Reaction ~ Days + (1 | Subject)", tmp_path / "a.csv")
    assert fit.criterion == pytest.approx(1786.465, abs=1e-3)


EUROPEAN = "Reaction;Days;Subject\n" + "".join(
    f"{100 + i * i * 3.7 % 41:.2f};{i % 4};s{i // 4}\n".replace(".", ",") for i in range(24)
)


def test_semicolons_and_decimal_commas_are_read_and_said(tmp_path):
    plain = EUROPEAN.replace(",", ".").replace(";", ",")
    (tmp_path / "plain.csv").write_text(plain)
    expected = read_table(tmp_path / "plain.csv").frame
    for name, text in {
        "a.csv": EUROPEAN,
        "sep.csv": "sep=;\n" + EUROPEAN,
        "bom.csv": "\ufeff" + EUROPEAN,
        "tabs.txt": EUROPEAN.replace(";", "\t"),
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        between = "tabs" if name == "tabs.txt" else "semicolons"
        with pytest.warns(hb.DesignWarning, match=f"{between} between columns and decimal commas"):
            pd.testing.assert_frame_equal(read_table(tmp_path / name).frame, expected)


@pytest.mark.parametrize(
    ("text", "words", "values"),
    [
        ("y;x\n1.5;2\n2.5;3\n", "decimal points", [1.5, 2.5]),
        ("y;x\n1.234,5;2\n2.234,5;3\n", "points between thousands", [1234.5, 2234.5]),
        ("y|x\n1,5|2\n2,5|3\n", "bars between columns and decimal commas", [1.5, 2.5]),
    ],
)
def test_marks_of_numbers_are_told_from_the_numbers(tmp_path, text, words, values):
    (tmp_path / "a.csv").write_text(text)
    with pytest.warns(hb.DesignWarning, match=words):
        assert read_table(tmp_path / "a.csv").column("y").tolist() == values


def test_decimal_commas_beside_points_are_not_guessed(tmp_path):
    (tmp_path / "a.csv").write_text("y;x\n1,5;2.5\n2,5;3.5\n")
    with pytest.raises(hb.DataError, match=r"commas \('y': 1,5\) beside ones with points \('x'\)"):
        hb.lmer("y ~ x", tmp_path / "a.csv")


def test_commas_in_quotes_part_no_columns(tmp_path):
    (tmp_path / "a.csv").write_text('"a;b;c",y\n1,2\n3,4\n')
    assert read_table(tmp_path / "a.csv").names == ["a;b;c", "y"]


def test_a_frame_read_with_the_wrong_separator_is_told():
    frame = pd.read_csv(io.StringIO(EUROPEAN))
    with pytest.raises(hb.DataError, match=r"semicolons between columns. Read it with sep=';'"):
        hb.lmer("Reaction ~ Days + (1 | Subject)", frame)


class Book:
    def __init__(self, names):
        self.sheet_names = names

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def parse(self, name):
        return pd.DataFrame({"y": [1.0, 2.0]})


def test_a_workbook_is_read_or_said(tmp_path, monkeypatch):
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    monkeypatch.setattr(pd, "ExcelFile", lambda path: Book(["data"]))
    assert read_table(tmp_path / "a.xlsx").column("y").tolist() == [1.0, 2.0]
    monkeypatch.setattr(pd, "ExcelFile", lambda path: Book(["data", "notes"]))
    with pytest.raises(hb.DataError, match=r"2 sheets, 'data' and 'notes'.*sheet_name='data'"):
        read_table(tmp_path / "a.xlsx")

    def lacking(path):
        raise ImportError("Missing optional dependency 'openpyxl'")

    monkeypatch.setattr(pd, "ExcelFile", lacking)
    with pytest.raises(hb.DataError, match="pip install openpyxl"):
        read_table(tmp_path / "a.xlsx")
