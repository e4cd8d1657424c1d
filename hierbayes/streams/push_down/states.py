"""What scale, center and poly learn from all values of a number, by queries.

A mean is asked for twice, the second time of the numbers less the first, so that it has all digits
whatever the order of the engine's sums. Orthogonal polynomials follow from their recurrence: the
next one from the sums of squares of those before, one query a degree (Stieltjes' procedure), which
loses nothing however far the numbers are from zero.

Source: Gautschi (2004), Orthogonal Polynomials: Computation and Approximation, section 2.2.3.1.
"""

from collections.abc import Iterable, Iterator, Mapping

import narwhals as nw
import numpy as np

from hierbayes.design.moments import Moments
from hierbayes.design.splines import power_of_two
from hierbayes.design.transforms import TOLD_APART, State
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Call, Constant, Expression, Number
from hierbayes.streams.learnt_states import stateful_calls
from hierbayes.streams.push_down.expressions import NotPushed, Writer, polynomials
from hierbayes.streams.push_down.rows import Plan, Question, UsedRows, numbers_in


def spread_of(call: Call, writer: Writer, rows: UsedRows, plan: Plan) -> Moments:
    """Return the moments of what a call learns from, in all rows that have it."""
    argument = call.arguments[0]
    number, what = writer.number(argument), deparse(argument)

    def ask(shift: float) -> dict[str, float]:
        table = plan.answer(rows.spread(number, what, shift))
        kinds = ("n", "mean", "var", "low", "high")
        return {kind: float(numbers_in(table, rows.name(kind))[0]) for kind in kinds}

    first = ask(0.0)
    if not first["n"]:
        return Moments(0, *(np.zeros(1) for _ in range(4)))
    about = ask(first["mean"])
    return Moments(
        int(first["n"]),
        np.array([first["mean"] + about["mean"]]),
        np.array([about["var"] * first["n"]]),
        np.array([first["low"]]),
        np.array([first["high"]]),
    )


def polynomials_to_learn(
    expressions: Iterable[Expression], states: Mapping[Expression, State]
) -> Iterator[Call]:
    """List the orthogonal polynomials of one number whose states can be learnt next."""
    found = [call for expression in expressions for call in stateful_calls(expression)]
    for call in dict.fromkeys(found):
        inside = [own for own in stateful_calls(call) if own != call]
        known = call in states or not all(own in states for own in inside)
        if not known and _degree_of(call) is not None:
            yield call


def _degree_of(call: Call) -> int | None:
    """Degree of an orthogonal polynomial of one number; None of what is none."""
    options = dict(call.keywords)
    given = [*call.arguments[1:], *(own for name, own in options.items() if name == "degree")]
    raw = options.get("raw")
    if call.function != "poly" or (isinstance(raw, Constant) and raw.value) or len(given) > 1:
        return None
    degree = given[0] if given else Number(1.0, "1")
    return int(degree.value) if isinstance(degree, Number) else None


def learn_polynomial(call: Call, writer: Writer, rows: UsedRows, *, plan: Plan) -> State:
    """Learn what ``poly`` learns, as ``design/transforms.py`` has it."""
    degree = _degree_of(call)
    assert degree is not None
    seen = spread_of(call, writer, rows, plan)
    unit = float(power_of_two(np.array([seen.low[0], seen.high[0]])))
    number = writer.number(call.arguments[0]) / unit
    alpha, norm2 = [float(seen.mean[0]) / unit], [1.0, float(seen.n)]
    reach = float(max(seen.high[0] - seen.mean[0], seen.mean[0] - seen.low[0])) / unit
    for k in range(1, degree + 1):
        last = polynomials(number, alpha, norm2)[-1]
        table = plan.answer(_squares(rows, number - alpha[0], last, deparse(call)))
        square, along = (float(numbers_in(table, rows.name(name))[0]) for name in ("p", "xp"))
        if not square > (TOLD_APART * reach**k) ** 2 * seen.n:
            raise NotPushed(f"{deparse(call)} asks for more than the engine's sums tell apart.")
        norm2.append(square)
        if k < degree:
            alpha.append(alpha[0] + along / square)
    return {"degree": degree, "raw": False, "unit": unit, "alpha": alpha, "norm2": norm2}


def _squares(rows: UsedRows, centred: nw.Expr, last: nw.Expr, what: str) -> Question:
    """Ask for the sum of squares of a polynomial, and of these times the number."""
    x, p = rows.name("x"), rows.name("p")
    square = nw.col(p) * nw.col(p)
    usable = nw.col(x).is_finite()
    return Question(
        purpose=f"the next polynomial of {what}",
        frame=rows.frame.select(centred.alias(x), last.alias(p)).select(
            nw.when(usable).then(square).sum().alias(p),
            nw.when(usable).then(square * nw.col(x)).sum().alias(rows.name("xp")),
        ),
    )
