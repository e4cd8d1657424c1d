"""A thousand damaged and forged files: one sentence of ours, or the fit that was saved."""

import json
import struct
import tracemalloc
import warnings
import zipfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.saving.archive import (
    ALWAYS_EXPANDED,
    DIGESTS,
    SPECIFICATION,
    Archive,
    write_archive,
)
from tests.model.damage import (
    array_file,
    array_of,
    as_of_0_1_0,
    members_of,
    rewritten,
    write_members,
)
from tests.model.fits import grouped, lmer, quietly

OLD = Path(__file__).with_name("saved_by_0_1_0")
FORMULA = "y ~ x + f + (x | g)"
ODD = [None, True, -1, 10**30, 1e308, float("nan"), "", "x" * 5000, [], {}, [[[]]], {"array": "y"}]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A fit by REML and a posterior, small."""
    folder = tmp_path_factory.mktemp("saved")
    lmer(FORMULA, grouped(6)).save(folder / "reml")
    post = quietly(hb.Model(FORMULA, grouped(6)).sample, draws=10, chains=2, random_seed=1)
    post.save(folder / "posterior")
    return [folder / "reml", folder / "posterior"]


def numbers_of(fit):
    """What a fit says, as numbers that a silent change would move."""
    parts = [fit.fixef(), fit.fitted(), fit.varcorr().to_frame().select_dtypes("number")]
    return np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in parts])


# Each way of damage writes a changed copy of ``file`` to ``target``.


def flipped(rng, file, target):
    """Some bytes of the file are others."""
    content = bytearray(file.read_bytes())
    for place in rng.integers(0, len(content), rng.integers(1, 4)):
        content[place] ^= int(rng.integers(1, 256))
    target.write_bytes(content)


def cut(rng, file, target):
    """The file ends early, lacks a piece or has one twice."""
    content = file.read_bytes()
    a, b = sorted(rng.integers(0, len(content), 2).tolist())
    target.write_bytes([content[:a], content[:a] + content[b:], content[:b] + content[a:]][
        rng.integers(0, 3)
    ])  # fmt: skip


def flipped_inside(rng, file, target):
    """A member's bytes are others, compressed again with the digests of before."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    content = bytearray(members[name])
    content[rng.integers(0, len(content))] ^= int(rng.integers(1, 256))
    write_members(target, members | {name: bytes(content)}, digests=False)


def swapped(rng, file, target):
    """Two arrays have each other's names; digests of before, or forged ones."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    a, b = rng.choice(sorted(set(members) - {DIGESTS, SPECIFICATION}), 2, replace=False)
    members[a], members[b] = members[b], members[a]
    if rng.random() < 0.5:
        write_members(target, members, digests=False)
    else:
        write_members(target, {n: c for n, c in members.items() if n != DIGESTS})


def altered_json(rng, file, target):
    """A value of the specification is another; half of the time it is taken out."""

    def change(specification):
        at, parents = specification, []
        while isinstance(at, dict | list) and len(at):
            key = rng.choice(sorted(at)) if isinstance(at, dict) else int(rng.integers(len(at)))
            parents.append((at, key))
            at = at[key]
            if rng.random() < 0.3:
                break
        parent, key = parents[-1]
        if rng.random() < 0.3:
            del parent[key]
        else:
            parent[key] = ODD[rng.integers(len(ODD))]
        return specification

    rewritten(file, target, change)


def altered_array(rng, file, target):
    """An array has other numbers, another shape or another type, with forged digests."""
    members = members_of(file)
    name = rng.choice(sorted(set(members) - {SPECIFICATION}))
    array = array_of(members[name])
    flat = array.ravel().copy()
    how = rng.integers(0, 7)
    if how == 0 and flat.dtype.kind == "f":
        flat[rng.integers(flat.size)] = rng.choice([np.nan, np.inf, -np.inf])
    elif how == 1 and flat.dtype.kind != "U":
        flat[rng.integers(flat.size)] = -97
    elif how == 2:
        array = flat[:-1]
    elif how == 3:
        array = np.append(flat, flat[:1])
    elif how == 4:
        array = array.astype(str)
    elif how == 5:
        array = array[None]
    changed = flat.reshape(array.shape) if how < 2 else array
    members[name] = array_file(changed)
    write_members(target, members)


def without_digests(rng, file, target):
    """The digests are gone, and an array or the specification is another."""
    altered_array(rng, file, target)
    write_members(target, members_of(target), digests=False)


def disguised(rng, file, target):
    """Altered, and made to look like a file of 0.1.0, which has no digests."""
    altered_array(rng, file, target)
    as_of_0_1_0(target, target)


def header_forged(rng, file, target):
    """An array's header says that it is huge, of objects, nested, negative or none."""
    members = members_of(file)
    name = rng.choice(sorted(set(members) - {SPECIFICATION}))
    texts = (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -8), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999999999999, 3), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': 'x', }",
        "(" * 3000,
        "[" * 9000,
        "9" * 9000,
        "__import__('os').abort()",
    )
    text = (texts[rng.integers(len(texts))] + "\n").encode()
    head = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    write_members(target, members | {name: head + b"\0" * int(rng.integers(0, 99))})


