"""A model of a stream in a file: what was learnt of its rows, and their sums; the rows are gone.

It is stored as a checkpoint stores it (``streams/checkpoint.py``). Reading lays the formula over
what was learnt again. The data have to be given anew for all that reads rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.design.design import Design
from hierbayes.design.moments import Moments, RowMoments
from hierbayes.design.reading import formula_expressions
from hierbayes.errors import DataError
from hierbayes.families.named import family_named
from hierbayes.formula.parser import columns_in, parse_formula
from hierbayes.gaussian.kernel import kernel_of_products
from hierbayes.gaussian.products import Anchor, Coupling, Products
from hierbayes.saving.archive import Archive, Damaged
from hierbayes.specification.specification import Arguments, Specification
from hierbayes.streams.batch_values import Question, question_of
from hierbayes.streams.checkpoint import read_learnt, stored_learnt
from hierbayes.streams.first_pass import Learnt, term_variables
from hierbayes.streams.kept_sums import StreamSums
from hierbayes.streams.source import Batch
from hierbayes.streams.table import Passes, StreamedTable
from hierbayes.streams.template import made_rows, template_of, with_moments, with_sums

NUMBERS = ("xx", "xy")
BY_FACTOR = ("zz", "zx", "zy")


class SavedSource:
    """The rows of a model that was read from a file: they are not in it."""

    re_readable = False

    def __init__(self, *, columns: list[str], name: str, n_rows: int) -> None:
        self.columns = columns
        self.name = name
        self.n_rows: int | None = n_rows
        self.description = "a stream that the saved fit was made of"
        self.fingerprint = "saved"

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[Batch]:
        """Say that there are none."""
        raise DataError(
            "The rows of this model were a stream, and its file holds their sums alone. Give the "
            "data again, hb.Model(formula, data)."
        )


def stored_stream(spec: Specification, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return a streamed specification's rows in terms of JSON; arrays go to ``arrays``."""
    table, design = spec.table, spec.design
    assert isinstance(table, StreamedTable)
    question, learnt = _own_part(table, spec)
    sums = design.rows.sums
    whole = None
    if isinstance(sums, StreamSums):
        same = sums.design.mean.layout is design.mean.layout
        whole = sums.whole if same else sums.products(design)
        if whole.anchor.kept.size < len(design.coef_names):
            whole = None
    products = spec.reml_kernel.products if whole is None else whole
    found = {
        "columns": table.names,
        "source": table.passes.source,
        "learnt": stored_learnt(question, learnt, arrays),
        "has_sums": whole is not None,
        "numbers": [products.n_obs, products.sum_log_weights, float(products.yy)],
    }
    anchor = products.anchor
    arrays |= {"kept": anchor.kept, "x_basis": anchor.x_basis, "beta0": anchor.beta0}
    arrays |= {f"products_{name}": getattr(products, name) for name in NUMBERS}
    for f, factor in enumerate(design.factors):
        arrays[f"z_basis_{f}"] = anchor.z_bases[f]
        arrays |= {f"products_{name}_{f}": getattr(products, name)[f] for name in BY_FACTOR}
        if whole is not None and isinstance(sums, StreamSums):
            arrays[f"rows_per_level_{f}"] = sums.counts[factor.name]
            grams = sums.grams[factor.name]
            arrays[f"grams_{f}"] = grams if whole is sums.whole else grams[:, :0]
    for (f, g), own in products.couplings.items():
        arrays[f"coupling_rows_{f}_{g}"] = own.rows
        arrays[f"coupling_columns_{f}_{g}"] = own.columns
        arrays[f"coupling_blocks_{f}_{g}"] = own.blocks
    moments = design.rows.moments
    assert moments is not None
    parts = [moments.response, moments.left, moments.X, *moments.z]
    parts += [] if moments.offset is None else [moments.offset]
    for k, one in enumerate(parts):
        arrays[f"moments_{k}"] = np.stack([one.mean, one.squares, one.low, one.high])
    return found


def _own_part(table: StreamedTable, spec: Specification) -> tuple[Question, Learnt]:
    """Return what a model asked and what was learnt for it, where it is a part of another one."""
    names = dict.fromkeys([*columns_in(spec.formula), *table.question.arguments_columns()])
    question = replace(
        table.question,
        formula=spec.formula,
        expressions=tuple(dict.fromkeys(formula_expressions(spec.formula))),
        columns=tuple(names),
    )
    learnt = replace(
        table.learnt,
        variables={e: table.learnt.variables[e] for e in term_variables(question)},
        groups={bar.group: table.learnt.groups[bar.group] for bar in spec.formula.bars},
        states={call: own for call, own in table.learnt.states.items()
                if call in _calls(question)},
    )  # fmt: skip
    return question, learnt


def _calls(question: Question) -> set[Any]:
    from hierbayes.streams.learnt_states import stateful_calls

    return {call for expression in question.expressions for call in stateful_calls(expression)}


