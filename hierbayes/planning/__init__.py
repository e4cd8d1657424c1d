"""Designs before there are data: what a study of some size would find."""
