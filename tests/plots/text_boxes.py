"""What letters of a figure collide or are cut off, found by drawing it."""

from contextlib import contextmanager

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

SLACK = 1.0  # pixels that boxes of letters may share: they are a little larger than their ink


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
    """Return words and boxes in pixels (left, bottom, right, top) of all texts of a figure."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    with recorded_texts() as drawn:
        figure.draw_without_rendering()
    texts = [(text.get_text(), text.get_window_extent(renderer)) for text in drawn.values()]
    return [(words, np.array([b.x0, b.y0, b.x1, b.y1])) for words, b in texts]


def overlapping(texts):
    """Return pairs of words whose boxes share more than the slack."""
    found = []
    for i, (words, box) in enumerate(texts):
        for others, other in texts[i + 1 :]:
            width, height = np.minimum(box, other)[2:] - np.maximum(box, other)[:2]
            if width > SLACK and height > SLACK:
                found.append((words, others))
    return found


def clipped(texts, figure):
    """Return words that reach over the edge of the figure."""
    width, height = figure.get_size_inches() * figure.dpi
    edge = np.array([width, height])
    return [
        words
        for words, box in texts
        if (box[:2] < -SLACK).any() or (box[2:] > edge + SLACK).any()
    ]
