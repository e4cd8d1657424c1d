"""A statement about parameters and its posterior probability, such as ``"Days > 10"``.

The statement is read by the formula language's own grammar and computed draw by draw; nothing of
it is handed to Python. Names are those of the printed tables: ``Days``, ``(Intercept)``,
``sd(Days|Subject)``, ``cor((Intercept),Days|Subject)``, ``sigma``, ``Subject[308,Days]``, or any
other spelling of ``naming/addresses.py``.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.errors import FormulaError, NotSupportedError, OptionError
from hierbayes.formula.expressions import Binary, Call, Expression, Group, Name, Number, Unary
from hierbayes.formula.grammar import read_expression
from hierbayes.formula.tokenizer import prepare
from hierbayes.naming.addresses import Addresses, squeezed
from hierbayes.options import IntervalKind
from hierbayes.results.chains import chain_statistics, credible_interval
from hierbayes.results.exporting import Exportable
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.wording import meant, shown

COMPARISONS: dict[str, Callable[[FloatArray, FloatArray], BoolArray]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
ARITHMETIC: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs, "log2": np.log2,
    "log10": np.log10,
}  # fmt: skip
RANGE = "'Days > 9 & Days < 11'"
_PIECE = re.compile(r"`[^`]+`|[\w.]+|\s+|[^\w\s.]")
_PLAIN = re.compile(r"[\w.\s]+")
_OTHER = re.compile(r"\b(?:cor|sd)\s*\((?:[^()]|\([^()]*\))*\)")
_SINGLE_EQUALS = re.compile(r"(?<![<>=!])=(?!=)")


class _UnknownError(Exception):
    """A name in a statement that is no parameter."""


class _UndefinedError(Exception):
    """A compared side is no finite number in as many draws as the argument says."""


@record(repr=False)
class Hypothesis(Exportable):
    """Posterior probability of a statement.

    Attributes
    ----------
    statement : as it was given
    probability : share of the draws in which it holds
    mcse : Monte-Carlo standard error of the probability
    evidence_ratio : probability / (1 - probability); infinite if it holds in every draw
    estimate, std_error : posterior mean and sd of left minus right side; NaN where the statement
        is not a single comparison
    conf_low, conf_high : credible interval of that difference
    level, kind : of the interval
    n_draws : number of draws
    """

    statement: str
    probability: float
    mcse: float
    evidence_ratio: float
    estimate: float
    std_error: float
    conf_low: float
    conf_high: float
    level: float
    kind: IntervalKind
    n_draws: int

    def to_frame(self) -> ResultTable:
        """One row: the statement, its probability, and the interval of left minus right side.

        Examples
        --------
        >>> import hierbayes as hb
        >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> found = model.sample(random_seed=1).hypothesis("sigma > 40")
        >>> float(found.to_frame()["probability"].iloc[0]) == found.probability
        True
        """
        names = (
            "statement", "probability", "mcse", "evidence_ratio", "estimate", "std_error",
            "conf_low", "conf_high",
        )  # fmt: skip
        known = {"level": self.level, "kind": self.kind, "interval": "credible"}
        row = {name: getattr(self, name) for name in names}
        return result_table([row], "hypothesis", attrs=known)


def test_hypothesis(
    statement: str,
    addresses: Addresses,
    draws: Sequence[FloatArray],
    *,
    level: float,
    kind: IntervalKind,
) -> Hypothesis:
    """Return the posterior probability of a statement.

    Parameters
    ----------
    statement : comparisons of expressions in parameters, joined by ``&``, ``|`` and ``!``
    addresses : of the P parameters
    draws : their draws, arrays (C, D, m) with P columns in all
    level, kind : of the credible interval of the difference of a single comparison

    Raises
    ------
    FormulaError
        If the statement can't be read, compares nothing, names no parameter, or has a name that
        could mean two.
    NotSupportedError
        For a single value, whose posterior probability is 0.
    """
    text, places = _with_quoted_names(statement, addresses)
    columns = np.cumsum([0, *(part.shape[2] for part in draws)])
    quoted: dict[str, FloatArray] = {}
    for name, place in places.items():
        part = int(np.searchsorted(columns, place, side="right")) - 1
        quoted[name] = draws[part][:, :, place - columns[part]]
    try:
        tree = read_expression(text)
        held = _truth(tree, quoted)
    except _UnknownError as error:
        raise FormulaError(_unknown_sentence(statement, str(error), addresses)) from None
    except _UndefinedError as error:
        raise FormulaError(
            f"{statement!r} compares what is no finite number in {error} of "
            f"{draws[0][..., 0].size} draws (the logarithm or root of a negative number, or a "
            "division by 0), so it has no probability. Compare the parameters themselves."
        ) from None
    except FormulaError as error:
        if re.search(r"\bbetween\b", statement):
            raise FormulaError(
                f"{statement!r}: a range is written as two comparisons, for example {RANGE}."
            ) from None
        call = _OTHER.search(statement)
        if call:
            sentence = _unknown_sentence(statement, call[0], addresses)
            raise FormulaError(sentence) from None
        first = str(error).partition("\n")[0]
        raise FormulaError(
            f"{statement!r} can't be read as a statement about parameters: {first} The "
            f"parameters are {addresses.listed()}."
        ) from None
    if held is None or held.ndim == 0:  # without a parameter it holds always or never
        compared = "nothing" if held is None else "no parameter"
        raise FormulaError(
            f"{statement!r} compares {compared}; write for example 'Days > 10'. The parameters are "
            f"{addresses.listed()}."
        )
    probability = float(held.mean())
    difference = _difference(tree, quoted)
    numbers = (np.nan,) * 4
    if difference is not None:
        flat = difference.ravel()
        interval = credible_interval(flat, level, kind)
        numbers = (
            float(flat.mean()), float(flat.std(ddof=1)), float(interval.low), float(interval.high)
        )  # fmt: skip
    constant = probability in (0.0, 1.0)
    mcse = 0.0 if constant else float(chain_statistics(held.astype(float)[:, :, None]).mcse_mean[0])
    return Hypothesis(
        statement=statement,
        probability=probability,
        mcse=mcse,
        evidence_ratio=np.inf if probability == 1 else probability / (1 - probability),
        estimate=numbers[0],
        std_error=numbers[1],
        conf_low=numbers[2],
        conf_high=numbers[3],
        level=level,
        kind=kind,
        n_draws=held.size,
    )


test_hypothesis.__test__ = False  # type: ignore[attr-defined]


def _with_quoted_names(statement: str, addresses: Addresses) -> tuple[str, dict[str, int]]:
    """Return a statement with a name in back-ticks for each parameter, and where they are.

    Names of parameters are more than the grammar's names (``sd(Days|Subject)``), so they are found
    first, the longest before those that are part of it.
    """
    if not isinstance(statement, str) or not statement.strip():
        raise OptionError(f"statement={shown(statement)} must be text, for example 'Days > 10'.")
    text = prepare(statement)
    present = addresses.spelled_in(text)
    places: dict[str, int] = {}

    def replaced(found: re.Match[str]) -> str:
        written = " ".join(found[0].split())
        meant = addresses.find(written)
        if len(meant) > 1:
            raise FormulaError(f"{statement!r}: {addresses.ambiguity(written, meant)}")
        name = re.sub(r"[`\\]", "", addresses.labels[meant[0]])
        while places.setdefault(name, meant[0]) != meant[0]:
            name += "'"
        return f"`{name}`"

    if present:
        present.sort(key=lambda name: len(squeezed(name)), reverse=True)
        text = re.sub("|".join(map(_pattern, present)), replaced, text)
    if _SINGLE_EQUALS.search(text):
        raise _point_error()
    return text, places


def _pattern(name: str) -> str:
    """Match a name as a whole, with blanks between its parts, with or without back-ticks.

    What is in back-ticks because it holds operators needs them, unless it stands in parentheses:
    ``a-b`` is a difference, ``sd(a-b|g)`` can't be one.
    """
    parts, depth = [], 0
    for piece in _PIECE.findall(name):
        inner = piece.strip("`") or piece
        depth += (piece in ("(", "[")) - (piece in (")", "]"))
        loose = r"\s+".join(re.escape(word) for word in inner.split())
        if piece.isspace():
            parts.append(r"\s")
        elif _PLAIN.fullmatch(inner) or (piece != inner and depth):
            parts.append(rf"(?:`\s*{loose}\s*`|{loose})")
        else:
            parts.append(rf"`\s*{loose}\s*`" if piece != inner else loose)
    whole = r"\s*".join(parts)
    bare = r"\s*".join(re.escape(piece.strip("`") or piece) for piece in _PIECE.findall(name))
    before = r"(?<![\w.`])" if re.match(r"[\w.`]", name) else ""
    after = r"(?![\w.(\[`])" if re.search(r"[\w.`]$", name) else r"(?![\w.])"
    return rf"(?:`\s*{bare}\s*`|{before}{whole}{after})"


def _truth(tree: Expression, values: Mapping[str, FloatArray]) -> BoolArray | None:
    """Draw by draw, whether a statement holds; None for what is no statement."""
    match tree:
        case Group(inner):
            return _truth(inner, values)
        case Unary("!", operand):
            held = _truth(operand, values)
            return None if held is None else ~held
        case Binary(("&" | "|" | "&&" | "||") as operator, left, right):
            first, second = _truth(left, values), _truth(right, values)
            if first is None or second is None:
                return None
            return first & second if operator.startswith("&") else first | second
        case Binary(operator, left, right) if operator in COMPARISONS:
            sides = (_value(left, values), _value(right, values))
            undefined = ~np.isfinite(sides[0]) | ~np.isfinite(sides[1])
            if undefined.any():
                raise _UndefinedError(int(undefined.sum()))
            return np.asarray(COMPARISONS[operator](*sides))
        case Binary(("==" | "!="), _, _):
            raise _point_error()
    return None


def _difference(tree: Expression, values: Mapping[str, FloatArray]) -> FloatArray | None:
    while isinstance(tree, Group):
        tree = tree.inner
    if isinstance(tree, Binary) and tree.operator in COMPARISONS:
        return np.asarray(_value(tree.left, values) - _value(tree.right, values))
    return None


def _value(tree: Expression, values: Mapping[str, FloatArray]) -> FloatArray:
    match tree:
        case Name(name) if name in values:
            return values[name]
        case Name(name):
            raise _UnknownError(name)
        case Number(value):
            return np.asarray(value)
        case Group(inner):
            return _value(inner, values)
        case Unary("-", operand):
            return np.asarray(-_value(operand, values))
        case Unary("+", operand):
            return _value(operand, values)
        case Binary(operator, left, right) if operator in ARITHMETIC:
            first, second = _value(left, values), _value(right, values)
            with np.errstate(all="ignore"):
                return np.asarray(ARITHMETIC[operator](first, second))
        case Call(function, (argument,), ()) if function in FUNCTIONS:
            with np.errstate(all="ignore"):
                return np.asarray(FUNCTIONS[function](_value(argument, values)))
    raise FormulaError(
        "A statement about parameters holds their names, numbers, + - * / ^, "
        f"{', '.join(FUNCTIONS)}, comparisons, & and |; nothing else."
    )


def _point_error() -> NotSupportedError:
    return not_supported("point-hypothesis", example=RANGE)


def _unknown_sentence(statement: str, name: str, addresses: Addresses) -> str:
    """Say which parameters there are, and which one may have been meant."""
    hint = meant(name, addresses.labels)
    return (
        f"{statement!r} names {name!r}, which is no parameter of this model. Its parameters are "
        f"{addresses.listed()}{hint}"
    )
