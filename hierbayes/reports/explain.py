"""What a formula became on the data, in words: the text of ``model.explain()``.

Reads a ``Design``; fits nothing. Written for someone who meets the formula language for the first
time, exact enough for someone who checks a design.
"""

import re
import textwrap
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.design.design import Design, GroupingFactor, RandomTerm
from hierbayes.families.builtin import GAUSSIAN
from hierbayes.families.family import Family
from hierbayes.families.parameter_formulas import ParameterLink, links_of
from hierbayes.formula.functions import PATTERNS
from hierbayes.formula.parser import formula_text
from hierbayes.gaussian.marginal import Pattern
from hierbayes.gaussian.patterned import Patterned
from hierbayes.gaussian.structures import structure
from hierbayes.render.blocks import Block, Blocks, Heading, Paragraph, Preformatted
from hierbayes.render.layout import matrix_lines, wrapped
from hierbayes.render.numbers import format_number
from hierbayes.reports.residual_structure import series_words
from hierbayes.results.rich_text import RichText
from hierbayes.results.undetermined_findings import undetermined_findings
from hierbayes.specification.specification import Specification
from hierbayes.streams.table import Passes, StreamedTable
from hierbayes.wording import counted, listed

INTERCEPT = "(Intercept)"
FACTORS = "Grouping factors"
SUMS = "Where the sums were made"
QUERY = "Query"
RANGE_DIGITS = 4
CODINGS = {
    "sum contrasts": "sum contrasts: each coefficient is a level's distance from the mean "
    "over levels; the last level has none of its own",
    "helmert contrasts": "helmert contrasts: each coefficient compares a level with the mean of "
    "the levels before it",
    "poly contrasts": "polynomial trend over the levels in their order: .L linear, .Q quadratic, "
    ".C cubic, ^4 and so on",
    "every level has its own column": "one coefficient for every level (there is no baseline)",
}


PATTERN_WORDS = {
    "diag": "They are independent",
    "cs": "Any two are equally correlated",
    "ar1": "Their correlation falls with the number of steps between them, as a power",
    "toep": "Their correlation hangs on the number of steps between them",
}
BY_NUTS = (
    "Residuals: correlated within series, {term}, beside random effects in the formula of sigma. "
    "No cross-products hold these: NUTS samples the posterior, and each of its steps goes through "
    "the rows."
)
STRUCTURES = {
    "nested": "Levels are eliminated block by block: one small Cholesky factor a level.",
    "crossed": (
        "The largest factor is eliminated block by block, the others as one dense matrix of "
        "{size} columns."
    ),
    "sparse": (
        "The levels of all factors are eliminated together, in an order that keeps the matrix "
        "sparse: its Cholesky factor holds {numbers:,} numbers, and a fit needs {memory} of "
        "memory for it and its inverse."
    ),
    "schur": (
        "The largest factor is eliminated level by level. Nearly all levels of the others meet in "
        "it, so they are left as one dense matrix of {size:,} columns, and a fit needs {memory} of "
        "memory for its factor and its inverse."
    ),
    "related": (
        "Levels are related: one factor of one column is turned once to axes along which its "
        "effects are independent; others are one dense matrix."
    ),
}


def explain_model(spec: Specification) -> RichText:
    """Say what a specification is, how it is solved, and what its data can't determine."""
    said = _model_text(spec)
    return RichText(said, explain_blocks(said))


def explain_blocks(text: str) -> Blocks:
    """Return what is explained as a page shows it: headings, paragraphs, the table of factors.

    A line at the edge is a heading. Below it a line goes on with the one before it if it stands
    further in, or if none of its section does; columns stay in columns.
    """
    blocks: list[Block] = []
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        first, *rest = part.split("\n")
        if first.startswith("Formula:") or not rest:
            blocks.append(Paragraph(" ".join(line.strip() for line in (first, *rest))))
            continue
        if first.startswith("  ") or not rest[0].startswith("  "):
            blocks.append(Paragraph(" ".join(line.strip() for line in (first, *rest))))
            continue
        blocks.append(Heading(first))
        if first.startswith((FACTORS, QUERY)):
            blocks.append(Preformatted(textwrap.dedent("\n".join(rest))))
        else:
            blocks += [Paragraph(one) for one in _unwrapped(rest)]
    return tuple(blocks)


def _unwrapped(lines: Sequence[str]) -> list[str]:
    """Join the lines of a section to its paragraphs."""
    hangs = any(line.startswith("    ") for line in lines)
    found: list[str] = []
    for line in lines:
        if found and (line.startswith("    ") or not hangs):
            found[-1] += f" {line.strip()}"
        else:
            found.append(line.strip())
    return found


