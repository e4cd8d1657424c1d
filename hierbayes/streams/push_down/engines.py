"""Which sources are rows that an engine holds, and can sum."""

from typing import Any

from hierbayes.streams.queries import LazyFrameSource, RelationSource
from hierbayes.streams.source import Source


def lazy_frame_of(source: Source) -> Any:
    """Return the rows of a source as narwhals' lazy frame where an engine can sum them, or None."""
    if not isinstance(source, LazyFrameSource | RelationSource):
        return None
    import narwhals as nw

    return nw.from_native(source.frame if isinstance(source, LazyFrameSource) else source.relation)
