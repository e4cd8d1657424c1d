"""Predictions, comparisons and slopes, averaged over rows and groups."""
