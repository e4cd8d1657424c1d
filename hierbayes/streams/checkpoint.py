"""What a stream has given so far, in a file: written whole or not at all, read by the next call.

A checkpoint holds what the first pass learnt and the sums of the second, with which batches are in
them. It belongs to one model of one stream: formula, arguments and a fingerprint of the source
stand in it. It is a ``.npz`` archive of plain arrays and one text of JSON.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hierbayes.arrays import IntArray, record
from hierbayes.design.column_seen import ColumnSeen
from hierbayes.design.moments import Moments
from hierbayes.design.values import Factor, Logical, label_array
from hierbayes.errors import DataError
from hierbayes.files import Draft, shown
from hierbayes.formula.expressions import Expression
from hierbayes.streams.batch_values import Question
from hierbayes.streams.first_pass import Learnt, VariableSeen, term_variables
from hierbayes.streams.learnt_states import stateful_calls
from hierbayes.streams.levels import GroupLevels, LevelSet
from hierbayes.streams.second_pass import Provisional, Sums
from hierbayes.streams.template import Layer

FORMAT = 1
EVERY = 60.0  # seconds between two checkpoints


@record
class Kept:
    """What a checkpoint holds.

    Attributes
    ----------
    learnt : of the first pass; without its sample
    at : the provisional basis of the sums
    shift : of the moments
    arrays : of the sums, by name
    done : array of int, numbers of the batches that are in the sums
    """

    learnt: Learnt
    at: Provisional
    shift: Any
    arrays: Mapping[str, Any]
    done: IntArray


def key_of(question: Question, fingerprint: str, contrasts: Mapping[str, Any] | None) -> str:
    """Return what a checkpoint belongs to, as text."""
    return json.dumps(
        [
            FORMAT,
            question.formula.source,
            dict(question.arguments),
            {name: str(own) for name, own in (contrasts or {}).items()},
            fingerprint,
        ]
    )


def write_checkpoint(
    path: Path, key: str, *, layer: Layer, learnt: Learnt, sums: Sums, done: IntArray
) -> None:
    """Write a checkpoint; what was there before stays until all is on the disk.

    Raises
    ------
    DataError
        If it can't be written: the old one is left as it was.
    """
    arrays: dict[str, Any] = {"done": done, "shift": sums.shift}
    head = {"key": key, "learnt": stored_learnt(layer.question, learnt, arrays)}
    at = sums.at
    arrays |= {"basis": at.basis, "beta0": at.beta0, "dependent": at.dependent}
    arrays |= {f"z_basis_{f}": U for f, U in enumerate(at.z_bases)}
    arrays |= {f"sums_{name}": own for name, own in sums.arrays().items()}
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    try:
        with Draft(path) as draft:
            np.savez(draft.stream, **arrays)
            draft.sync()
            draft.commit()
    except OSError as error:
        reason = error.strerror or error
        kept = " The checkpoint before it is as it was." if path.exists() else ""
        raise DataError(
            f"The checkpoint can't be written to {shown(path)}: {reason}.{kept}"
        ) from error


def read_checkpoint(path: Path, key: str, question: Question) -> Kept | None:
    """Read a checkpoint; None where there is none yet.

    Raises
    ------
    DataError
        If it belongs to another model or other data, or is no checkpoint.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        head = json.loads(arrays["head"].tobytes())
        known = head["key"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{shown(path)} is no checkpoint of a stream, or a damaged one; delete it or give "
            "another name."
        ) from error
    if known != key:
        names = ("version", "formula", "arguments", "contrasts", "data")
        pairs = zip(names, json.loads(known), json.loads(key), strict=True)
        other = " and ".join(name for name, a, b in pairs if a != b)
        raise DataError(
            f"The checkpoint {shown(path)} is of another model (other {other}); delete it or give "
            "another name."
        )
    n_factors = sum(name.startswith("z_basis_") for name in arrays)
    return Kept(
        learnt=read_learnt(question, head["learnt"], arrays),
        at=Provisional(
            basis=arrays["basis"],
            beta0=arrays["beta0"],
            dependent=arrays["dependent"],
            z_bases=tuple(arrays[f"z_basis_{f}"] for f in range(n_factors)),
        ),
        shift=arrays["shift"],
        arrays={
            name.removeprefix("sums_"): own
            for name, own in arrays.items()
            if name.startswith("sums_")
        },
        done=arrays["done"],
    )


