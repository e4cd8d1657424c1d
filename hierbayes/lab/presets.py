"""What the lab can show: data sets with a question each, simulated data, and one's own file.

Every source of data becomes a ``Case``: a frame, a formula, and what the page says about them.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.datasets import load_dataset
from hierbayes.errors import DataError

MOST_ROWS, MOST_LEVELS = 5000, 400  # more is not redrawn while a slider moves
SIMULATED, OWN = "simulated", "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A data set of the lab.

    Attributes
    ----------
    title : as it is called in the list
    question : what there is to see, a sentence or two
    formula, known_sd : the model
    x : the predictor that pictures have on their axis, None where there is none
    level : the level that is looked at first
    units : unit by column
    load : makes the frame
    code : the lines that make the frame in a script of the user's own
    """

    title: str
    question: str
    formula: str
    load: Callable[[], pd.DataFrame]
    code: str
    level: str
    x: str | None = None
    known_sd: str | None = None
    units: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What simulated data are drawn from: y = 250 + 10 x + b1 + b2 x + e.

    Attributes
    ----------
    groups, rows : number of groups, and of observations of a group
    imbalance : 0 every group has as many; 1 they run from one row to twice as many
    sd_intercept, sd_slope, cor : of the groups' lines
    sigma : residual sd
    seed : another seed is another sample of the same truth
    """

    groups: int = 12
    rows: int = 6
    imbalance: float = 0.0
    sd_intercept: float = 25.0
    sd_slope: float = 6.0
    cor: float = 0.0
    sigma: float = 25.0
    seed: int = 1


POPULATION = (250.0, 10.0)  # the true intercept and slope of simulated data
SIMULATED_FORMULA = "y ~ x + (x | group)"
LAST_X = 9.0


def true_lines(simulation: Simulation) -> FloatArray:
    """Return intercepts and slopes of simulated groups, shape (groups, 2)."""
    s = simulation
    rng = np.random.default_rng((s.seed, 0))
    z = rng.standard_normal((200, 2))[: s.groups]  # a group keeps its place when others come
    first = s.sd_intercept * z[:, 0]
    second = s.sd_slope * (s.cor * z[:, 0] + np.sqrt(1 - s.cor**2) * z[:, 1])
    return np.asarray(np.array(POPULATION) + np.column_stack([first, second]))


def group_sizes(simulation: Simulation) -> list[int]:
    """Return the number of rows of each simulated group."""
    s = simulation
    share = np.linspace(1, -1, s.groups) if s.groups > 1 else np.zeros(1)
    return [max(round(n), 1) for n in (s.rows * (1 + s.imbalance * share)).tolist()]


def simulated(simulation: Simulation) -> pd.DataFrame:
    """Draw data: columns ``y``, ``x`` from 0 to 9, ``group``; the same seed, the same numbers.

    Each group has its own stream of residuals, so moving a slider moves the points instead of
    drawing new ones.
    """
    s = simulation
    frames = []
    for j, ((intercept, slope), n) in enumerate(zip(true_lines(s), group_sizes(s), strict=True)):
        residual = np.random.default_rng((s.seed, 1, j)).standard_normal(100)[:n]
        x = np.linspace(0, LAST_X, n) if n > 1 else np.zeros(1)
        y = intercept + slope * x + s.sigma * residual
        frames.append(pd.DataFrame({"y": y.round(2), "x": x.round(3), "group": f"g{j + 1:02d}"}))
    return pd.concat(frames, ignore_index=True)


def _sleepstudy() -> pd.DataFrame:
    return load_dataset("sleepstudy")


def sparse_sleepstudy() -> pd.DataFrame:
    """Sleepstudy and two invented subjects: "one" with one observation, "two" with two."""
    invented = pd.DataFrame(
        {
            "Reaction": [340.0, 215.0, 240.0],
            "Days": [0.0, 0.0, 1.0],
            "Subject": ["one", "two", "two"],
        }
    )
    sleep = load_dataset("sleepstudy").astype({"Subject": str})
    return pd.concat([sleep, invented], ignore_index=True)


def simpson() -> pd.DataFrame:
    """Made-up data: within each of six groups y rises with x, over all groups it falls."""
    wiggle = np.array([1.0, -0.8, 0.2, -1.4, 1.0])
    offset = np.array([0.75, -1.5, 1.2, 0.9, -1.8, 0.45])
    frames = []
    for j in range(6):
        dx = np.arange(5) * 0.75 - 1.5
        y = 40 - 3.0 * j + offset[j] + 3.0 * dx + np.roll(wiggle, j) * (1 if j % 2 else -1)
        frames.append(pd.DataFrame({"y": y.round(2), "x": 3.0 + j + dx, "group": "ABCDEF"[j]}))
    return pd.concat(frames, ignore_index=True)


# the same data in scripts of the user's own
SPARSE_CODE = """\
import pandas as pd