def zip_tricks(rng, file, target):
    """What a zip can hold that no fit has."""
    members = members_of(file)
    how = rng.integers(0, 8)
    write_members(target, members, digests=how % 2 == 0)
    names = ["/etc/passwd", "../x.npy", "theta.npy", "x/y.npy", "another.npy", "x.npy\n", "é.npy"]
    with warnings.catch_warnings(), zipfile.ZipFile(target, "a") as archive:
        warnings.simplefilter("ignore", UserWarning)  # zipfile warns of a name that is there
        if how < 4:
            archive.writestr(names[rng.integers(len(names))], array_file(np.zeros(3)))
        elif how < 6:
            link = zipfile.ZipInfo("link.npy")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
        else:
            archive.writestr("zeros.npy", array_file(np.zeros(10**6)), zipfile.ZIP_LZMA)


def json_tricks(rng, file, target):
    """A specification that is no specification."""
    texts = [b"[" * 10**5, b"9" * 10**5, b'{"format": 1, "format": 1}', b"\xff\xfe", b"", b"null",
             b'{"format": 1}', b'{"a": ' * 10**4, b'"\\ud800"', b"NaN", b"{}"]  # fmt: skip
    members = members_of(file) | {SPECIFICATION: texts[rng.integers(len(texts))]}
    write_members(target, members, digests=rng.random() < 0.5)


WAYS = (
    flipped,
    cut,
    flipped_inside,
    swapped,
    altered_json,
    altered_array,
    without_digests,
    disguised,
    header_forged,
    zip_tricks,
    json_tricks,
)
# Draws with forged digests that are possible as draws can be told from the truth by nothing.
FORGED = (swapped, altered_json, altered_array)


def attempts(saved, folder):
    """Every way of damage in turn, on a fit and a posterior in turn, without end."""
    rng = np.random.default_rng(20)
    while True:
        for file in saved:
            for way in WAYS:
                target = folder / "damaged"
                target.unlink(missing_ok=True)
                way(rng, file, target)
                yield way, file, target


def assert_all_refused_or_unchanged(saved, folder, n):
    expected = {file: numbers_of(hb.load(file)) for file in saved}
    refused = 0
    for way, file, target in islice(attempts(saved, folder), n):
        try:
            with warnings.catch_warnings(record=True) as issued:
                warnings.simplefilter("always")
                fit = hb.load(target)
        except hb.DataError as error:
            assert str(error).count("damaged'") == 1, (way, error)
            assert len(str(error)) < 1000
            refused += 1
            continue
        told = any(finding.code == "no_digests" for finding in fit.findings)
        assert told == any("carry no digests" in str(warning.message) for warning in issued)
        if not told and (way not in FORGED or file.name == "reml"):
            np.testing.assert_allclose(
                numbers_of(fit), expected[file], rtol=1e-9, err_msg=way.__name__
            )
    assert refused > 0.6 * n


def test_a_hundred_damaged_files_are_refused_or_say_what_they_said(saved, tmp_path):
    assert_all_refused_or_unchanged(saved, tmp_path, 100)


@pytest.mark.slow
def test_a_thousand_damaged_files_are_refused_or_say_what_they_said(saved, tmp_path):
    assert_all_refused_or_unchanged(saved, tmp_path, 1000)


# What a file may ask of the machine that opens it.


