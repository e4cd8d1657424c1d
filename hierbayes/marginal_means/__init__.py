"""Estimated marginal means, their contrasts and the adjustment for many of them."""
