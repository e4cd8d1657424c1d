"""Cross-products computed where the data are: inside DuckDB or Polars, by grouped sums."""