def _expressions(question: Question) -> list[Expression]:
    """Every variable whose kind is learnt, and every call with a state, in one order."""
    calls = [c for expression in question.expressions for c in stateful_calls(expression)]
    return list(dict.fromkeys([*term_variables(question), *calls]))


def stored_learnt(question: Question, learnt: Learnt, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return what was learnt in terms of JSON; levels go to ``arrays``."""
    place = {expression: k for k, expression in enumerate(_expressions(question))}
    return {
        "n_given": learnt.n_given,
        "n_used": learnt.n_used,
        "dropped": dict(learnt.dropped),
        "kinds": dict(learnt.kinds),
        "states": [[place[call], state] for call, state in learnt.states.items()],
        "variables": [
            [place[e], _stored_variable(own, arrays)] for e, own in learnt.variables.items()
        ],
        "groups": {name: _stored_group(own, arrays) for name, own in learnt.groups.items()},
        "columns": {name: _stored_column(own) for name, own in learnt.columns.items()},
    }


def read_learnt(question: Question, stored: Any, arrays: Mapping[str, Any]) -> Learnt:
    """Return what ``stored_learnt`` wrote."""
    every = _expressions(question)
    return Learnt(
        n_given=stored["n_given"],
        n_used=stored["n_used"],
        dropped=stored["dropped"],
        kinds={name: tuple(own) for name, own in stored["kinds"].items()},
        states={every[k]: state for k, state in stored["states"]},
        variables={every[k]: _read_variable(own, arrays) for k, own in stored["variables"]},
        groups={name: _read_group(own, arrays) for name, own in stored["groups"].items()},
        seen={},
        columns={name: _read_column(name, own) for name, own in stored["columns"].items()},
    )


def _stored_column(own: ColumnSeen) -> dict[str, Any]:
    if own.moments is None:
        return {"logical": own.value is not None}
    m = own.moments
    numbers = [float(v[0]) for v in (m.mean, m.squares, m.low, m.high)]
    return {"n": m.n, "moments": numbers, "few": own.few.tolist()}


def _read_column(name: str, stored: Any) -> ColumnSeen:
    if "moments" not in stored:
        value = Logical(np.array([0.0, 1.0])) if stored["logical"] else None
        return ColumnSeen(name=name, few=np.empty(0), value=value)
    moments = Moments(stored["n"], *(np.array([v]) for v in stored["moments"]))
    return ColumnSeen(name=name, few=np.array(stored["few"]), moments=moments)


def _stored_levels(levels: LevelSet, arrays: dict[str, Any]) -> dict[str, Any]:
    key = f"levels_{len(arrays)}"
    text = levels.order != "numbers"
    arrays[key] = levels.values.astype(str) if text else levels.values
    arrays[f"{key}_present"] = levels.present
    return {"order": levels.order, "array": key}


def _read_levels(stored: Any, arrays: Mapping[str, Any]) -> LevelSet:
    values = arrays[stored["array"]]
    if stored["order"] != "numbers":
        values = label_array(values.tolist())
    return LevelSet(stored["order"], values, arrays[f"{stored['array']}_present"])


def _stored_variable(own: VariableSeen, arrays: dict[str, Any]) -> dict[str, Any]:
    stored: dict[str, Any] = {"kind": own.kind, "suffixes": list(own.suffixes)}
    if own.levels is not None and own.like is not None:
        like = own.like
        stored["levels"] = _stored_levels(own.levels, arrays)
        names = ("ordered", "coding", "base", "numbered", "caution", "ranked")
        stored["like"] = {name: getattr(like, name) for name in names}
    return stored


def _read_variable(stored: Any, arrays: Mapping[str, Any]) -> VariableSeen:
    if "levels" not in stored:
        return VariableSeen(kind=stored["kind"], suffixes=tuple(stored["suffixes"]))
    like = Factor(np.empty(0, dtype=np.intp), label_array([]), **stored["like"])
    return VariableSeen(
        kind=stored["kind"], levels=_read_levels(stored["levels"], arrays), like=like
    )


def _stored_group(own: GroupLevels, arrays: dict[str, Any]) -> dict[str, Any]:
    stored: dict[str, Any] = {"parts": [_stored_levels(part, arrays) for part in own.parts]}
    if own.met is not None:
        stored["met"] = f"met_{len(arrays)}"
        arrays[stored["met"]] = own.met
    return stored


def _read_group(stored: Any, arrays: Mapping[str, Any]) -> GroupLevels:
    parts = tuple(_read_levels(part, arrays) for part in stored["parts"])
    return GroupLevels(parts, arrays[stored["met"]] if "met" in stored else None)
