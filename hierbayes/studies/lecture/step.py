"""One step of the tour, before it is written as text or as HTML."""

from hierbayes.arrays import record
from hierbayes.render.blocks import Block
from hierbayes.render.text import text


@record
class Step:
    """One step of the tour.

    Attributes
    ----------
    heading : its title
    text : what the lecture asks and what we do; paragraphs separated by blank lines
    code : the Python lines of this step
    shown : what they print, as blocks
    pictures : names among those of ``lecture_figures``
    """

    heading: str
    text: str
    code: tuple[str, ...] = ()
    shown: tuple[Block, ...] = ()
    pictures: tuple[str, ...] = ()

    @property
    def output(self) -> str:
        """What the code prints."""
        return text(self.shown)
