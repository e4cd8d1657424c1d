"""The command line: ``hierbayes tour``, ``gallery``, ``fit``, ``explain`` and ``lab``.

Results go to standard output. A mistake of the user ends as one readable message on standard
error with exit code 2; findings of a fit stand in its summary and are not repeated as warnings.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hierbayes.datasets import list_datasets, load_dataset
from hierbayes.design.table import Table, read_table
from hierbayes.errors import DataError, HierBayesError, HierBayesWarning, OptionError
from hierbayes.model.model import Model
from hierbayes.render.output_files import write_files
from hierbayes.wording import did_you_mean

USER_ERROR = 2


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

    with _working("Fitting the models of the lecture ..."):
        lecture = fit_lecture()
    with _working("Drawing its figures ..."):
        pictures = lecture_figures(lecture)
    steps = tour_steps(lecture)
    files = {name: picture.png for name, picture in pictures.items()}
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

    with _working("Fitting the models of the gallery ..."):
        sources = fit_gallery()
    with _working("Drawing its pictures ..."):
        files = gallery_files(sources)
    write_files(out, files)
    typer.echo(f"{len(files) - 1} pictures: {out / 'index.html'}")


@app.command()
def fit(
    formula: FormulaArgument,
    data: DataArgument,
    ml: Annotated[bool, typer.Option("--ml", help="Maximum likelihood, not REML.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write a report: .html, .md or .tex.")] = None,
    weights: WeightsOption = None,
    contrasts: ContrastsOption = None,
) -> None:
    """Fit a model and print its summary."""
    found = _model(formula, data, weights=weights, contrasts=contrasts).fit("ml" if ml else "reml")
    if report is not None:
        found.report(report)
    typer.echo(found.summary())
    if report is not None:
        typer.echo(f"\nReport: {report}")


@app.command()
def explain(
    formula: FormulaArgument,
    data: DataArgument,
    weights: WeightsOption = None,
    contrasts: ContrastsOption = None,
) -> None:
    """Say in words what a formula becomes on the data."""
    typer.echo(_model(formula, data, weights=weights, contrasts=contrasts).explain())


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


def _model(formula: str, data: str, *, weights: str | None, contrasts: list[str] | None) -> Model:
    return Model(
        formula,
        _table(data),
        weights=weights,
        contrasts=_contrasts(contrasts),
        data_name=Path(data).name.split(".")[0],
    )


def _table(name: str) -> Table:
    """Read a bundled data set by its name, or a file by its path."""
    bundled = list(list_datasets().index)
    if name in bundled:
        return read_table(load_dataset(name))
    path = Path(name)
    if path.is_file():
        return read_table(path)
    if path.is_dir():
        raise DataError(f"DATA={name!r} is a folder; give a CSV or Parquet file.")
    raise DataError(
        f"DATA={name!r} is neither a file nor a bundled data set{did_you_mean(name, bundled)}"
    )


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


if __name__ == "__main__":
    main()