def _model_text(spec: Specification) -> str:
    said = _design_text(spec)
    if not isinstance(spec.table, StreamedTable):
        return said
    return "\n\n".join([said, *_passes(spec.table.passes)])


def _passes(passes: Passes) -> list[str]:
    """Say how the rows of a stream were gone through, with the queries an engine was asked."""
    if not passes.queries:
        read = f"The rows were read from {passes.source}; none was kept."
        if passes.not_pushed:
            read += f" They were not summed inside of it: {passes.not_pushed}"
        return ["\n".join([SUMS, *_indented(read)])]
    seconds = sum(asked.seconds for asked in passes.queries)
    inside = (
        f"Inside of {passes.source}, by {len(passes.queries)} queries in {seconds:.2g} s; no row "
        "left it."
    )
    parts = ["\n".join([SUMS, *_indented(inside)])]
    for number, asked in enumerate(passes.queries, start=1):
        lines = [f"  {line}" for line in asked.text.splitlines() if line.strip()]
        head = f"{QUERY} {number} ({asked.seconds:.2g} s): {asked.purpose}"
        parts.append("\n".join([*wrapped(head, "", ""), *lines]))
    return parts


def _design_text(spec: Specification) -> str:
    if spec.has_residual_structure:
        return explain_text(spec.design, structure=_of_residuals(spec), family=spec.family)
    if spec.design.residual is not None:
        said = BY_NUTS.format(term=spec.design.residual.call)
        return explain_text(spec.design, structure=said, family=spec.family)
    if not (spec.design.factors and spec.family.is_linear) or spec.design.formulas:
        return explain_text(spec.design, family=spec.family)
    kernel = spec.kernel("reml")
    size = sum(A.shape[0] * A.shape[1] for A in kernel.products.zz[1:])
    structure = STRUCTURES[kernel.pattern.name].format(
        size=size, numbers=kernel.pattern.n_numbers, memory=_memory(kernel.pattern)
    )
    said = explain_text(spec.design, structure=structure, family=spec.family)
    found = undetermined_findings(spec.design, kernel.undetermined)
    return "\n".join([said, *("\n" + textwrap.fill(str(one), 80) for one in found)])


def _of_residuals(spec: Specification) -> str:
    """Say what residuals have, and whether an evaluation touches rows."""
    found, own = spec.residuals, spec.residual_kernel("reml", related=True).products
    names = listed(list(found.names), "and")
    way = (
        f"their inverse covariance has {counted(own.kind.size, 'class', 'classes')} of equal "
        "entries, whose cross-products are made once: no evaluation touches a row."
        if own.kept is not None
        else f"their inverse covariance has {own.kind.size} different entries, too many to keep "
        "cross-products of each: every evaluation sums over the rows."
    )
    said = f"Residuals: beside sigma, the sd of the reference, they have {names}; {way}"
    if spec.has_fitted_sds:
        said += (
            " The fitted values in the formula of sigma are those of a fit before: fits are "
            "repeated until they stay, and each makes its cross-products from the rows anew."
        )
    return said


def _memory(pattern: Pattern) -> str:
    """Return the memory a pattern says it needs, in words; nothing where it is small."""
    n_bytes = getattr(pattern, "n_bytes", 0.0)
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e8 else f"{n_bytes / 1e6:.1f} MB"


def explain_text(design: Design, *, structure: str = "", family: Family = GAUSSIAN) -> str:
    """Say what response, fixed part, bars, factors and rows of a model are.

    Parameters
    ----------
    design : Design
    structure : the block structure the solver uses, in words; left out when empty
    family : of the response

    Returns
    -------
    str
        Paragraphs with headings, at most 80 characters wide.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> print(model.explain().splitlines()[0])
    Formula: Reaction ~ Days + (Days | Subject)
    """
    lines = wrapped(f"Formula: {formula_text(design.formula)}", "", " " * 9)
    lines += [
        "",
        *_response(design, family),
        "",
        *_rows(design),
        "",
        *_fixed_part(design, family),
    ]
    if design.terms:
        lines += ["", *_random_part(design), "", *_factors(design)]
    for link in links_of(design, family).values():
        lines += ["", *_parameter_part(design, link)]
    if design.residual is not None:
        head = "Residuals: how rows of a series hang together"
        lines += ["", head, *_indented(series_words(design.residual))]
    lines += ["", *_parameters(design, family)]
    if structure:
        lines += ["", "How it is solved", *_indented(structure)]
    return "\n".join(lines)


def _indented(text: str) -> list[str]:
    return wrapped(text, "  ", "  ")


