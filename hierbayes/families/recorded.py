"""A density written in NumPy's words as a list of operations, for code that is compiled once.

Every function of a family or a prior that takes arrays also takes a ``Recorded``: what it does with
it is written down, operation by operation, as a ``Tape``. One compiled function
(``bayes/tape_kernel.py``) goes through any tape forwards, for the value, and backwards, for the
derivative in everything, so that nothing is compiled for a model.

Operations among numbers that all rows share (the logarithm of a dispersion) are kept apart from
those of rows; what needs neither eta nor a parameter is worked out while recording.

Source: Griewank & Walther (2008), Evaluating Derivatives, SIAM, chapter 3 (the reverse mode).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, Int64Array, record
from hierbayes.families.expression import COMPARISONS, OPERATORS, Expression

# Functions that tapes know besides where, by NumPy's and SciPy's names.
UNARY = (
    "negative", "absolute", "exp", "log", "log1p", "expm1", "sqrt", "square", "reciprocal",
    "arctan", "cos", "gammaln", "expit", "log_expit", "ndtr", "log_ndtr", "log_i0e", "isfinite",
    "isnan", "logical_not", "floor",
)  # fmt: skip
BINARY = (
    "add", "subtract", "multiply", "divide", "power", "logaddexp", "maximum", "minimum", "equal",
    "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or",
)  # fmt: skip
SAME = {"bitwise_and": "logical_and", "bitwise_or": "logical_or", "invert": "logical_not"}
# Their derivative is zero wherever there is one.
FLAT = frozenset({"isfinite", "isnan", "logical_not", "floor", *BINARY[8:]})


class Recorded(Expression):
    """A number, or a number a row, on a tape."""

    __slots__ = ("at", "is_row", "moves", "tape")

    def __init__(self, tape: "Recorder", at: int, *, is_row: bool, moves: bool) -> None:
        self.tape = tape
        self.at = at
        self.is_row = is_row
        self.moves = moves  # with eta or a parameter

    @property
    def value(self) -> "Recorded":
        """Itself: a tape carries derivatives of everything."""
        return self

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        """Answer for ``np.where`` and ``np.zeros_like``."""
        if function is np.zeros_like:
            return 0.0
        return super().__array_function__(function, types, inputs, options)

    def __neg__(self) -> "Recorded":
        return self.tape.apply("negative", self)

    def __abs__(self) -> "Recorded":
        return self.tape.apply("absolute", self)

    def __invert__(self) -> "Recorded":
        return self.tape.apply("logical_not", self)

    def __pow__(self, other: Any) -> "Recorded":
        if not isinstance(other, Expression) and np.ndim(other) == 0:
            return self._whole_power(float(other))
        return self.tape.apply("power", self, other)

    def _whole_power(self, exponent: float) -> "Recorded":
        known = {1.0: None, 2.0: "square", 0.5: "sqrt", -1.0: "reciprocal"}
        if exponent not in known:
            return self.tape.apply("power", self, exponent)
        name = known[exponent]
        return self if name is None else self.tape.apply(name, self)

    __hash__ = None  # type: ignore[assignment]


def _binary(name: str, *, from_right: bool = False) -> Callable[[Recorded, Any], Recorded]:
    def apply(self: Recorded, other: Any) -> Recorded:
        pair = (other, self) if from_right else (self, other)
        return self.tape.apply(name, *pair)

    return apply


for _name, _word in OPERATORS.items():
    if _name != "power":
        setattr(Recorded, f"__{_word}__", _binary(_name))
    setattr(Recorded, f"__r{_word}__", _binary(_name, from_right=True))
for _name, (_word, _) in COMPARISONS.items():
    setattr(Recorded, f"__{_word}__", _binary(_name))
for _name, _word in (("logical_and", "and"), ("logical_or", "or")):
    setattr(Recorded, f"__{_word}__", _binary(_name))
    setattr(Recorded, f"__r{_word}__", _binary(_name, from_right=True))


def _tape_of(values: Iterable[Any]) -> "Recorder":
    return next(value.tape for value in values if isinstance(value, Recorded))


def _recorded(name: str) -> Callable[..., Recorded]:
    return lambda *values: _tape_of(values).apply(name, *values)


def _xlogy(weight: Any, x: Any) -> Any:
    return weight * np.log(x) if np.any(weight) else 0.0


def _xlog1py(weight: Any, x: Any) -> Any:
    return weight * np.log1p(x) if np.any(weight) else 0.0


def _scaled_bessel(order: Any, x: Any) -> Recorded:
    """I0(x) exp(-x), of which a density takes the logarithm."""
    if order != 0:
        raise TypeError("ive of an order above 0 is not known")
    tape = _tape_of([x])
    return tape.apply("exp", tape.apply("log_i0e", x))


def _chosen(condition: Any, yes: Any, no: Any) -> Any:
    """Choose point by point; at once where the condition is the same everywhere."""
    if not isinstance(condition, Recorded):
        condition = np.asarray(condition, dtype=bool)
        if condition.all():
            return yes
        if not condition.any():
            return no
    return _tape_of([condition, yes, no]).apply("where", condition, yes, no)


Recorded.where = _chosen
Recorded.functions = {
    **{name: _recorded(name) for name in (*UNARY, *BINARY)},
    **{alias: _recorded(name) for alias, name in SAME.items()},
    "power": lambda x, y: x**y,
    "xlogy": _xlogy,
    "xlog1py": _xlog1py,
    "ive": _scaled_bessel,
}


@record
class Tape:
    """Operations in their order, of shared numbers first and then of rows.

    Each row of ``shared`` and ``by_row`` is an operation: its code, the places of up to three
    operands, and the place of the result, among the S shared numbers or the R numbers a row.

    Attributes
    ----------
    shared : array, shape (s, 5)
    numbers : array, shape (S,), the constants in their places
    by_row : array, shape (r, 5)
    n_by_row : R
    etas : array, shape (m,), where the linear predictors of a row stand
    data : array, shape (k, n), of what each row has
    data_at : array, shape (k,), their places
    spread : array, shape (b, 2), places of shared numbers, and of the same number in each row
    value : where the log density of a row is
    """

    shared: Int64Array
    numbers: FloatArray
    by_row: Int64Array
    n_by_row: int
    etas: Int64Array
    data: FloatArray
    data_at: Int64Array
    spread: Int64Array
    value: int


class Recorder:
    """Writes a tape for n rows, in numbers ``codes`` of operations; each is written once."""

    def __init__(self, n_rows: int, codes: Mapping[str, int]) -> None:
        self.n_rows = n_rows
        self._codes = codes
        self._shared: list[tuple[int, ...]] = []
        self._by_row: list[tuple[int, ...]] = []
        self._numbers: list[float] = []
        self._n_by_row = 0
        self._data: list[FloatArray] = []
        self._data_at: list[int] = []
        self._spread: dict[int, int] = {}
        self._known: dict[Any, Recorded] = {}
        self._etas: list[Recorded] = []

    def inputs(self, size: int) -> list[Recorded]:
        """Return shared numbers that are given with each evaluation; ask for them first."""
        assert not self._numbers
        return [self._number(np.nan, moves=True) for _ in range(size)]

    def etas(self, count: int) -> list[Recorded]:
        """Return linear predictors; ask for them before anything of a row."""
        assert self._n_by_row == 0
        self._etas = [self._place(moves=True) for _ in range(count)]
        return self._etas

    def apply(self, name: str, *given: Any) -> Recorded:
        """Write an operation down."""
        operands = [self._operand(x) for x in given]
        is_row = any(x.is_row for x in operands)
        if is_row:
            operands = [self._in_rows(x) for x in operands]
        key = (name, is_row, *(x.at for x in operands))
        if key not in self._known:
            moves = name not in FLAT and any(x.moves for x in operands)
            places = [x.at for x in operands] + [0] * (3 - len(operands))
            if is_row:
                found = self._place(moves=moves)
                self._by_row.append((self._codes[name], *places, found.at))
            else:
                found = self._number(0.0, moves=moves)
                self._shared.append((self._codes[name], *places, found.at))
            self._known[key] = found
        return self._known[key]

    def shared(self, value: Any) -> Recorded:
        """Return a number that all rows share as one of the tape."""
        found = self._operand(value)
        assert not found.is_row
        return found

    def tape(self, value: Any) -> Tape:
        """Return what was written, ``value`` being the log density of the rows."""
        found = self._in_rows(self._operand(value))
        data = np.array(self._data).reshape(len(self._data), self.n_rows)
        return Tape(
            shared=_operations(self._shared),
            numbers=np.array(self._numbers, dtype=np.float64),
            by_row=_operations(self._by_row),
            n_by_row=self._n_by_row,
            etas=np.array([eta.at for eta in self._etas], dtype=np.int64),
            data=data,
            data_at=np.array(self._data_at, dtype=np.int64),
            spread=np.array(list(self._spread.items()), dtype=np.int64).reshape(-1, 2),
            value=found.at,
        )

    def _number(self, value: float, *, moves: bool) -> Recorded:
        self._numbers.append(value)
        return Recorded(self, len(self._numbers) - 1, is_row=False, moves=moves)

    def _place(self, *, moves: bool) -> Recorded:
        self._n_by_row += 1
        return Recorded(self, self._n_by_row - 1, is_row=True, moves=moves)

    def _operand(self, x: Any) -> Recorded:
        if isinstance(x, Recorded):
            return x
        values = np.asarray(x, dtype=np.float64)
        if values.size == 1:
            number = float(values.reshape(()))
            key: Any = ("number", number if number == number else "nan", np.signbit(number))
            if key not in self._known:
                self._known[key] = self._number(number, moves=False)
            return self._known[key]
        if values.shape != (self.n_rows,):
            raise TypeError(f"a density of {self.n_rows} rows holds an array {values.shape}")
        key = ("data", values.tobytes())
        if key not in self._known:
            self._known[key] = self._place(moves=False)
            self._data.append(values)
            self._data_at.append(self._known[key].at)
        return self._known[key]

    def _in_rows(self, x: Recorded) -> Recorded:
        """Return a shared number as one a row."""
        if x.is_row:
            return x
        if x.at not in self._spread:
            self._spread[x.at] = self._place(moves=x.moves).at
        return Recorded(self, self._spread[x.at], is_row=True, moves=x.moves)


def _operations(rows: list[tuple[int, ...]]) -> Int64Array:
    return np.array(rows, dtype=np.int64).reshape(-1, 5)
