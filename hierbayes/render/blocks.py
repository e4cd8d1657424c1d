"""What a result shows, before it is text, HTML, Markdown or LaTeX: a few kinds of blocks.

A function a result makes its blocks once; ``text``, ``html``, ``markdown`` and ``latex`` write
them. Cells and sentences are made texts here already, so the four tell the same numbers. What the
terminal shows in R's own layout is a ``Printed`` block, with the blocks that stand for it on a
page.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from hierbayes.arrays import record

Column = tuple[str, Sequence[str]]  # name and cells
Layout = Literal["right", "left", "vector"]


@record(kw_only=False)
class Heading:
    """A title; level 3 is that of a result, 1 and 2 are the page's and its sections'.

    Attributes
    ----------
    text, level : what it says, and how high it stands
    anchor : the name under which links reach it; letters, digits and hyphens
    """

    text: str
    level: int = 3
    anchor: str = ""


@record(kw_only=False)
class Paragraph:
    """Sentences; each of its lines begins anew on the terminal, and runs on elsewhere.

    Attributes
    ----------
    text : the sentences
    soft : whether it is said in a low voice: how to read a table, for example
    gap : whether an empty line comes before it on the terminal
    """

    text: str
    soft: bool = False
    gap: bool = True


@record(kw_only=False)
class Fact:
    """A labelled line: what was fitted to which data.

    Attributes
    ----------
    label : with its colon; may be empty
    text : a formula, a name, a count
    pieces : where the terminal may break it, if it does
    width : of the labels, which stand below each other at their right edge; 0 for a line of its own
    """

    label: str
    text: str
    pieces: tuple[str, ...] = ()
    width: int = 0


@record(kw_only=False)
class Table:
    """A table of texts.

    Attributes
    ----------
    columns : name and cells of each column
    rows : names of the rows; none where the first columns say what a row is
    caption : a line above it on a page
    head : a line above it on the terminal
    labels : so many first columns are words, aligned left
    layout : on the terminal, columns aligned "right" or "left", or a named "vector" of one row
    stars : marks of significance, a last column without a name; their legend follows the table
    gap : whether an empty line comes before it on the terminal
    name : of the table in a page with several; its cells then say which they are
    notes : sentences below it: what its limits are, why a number is missing
    links : anchors, one a row, where the last column leads on a page
    """

    columns: Sequence[Column]
    rows: Sequence[str] | None = None
    caption: str = ""
    head: str = ""
    labels: int = 0
    layout: Layout = "right"
    stars: Sequence[str] | None = None
    gap: bool = True
    name: str = ""
    notes: Sequence[str] = ()
    links: Sequence[str] = ()

    @property
    def named(self) -> list[Column]:
        """The columns, with the stars if there are any."""
        return [*self.columns, ("", self.stars)] if self.stars is not None else [*self.columns]

    @property
    def header(self) -> list[str]:
        """Names of the columns."""
        return [name for name, _ in self.named]

    @property
    def body(self) -> list[list[str]]:
        """Cells by rows."""
        cells = [column for _, column in self.named]
        if self.rows is None:
            return [list(row) for row in zip(*cells, strict=True)]
        return [[column[i] for column in cells] for i in range(len(self.rows))]

    @property
    def lines(self) -> list[list[str]]:
        """Header and rows, begun by the names of the rows if they have any."""
        lines = [self.header, *self.body]
        if self.rows is None:
            return lines
        return [[name, *line] for name, line in zip(["", *self.rows], lines, strict=True)]

    @property
    def n_left(self) -> int:
        """How many columns of ``lines`` are aligned left."""
        return self.labels + (self.rows is not None)


@record(kw_only=False)
class Preformatted:
    """Output or code, kept as it is; ``language`` of code."""

    text: str
    language: str = ""


@record
class Picture:
    """A PNG to be put into a page.

    Attributes
    ----------
    png : the bytes of the file, or a function that draws it when a page is written; none where it
        can't be drawn
    alt : what the picture shows, in words
    is_dark : drawn in the dark theme; a dark page turns the others dark
    """

    png: bytes | Callable[[], bytes]
    alt: str
    is_dark: bool = False

    @property
    def content(self) -> bytes:
        """The bytes of the file; none where it can't be drawn."""
        return self.png() if callable(self.png) else self.png


@record(kw_only=False)
class Findings:
    """What was found while fitting, a sentence each; nothing is shown of none."""

    sentences: Sequence[str]


@record(kw_only=False)
class Printed:
    """Lines of the terminal in a layout of their own, and the blocks that a page shows for them.

    Attributes
    ----------
    lines, page : the two, or functions that make them when they are wanted
    gap : whether an empty line comes before it on the terminal
    """

    lines: Sequence[str] | Callable[[], Sequence[str]]
    page: Sequence["Block"] | Callable[[], Sequence["Block"]] = ()
    gap: bool = True


@record(kw_only=False)
class Wide:
    """Blocks whose lines may be ``WIDE`` characters long on the terminal."""

    blocks: Sequence["Block"]


@record(kw_only=False)
class Folded:
    """Details that a page shows when their line is clicked; below a heading elsewhere."""

    summary: str
    blocks: Sequence["Block"]


@record(kw_only=False)
class Mathematics:
    """A displayed equation in LaTeX."""

    latex: str


@record(kw_only=False)
class Markup:
    """A piece of HTML made elsewhere; shown on HTML pages only."""

    html: str


Shown = Heading | Paragraph | Fact | Table | Preformatted | Picture | Findings
Plain = Shown | Markup | Folded | Mathematics
Block = Plain | Printed | Wide
Blocks = tuple[Block, ...]


@record(kw_only=False)
class Section:
    """A heading of a document and the blocks below it.

    Attributes
    ----------
    heading : may be empty
    blocks : in order
    name : by which a reader asks for it
    """

    heading: str
    blocks: Sequence[Block]
    name: str = ""


def facts(*pairs: tuple[str, str]) -> list[Fact]:
    """Return labelled lines, those that have something to say."""
    return [Fact(label, text) for label, text in pairs if text]


def paragraphs(sentences: Iterable[str]) -> list[Paragraph]:
    """Return a paragraph a text."""
    return [Paragraph(text) for text in sentences]


def prose(text: str) -> list[Paragraph]:
    """Return the paragraphs of a text, which empty lines separate."""
    return paragraphs(part.strip() for part in text.split("\n\n") if part.strip())


def columns_of(cells: Sequence[Sequence[str]], names: Sequence[str]) -> list[Column]:
    """Return named columns of cells that were made by rows."""
    return [(name, [row[j] for row in cells]) for j, name in enumerate(names)]


def page_blocks(blocks: Iterable[Block]) -> Iterator[Plain]:
    """Blocks as a page shows them: without what only the terminal needs to know."""
    for block in blocks:
        match block:
            case Printed():
                yield from page_blocks(block.page() if callable(block.page) else block.page)
            case Wide():
                yield from page_blocks(block.blocks)
            case _:
                yield block
