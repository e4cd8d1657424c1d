"""What letters of a figure collide or are cut off, found by drawing it."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

SLACK = 1.0  # pixels, of rounding
GAP = 0.15  # of the size of letters, between words on a line that are not to be read as one
LEADING = 0.25  # of the size of letters: so much of the box of a line is above and below its ink


@dataclass(frozen=True)
class Drawn:
    """A text that was drawn: its box (left, bottom, right, top), and what boxes may share (x, y).

    All in pixels; where less than nothing may be shared, there must be a gap.
    """

    words: str
    box: np.ndarray
    free: np.ndarray


@contextmanager
def recorded_texts():
    """Record every text that is drawn, once."""
    drawn = {}
    own = Text.draw

    def draw(self, renderer, *args, **kwargs):
        if self.get_visible() and self.get_text().strip():
            drawn[id(self)] = self
        return own(self, renderer, *args, **kwargs)

    Text.draw = draw
    try:
        yield drawn
    finally:
        Text.draw = own


def drawn_texts(figure):
    """Lay a figure out and return all texts that are drawn."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    with recorded_texts() as drawn:
        figure.draw_without_rendering()
    found = []
    for text in drawn.values():
        b = Text.get_window_extent(text, renderer)  # of an annotation without its arrow
        words = text.get_text().rstrip("\n")  # lines kept free below are no words
        lines, kept = (len(t.split("\n")) for t in (text.get_text(), words))
        bottom = b.y1 - (b.y1 - b.y0) * kept / lines
        size = text.get_fontsize() * figure.dpi / 72
        free = [-GAP * size, LEADING * size]
        free = free[::-1] if text.get_rotation() == 90 else free
        found.append(Drawn(words, np.array([b.x0, bottom, b.x1, b.y1]), np.array(free)))
    return found


def overlapping(texts):
    """Return pairs of words whose letters lie on each other."""
    found = []
    for i, one in enumerate(texts):
        for other in texts[i + 1 :]:
            shared = np.minimum(one.box, other.box)[2:] - np.maximum(one.box, other.box)[:2]
            if (shared > np.minimum(one.free, other.free)).all():
                found.append((one.words, other.words))
    return found


def clipped(texts, figure):
    """Return words that reach over the edge of the figure."""
    edge = figure.get_size_inches() * figure.dpi
    return [
        text.words
        for text in texts
        if (text.box[:2] < -SLACK).any() or (text.box[2:] > edge + SLACK).any()
    ]
