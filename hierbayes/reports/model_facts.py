"""What stands at the head of a summary: formula, data, arguments, and five numbers of values."""

from collections.abc import Sequence

from hierbayes.formula.deparse import deparse_lines
from hierbayes.formula.parser import formula_lines, formula_text, parse_expression
from hierbayes.render.blocks import Fact, Table, columns_of
from hierbayes.render.numbers import FIVE_NUMBERS, format_common, zap_small
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit

LABEL_WIDTH = 8  # of the lines above the tables


def model_facts(fit: LikelihoodFit) -> list[Fact]:
    """Return the formula, data, weights and offset."""
    parts = [("Formula:", formula_lines(fit.design.formula)), *specification(fit)]
    return [labelled(label, pieces, LABEL_WIDTH) for label, pieces in parts]


def labelled(label: str, pieces: Sequence[str], width: int) -> Fact:
    """Return a labelled line of pieces between which the terminal may break it."""
    return Fact(label, " ".join(map(str.strip, pieces)), tuple(pieces), width)


def specification(fit: Fit) -> list[tuple[str, list[str]]]:
    """Labels and lines of data, weights, offset and known sds, those that were given."""
    parts = [("Data:", [fit.data_name])] if fit.data_name else []
    curve = fit.response_family.curve
    if curve is not None:
        parts.append(("Curve:", [f"along {curve.stimulus}, {curve.words}"]))
    for name, formula in fit.design.formulas.items():
        _, _, right = formula_text(formula).partition(" ~ ")
        parts.append((f"{name}:", [f"~ {right}"]))
    if fit.design.residual is not None:
        parts.append(("residual:", [fit.design.residual.call]))
    weights, offset = _argument_lines(fit, "weights"), _argument_lines(fit, "offset")
    if fit.weighted:
        parts.append(("Weights:", weights or ["(given as an array)"]))
    if offset:
        parts.append(("Offset:", offset))
    if fit.design.known_sd is not None:
        known = _argument_lines(fit, "known_sd") or ["(given as an array)"]
        parts.append(("Known sd:", known))
    return parts


def _argument_lines(fit: Fit, name: str) -> list[str]:
    """Write an argument that was given as an expression, as R would; nothing for an array."""
    given = getattr(fit.spec.arguments, name)
    return deparse_lines(parse_expression(given)) if isinstance(given, str) else []


def five_numbers_table(values: Sequence[float], digits: int, *, caption: str) -> Table:
    """Five numbers of residuals as R prints them."""
    cells = format_common(zap_small(values, digits + 1), digits)
    columns = columns_of([cells], FIVE_NUMBERS)
    return Table(columns, caption=caption, head=f"{caption}: ", layout="vector")
