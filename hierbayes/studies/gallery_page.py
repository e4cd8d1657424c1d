"""The gallery: every picture of ``hb.plot`` from a model of one factor and from crossed ones.

An entry says which function draws what with which options; from it come both the picture and the
code shown beside it. Each is drawn as wide as a page (160 mm) and as a journal's column (80 mm).
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import hierbayes.plots as plots
from hierbayes.arrays import record
from hierbayes.render.blocks import Markup, Paragraph, Preformatted, Section
from hierbayes.render.html import escape, page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTHS_MM = (160.0, 80.0)
DPI = 150
TITLE = "Pictures of hierbayes"


@record
class GallerySource:
    """What pictures are drawn from.

    Attributes
    ----------
    name : of the data
    heading : what kind of model it is
    setup : the code that makes the values, from ``import hierbayes as hb``
    values : name in that code -> value
    """

    name: str
    heading: str
    setup: str
    values: Mapping[str, Any]


@record
class Entry:
    """One picture.

    Attributes
    ----------
    picture : function of ``hb.plot``
    source : name of the source
    given : names of values, in the order of the arguments
    options : keyword arguments that are plain values
    values : keyword arguments that are names of values
    """

    picture: str
    source: str
    given: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """Name of its files, without width."""
        words = [self.source, self.picture, *map(str, self.options.values())]
        return "-".join("".join(c if c.isalnum() else "_" for c in word) for word in words)

    @property
    def code(self) -> str:
        """The call that draws it."""
        options = [f"{name}={value!r}" for name, value in self.options.items()]
        values = [f"{name}={value}" for name, value in self.values.items()]
        return f"hb.plot.{self.picture}({', '.join([*self.given, *options, *values])})"


SLEEP, PENICILLIN, LECTURERS, CAKE = "sleepstudy", "Penicillin", "InstEval", "cake"
TOUCH, SIMULATED = "touch_speed", "simulated"
MACHINES, ANIMALS = "Machines", "animals"
SEEDED = {"random_seed": 1}
FACETS = {"x": "Days", "y": "Reaction", "group": "Subject"}

ENTRIES = (
    Entry(picture="data", source=SLEEP, given=("sleep",), options=FACETS),
    Entry(
        picture="data",
        source=CAKE,
        given=("cake",),
        options={"x": "temp", "y": "angle", "group": "replicate"},
    ),
    Entry(
        picture="data",
        source=CAKE,
        given=("cake",),
        options={
            "x": "recipe",
            "y": "angle",
            "group": "replicate",
            "by": "temperature",
            "together": True,
        },
    ),
    Entry(picture="effects", source=SLEEP, given=("reml", "post")),
    Entry(picture="effects", source=PENICILLIN, given=("reml",)),
    Entry(
        picture="effects",
        source=LECTURERS,
        given=("reml",),
        options={"group": "d"},
    ),
    Entry(
        picture="effects",
        source=CAKE,
        given=("reml",),
        options={"x": "temp", "by": "recipe", "points": "residuals"},
    ),
    Entry(picture="estimates", source=SLEEP, given=("limits",)),
    Entry(picture="estimates", source=CAKE, given=("means",)),
    Entry(
        picture="compare",
        source=SLEEP,
        given=("reml", "ml", "post"),
        values={"confint": "limits"},
    ),
    Entry(picture="compare", source=PENICILLIN, given=("reml", "ml", "post")),
    Entry(picture="ppc", source=SLEEP, given=("post",), options=SEEDED),
    Entry(
        picture="ppc",
        source=SLEEP,
        given=("post",),
        options={"kind": "statistic", **SEEDED},
    ),
    Entry(
        picture="ppc",
        source=PENICILLIN,
        given=("post",),
        options={"kind": "group", "by": "plate", **SEEDED},
    ),
    Entry(picture="prior_predictive", source=SLEEP, given=("model",), options=SEEDED),
    Entry(
        picture="prior_predictive",
        source=PENICILLIN,
        given=("model",),
        options={"kind": "statistic", "statistic": "sd", **SEEDED},
    ),
    Entry(picture="chains", source=SLEEP, given=("post",)),
    Entry(picture="chains", source=PENICILLIN, given=("post",)),
    Entry(picture="prior_posterior", source=SLEEP, given=("post",)),
    Entry(picture="prior_posterior", source=PENICILLIN, given=("post",)),
    Entry(picture="loo", source=SLEEP, given=("post",)),
    Entry(picture="loo", source=PENICILLIN, given=("post",), options={"by": "sample"}),
    Entry(picture="sensitivity", source=SLEEP, given=("widths",)),
    Entry(picture="sensitivity", source=PENICILLIN, given=("powers",)),
    Entry(picture="shrinkage_plane", source=SLEEP, given=("reml",)),
    Entry(
        picture="shrinkage_plane",
        source=LECTURERS,
        given=("reml",),
        options={"group": "d"},
    ),
    Entry(picture="shrinkage_lines", source=SLEEP, given=("post",)),
    Entry(picture="shrinkage_lines", source=PENICILLIN, given=("reml",)),
    Entry(picture="shrinkage_slopegraph", source=SLEEP, given=("reml",), options={"term": "Days"}),
    Entry(picture="shrinkage_slopegraph", source=PENICILLIN, given=("reml",)),
    Entry(picture="shrinkage_reliability", source=SLEEP, given=("post",)),
    Entry(
        picture="shrinkage_reliability", source=LECTURERS, given=("reml",), options={"group": "d"}
    ),
    Entry(picture="tau_path", source=SLEEP, given=("reml",), values={"posterior": "post"}),
    Entry(picture="tau_path", source=PENICILLIN, given=("reml",), values={"posterior": "post"}),
    Entry(picture="caterpillar", source=SLEEP, given=("reml", "post")),
    Entry(picture="caterpillar", source=PENICILLIN, given=("reml", "post")),
    Entry(picture="ranef_qq", source=SLEEP, given=("reml",)),
    Entry(picture="ranef_qq", source=PENICILLIN, given=("reml",)),
    Entry(picture="intervals", source=SLEEP, given=("kinds",)),
    Entry(picture="intervals", source=PENICILLIN, given=("kinds",)),
    Entry(picture="profile", source=SLEEP, given=("profile",)),
    Entry(
        picture="profile",
        source=SLEEP,
        given=("profile",),
        options={"kind": "density"},
    ),
    Entry(picture="profile", source=PENICILLIN, given=("profile",)),
    Entry(picture="boundary", source=SLEEP, given=("profile", "post")),
    Entry(picture="boundary", source=PENICILLIN, given=("profile", "post")),
    Entry(picture="likelihood_surface", source=SLEEP, given=("surface",)),
    Entry(picture="likelihood_surface", source=PENICILLIN, given=("surface",)),
    Entry(picture="residuals", source=SLEEP, given=("reml",), options={"x": "Days"}),
    Entry(
        picture="residuals",
        source=PENICILLIN,
        given=("reml",),
        options={"x": "plate"},
    ),
    Entry(
        picture="autocorrelation",
        source=SLEEP,
        given=("reml",),
        options={"series": "Days | Subject"},
    ),
    Entry(
        picture="autocorrelation",
        source=CAKE,
        given=("reml",),
        options={"series": "temp | recipe:replicate"},
    ),
    Entry(picture="qq", source=SLEEP, given=("reml",)),
    Entry(picture="qq", source=PENICILLIN, given=("reml",)),
    Entry(picture="check", source=SLEEP, given=("checked",)),
    Entry(picture="check", source=PENICILLIN, given=("checked",)),
    Entry(picture="simulations", source=SLEEP, given=("reml",), options=SEEDED),
    Entry(
        picture="simulations",
        source=PENICILLIN,
        given=("reml",),
        options={"n": 3, "x": "sample", **SEEDED},
    ),
    Entry(picture="influence", source=SLEEP, given=("levels",)),
    Entry(picture="influence", source=PENICILLIN, given=("levels",)),
    Entry(picture="bootstrap", source=SIMULATED, given=("replicates",)),
    Entry(picture="null_distribution", source=SIMULATED, given=("test",)),
    Entry(picture="power", source=SIMULATED, given=("designs",)),
    Entry(picture="psychometric", source=TOUCH, given=("fit",)),
    Entry(picture="profile", source=MACHINES, given=("profile",)),
    Entry(picture="prior_posterior", source=MACHINES, given=("post",)),
    Entry(picture="caterpillar", source=ANIMALS, given=("reml", "post")),
    Entry(picture="shrinkage_slopegraph", source=ANIMALS, given=("reml",)),
)


def draw(entry: Entry, source: GallerySource, width_mm: float) -> "Figure":
    """Draw one entry, as wide as said."""
    values = {name: source.values[value] for name, value in entry.values.items()}
    given = [source.values[name] for name in entry.given]
    function = getattr(plots, entry.picture)
    figure: Figure = function(*given, **entry.options, **values, width=width_mm)[0]
    return figure


def gallery_files(sources: Sequence[GallerySource]) -> dict[str, bytes]:
    """Draw everything; return PNG files and ``index.html`` by name."""
    from matplotlib import pyplot

    by_name = {source.name: source for source in sources}
    files, shown = {}, []
    for entry in ENTRIES:
        words = ""
        for width in WIDTHS_MM:
            figure = draw(entry, by_name[entry.source], width)
            words = words or plots.alt_text(figure)
            buffer = BytesIO()
            figure.savefig(buffer, format="png", dpi=DPI)
            pyplot.close(figure)
            files[f"{entry.slug}-{width:.0f}.png"] = buffer.getvalue()
        shown.append(_shown(entry, words))
    words = (
        "Every picture of hb.plot, as wide as a page (160 mm) and as a column (80 mm), from a "
        "model of one grouping factor and from crossed ones."
    )
    sections = [
        Section("", [Paragraph(words)]),
        *(Section(f"{s.name}: {s.heading}", [Preformatted(s.setup)]) for s in sources),
        *shown,
    ]
    files["index.html"] = page(TITLE, sections).encode()
    return files


def _shown(entry: Entry, words: str) -> Section:
    pictures = " ".join(
        f'<img src="{entry.slug}-{width:.0f}.png" alt="{escape(words)}" class="light" '
        f'style="width:{width:.0f}mm; max-width:100%; vertical-align:top">'
        for width in WIDTHS_MM
    )
    return Section(
        f"{entry.picture}: {entry.source}",
        [
            Preformatted(entry.code, language="python"),
            Markup(f"<p>{pictures}</p>"),
            Paragraph(words, soft=True),
        ],
    )
