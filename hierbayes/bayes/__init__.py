"""The Bayesian half: priors, PyMC models, the collapsed sampler, NUTS, predictive draws."""
