"""The same rows in each engine, and cross-products in exact arithmetic to compare with."""

from fractions import Fraction

import duckdb
import narwhals as nw
import numpy as np
import polars as pl

from hierbayes.formula.parser import parse_formula
from hierbayes.streams.batch_values import question_of
from hierbayes.streams.push_down.engines import lazy_frame_of
from hierbayes.streams.push_down.specify import push_down
from hierbayes.streams.queries import LazyFrameSource, RelationSource

ENGINES = ("duckdb", "polars")


def lazy(frame: pl.DataFrame, engine: str):
    """A frame's rows as the engine holds them."""
    if engine == "polars":
        return frame.lazy()
    connection = duckdb.connect()
    connection.register("rows", frame.to_arrow())
    return connection.sql("select * from rows")


def narwhals_of(frame: pl.DataFrame, engine: str):
    return nw.from_native(lazy(frame, engine))


def source_of(frame: pl.DataFrame, engine: str):
    """A source of a frame's rows."""
    native = lazy(frame, engine)
    return RelationSource(native) if engine == "duckdb" else LazyFrameSource(native)


def pushed(formula: str, frame: pl.DataFrame, engine: str, contrasts=None, **given):
    """What queries in an engine find a model of the frame's rows to be."""
    source = source_of(frame, engine)
    question = question_of(parse_formula(formula), given, source)
    return push_down(question, lazy_frame_of(source), contrasts=contrasts)


def exact(matrix: np.ndarray) -> np.ndarray:
    """Floats as the fractions they are."""
    found = np.empty(matrix.shape, dtype=object)
    found.flat[:] = [Fraction(value) for value in np.asarray(matrix, dtype=float).flat]
    return found


def exact_products(design, anchor, weights=None) -> dict[str, list[np.ndarray]]:
    """Cross-products without any rounding but that of the result; per factor in a list."""
    X = exact(design.X[:, anchor.kept])
    y = exact(design.y) - X @ exact(anchor.beta0)
    if design.offset is not None:
        y = y - exact(design.offset)
    columns = np.column_stack([X @ exact(anchor.x_basis), y])
    weighted = columns if weights is None else columns * exact(weights)[:, None]
    found = {"fixed": [(columns.T @ weighted).astype(float)], "zz": [], "zxy": []}
    for factor, basis in zip(design.factors, anchor.z_bases, strict=True):
        z = exact(factor.z) @ exact(basis)
        zw = z if weights is None else z * exact(weights)[:, None]
        rows = [np.flatnonzero(factor.codes == level) for level in range(factor.levels.size)]
        found["zz"].append(np.array([zw[own].T @ z[own] for own in rows]).astype(float))
        found["zxy"].append(np.array([zw[own].T @ columns[own] for own in rows]).astype(float))
    return found
