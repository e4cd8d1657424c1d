"""Whole analyses built on the rest: the lecture, the gallery, reanalysis, estimators' bias."""
