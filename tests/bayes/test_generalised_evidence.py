"""log p(y) of cbpp by a product rule over all its parameters that knows nothing of the sampler."""

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.legendre import leggauss
from scipy.special import logsumexp
from scipy.stats import binom, norm, t

import hierbayes as hb

FORMULA = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
DATA = hb.load_dataset("cbpp")
HERD, PERIOD = (DATA[name].astype(int).to_numpy() - 1 for name in ("herd", "period"))
PERIODS = np.column_stack([np.ones(4), np.eye(4)[:, 1:]])  # coefficients to logits of periods
# The value that twice as many nodes of every kind give (14, 48 and 62).
DOUBLED = -105.378201


def by_herd_and_period(column):
    table = np.zeros((15, 4))
    table[HERD, PERIOD] = DATA[column]
    return table


def brute_force(priors, *, n_beta=7, n_sd=24, n_effect=31):
    """Gauss-Hermite over coefficients given the sd, Legendre over the sd, trapezia over effects.

    The coefficients' nodes are placed by their mean and covariance at the sd before.
    """
    y, trials = by_herd_and_period("incidence"), by_herd_and_period("size")
    u = np.linspace(-6, 6, n_effect)
    log_mass = norm.logpdf(u) + np.log(u[1] - u[0])
    z, w = hermegauss(n_beta)
    grid = np.stack(np.meshgrid(z, z, z, z)).reshape(4, -1).T
    log_weights = np.log(np.stack(np.meshgrid(w, w, w, w))).reshape(4, -1).sum(axis=0)
    log_weights += 0.5 * (grid**2).sum(axis=1)
    at_centre = np.eye(4)
    at_centre[0, 1:] = PERIODS[PERIOD, 1:].mean(axis=0)
    sizes = [law.sigma for law in priors.beta]

    def log_density(beta, sd):
        """Of coefficients (N, 4) and all responses, but for binomial coefficients."""
        eta = (beta @ PERIODS.T)[:, None, :] + sd * u[:, None]  # N, nodes, periods
        herds = eta @ y.T - np.logaddexp(0, eta) @ trials.T
        levels = logsumexp(herds + log_mass[:, None], axis=1)
        return levels.sum(axis=1) + norm.logpdf(beta @ at_centre.T, 0, sizes).sum(axis=1)

    shares = y.sum(axis=0) / trials.sum(axis=0)
    inverse = np.linalg.inv(PERIODS)
    mean = inverse @ np.log(shares / (1 - shares))
    covariance = inverse @ np.diag(1 / (trials.sum(axis=0) * shares * (1 - shares))) @ inverse.T
    nodes, v = leggauss(n_sd)
    parts = []
    for sd, weight in zip(2 * (nodes + 1), 2 * v, strict=True):
        root = np.linalg.cholesky(covariance)
        beta = mean + grid @ root.T
        mass = log_density(beta, sd) + log_weights
        given_sd = logsumexp(mass)
        p = np.exp(mass - given_sd)
        mean, covariance = p @ beta, np.cov(beta.T, aweights=p, ddof=0)
        ((law,),) = priors.sd
        log_prior = np.log(2) + t.logpdf(sd, law.nu, scale=law.sigma)
        parts.append(given_sd + np.log(np.diag(root)).sum() + log_prior + np.log(weight))
    # pmf at 1/2 is the binomial coefficient over 2^trials
    return logsumexp(parts) + (binom.logpmf(y, trials, 0.5) + trials * np.log(2)).sum()


def test_the_marginal_likelihood_of_cbpp_is_that_of_quadrature_over_five_parameters():
    model = hb.Model(FORMULA, DATA, family="binomial")
    exact = brute_force(model.spec.priors)
    assert abs(exact - DOUBLED) < 1e-4
    for seed in (1, 2):
        post = model.sample(draws=2000, random_seed=seed)
        error = post.log_marginal_likelihood_mcse
        assert 0 < error < 0.01
        assert abs(post.log_marginal_likelihood - exact) < 4 * error