invented = pd.DataFrame(
    {
        "Reaction": [340.0, 215.0, 240.0],
        "Days": [0.0, 0.0, 1.0],
        "Subject": ["one", "two", "two"],
    }
)
sleep = hb.load_dataset("sleepstudy").astype({"Subject": str})
data = pd.concat([sleep, invented], ignore_index=True)"""
SIMPSON_CODE = """\
import numpy as np
import pandas as pd

wiggle = np.array([1.0, -0.8, 0.2, -1.4, 1.0])
parts = []
for j, offset in enumerate([0.75, -1.5, 1.2, 0.9, -1.8, 0.45]):
    dx = np.arange(5) * 0.75 - 1.5
    y = 40 - 3.0 * j + offset + 3.0 * dx + np.roll(wiggle, j) * (1 if j % 2 else -1)
    parts.append(pd.DataFrame({"y": y.round(2), "x": 3.0 + j + dx, "group": "ABCDEF"[j]}))
data = pd.concat(parts, ignore_index=True)"""

PRESETS: dict[str, Preset] = {
    "sleepstudy": Preset(
        title="Sleep study: 18 drivers",
        question="Each driver has a line of his own. Which lines are pulled most, and where to? "
        "The arrows do not all point at the centre.",
        formula="Reaction ~ Days + (Days | Subject)",
        load=_sleepstudy,
        code='data = hb.load_dataset("sleepstudy")',
        level="335",
        x="Days",
        units=(("Reaction", "ms"), ("Days", "d")),
    ),
    "sparse": Preset(
        title="Sleep study and two sparse subjects",
        question="Two invented subjects have one and two observations. No line can be fitted to "
        "one point, and the line through two is wild: see what the others lend them.",
        formula="Reaction ~ Days + (Days | Subject)",
        load=sparse_sleepstudy,
        code=SPARSE_CODE,
        level="two",
        x="Days",
        units=(("Reaction", "ms"), ("Days", "d")),
    ),
    "dyestuff2": Preset(
        title="Dyestuff2: an sd estimated as zero",
        question="REML says that batches do not differ at all, so every batch is pulled onto the "
        "mean. The posterior does not believe in exactly zero.",
        formula="Yield ~ 1 + (1 | Batch)",
        load=lambda: load_dataset("Dyestuff2"),
        code='data = hb.load_dataset("Dyestuff2")',
        level="C",
    ),
    "penicillin": Preset(
        title="Penicillin: two crossed factors",
        question="24 plates, each with 6 samples. Plates have few observations and are pulled; "
        "samples have many and hardly move.",
        formula="diameter ~ 1 + (1 | plate) + (1 | sample)",
        load=lambda: load_dataset("Penicillin"),
        code='data = hb.load_dataset("Penicillin")',
        level="a",
        units=(("diameter", "mm"),),
    ),
    "schools": Preset(
        title="Eight schools",
        question="Eight estimates with known standard errors. REML pools them completely; how far "
        "would you?",
        formula="effect ~ 1 + (1 | school)",
        known_sd="se",
        load=lambda: load_dataset("eight_schools"),
        code='data = hb.load_dataset("eight_schools")',
        level="A",
        units=(("effect", "points"),),
    ),
    "simpson": Preset(
        title="Simpson's paradox",
        question="Ignoring the groups, y falls with x; within every group it rises. Complete "
        "pooling answers another question than partial pooling.",
        formula="y ~ x + (1 | group)",
        load=simpson,
        code=SIMPSON_CODE,
        level="A",
        x="x",
    ),
}


def titles() -> dict[str, str]:
    """Every source of data: its title -> its key, in the order of the list."""
    found = {preset.title: key for key, preset in PRESETS.items()}
    return found | {"Simulated data": SIMULATED, "Your own CSV file": OWN}


def own_table(content: bytes) -> pd.DataFrame:
    """Read a CSV file that somebody uploaded.

    Raises
    ------
    DataError
        In one sentence, whatever the file is.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(
            "The file is not text in UTF-8, so it can't be read as CSV. Save the table as "
            '"CSV UTF-8" and upload it again.'
        ) from None
    if "\x00" in text:
        raise DataError("The file holds binary data; upload a table saved as CSV.")
    if not text.strip():
        raise DataError("The file is empty; its first line should name the columns.")
    separator = separator_of(text)
    try:
        frame = pd.read_csv(io.StringIO(text), sep=separator, skipinitialspace=True)
    except (ValueError, OverflowError) as error:  # ParserError and EmptyDataError are ValueErrors
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise DataError(f"The file can't be read as CSV: {reason}.") from None
    frame.columns = [str(name).strip() for name in frame.columns]
    _check_size(frame)
    return frame


