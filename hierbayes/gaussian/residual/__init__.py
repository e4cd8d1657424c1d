"""Residuals of unequal variance, or correlated within series: Var(e) = sigma^2 R(phi)."""
