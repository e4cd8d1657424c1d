"""The stage: the widget that draws a scene in the browser and tells what the reader moved."""

from pathlib import Path

import anywidget
import traitlets

HERE = Path(__file__).parent


class Stage(anywidget.AnyWidget):
    """Draws ``scene``; the reader's moves come back as ``edits``, ``level`` and ``guess``.

    Attributes
    ----------
    scene : dict, what ``figures.scene`` makes
    edits : dict, row as text -> its new response, None when it was deleted
    level : the level looked at
    guess : list of the guessed coefficients
    """

    _esm = (HERE / "stage.js").read_text(encoding="utf-8")
    _css = (HERE / "stage.css").read_text(encoding="utf-8")
    scene = traitlets.Dict().tag(sync=True)
    edits = traitlets.Dict().tag(sync=True)
    level = traitlets.Unicode("").tag(sync=True)
    guess: traitlets.List = traitlets.List().tag(sync=True)