def separator_of(text: str) -> str:
    """Return what separates the columns: a comma, semicolon or tab, whichever is most frequent."""
    return max(",;\t", key=text.splitlines()[0].count)


def _check_size(frame: pd.DataFrame) -> None:
    if len(frame.columns) < 2 or frame.empty:
        raise DataError(
            f"The file holds {len(frame)} rows and {len(frame.columns)} columns; a model needs a "
            "response, a grouping column and at least a few rows, the columns named in the first "
            "line and separated by commas."
        )
    if len(frame) > MOST_ROWS:
        raise DataError(
            f"The file has {len(frame)} rows; the lab redraws at every move and takes at most "
            f"{MOST_ROWS}. hb.lmer takes them all."
        )


def guessed_formula(frame: pd.DataFrame) -> str:
    """Return a formula to begin with, which the reader will change.

    The response has the most distinct numbers, the predictor is the first other column of numbers,
    the grouping factor the first column of categories.

    Raises
    ------
    DataError
        If no column can be a response, or none a grouping factor.
    """
    columns = [str(name) for name in frame.columns]
    text = [c for c in columns if not pd.api.types.is_numeric_dtype(frame[c])]
    numbers = [c for c in columns if c not in text]
    groups = [c for c in text if 1 < frame[c].nunique() < len(frame)]
    if not groups:  # numbers that repeat, the last such column first: ids often come last
        whole = [c for c in numbers if (frame[c].dropna() % 1 == 0).all()]
        groups = [c for c in whole[::-1] if 1 < frame[c].nunique() <= len(frame) / 2]
    if not groups:
        raise DataError(
            "No column of the file can be the grouping factor: none holds categories that repeat."
        )
    group = groups[0]
    rest = [c for c in numbers if c != group]
    if not rest:
        raise DataError("No column of the file holds numbers, so there is no response to model.")
    rest = [c for c in rest if _distinct(frame[c])] or rest
    response = max(rest, key=lambda name: _distinct(frame[name]))  # the first of equals
    rest.remove(response)
    y = _quoted(response)
    if not rest:
        return f"{y} ~ 1 + (1 | {_quoted(group)})"
    x = _quoted(rest[0])
    values = frame.groupby(group, observed=True)[rest[0]].nunique()
    if (values > 1).mean() > 0.5:  # most groups can have a slope of their own
        return f"{y} ~ {x} + ({x} | {_quoted(group)})"
    return f"{y} ~ {x} + (1 | {_quoted(group)})"


def _distinct(column: Any) -> int:
    """Count distinct values; a column that counts the rows has none."""
    count = int(column.nunique())
    counts_rows = count == len(column) and bool((column.diff().dropna() == 1).all())
    return 0 if counts_rows else count


def _quoted(name: str) -> str:
    plain = name.replace(".", "").replace("_", "")
    simple = plain.isalnum() and plain.isascii() and name[0].isalpha()
    return name if simple else f"`{name}`"


def check_levels(factor: str, count: int) -> None:
    """Refuse more levels than pictures can show."""
    if count > MOST_LEVELS:
        raise DataError(
            f"{factor!r} has {count} levels; the lab shows at most {MOST_LEVELS}. "
            "hb.lmer takes them all."
        )
