"""The command line: ``hierbayes fit``, ``sample``, ``compare``, ``confint``, ``emmeans`` and more.

Results go to standard output, with ``--json`` as one object for other programs. A mistake of the
user ends as one readable message on standard error with exit code 2; findings of a fit stand in its
summary and are not repeated as warnings.
"""

import inspect
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from typer.core import TyperGroup

from hierbayes.datasets import list_datasets, load_dataset
from hierbayes.design.table import Table, read_table
from hierbayes.errors import DataError, HierBayesError, HierBayesWarning, OptionError
from hierbayes.model.model import Model
from hierbayes.render.output_files import write_files
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.wording import did_you_mean

USER_ERROR = 2
APART = 1  # where a fit differs from its reference


class Commands(TyperGroup):
    """The commands; what we raise on purpose becomes a message instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; findings are printed with the fit, so their warnings are silenced."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", HierBayesWarning)
                return super().invoke(ctx)
        except HierBayesError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(USER_ERROR) from None


app = typer.Typer(
    cls=Commands,
    help="Multilevel models by lme4 formula.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

FormulaArgument = Annotated[
    str,
    typer.Argument(
        metavar="FORMULA", help="An lme4 formula in quotes: 'Reaction ~ Days + (Days | Subject)'."
    ),
]
DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="A CSV or Parquet file, or a bundled data set such as sleepstudy."
    ),
]
WeightsOption = Annotated[
    str | None, typer.Option(help="Precision weights: a column or an expression.")
]
ContrastsOption = Annotated[
    list[str] | None,
    typer.Option(help="Coding of a factor, for example recipe=sum; may be repeated."),
]
SigmaOption = Annotated[
    str | None, typer.Option(help="Formula of the residual sd, log scale: '~ x + (x | g)'.")
]
FamilyOption = Annotated[str, typer.Option(help="Response family: binomial, poisson, ...")]
LinkOption = Annotated[str | None, typer.Option(help="Link of the family; its default.")]
ReportOption = Annotated[Path | None, typer.Option(help="Write a report: .html, .md or .tex.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
LevelOption = Annotated[float, typer.Option(help="Level of the intervals.")]
SeedOption = Annotated[int | None, typer.Option(help="Seed of random numbers.")]
DdfOption = Annotated[
    str | None,
    typer.Option(help="Degrees of freedom: satterthwaite, kenward-roger, normal or none."),
]


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Greek letters
    app()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hierbayes {sys.modules[__package__].__version__}")
        raise typer.Exit()


def _model(
    formula: FormulaArgument,
    data: DataArgument,
    *,
    family: FamilyOption = "gaussian",
    link: LinkOption = None,
    weights: WeightsOption = None,
    contrasts: ContrastsOption = None,
    sigma: SigmaOption = None,
) -> Model:
    return Model(
        formula,
        _table(data),
        family,
        link,
        weights=weights,
        contrasts=_contrasts(contrasts),
        sigma=sigma,
        data_name=Path(data).name.split(".")[0],
    )


def _of_a_model(command: Callable[..., None]) -> Callable[..., None]:
    """Make a command of a function of a model: what makes the model is asked for first."""
    asked, own = inspect.signature(_model).parameters, inspect.signature(command).parameters
    further = list(own.values())[1:]

    def run(**options: Any) -> None:
        command(_model(**{name: options.pop(name) for name in asked}), **options)

    parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in (*asked.values(), *further)]
    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return app.command()(run)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print version.")
    ] = False,
) -> None:
    del version


@app.command()
def tour(
    out: Annotated[Path, typer.Option(help="Folder for tour.html and the figures.")] = Path("out"),
) -> None:
    """Run the lecture's analysis; print it and write a page."""
    from hierbayes.studies.lecture.analysis import fit_lecture
    from hierbayes.studies.lecture.figures import lecture_figures
    from hierbayes.studies.tour import tour_page, tour_steps, tour_text

    write_files(out, {})  # a folder that can't be written is said before the work
    with _working("Fitting the models of the lecture ..."):
        lecture = fit_lecture()
    with _working("Drawing its figures ..."):
        pictures = lecture_figures(lecture)
    steps = tour_steps(lecture)
    files = {name: picture.content for name, picture in pictures.items()}
    write_files(out, files | {"tour.html": tour_page(steps, pictures).encode()})
    typer.echo(tour_text(steps, folder=str(out)))
    typer.echo(f"\nThe tour as a page: {out / 'tour.html'}")


@app.command()
def gallery(
    out: Annotated[Path, typer.Option(help="Folder for index.html and the pictures.")] = Path(
        "out/gallery"
    ),
) -> None:
    """Draw every picture, from one factor and crossed factors, at two widths."""
    from hierbayes.studies.gallery import fit_gallery
    from hierbayes.studies.gallery_page import gallery_files

    write_files(out, {})
    with _working("Fitting the models of the gallery ..."):
        sources = fit_gallery()
    with _working("Drawing its pictures ..."):
        files = gallery_files(sources)
    write_files(out, files)
    typer.echo(f"{len(files) - 1} pictures: {out / 'index.html'}")


