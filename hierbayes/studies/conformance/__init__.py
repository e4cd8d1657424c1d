"""Fits of other programs that come with the package, and ours beside them."""
