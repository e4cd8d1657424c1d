"""Posteriors of covariances with a pattern: all samplers have one density."""

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.bayes.collapsed import start_phi
from hierbayes.bayes.collapsed_density import collapsed, slope, target_of
from hierbayes.gaussian.structures import structure
from tests.pattern_models import TERMS, covariance, frame, model

PRIORS = {
    "ar1": {"cor(rho|g)": hb.Uniform(0, 0.95), "sd(*|g)": hb.HalfNormal(2)},
    "homcs": {"cor_rho|g": hb.Beta(2, 2)},
    "toep": {"pacf_1|g": hb.Uniform(-0.5, 1), "sd": hb.Exponential(1)},
}


def pymc_log_density(one):
    """The marginal PyMC model's log density in its transformed variables, and their order."""
    pytest.importorskip("pymc")
    import pytensor
    from pytensor.compile.mode import Mode

    built = one.to_pymc(parameterization="marginal")
    mode = Mode(linker="py", optimizer="fast_compile")
    function = pytensor.function(built.value_vars, built.logp(), mode=mode)
    return function, [variable.name for variable in built.value_vars]


# PyMC's HalfStudentT takes the log of 2 in single precision, 2e-9 each
EXACT = {"sd": hb.Exponential(1), "sigma": hb.HalfNormal(1)}
SEVERAL = {
    "cs(0 + visit | g) + ar1(0 + visit | sub) + toep(0 + visit | h)": {
        "cor(rho|sub)": hb.Uniform(0, 0.95),
        "sd(*|sub)": hb.HalfNormal(2),
        "pacf_1|h": hb.Uniform(-0.5, 1),
    },
    "cs(0 + visit | g, hom = TRUE) + diag(0 + visit | sub, hom = TRUE)"
    " + toep(0 + visit | h, hom = TRUE)": {
        "cor_rho|g": hb.Beta(2, 2),
    },
}


@pytest.mark.parametrize(
    "terms",
    [
        pytest.param(terms, marks=[pytest.mark.slow] * number)  # the same once more, one sd each
        for number, terms in enumerate(SEVERAL)
    ],
)
def test_the_collapsed_density_is_that_of_the_pymc_model(terms):
    one = hb.Model(f"y ~ t + {terms}", frame(), priors=EXACT | SEVERAL[terms])
    target = target_of(one.spec.kernel("reml"), one.spec.priors)
    log_density, names = pymc_log_density(one)
    centre, anchor = one.spec.priors.centre, one.spec.kernel("reml").products.anchor
    phis = start_phi(target) + 0.3 * np.random.default_rng(5).normal(size=(3, target.size))
    at = collapsed(target, phis)
    for phi, value, mean, root in zip(phis, at.log_density, at.mean, at.root, strict=True):
        beta = anchor.beta0 + anchor.x_basis @ mean  # of p(beta | phi, y), at its mode
        log_det = np.log(np.diag(root)).sum() - np.linalg.slogdet(anchor.x_basis)[1]
        expected = value + log_det - beta.size / 2 * np.log(2 * np.pi)
        beta[0] += centre @ beta
        rest = {"beta": beta, "sigma": phi[-1]}
        for own, part, term in target.coordinates.structured:
            factor = one.design.factors[one.design.terms[term].factor].name
            for key, some in (("sd", own.is_scale), ("corr", ~own.is_scale)):
                before = rest.get(f"{key}_{factor}", np.empty(0))
                rest[f"{key}_{factor}"] = np.append(before, phi[part][some])
        values = [next(rest[k] for k in rest if name.startswith(k)) for name in names]
        assert float(log_density(*values)) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", TERMS)
def test_the_slope_of_the_density_is_that_of_differences(name):
    one = model(name, "crossed", priors=PRIORS.get(name))
    target = target_of(one.spec.kernel("reml"), one.spec.priors)
    phi = start_phi(target) + 0.3 * np.random.default_rng(4).normal(size=(1, target.size))
    exact = slope(target, phi, collapsed(target, phi))[0]
    steps = 1e-5 * np.eye(target.size)
    up, down = (collapsed(target, phi + sign * steps).log_density for sign in (1, -1))
    np.testing.assert_allclose(exact, (up - down) / 2e-5, atol=1e-6 * np.abs(exact).max())


@pytest.mark.parametrize("name", ["homdiag", "cs", "toep"])
def test_the_density_of_nuts_has_the_pattern_and_an_exact_gradient(name):
    from hierbayes.bayes.hierarchical_nuts import _matrix, _parameters, hierarchical_density

    target = hierarchical_density(model(name, priors=PRIORS.get(name)).spec)
    w = 0.4 * np.random.default_rng(6).normal(size=target.size)
    shared, _ = _parameters(target, w[None])
    root = _matrix(shared, target.placed[0].user_roots[0])[0]
    own = structure(name, 3)
    par = own.nearest((root @ root.T)[None])[0]
    np.testing.assert_allclose(root @ root.T, covariance(name, par, 3), atol=1e-12)
    _, gradient = target.evaluate(w)
    for i in range(target.d):
        step = 1e-5 * np.eye(target.size)[i]
        numeric = (target.evaluate(w + step)[0] - target.evaluate(w - step)[0]) / 2e-5
        assert gradient[i] == pytest.approx(numeric, rel=1e-6, abs=1e-5)


def test_priors_are_printed_and_replaced_by_name():
    table = model("cs").priors.set_index("parameter")["prior"]
    assert table["cor(rho|g)"] == "Uniform(-0.5, 1)"
    assert table["sd(visitv2|g)"].startswith("HalfStudentT(4,")
    ar1 = model("ar1", priors=PRIORS["ar1"]).priors.set_index("parameter")
    assert ar1.loc["cor(rho|g)", ["prior", "source"]].tolist() == ["Uniform(0, 0.95)", "user"]
    assert ar1.loc["sd(*|g)", "prior"] == "HalfNormal(2)"
    # one sd of all columns: as an intercept's
    assert "sd((Intercept)|g)" not in ar1.index
    plain = hb.Model("y ~ t + (1 | g)", frame()).priors.set_index("parameter")["prior"]
    shared = model("homcs").priors.set_index("parameter")["prior"]["sd(*|g)"]
    assert shared == plain["sd((Intercept)|g)"]
    with pytest.raises(hb.PriorError, match="between -1 and 1"):
        model("ar1", priors={"cor_rho|g": hb.Normal(0, 1)})


def test_draws_have_the_pattern_and_its_own_parameters():
    post = model("hetar1").sample(draws=200, chains=2, random_seed=1)
    corr = post.draws.corr["g"]
    np.testing.assert_allclose(corr[..., 0, 2], corr[..., 0, 1] ** 2, atol=1e-12)
    names = ["sd(visitv1|g)", "sd(visitv2|g)", "sd(visitv3|g)", "cor(rho|g)", "sigma"]
    assert list(post.parameters()[1].names) == names
    rho = post.tidy(effects="ran_pars").set_index("term").loc["cor__rho", "estimate"]
    assert rho == pytest.approx(corr[..., 0, 1].mean())
    assert dict(post.varcorr().terms[0].parameters)["cor_rho"] == pytest.approx(rho)
