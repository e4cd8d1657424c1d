"""A statement about parameters and its posterior probability, such as ``"Days > 10"``.

The statement is read by the formula language's own grammar and computed draw by draw; nothing of
it is handed to Python. Names are those of the printed tables: ``Days``, ``(Intercept)``,
``sd(Days|Subject)``, ``cor((Intercept),Days|Subject)``, ``sigma``, ``Subject[308,Days]``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hierbayes.errors import FormulaError, NotSupportedError, OptionError
from hierbayes.formula.expressions import Binary, Call, Expression, Group, Name, Number, Unary
from hierbayes.formula.grammar import read_expression
from hierbayes.formula.tokenizer import prepare
from hierbayes.options import IntervalKind, nearest
from hierbayes.results.chains import chain_statistics, credible_interval
from hierbayes.results.printing import Printable

FloatArray = npt.NDArray[np.float64]

COMPARISONS: dict[str, Callable[[FloatArray, FloatArray], npt.NDArray[np.bool_]]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
ARITHMETIC: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs, "log2": np.log2,
    "log10": np.log10,
}  # fmt: skip
NAMES_SHOWN = 12


class _UnknownError(Exception):
    """A name in a statement that is no parameter."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Hypothesis(Printable):
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


def test_hypothesis(
    statement: str,
    parameters: Mapping[str, FloatArray],
    *,
    aliases: Mapping[str, FloatArray],
    level: float,
    kind: IntervalKind,
) -> Hypothesis:
    """Return the posterior probability of a statement.

    Parameters
    ----------
    statement : comparisons of expressions in parameters, joined by ``&``, ``|`` and ``!``
    parameters : name -> draws (C, D)
    aliases : further names, which messages don't list
    level, kind : of the credible interval of the difference of a single comparison

    Raises
    ------
    FormulaError
        If the statement can't be read, compares nothing, or names no parameter.
    """
    try:
        tree, quoted = _read(statement, {**aliases, **parameters})
        held = _truth(tree, quoted)
    except _UnknownError as error:
        raise FormulaError(_unknown_sentence(statement, str(error), parameters)) from None
    except FormulaError as error:
        first = str(error).partition("\n")[0]
        raise FormulaError(
            f"{statement!r} can't be read as a statement about parameters: {first} The "
            f"parameters are {_shown(parameters)}."
        ) from None
    if held is None:
        raise FormulaError(
            f"{statement!r} compares nothing; write for example 'Days > 10'. The parameters are "
            f"{_shown(parameters)}."
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


def _read(
    statement: str, parameters: Mapping[str, FloatArray]
) -> tuple[Expression, dict[str, FloatArray]]:
    """Return the tree of a statement and the draws behind the names in it.

    Names of parameters that are no names of the grammar, such as ``sd(Days|Subject)``, are
    replaced by names that are, the longest first.
    """
    if not isinstance(statement, str):
        raise OptionError(f"statement={statement!r} must be text, for example 'Days > 10'.")
    text = prepare(statement)
    squeezed = re.sub(r"\s", "", text)
    present = [name for name in parameters if re.sub(r"\s", "", name) in squeezed]
    values: dict[str, FloatArray] = {}
    if present:
        present.sort(key=len, reverse=True)
        pattern = "|".join(_pattern(name) for name in present)
        squeezed_names = {re.sub(r"\s", "", name): name for name in present}

        def replaced(found: re.Match[str]) -> str:
            name = squeezed_names[re.sub(r"[\s`]", "", found[0])]
            values[f"p{len(values)}"] = parameters[name]
            return f"`p{len(values) - 1}`"

        text = re.sub(pattern, replaced, text)
    return read_expression(text), values


def _pattern(name: str) -> str:
    """Match a name as a whole, with blanks between its parts or in back-ticks."""
    parts = re.findall(r"[\w.]+|[^\w\s.]", name)
    loose = r"\s*".join(re.escape(part) for part in parts)
    before = r"(?<![\w.])" if re.match(r"[\w.]", name) else ""
    after = r"(?![\w.(\[])" if re.search(r"[\w.]$", name) else r"(?![\w.])"
    return rf"(?:`{loose}`|{before}{loose}{after})"


def _truth(tree: Expression, values: Mapping[str, FloatArray]) -> npt.NDArray[np.bool_] | None:
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
            return np.asarray(COMPARISONS[operator](_value(left, values), _value(right, values)))
        case Binary(("==" | "!="), _, _):
            raise NotSupportedError(
                "A single value of a parameter has posterior probability 0; compare with '<' or "
                "'>', or give a range, for example 'Days > 9 & Days < 11'."
            )
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


def _unknown_sentence(statement: str, name: str, parameters: Mapping[str, FloatArray]) -> str:
    """Say which parameters there are, and which one may have been meant."""
    guess = nearest(name, tuple(parameters))
    hint = f"; did you mean {guess!r}?" if guess else "."
    return (
        f"{statement!r} names {name!r}, which is no parameter of this model. Its parameters are "
        f"{_shown(parameters)}{hint}"
    )


def _shown(names: Mapping[str, FloatArray]) -> str:
    listed = list(names)
    more = f" and {len(listed) - NAMES_SHOWN} more" if len(listed) > NAMES_SHOWN else ""
    return ", ".join(repr(name) for name in listed[:NAMES_SHOWN]) + more