def zeros(n_bytes):
    """An array of zeros as a member: it compresses a thousand times."""
    return array_file(np.zeros(n_bytes // 8))


@pytest.fixture(scope="module")
def bombs(saved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bombs")
    big = zeros(ALWAYS_EXPANDED)
    names = json.loads(members_of(saved[0])[SPECIFICATION])["columns"]
    column = f"{names[0]['array']}.npy"
    return {
        "an array nobody asks for": rewritten(saved[0], folder / "a", arrays={"more.npy": big}),
        "a column": rewritten(saved[0], folder / "b", arrays={column: big}),
        "draws": rewritten(saved[1], folder / "c", arrays={"draws_beta.npy": big}),
        "the specification": rewritten(saved[0], folder / "d", lambda s: s | {"x": " " * 2**23}),
    }


@pytest.mark.parametrize("name", ["an array nobody asks for", "a column", "draws",
                                  "the specification"])  # fmt: skip
def test_a_small_file_that_expands_to_gigabytes_is_refused_before_it_does(bombs, name):
    tracemalloc.start()
    with pytest.raises(hb.DataError, match="damaged: it says that it expands to more than"):
        hb.load(bombs[name])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23


@pytest.mark.parametrize("claimed", [0, 1, 2**20, 2**31 - 1, 2**32 - 2])
def test_a_member_that_lies_about_its_size_is_refused(saved, tmp_path, claimed):
    """A zip says twice how long a member is, before it and at its end."""
    with zipfile.ZipFile(saved[0]) as archive:
        size = archive.getinfo("theta.npy").file_size
    content = saved[0].read_bytes()
    place = content.rindex(b"theta.npy") - 46 + 24
    assert content[place : place + 4] == struct.pack("<I", size)
    changed = content[:place] + struct.pack("<I", claimed) + content[place + 4 :]
    (tmp_path / "b").write_bytes(changed)
    with pytest.raises(hb.DataError, match="damaged"):
        hb.load(tmp_path / "b")


def test_a_file_that_compresses_well_is_loaded(tmp_path):
    """Constant columns, more of them than may expand a thousand times."""
    n = ALWAYS_EXPANDED // 8 // 8 + 1
    with (tmp_path / "a").open("wb") as out:
        write_archive(out, {"format": 1}, {f"column_{i}": np.zeros(n) for i in range(8)})
    with Archive(tmp_path / "a") as archive:
        assert archive.array("column_7").size == n


# Impossible values under digests that are theirs.

IMPOSSIBLE = {
    "beta": (("draws_beta", np.nan), "not finite"),
    "sigma": (("draws_sigma", -1.0), "sd are negative"),
    "an sd": (("draws_sd_0", -1.0), "sd are negative"),
    "an infinite sd": (("draws_sd_0", np.inf), "not finite"),
    "a correlation": (("draws_corr_0", 1.5), "no correlations"),
    "an effect": (("draws_b_0", np.nan), "not finite"),
}


@pytest.mark.parametrize(("change", "words"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_draws_are_refused(saved, tmp_path, change, words):
    name, value = change
    array = array_of(members_of(saved[1])[f"{name}.npy"]).copy()
    array.ravel()[1] = value
    rewritten(saved[1], tmp_path / "b", arrays={f"{name}.npy": array_file(array)})
    with pytest.raises(hb.DataError, match=words):
        hb.load(tmp_path / "b")


@pytest.mark.parametrize("name", ["theta", "response", "x", "y"])
def test_theta_or_data_of_another_criterion_are_refused(saved, tmp_path, name):
    members = members_of(saved[0])
    columns = json.loads(members[SPECIFICATION])["columns"]
    name = {c["name"]: c["array"] for c in columns}.get(name, name) + ".npy"
    array = array_of(members[name]).copy()
    array[0] *= 1.2
    rewritten(saved[0], tmp_path / "b", arrays={name: array_file(array)})
    with pytest.raises(hb.DataError, match=r"b' is damaged: (its resp|the crit)"):
        hb.load(tmp_path / "b")


# Files of hierbayes 0.1.0, written by it: six subjects of sleepstudy.


@pytest.mark.parametrize("name", ["likelihood.fit", "posterior.fit"])
def test_a_file_of_0_1_0_loads_with_a_finding(name, tmp_path):
    with pytest.warns(hb.HierBayesWarning, match="carry no digests"):
        fit = hb.load(OLD / name)
    assert [finding.code for finding in fit.findings] == ["no_digests"]
    assert fit.fitted().index[1] == "row 1"
    if name == "likelihood.fit":
        assert fit.criterion == pytest.approx(605.4238338354614, rel=1e-10)
    else:
        assert fit.fixef()["Days"] == pytest.approx(7.648606, abs=1e-6)
    fit.save(tmp_path / "again")
    assert hb.load(tmp_path / "again").findings == fit.findings


@pytest.mark.parametrize("field", ["beta", "sigma", "sd", "corr", "b"])
def test_possible_draws_of_another_posterior_are_refused_whatever_the_digests_say(
    field, saved, tmp_path
):
    members = members_of(saved[1])
    stored = json.loads(members[SPECIFICATION])["draws"]
    key = stored[field]["g"] if field in stored else f"draws_{field}"
    member = next(name for name in members if Path(name).stem == key)
    values = array_of(members[member])
    changed = 0.99 * values + 0.01 * np.eye(2) if field == "corr" else values * 1.001
    file = rewritten(saved[1], tmp_path / "a.fit", arrays={member: array_file(changed)})
    with pytest.raises(hb.DataError, match="likelihood of its draws and data is not the one"):
        quietly(hb.load, file)


def test_a_posterior_of_a_family_without_densities_is_saved(saved, tmp_path, monkeypatch):
    def unknown(fit):
        raise hb.NotSupportedError("densities are not available")

    monkeypatch.setattr("hierbayes.saving.posterior_file.log_likelihood", unknown)
    post = quietly(hb.Model(FORMULA, grouped(6)).sample, draws=10, chains=2, random_seed=1)
    post.save(tmp_path / "a.fit")
    np.testing.assert_array_equal(quietly(hb.load, tmp_path / "a.fit").beta, post.beta)
