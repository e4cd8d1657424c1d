"""Checks of a fitted model: what its residuals should look like, and do."""
