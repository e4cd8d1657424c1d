"""Terms laid over data: y, X, and per grouping factor a level index with small dense rows."""
