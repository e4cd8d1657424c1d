"""One step of the tour, before it is written as text or as HTML."""

from collections.abc import Mapping
from dataclasses import field

from hierbayes.arrays import record
from hierbayes.render.html_page import Picture


@record
class Block:
    """One step of the tour.

    Attributes
    ----------
    heading : its title
    text : what the lecture asks and what we do; paragraphs separated by blank lines
    code : the Python lines of this step
    output : what they print, shown on the terminal and, unless ``html`` replaces it, on the page
    html : tables for the page
    html_replaces : whether ``html`` stands in place of ``output`` or after it
    pictures : file name -> picture
    """

    heading: str
    text: str
    code: tuple[str, ...] = ()
    output: str = ""
    html: str = ""
    html_replaces: bool = True
    pictures: Mapping[str, Picture] = field(default_factory=dict)
