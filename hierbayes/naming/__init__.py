"""Names of parameters: how they are addressed and printed, and called in draws and PyMC models."""
