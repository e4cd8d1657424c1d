"""Predictions, their variances and simulations of both estimators, and reference grids."""
