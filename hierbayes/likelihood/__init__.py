"""Maximum likelihood and REML: the search for theta, verdicts in words, the fitted result."""
