"""Models whose levels have a known covariance, against dense algebra on the rows."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import multivariate_normal, norm

import hierbayes as hb
from hierbayes.bayes import collapsed_points, pymc_model
from hierbayes.bayes.collapsed_density import collapsed, slope, target_of
from hierbayes.bayes.collapsed_points import PointsOf
from hierbayes.bayes.variance_priors import variance_log_prior
from hierbayes.comparison.exact_rlrt import spectrum_of
from hierbayes.comparison.leave_group_out import group_log_densities
from hierbayes.comparison.leave_row_out import predicted_log_densities
from hierbayes.comparison.left_out_blocks import blocks_of, left_out
from hierbayes.gaussian.factor.related import DenseFactor
from hierbayes.gaussian.factor.related_slopes import SlopesFactor
from hierbayes.gaussian.levels_apart import independent, levels_apart
from hierbayes.gaussian.marginal import evaluate, gradient, modes, times
from tests.pymc_density import pymc_density

N_ANIMALS, N_ROWS, N_HERDS = 40, 110, 6
FORMULAS = {
    "intercept": "y ~ x + (1 | animal)",
    "slope": "y ~ x + (x | animal)",
    "beside herds": "y ~ x + (1 | animal) + (1 | herd)",
}


@pytest.fixture(scope="module")
def family():
    """A relationship of which eight animals have no rows."""
    rng = np.random.default_rng(5)
    parents = [(None, None)] * 10 + [
        tuple(f"a{k}" for k in rng.integers(max(0, i - 20), i, 2)) for i in range(10, N_ANIMALS)
    ]
    labels = [f"a{i}" for i in range(N_ANIMALS)]
    return hb.relationship({"id": labels, "sire": [s for s, _ in parents],
                            "dam": [d for _, d in parents]})  # fmt: skip


@pytest.fixture(scope="module")
def rows(family):
    rng = np.random.default_rng(6)
    root = np.linalg.cholesky(family.covariance())
    animal = np.concatenate([np.arange(8, N_ANIMALS), rng.integers(8, N_ANIMALS, N_ROWS - 32)])
    herd = rng.integers(0, N_HERDS, N_ROWS)
    x = rng.normal(size=N_ROWS)
    b = root @ rng.normal(size=(N_ANIMALS, 2)) * [2.0, 1.0]
    y = 3 + x + b[animal, 0] + b[animal, 1] * x + rng.normal(size=N_HERDS)[herd]
    y += rng.normal(size=N_ROWS)
    labels = np.array(family.labels)
    return pd.DataFrame({"y": y, "x": x, "animal": labels[animal], "herd": herd.astype(str)})


class Dense:
    """V of the rows, relative to sigma^2, and what follows from it."""

    def __init__(self, fit, family, rows):
        self.A = family.covariance()
        Z = np.eye(N_ANIMALS)[[family.labels.index(a) for a in rows.animal]]
        self.X = np.column_stack([np.ones(N_ROWS), rows.x])
        self.y = rows.y.to_numpy()
        self.Z = Z
        self.images = [Z, Z * rows.x.to_numpy()[:, None]]
        self.H = np.eye(N_HERDS)[rows.herd.astype(int)]
        self.fit = fit

    def V(self, theta):
        design, shape = self.fit.design, self.fit.kernel.shape
        V = np.eye(N_ROWS)
        for factor, Lambda in zip(design.factors, shape.unpack(theta[None]), strict=True):
            G = Lambda[0] @ Lambda[0].T
            if factor.name == "herd":
                V = V + G[0, 0] * self.H @ self.H.T
                continue
            for i, j in np.ndindex(*G.shape):
                V = V + G[i, j] * self.images[i] @ self.A @ self.images[j].T
        return V

    def criterion(self, theta, method):
        root = np.linalg.cholesky(self.V(theta))
        X, y = np.linalg.solve(root, self.X), np.linalg.solve(root, self.y)
        r = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
        df = N_ROWS - (2 if method == "reml" else 0)
        found = 2 * np.log(np.diag(root)).sum() + df * (1 + np.log(2 * np.pi * (r @ r) / df))
        return found + (np.linalg.slogdet(X.T @ X)[1] if method == "reml" else 0.0)


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("name", FORMULAS)
def test_the_criterion_and_its_gradient_are_those_of_dense_algebra(name, method, family, rows):
    model = hb.Model(FORMULAS[name], rows, cov={"animal": family})
    fit = model.fit(method)
    dense = Dense(fit, family, rows)
    assert fit.converged
    assert fit.criterion == pytest.approx(dense.criterion(fit.theta, method), abs=1e-9)
    kernel = fit.kernel
    at = kernel.in_basis(fit.theta) * 1.2 + 0.1
    steps = 1e-6 * np.eye(at.size)
    ends = [
        dense.criterion(kernel.from_basis(at + s), method)
        - dense.criterion(kernel.from_basis(at - s), method)
        for s in steps
    ]
    found = gradient(kernel, evaluate(kernel, at[None]))[0]
    np.testing.assert_allclose(found, np.array(ends) / 2e-6, atol=1e-6 * abs(found).max() + 1e-6)
    nearby = [dense.criterion(fit.theta + s, method) for s in 1e-3 * np.vstack([steps, -steps])
              / 1e-6]  # fmt: skip
    assert min(nearby) > fit.criterion - 1e-8


@pytest.mark.parametrize("columns", ["x", "x + z"])
def test_slopes_in_the_axes_of_the_last_column_have_the_dense_factor(columns, family, rows):
    data = rows.assign(z=rows.x**2)
    model = hb.Model(f"y ~ x + ({columns} | animal)", data, cov={"animal": family})
    blocks, rng = model.spec.kernel("reml").blocks, np.random.default_rng(1)
    J, q = blocks.zz[0].shape[:2]
    Lambda = rng.normal(size=(4, q, q))
    Lambda[1] = np.tril(Lambda[1])
    Lambda[2, :, -1] = Lambda[3] = 0  # singular ones
    found, dense = blocks.factorise([Lambda]), DenseFactor(blocks, [Lambda])
    assert isinstance(found, SlopesFactor)
    np.testing.assert_allclose(found.log_det, dense.log_det, rtol=1e-12, atol=1e-12)
    right = [rng.normal(size=(4, J, q, 3))]
    halves = [factor.half_solve(right) for factor in (found, dense)]
    ours, theirs = (np.einsum("tjqc,tjqd->tcd", half[0], half[0]) for half in halves)
    np.testing.assert_allclose(ours, theirs, rtol=1e-11)
    ours, theirs = (f.back_solve(h)[0] for f, h in zip((found, dense), halves, strict=True))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)
    # what is drawn has the covariance K: the product of L'^-1 with its transpose
    every = [np.broadcast_to(np.eye(J * q).reshape(J, q, -1), (4, J, q, J * q))]
    roots = [f.back_solve(every)[0].reshape(4, J * q, -1) for f in (found, dense)]
    ours, theirs = (root @ root.swapaxes(1, 2) for root in roots)
    np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_a_density_that_fails_at_one_of_many_points_is_known_at_the_others(
    monkeypatch, family, rows
):
    model = hb.Model(FORMULAS["slope"], rows, cov={"animal": family})
    target = target_of(model.spec.kernel("reml"), model.spec.priors)
    points, phi = PointsOf(target), np.zeros((5, target.size))
    phi[2] = np.nan
    assert points.is_dear and points.batch > 5

    def fails(own, at, **options):
        if np.isnan(at).any():
            raise np.linalg.LinAlgError
        return collapsed(own, at, **options)

    monkeypatch.setattr(collapsed_points, "collapsed", fails)
    found = points.with_draws(phi, np.random.default_rng(1))
    assert np.isneginf(found.log_density[2])
    expected = collapsed(target, phi[:1]).log_density[0]
    np.testing.assert_allclose(found.log_density[[0, 1, 3, 4]], expected, rtol=1e-12)
    assert (found.b[0][[0, 1, 3, 4]] != 0).all() and (found.b[0][2] == 0).all()


@pytest.mark.parametrize("name", ["intercept", "beside herds"])
def test_levels_apart_are_the_same_model(name, family, rows):
    """What is evaluated at many thetas works in the axes in which levels are independent."""
    kernel = hb.Model(FORMULAS[name], rows, cov={"animal": family}).spec.reml_kernel
    apart = levels_apart(kernel)
    assert apart.kernel.pattern.name in ("nested", "crossed")
    theta = np.random.default_rng(1).uniform(0.2, 2, size=(3, kernel.shape.n_theta))
    one, other = evaluate(kernel, theta), evaluate(apart.kernel, theta)
    np.testing.assert_allclose(other.criterion, one.criterion, rtol=1e-12)
    np.testing.assert_allclose(gradient(apart.kernel, other), gradient(kernel, one), atol=1e-9)
    effects = [times(L, u)[..., -1] for L, u in zip(one.Lambdas, modes(kernel, one).u, strict=True)]
    turned = [
        times(L, u)[..., -1]
        for L, u in zip(other.Lambdas, modes(apart.kernel, other).u, strict=True)
    ]
    for expected, found in zip(effects, apart.related(turned), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_effects_errors_and_degrees_of_freedom_are_those_of_dense_algebra(family, rows):
    fit = hb.lmer(FORMULAS["intercept"], rows, cov={"animal": family})
    dense = Dense(fit, family, rows)
    X, Z, A, y = dense.X, dense.Z, dense.A, dense.y
    V, variance = dense.V(fit.theta), fit.theta[0] ** 2
    inverse = np.linalg.inv(V)
    beta_cov = np.linalg.inv(X.T @ inverse @ X)
    np.testing.assert_allclose(fit.vcov(), fit.sigma**2 * beta_cov, rtol=1e-9)
    blup = variance * A @ Z.T @ inverse @ (y - X @ fit.beta)
    effects = fit.ranef()["animal"]
    assert list(effects.index) == list(family.labels)  # animals without rows too
    np.testing.assert_allclose(effects.to_numpy()[:, 0], blup, atol=1e-9)
    left = variance * A - variance**2 * A @ Z.T @ inverse @ Z @ A
    np.testing.assert_allclose(
        fit.ranef_sd()["animal"].to_numpy()[:, 0], fit.sigma * np.sqrt(np.diag(left)), rtol=1e-8
    )
    simulated = np.cov(fit.simulate(nsim=3000, random_seed=1).to_numpy())
    np.testing.assert_allclose(simulated, fit.sigma**2 * V, atol=0.12 * simulated.max())

    icc = hb.icc(fit)
    assert icc.by_group["animal"] == pytest.approx(variance / (variance + 1))
    assert "the heritability" in str(icc)
    table = hb.shrinkage(fit)
    own = (rows.y - fit.beta[1] * rows.x).groupby(rows.animal).mean()
    shown = table.set_index("level")
    np.testing.assert_allclose(shown["unpenalised"].loc[own.index], own, rtol=1e-9)
    assert np.isinf(shown["unpenalised_se"].loc[~shown.index.isin(own.index)]).all()
    reliability = 1 - np.diag(left) / (variance * np.diag(A))  # that of a breeding value
    np.testing.assert_allclose(shown["reliability"], reliability, atol=1e-9)
    np.testing.assert_allclose(table.matrices["animal"][:, 0, 0], reliability, atol=1e-7)
    path = hb.shrinkage_path(fit, sds=[fit.sigma * fit.theta[0]])
    np.testing.assert_allclose(path["coefficient"], shown["coefficient"], rtol=1e-9)

    def restricted(t):  # minus twice the restricted log-likelihood in log sds
        scale = np.exp(2 * t)
        W = scale[1] * np.eye(N_ROWS) + scale[0] * Z @ A @ Z.T
        root = np.linalg.cholesky(W)
        Xw, yw = np.linalg.solve(root, X), np.linalg.solve(root, y)
        r = yw - Xw @ np.linalg.lstsq(Xw, yw, rcond=None)[0]
        return 2 * np.log(np.diag(root)).sum() + np.linalg.slogdet(Xw.T @ Xw)[1] + r @ r

    def variances(t):
        W = np.exp(2 * t[1]) * np.eye(N_ROWS) + np.exp(2 * t[0]) * Z @ A @ Z.T
        return np.diag(np.linalg.inv(X.T @ np.linalg.solve(W, X)))

    t, h = np.log([fit.theta[0] * fit.sigma, fit.sigma]), 1e-3
    E = h * np.eye(2)
    hessian = [[(restricted(t + a + b) - restricted(t + a - b) - restricted(t - a + b)
                 + restricted(t - a - b)) / (4 * h**2) for a in E] for b in E]  # fmt: skip
    g = np.array([(variances(t + e) - variances(t - e)) / (2 * h) for e in E])
    df = 2 * variances(t) ** 2 / np.einsum("ik,ij,jk->k", g, 2 * np.linalg.inv(hessian), g)
    np.testing.assert_allclose(fit.tidy(effects="fixed")["df"], df, rtol=1e-3)


@pytest.mark.parametrize("name", FORMULAS)
def test_kenward_roger_is_that_of_dense_algebra(name, family, rows):
    fit = hb.lmer(FORMULAS[name], rows, cov={"animal": family})
    dense = Dense(fit, family, rows)
    X, (one, x) = dense.X, dense.images
    G = [one @ dense.A @ one.T, np.eye(N_ROWS)]
    if name == "beside herds":
        G.append(dense.H @ dense.H.T)
    if name == "slope":
        G += [one @ dense.A @ x.T + x @ dense.A @ one.T, x @ dense.A @ x.T]
    inverse = np.linalg.inv(dense.V(fit.theta))
    Phi = np.linalg.inv(X.T @ inverse @ X)
    left = [inverse @ own for own in G]
    P = [Phi @ X.T @ own @ inverse @ X for own in left]  # minus Phi P_i
    Q = [[Phi @ X.T @ a @ b @ inverse @ X for b in left] for a in left]
    pairs = list(np.ndindex(len(G), len(G)))
    info = np.zeros((len(G), len(G)))
    for i, j in pairs:
        info[i, j] = np.vdot(left[i], left[j].T) - 2 * np.trace(Q[i][j]) + np.trace(P[i] @ P[j])
    W = 2 * np.linalg.inv(info)
    total = sum(W[i, j] * (Q[i][j] - P[i] @ P[j]) for i, j in pairs)
    found = fit.tidy(ddf="kenward-roger", effects="fixed")
    errors = fit.sigma * np.sqrt(np.diag(Phi + 2 * total @ Phi))
    np.testing.assert_allclose(found["std_error"], errors, rtol=1e-8)
    slopes = np.array([np.diag(own @ Phi) / np.diag(Phi) for own in P])
    df = 2 / np.einsum("ic,ij,jc->c", slopes, W, slopes)
    np.testing.assert_allclose(found["df"], df, rtol=1e-7)


def test_the_exact_test_has_the_spectrum_of_related_levels(family, rows):
    fit = hb.lmer(FORMULAS["intercept"], rows, cov={"animal": family})
    dense = Dense(fit, family, rows)
    root = np.linalg.cholesky(dense.A)
    left = dense.Z @ root
    left = left - dense.X @ np.linalg.lstsq(dense.X, left, rcond=None)[0]
    expected = np.linalg.eigvalsh(left.T @ left)
    found = spectrum_of(independent(fit.kernel))
    np.testing.assert_allclose(
        np.repeat(found.mu, found.count), expected[expected > 1e-9], rtol=1e-7
    )
    assert found.n_rest == N_ROWS - 2 - (expected > 1e-9).sum()
    null = hb.lmer("y ~ x", rows)
    test = hb.exact_rlrt(fit, nsim=200, random_seed=1)
    assert test.statistic == pytest.approx(null.criterion - fit.criterion, abs=1e-8)
    assert test.p_value == pytest.approx(1 / 201)


def test_identity_is_the_model_of_independent_levels(rows):
    levels = sorted(rows.animal.unique())
    eye = pd.DataFrame(np.eye(len(levels)), index=levels, columns=levels)
    for formula in FORMULAS.values():
        known = hb.lmer(formula, rows, cov={"animal": eye})
        plain = hb.lmer(formula, rows)
        assert known.criterion == pytest.approx(plain.criterion, abs=1e-9)
        pd.testing.assert_frame_equal(
            known.tidy().to_pandas(), plain.tidy().to_pandas(), rtol=1e-5, atol=1e-7
        )


def test_every_way_to_give_a_matrix_is_the_same_model(family, rows):
    frame = family.to_frame()
    mixed = frame.sample(frac=1, random_state=1)  # rows in one order, columns in another
    inverse = pd.DataFrame(np.linalg.inv(frame), index=frame.index, columns=frame.columns)
    labels = list(family.labels)
    ways = [
        frame, mixed, (frame.to_numpy(), labels), (sp.csc_array(frame.to_numpy()), labels),
        hb.Precision(inverse), hb.Precision((family.inverse, labels)),
    ]  # fmt: skip
    expected = hb.lmer(FORMULAS["intercept"], rows, cov={"animal": family})
    for way in ways:
        found = hb.lmer(FORMULAS["intercept"], rows, cov={"animal": way})
        assert found.criterion == pytest.approx(expected.criterion, abs=1e-8)
    four = hb.lmer(FORMULAS["intercept"], rows, cov={"animal": 4 * frame})
    np.testing.assert_allclose(four.theta, expected.theta / 2, rtol=1e-6)


@pytest.fixture(scope="module")
def post(family, rows):
    return hb.Model(FORMULAS["intercept"], rows, cov={"animal": family}).sample(random_seed=1)


def test_the_collapsed_density_is_that_of_the_rows(post, family, rows):
    spec = post.model.spec
    target, priors = target_of(spec.reml_kernel, spec.priors), spec.priors
    points = np.random.default_rng(2).normal(size=(5, 2)) * 0.3
    at = collapsed(target, points)
    own = at.log_density - variance_log_prior(target.coordinates, priors, points)
    dense = Dense(post.model.fit(), family, rows)
    M = np.eye(2)
    M[priors.intercept] += priors.centre
    back = np.linalg.inv(M)
    mean = dense.X @ back @ [law.mu for law in priors.beta]
    spread = dense.X @ back * [law.sigma for law in priors.beta]
    sds, sigmas = target.coordinates.sds(points)[0][:, 0], target.coordinates.sigma(points)
    for value, sd, sigma in zip(own, sds, sigmas, strict=True):
        V = sigma**2 * np.eye(N_ROWS) + sd**2 * dense.Z @ dense.A @ dense.Z.T + spread @ spread.T
        assert value == pytest.approx(multivariate_normal(mean, V).logpdf(dense.y), abs=1e-8)
    steps = 1e-5 * np.eye(2)
    ends = [collapsed(target, points + s).log_density - collapsed(target, points - s).log_density
            for s in steps]  # fmt: skip
    np.testing.assert_allclose(slope(target, points, at), np.stack(ends, 1) / 2e-5, atol=1e-6)


def test_the_posterior_answers_of_all_levels_and_saves_with_its_matrix(post, family, tmp_path):
    assert post.draws.sampler == "collapsed" and post.pareto_k < 0.7
    fit = post.model.fit()
    expected, sd = fit.ranef()["animal"], fit.ranef_sd()["animal"]
    assert (abs(post.ranef()["animal"] - expected) < 0.35 * sd).all(axis=None)
    new = pd.DataFrame({"x": [0.0], "animal": [family.labels[0]]})  # an animal without rows
    assert post.predict(new).iloc[0] == pytest.approx(fit.predict(new).iloc[0], abs=0.3)
    post.save(tmp_path / "animals.hb")
    again = hb.load(tmp_path / "animals.hb")
    kept = again.model.spec.arguments.cov["animal"]
    np.testing.assert_array_equal(kept.matrix, family.covariance())
    assert again.model.fit().criterion == pytest.approx(fit.criterion, abs=1e-9)


def test_leave_one_out_of_rows_is_exact(post, family, rows):
    dense = Dense(post.model.fit(), family, rows)
    priors = post.model.spec.priors
    M = np.eye(2)
    M[priors.intercept] += priors.centre
    back = np.linalg.inv(M)
    r = dense.y - dense.X @ back @ [law.mu for law in priors.beta]
    spread = dense.X @ back * [law.sigma for law in priors.beta]
    terms = []
    sds, sigmas = post.draws.sd["animal"].ravel(), post.draws.sigma.ravel()
    for sd, sigma in zip(sds[::10], sigmas[::10], strict=True):
        V = sigma**2 * np.eye(N_ROWS) + sd**2 * dense.Z @ dense.A @ dense.Z.T + spread @ spread.T
        P = np.linalg.inv(V)
        own = np.diag(P)
        terms.append(0.5 * np.log(own / (2 * np.pi)) - 0.5 * (P @ r) ** 2 / own)
    expected = -np.log(np.exp(-np.array(terms)).mean(axis=0))
    found = hb.loo(post).to_frame()["elpd"]
    np.testing.assert_allclose(found, expected, atol=0.12)
    assert abs(found - expected).mean() < 0.01


def test_leaving_levels_and_folds_out_knows_their_relatives(family, rows):
    model = hb.Model(FORMULAS["intercept"], rows, cov={"animal": family})
    post = model.sample(draws=150, chains=2, random_seed=1)
    dense = Dense(model.fit(), family, rows)
    blocks = blocks_of(post, "animal")
    assert blocks.labels.size == N_ANIMALS - 8  # with rows
    problem = left_out(post, blocks)
    found = group_log_densities(problem)
    priors = post.model.spec.priors
    M = np.eye(2)
    M[priors.intercept] += priors.centre
    back = np.linalg.inv(M)
    mean = dense.X @ back @ [law.mu for law in priors.beta]
    spread = dense.X @ back * [law.sigma for law in priors.beta]
    sds, sigmas = post.draws.sd["animal"].ravel(), post.draws.sigma.ravel()
    for s, j in ((0, 0), (1, 5), (2, 31)):
        V = sigmas[s] ** 2 * np.eye(N_ROWS) + sds[s] ** 2 * dense.Z @ dense.A @ dense.Z.T
        V += spread @ spread.T
        out = (rows.animal == blocks.labels[j]).to_numpy()
        rest = multivariate_normal(mean[~out], V[np.ix_(~out, ~out)]).logpdf(dense.y[~out])
        whole = multivariate_normal(mean, V).logpdf(dense.y)
        assert found[s, j] == pytest.approx(whole - rest, abs=1e-8)
        weights = np.linalg.solve(V[np.ix_(~out, ~out)], V[np.ix_(~out, out)])
        expected = mean[out] + (dense.y - mean)[~out] @ weights
        variance = np.diag(V[np.ix_(out, out)] - V[np.ix_(out, ~out)] @ weights)
        own = norm(expected, np.sqrt(variance)).logpdf(dense.y[out])
        np.testing.assert_allclose(predicted_log_densities(problem, j)[:, s], own, atol=1e-8)
    loo = hb.loo(post, by="animal")
    assert "a new animal from its relatives" in loo.what
    folds = hb.kfold(post, k=4, by="animal", random_seed=1)
    assert abs(folds.elpd - loo.elpd) < 8
    assert np.corrcoef(folds.pointwise["elpd"], loo.pointwise["elpd"])[0, 1] > 0.8


def test_a_pymc_model_has_the_covariance_between_levels(family, rows):
    model = hb.Model(FORMULAS["slope"], rows, cov={"animal": family}).to_pymc("centered")
    import pymc as pm
    from pytensor.compile.mode import Mode

    b, sd = model["b_animal"], model["sd_animal"]
    rng = np.random.default_rng(3)
    value, sds = rng.normal(size=(N_ANIMALS, 2)), np.array([1.5, 0.7])
    R = np.array([[1.0, 0.3], [0.3, 1.0]])
    given = {sd: sds, model["corr_animal"]: R}
    quick = Mode(linker="py", optimizer="fast_compile")
    found = pm.logp(b, value).eval(given, mode=quick)
    V = np.kron(family.covariance(), R * np.outer(sds, sds))
    expected = multivariate_normal(np.zeros(2 * N_ANIMALS), V).logpdf(value.ravel())
    assert float(found) == pytest.approx(expected, abs=1e-8)


def test_random_effects_in_sigma_stand_beside_a_known_covariance(monkeypatch, family, rows):
    formula, given = "y ~ x + (1 | animal)", {"sigma": "~ x + (1 | herd)"}
    given["cov"] = {"animal": family}
    data = rows.assign(time=rows.groupby("animal").cumcount())
    model = hb.Model(formula, data, residual="ar1(time | animal)", **given)
    density, design = pymc_density(model), model.spec.design
    of_sigma, rng, A = design.of("sigma"), np.random.default_rng(3), family.covariance()
    codes, herds = design.factors[0].codes, of_sigma.factors[0].codes
    values = {"beta": [3.0, 1.0], "sd_animal": [2.0], "sigma_beta": [0.1, 0.2]}
    values |= {"sigma_sd_herd": [0.5], "cor_ar1|animal": 0.4}
    time = data["time"].to_numpy()
    C = np.where(codes[:, None] == codes, 0.4 ** np.abs(time[:, None] - time), 0.0)
    differences = []
    for _ in range(2):
        b, s = rng.normal(size=N_ANIMALS), rng.normal(scale=0.5, size=N_HERDS)
        own = values | {"b_animal": b[:, None], "sigma_b_herd": s[:, None]}
        found = density({name: np.array(value) for name, value in own.items()})
        sd = np.exp(of_sigma.X @ values["sigma_beta"] + s[herds])
        e = design.y - design.X @ values["beta"] - b[codes]
        expected = multivariate_normal.logpdf(e, cov=C * sd[:, None] * sd)
        expected += multivariate_normal.logpdf(b, cov=4 * A) + norm.logpdf(s, 0, 0.5).sum()
        differences.append(found - expected)
    assert differences[0] == pytest.approx(differences[1], abs=1e-8)

    def reached(*_: object, **__: object) -> None:
        raise LookupError("nuts")

    monkeypatch.setattr(pymc_model, "build_model", reached)
    with pytest.raises(LookupError, match="nuts"):
        hb.Model(formula, rows, **given).sample()


def test_levels_that_cannot_be_drawn_or_left_out_say_so(post, rows):
    new = pd.DataFrame({"x": [0.0], "animal": ["stranger"]})
    assert np.isfinite(post.predict(new, new_levels="population")).all()
    for wrong in (
        lambda: post.predict(new, new_levels="sample"),
        lambda: hb.bootstrap(post.model.fit(), kind="cases"),
        lambda: hb.plot.shrinkage_lines(post),
        lambda: hb.plot.shrinkage_reliability(post),
    ):
        with pytest.raises(hb.NotSupportedError, match="animal"):
            wrong()


def matrix(**changes):
    A = pd.DataFrame(np.eye(3), index=list("abc"), columns=list("abc"))
    for place, value in changes.items():
        A.loc[place[0], place[1]] = value
    return A


@pytest.mark.parametrize(
    ("cov", "error", "says"),
    [
        ({"g": matrix(ab=2.0, ba=2.0)}, hb.DataError, "not positive definite"),
        ({"g": matrix(ab=0.5)}, hb.DataError, "not symmetric: 0.5 between 'a' and 'b'"),
        ({"g": matrix(aa=np.nan)}, hb.DataError, "missing or infinite, of 'a'"),
        ({"g": matrix().iloc[:2, :2]}, hb.DataError, "no row for 1 level of 'g'.*'c'"),
        ({"g": (np.eye(3), ["a", "b", "b"])}, hb.DataError, "'b' more than once"),
        ({"g": (np.eye(2), list("abc"))}, hb.DataError, "shape"),
        ({"g": matrix().rename(columns={"a": "z"})}, hb.DataError, "other labels"),
        ({"g": np.eye(3)}, hb.OptionError, "matrix without labels"),
        ({"g": "A"}, hb.OptionError, "no covariance between levels"),
        ({"h": matrix()}, hb.OptionError, "cov names 'h'"),
        (matrix(), hb.OptionError, "must be a dict"),
        ({}, hb.OptionError, "must be a dict"),
    ],
)
def test_a_matrix_that_cannot_be_a_covariance_is_refused(cov, error, says):
    data = pd.DataFrame({"y": [1.0, 2, 3, 5, 4, 7], "g": list("abcabc")})
    with pytest.raises(error, match=says):
        hb.Model("y ~ 1 + (1 | g)", data, cov=cov)


def test_one_row_a_level_and_no_relation_is_not_told_apart():
    data = pd.DataFrame({"y": np.arange(6.0) ** 2, "g": list("abcdef")})
    eye = pd.DataFrame(np.eye(6), index=list("abcdef"), columns=list("abcdef"))
    model = hb.Model("y ~ 1 + (1 | g)", data, cov={"g": eye})
    with pytest.raises(hb.DataError, match="do not tell"):
        model.fit()


def test_other_families_say_that_they_have_none(rows, family):
    data = rows.assign(y=(rows.y > 3).astype(int))
    with pytest.raises(hb.NotSupportedError, match="known covariances"):
        hb.Model("y ~ x + (1 | animal)", data, "bernoulli", cov={"animal": family})