@_of_a_model
def fit(
    model: Model,
    ml: Annotated[bool, typer.Option("--ml", help="Maximum likelihood, not REML.")] = False,
    n_quadrature: Annotated[int, typer.Option(help="Nodes of quadrature; lme4's nAGQ.")] = 1,
    ddf: DdfOption = None,
    report: ReportOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a model and print its summary."""
    found = _fitted(model, ml=ml, n_quadrature=n_quadrature)
    options: dict[str, Any] = {} if ddf is None else {"ddf": ddf}
    _print_fit(found, found.tidy(**options), found.summary(**options), report, as_json)


@_of_a_model
def sample(
    model: Model,
    draws: Annotated[int, typer.Option(help="Draws a chain.")] = 1000,
    chains: Annotated[int, typer.Option(help="Number of chains.")] = 4,
    tune: Annotated[int, typer.Option(help="Draws a chain that NUTS takes to adapt.")] = 1000,
    sampler: Annotated[str, typer.Option(help="auto, collapsed or nuts.")] = "auto",
    seed: SeedOption = None,
    level: LevelOption = 0.95,
    report: ReportOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw from the posterior and print its summary."""
    options = {"draws": draws, "chains": chains, "tune": tune, "sampler": sampler}
    post = model.sample(**options, random_seed=seed)  # type: ignore[arg-type]
    _print_fit(post, post.tidy(level=level), post.summary(level=level), report, as_json)


@_of_a_model
def compare(
    model: Model,
    other: Annotated[
        list[str] | None,
        typer.Option(help="Another formula on the same data: likelihood ratios; may be repeated."),
    ] = None,
    seed: SeedOption = None,
    level: LevelOption = 0.95,
    report: ReportOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lay REML, ML and the posterior side by side; with --other compare formulas."""
    from hierbayes.comparison.anova import anova
    from hierbayes.comparison.compare import compare as compared

    if other:
        if report is not None:
            raise OptionError("--report is for REML beside the posterior; leave --other out.")
        rest = [_fitted(model).update(_right_side(formula)) for formula in other]
        _print(anova(_fitted(model), *rest), as_json)
        return
    methods: list[Any] = ["reml", "ml"] if model.spec.family.is_linear else ["ml"]
    with _working("Fitting and sampling ..."):
        fits = [model.fit(method) for method in methods]
        found = compared(*fits, model.sample(random_seed=seed, progress=False), level=level)
    if report is not None:
        found.report(report)  # type: ignore[union-attr]
    _print(found, as_json)


@_of_a_model
def confint(
    model: Model,
    method: Annotated[str, typer.Option(help="wald, profile or bootstrap.")] = "profile",
    parameters: Annotated[
        list[str] | None, typer.Option(help="A parameter, in any spelling; may be repeated.")
    ] = None,
    ml: Annotated[bool, typer.Option("--ml", help="Maximum likelihood, not REML.")] = False,
    nsim: Annotated[int, typer.Option(help="Bootstrap samples.")] = 500,
    seed: SeedOption = None,
    level: LevelOption = 0.95,
    as_json: JsonOption = False,
) -> None:
    """Print confidence intervals of all parameters."""
    from hierbayes.intervals.confint import confint as intervals

    with _working("Working out the intervals ..."):
        found = intervals(
            _fitted(model, ml=ml),
            method,  # type: ignore[arg-type]
            level,
            nsim=nsim,
            random_seed=seed,
            parameters=parameters or None,
        )
    _print(found, as_json)


@_of_a_model
def emmeans(
    model: Model,
    specs: Annotated[str, typer.Argument(metavar="SPECS", help="Predictors, with commas between.")],
    by: Annotated[str | None, typer.Option(help="Predictors whose values are kept apart.")] = None,
    pairwise: Annotated[bool, typer.Option("--pairwise", help="All differences.")] = False,
    type: Annotated[str, typer.Option(help="link, response or probability.")] = "link",
    kind: Annotated[str, typer.Option(help="difference, ratio or odds_ratio.")] = "difference",
    adjust: Annotated[str | None, typer.Option(help="tukey, holm, none ...")] = None,
    ddf: DdfOption = None,
    level: LevelOption = 0.95,
    as_json: JsonOption = False,
) -> None:
    """Print estimated marginal means, and contrasts between them."""
    from hierbayes.marginal_means.emmeans import emmeans as means

    found = means(
        _fitted(model),
        _names(specs),
        None if by is None else _names(by),
        contrasts="pairwise" if pairwise else None,
        ddf=ddf,  # type: ignore[arg-type]
        adjust=adjust,
        level=level,
        type=type,  # type: ignore[arg-type]
        kind=kind,  # type: ignore[arg-type]
    )
    if as_json:
        parts = {"means": _records(found.to_frame())}
        if found.contrasts is not None:
            parts["contrasts"] = _records(found.contrasts)
        _echo_json(parts)
        return
    typer.echo(str(found))


@_of_a_model
def explain(model: Model) -> None:
    """Say in words what a formula becomes on the data."""
    typer.echo(model.explain())


@app.command()
def conformance(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME ...]", help="Part of a model, data set or method; all."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Every number, not the farthest of each kind.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Hold our fits against those of lme4 and others; exit code 1 where they differ."""
    from hierbayes.studies.conformance.compare import compared, farthest
    from hierbayes.studies.conformance.lines import count_line, reason_lines, table_lines
    from hierbayes.studies.conformance.references import chosen_references

    chosen = chosen_references(names or [])
    with _working(f"Fitting {len(chosen)} models ..."):
        found = list(compared(chosen))
    if as_json:
        _echo_json([one.to_dict() for one in found])
    else:
        typer.echo("\n".join(table_lines(found if every else farthest(found))))
        if reasons := reason_lines(found):
            typer.echo("\nWhere the reference is off:\n" + "\n".join(reasons))
        typer.echo("\n" + count_line(found, chosen))
    if any(one.verdict == "APART" for one in found):
        raise typer.Exit(APART)


@app.command()
def lab(
    port: Annotated[int | None, typer.Option(help="Port of this machine to serve it on.")] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Open the shrinkage lab, an interactive page, in the browser."""
    from hierbayes.lab.launch import launch

    code = launch(port=port, browser=browser)
    if code:
        raise typer.Exit(code)


def _table(name: str) -> Table:
    """Read a bundled data set by its name, or a file by its path."""
    bundled = list(list_datasets().index)
    if name in bundled:
        return read_table(load_dataset(name))
    path = Path(name)
    if path.is_file():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", HierBayesWarning)
            table = read_table(path)
        for warning in said:  # how the file was read
            typer.echo(str(warning.message), err=True)
        return table
    if path.is_dir():
        raise DataError(f"DATA={name!r} is a folder; give a CSV or Parquet file.")
    raise DataError(
        f"DATA={name!r} is neither a file nor a bundled data set{did_you_mean(name, bundled)}"
    )


def _fitted(model: Model, *, ml: bool = False, n_quadrature: int = 1) -> LikelihoodFit:
    return model.fit("ml" if ml else None, n_quadrature)


def _right_side(formula: str) -> str:
    """Return a formula that ``update`` takes as a whole: with the response that was there."""
    return f". ~{formula.partition('~')[2]}" if "~" in formula else formula


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _print_fit(
    found: Fit, table: pd.DataFrame, summary: str, report: Path | None, as_json: bool
) -> None:
    """Print a fit, and write its report."""
    if report is not None:
        found.report(report)
    if as_json:
        findings = [{"code": f.code, "text": str(f)} for f in found.findings]
        about = {"formula": found.formula_text, "data": found.data_name, "method": found.method}
        more = _records(found.glance())[0]
        _echo_json(about | more | {"parameters": _records(table), "findings": findings})
        return
    typer.echo(summary)
    if report is not None:
        typer.echo(f"\nReport: {report}")


def _print(found: Any, as_json: bool) -> None:
    """Print a table, or its rows as JSON."""
    if as_json:
        frame = found if isinstance(found, pd.DataFrame) else found.to_frame()
        _echo_json(_records(frame))
        return
    typer.echo(found.to_string() if type(found) is pd.DataFrame else str(found))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table, what names them first."""
    named = frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
    names = [" ".join(map(str, n)).strip() if isinstance(n, tuple) else str(n) for n in named]
    return [dict(zip(names, row, strict=True)) for row in named.itertuples(index=False)]


def _echo_json(value: Any) -> None:
    typer.echo(json.dumps(_plain(value), ensure_ascii=False, indent=2))


def _plain(value: Any) -> Any:
    """Return what JSON has: a number that is none is null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return None if value is pd.NA else str(value)


def _contrasts(given: list[str] | None) -> dict[str, str] | None:
    if not given:
        return None
    pairs = [text.split("=", 1) for text in given]
    for text, pair in zip(given, pairs, strict=True):
        if len(pair) != 2 or not all(pair):
            raise OptionError(
                f"--contrasts={text!r} should name a factor and its coding, for example "
                "--contrasts recipe=sum."
            )
    return {factor.strip(): coding.strip() for factor, coding in pairs}


@contextmanager
def _working(message: str) -> Iterator[None]:
    """Show on a terminal that something is going on; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(message):
        yield
