"""Data given by a path: what is no table is one sentence that says what it is."""

import gzip

import numpy as np
import pytest

import hierbayes as hb

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
    "book.xlsx": (b"PK", "'book.xlsx' is neither a CSV nor a Parquet file"),
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