class _Arrays(dict[str, Any]):
    """The arrays of an archive, by name, read when asked for."""

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self._archive = archive

    def __missing__(self, name: str) -> Any:
        return self._archive.array(name)


def read_stream(
    archive: Archive, formula: str, arguments: Arguments, *, data_name: str
) -> Specification:
    """Return the specification of a stream that ``stored_stream`` wrote."""
    stored = archive.specification["stream"]
    names = [str(name) for name in stored["columns"]]
    source = SavedSource(columns=names, name=data_name, n_rows=int(stored["learnt"]["n_given"]))
    read = parse_formula(formula, names)
    given = {name: getattr(arguments, name) for name in ("weights", "offset", "known_sd")}
    question = question_of(read, given, source)
    learnt = read_learnt(question, stored["learnt"], _Arrays(archive))
    template = template_of(question, learnt, contrasts=arguments.contrasts)
    products = _read_products(archive, template, stored)
    moments = _read_moments(archive, template, products.n_obs)
    design = with_moments(template, moments)
    if stored["has_sums"]:
        n_made, made = made_rows(template, learnt)
        at = {factor.name: f for f, factor in enumerate(template.factors)}
        sizes = {factor.name: factor.levels.size for factor in template.factors}
        sums = StreamSums(
            design=template,
            whole=products,
            moments=moments,
            made=made,
            n_made=n_made,
            counts={
                name: archive.array(f"rows_per_level_{f}", kinds="iu", shape=(sizes[name],))
                for name, f in at.items()
            },
            grams={
                name: archive.array(f"grams_{f}", kinds="f", shape=(sizes[name], None))
                for name, f in at.items()
            },
        )
        design = with_sums(template, sums)
        products = sums.products(template)
    table = StreamedTable(source, question, learnt, Passes(source=str(stored["source"])))
    return Specification(
        data_name=data_name,
        table=table,
        formula=read,
        arguments=arguments,
        family=family_named(arguments.family, arguments.link),
        design=design,
        kernel_given=kernel_of_products(design, products, "reml"),
    )


def _read_products(archive: Archive, design: Design, stored: Any) -> Products:
    kept = archive.array("kept", kinds="iu", shape=(None,))
    p, r = len(design.coef_names), kept.size
    if not np.isin(kept, np.arange(p)).all() or (stored["has_sums"] and r < p):
        raise Damaged("its sums are of other columns than the formula's")

    def floats(name: str, *shape: int | None) -> Any:
        found = archive.array(name, kinds="f", shape=shape)
        if not np.isfinite(found).all():
            raise Damaged("its sums are not finite")
        return found

    sizes = [(factor.levels.size, len(factor.columns)) for factor in design.factors]
    n, log_weights, yy = stored["numbers"]
    F = range(len(sizes))
    return Products(
        anchor=Anchor(
            kept=kept,
            x_basis=floats("x_basis", r, r),
            beta0=floats("beta0", r),
            z_bases=tuple(floats(f"z_basis_{f}", q, q) for f, (_, q) in enumerate(sizes)),
        ),
        n_obs=int(n),
        sum_log_weights=float(log_weights),
        xx=floats("products_xx", r, r),
        xy=floats("products_xy", r),
        yy=float(yy),
        zz=tuple(floats(f"products_zz_{f}", J, q, q) for f, (J, q) in enumerate(sizes)),
        zx=tuple(floats(f"products_zx_{f}", J, q, r) for f, (J, q) in enumerate(sizes)),
        zy=tuple(floats(f"products_zy_{f}", J, q) for f, (J, q) in enumerate(sizes)),
        couplings={
            (f, g): Coupling(
                rows=_places(archive, f"coupling_rows_{f}_{g}", sizes[f][0]),
                columns=_places(archive, f"coupling_columns_{f}_{g}", sizes[g][0]),
                blocks=floats(f"coupling_blocks_{f}_{g}", None, sizes[f][1], sizes[g][1]),
            )
            for f in F
            for g in F
            if f < g
        },
    )


def _places(archive: Archive, name: str, size: int) -> Any:
    found = archive.array(name, kinds="iu", shape=(None,))
    if found.size and not (found.min() >= 0 and found.max() < size):
        raise Damaged("its sums are of other levels than those learnt")
    return found


def _read_moments(archive: Archive, design: Design, n: int) -> RowMoments:
    sizes = [1, 1, len(design.coef_names), *(len(own.columns) for own in design.factors)]
    sizes += [] if design.offset is None else [1]
    parts = [
        Moments(n, *archive.array(f"moments_{k}", kinds="f", shape=(4, m)))
        for k, m in enumerate(sizes)
    ]
    response, left, X, *rest = parts
    F = len(design.factors)
    return RowMoments(
        response=response,
        left=left,
        X=X,
        z=tuple(rest[:F]),
        offset=rest[F] if len(rest) > F else None,
    )
