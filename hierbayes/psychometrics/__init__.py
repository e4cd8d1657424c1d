"""Thresholds, slopes and fit of psychometric functions."""
