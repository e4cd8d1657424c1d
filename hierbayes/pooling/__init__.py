"""Partial pooling: shrinkage of levels, its matrices, path and lines, and ellipses of levels."""
