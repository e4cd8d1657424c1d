"""Fits without the warnings that are not what a test is about."""

import warnings
from typing import Any

import hierbayes as hb


def quiet_lmer(formula: str, data: Any, **options: Any) -> hb.LikelihoodFit:
    """Fit by ``hb.lmer``; findings stay in the fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.lmer(formula, data, **options)