def _response(design: Design, family: Family) -> list[str]:
    label = design.formula.response_label
    if design.y.ndim == 2:
        text = f"{label}: successes and failures of {design.y.shape[0]} rows."
    else:
        known = design.rows.moments
        if known is None:
            values = (design.y.min(), design.y.mean(), design.y.max())
        else:
            own = known.response
            values = (own.low[0], own.mean[0], own.high[0])
        low, mean, high = (format_number(float(v), RANGE_DIGITS) for v in values)
        text = f"{label}, from {low} to {high}, mean {mean}."
    lines = ["Response: what is modelled", *_indented(text)]
    if not family.is_linear:
        lines += _indented(
            f"Family {family}, link {family.link}: fixed and random part add up on the scale of "
            "the link.",
        )
    if family.curve is not None:
        lines += _indented(
            f"A psychometric function along {family.curve.stimulus}, {family.curve.words}: "
            "guess + (1 - guess - lapse) x core function, the inverse link of that sum.",
        )
    return lines


def _rows(design: Design) -> list[str]:
    n = design.X.shape[0]
    given = design.n_rows_given or n
    missing = {name: k for name, k in design.dropped.items() if k}
    if n == given:
        text = f"All {counted(n, 'row')} of the data are used."
    elif missing:
        columns = listed([f"{k} in {name}" for name, k in missing.items()])
        text = f"{n} of {given} rows are used; {given - n} dropped for missing values ({columns})."
    else:
        text = f"{n} of {given} rows are used."
    lines = ["Rows", *_indented(text)]
    if design.cells is not None:
        cells = counted(design.cells.y.shape[0], "distinct row")
        lines += _indented(
            f"They were read as a stream and are {cells}, each with the number of rows that are "
            "equal to it: the likelihood is that of all rows.",
        )
    weights = design.summands.weights
    if weights is not None:
        which = f"are {design.rows.precision_source}"
        if design.summands.rows.moments is None:
            low, high = (format_number(float(w), RANGE_DIGITS) for w in _range(weights))
            which = f"from {low} to {high}"
        lines += _indented(
            f"Weights {which}: a row of weight 4 counts as the mean of 4 "
            "observations, its residual sd is half of sigma.",
        )
    if design.offset is not None:
        moments = design.rows.moments
        own = None if moments is None else moments.offset
        ends = _range(design.offset) if own is None else (own.low[0], own.high[0])
        low, high = (format_number(float(o), RANGE_DIGITS) for o in ends)
        lines += _indented(
            f"Offset from {low} to {high}: added to the prediction as it is, without a "
            "coefficient.",
        )
    if design.known_sd is not None:
        lines += _indented("The residual sd of every row is known; sigma is not estimated.")
    return lines


