"""Priors: distributions, the LKJ density, defaults, what users give, names and table."""
