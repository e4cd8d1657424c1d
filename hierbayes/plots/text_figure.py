"""A figure whose files keep letters as letters and carry the words that describe it.

matplotlib is imported with this module, which is imported when the first picture is drawn.
"""

from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from hierbayes.plots.alt_text import alt_text

# SVG: text elements, not outlines. PDF: TrueType fonts, so that text is found and copied.
AS_TEXT: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "ps.fonttype": 42}
DESCRIBED_AS = {"svg": "Description", "png": "Description", "pdf": "Subject"}  # by format


class TextFigure(Figure):
    """A figure of ours."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save the figure as matplotlib does, with text as text and its description."""
        ending = str(fname).rpartition(".")[2].lower() if isinstance(fname, str) else ""
        kind = options.get("format") or getattr(fname, "suffix", "")[1:].lower() or ending
        words = alt_text(self)
        key = DESCRIBED_AS.get(kind or self.canvas.get_default_filetype())
        if key is not None and words:
            options["metadata"] = {key: words} | dict(options.get("metadata") or {})
        with mpl.rc_context(AS_TEXT):
            super().savefig(fname, **options)
