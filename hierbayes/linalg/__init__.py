"""Linear algebra on arrays: stacks of small matrices, rank of a set of columns. Knows no models."""
