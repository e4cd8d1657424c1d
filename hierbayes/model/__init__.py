"""The model: one formula on one data frame, fitted by each estimator; saving and loading."""

from hierbayes.model.model import Model, glmer, lmer
from hierbayes.model.saving import load

__all__ = ["Model", "glmer", "lmer", "load"]