def _range(values: FloatArray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _fixed_part(design: Design, family: Family) -> list[str]:
    names = coefficients_of(design, family)
    p = len(names)
    lines = ["Fixed part: what holds for everybody"]
    if not p:
        return [*lines, "  No coefficients: the mean is zero, or the offset."]
    lines += wrapped(f"{counted(p, 'coefficient')}: {', '.join(names)}", "  ", "    ")
    for factor, how in design.baselines.items():
        meaning = CODINGS.get(how, f"baseline {how}; a coefficient is a level's difference from it")
        lines += wrapped(f"{factor}: {meaning}.", "  ", "    ")
    return lines


def _parameter_part(design: Design, link: ParameterLink) -> list[str]:
    """Say what the formula of a further parameter became."""
    name = link.name
    own, scale = design.of(name), "logit" if link.is_share else "logarithm"
    _, _, right = formula_text(own.formula).partition(" ~ ")
    lines = [
        f"{name} ~ {right}: how {name} differs between rows",
        *_indented(f"What follows adds up on the scale of the {scale} of {name}."),
    ]
    names = own.coef_names
    if names:
        lines += wrapped(f"{counted(len(names), 'coefficient')}: {', '.join(names)}", "  ", "    ")
    for _, sentence in bar_sentences(own):
        lines += wrapped(sentence, "  ", "    ")
    return lines


def _random_part(design: Design) -> list[str]:
    lines = ["Random part: how the levels of a grouping factor differ"]
    for label, pairs in groupby(bar_sentences(design), key=lambda pair: pair[0]):
        lines += _indented(label)
        for _, sentence in pairs:
            lines += wrapped(sentence, "    ", "    ")
    return lines


def bar_sentences(design: Design) -> list[tuple[str, str]]:
    """Pair each bar with what it became: one sentence a grouping factor it names."""
    return [
        (label, _bar_sentence(design, factor, list(blocks)))
        for label, terms in groupby(design.terms, key=lambda term: term.label)
        for factor, blocks in groupby(terms, key=lambda term: term.factor)
    ]


def _bar_sentence(design: Design, position: int, terms: list[RandomTerm]) -> str:
    """Say what one bar gives the levels of one factor, and how many parameters that takes."""
    factor = design.factors[position]
    columns = [_column_words(factor.columns[c]) for term in terms for c in term.columns]
    sentence = f"Each level of {factor.name} has its own {listed(columns)}"
    q = len(columns)
    if factor.relation is not None:
        known = f"Levels go together as cov[{factor.name!r}] says, {factor.levels.size} in all."
        sentence = f"{sentence}. {known}"
        sentence = sentence.removesuffix(".")
    if q == 1:
        return f"{sentence}: 1 variance." if factor.relation is None else f"{sentence}. 1 variance."
    own = structure(terms[0].covariance, q)
    if isinstance(own, Patterned):
        word, _ = PATTERNS[terms[0].covariance]
        sds = "one variance of all" if own.hom else counted(q, "variance")
        how = f"{PATTERN_WORDS[word]}: {sds}"
        many = len(own.correlation_names)
        how += f" and {counted(many, 'correlation')}." if many else "."
    elif len(terms) == 1:
        covariances = counted(q * (q - 1) // 2, "covariance")
        how = f"They may be correlated: {counted(q, 'variance')} and {covariances}."
    else:
        how = f"They are independent: {counted(q, 'variance')}, no covariance."
    return f"{sentence}. {how}"


def _column_words(column: str) -> str:
    return "intercept" if column == INTERCEPT else f"effect of {column}"


def _factors(design: Design) -> list[str]:
    """Table of the grouping factors: levels, and rows a level; a stream's rows were not kept."""
    if not design.keeps_rows and design.cells is None:
        counts = [[str(factor.levels.size)] for factor in design.factors]
        names = [f"  {factor.name}" for factor in design.factors]
        return [f"{FACTORS}: number of levels", *matrix_lines(counts, names, ["levels"])]
    rows = []
    for factor in design.summands.factors:
        n = rows_per_level(factor, design.summands.counts)
        sizes = (float(n.min()), float(np.median(n)), float(n.max()))
        rows.append([str(n.size), *map(format_number, sizes)])
    names = [f"  {factor.name}" for factor in design.factors]
    table = matrix_lines(rows, names, ["levels", "fewest", "median", "most"])
    return [f"{FACTORS}: number of levels, and rows in a level", *table]


def rows_per_level(factor: GroupingFactor, counts: IntArray | None = None) -> IntArray:
    """Count the rows of each level, shape (J,), of cells that are so many rows each."""
    known = factor.codes >= 0
    times = None if counts is None else counts[known].astype(np.float64)
    found = np.bincount(factor.codes[known], weights=times, minlength=len(factor.levels))
    return found.astype(np.intp)


def _parameters(design: Design, family: Family) -> list[str]:
    p = len(coefficients_of(design, family))
    n_variances = n_covariances = n_correlations = 0
    for term in design.terms:
        q = len(term.columns)
        pattern = structure(term.covariance, q)
        if pattern is None:
            n_variances, n_covariances = n_variances + q, n_covariances + q * (q - 1) // 2
        else:
            n_variances += int(pattern.is_scale.sum())
            n_correlations += int((~pattern.is_scale).sum())
    parts = [counted(p, "coefficient")]
    if n_variances:
        parts.append(f"{counted(n_variances, 'variance')} of random effects")
    if n_covariances:
        parts.append(counted(n_covariances, "covariance"))
    if n_correlations:
        parts.append(counted(n_correlations, "correlation"))
    about = {link.parameter for link in links_of(design, family).values()}
    if family.weighs_sigma and design.known_sd is None and "sigma" not in about:
        parts.append("the residual variance")
    own = [parameter.name for parameter in family.further_parameters]
    own = [name for name in own if name not in about]
    if family.is_ordinal:
        parts.append("the thresholds between the categories")
    elif own:
        parts.append(f"{listed(own)} of the family {family}")
    parts += [f"those of the formula of {name}" for name in design.formulas]
    if design.residual is not None:
        many = design.residual.word == "us"
        parts.append("correlations and sds of visits" if many else "a correlation of residuals")
    return ["Parameters", *_indented(f"{listed(parts)}.")]


def coefficients_of(design: Design, family: Family) -> list[str]:
    """Names of the coefficients: thresholds take the intercept's place in an ordinal model."""
    names = list(design.coef_names)
    return [name for name in names if name != INTERCEPT] if family.is_ordinal else names
