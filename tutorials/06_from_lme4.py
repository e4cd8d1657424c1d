"""From lme4 to hierbayes: which call is which, on a split-plot experiment with chocolate cakes.

Read it with ``marimo edit tutorials/06_from_lme4.py``, or run it as any Python script.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="From lme4 to hierbayes")


@app.cell(hide_code=True)
def _(cake, hb, mo):
    _about = hb.list_datasets().loc["cake"]
    mo.md(f"""
    # From lme4 to hierbayes

    **You know lme4. What is each call named here, and what comes out the same?**

    We need an example: {_about["description"].lower()} (`cake`, {_about["citation"]}),
    {len(cake)} cakes. Each replicate of a recipe is one batch of batter, split over the
    temperatures. R code stands above ours; what R needs a package for is said.
    """)
    return


@app.cell
def _():
    import marimo as mo

    import hierbayes as hb

    return hb, mo


@app.cell
def _(hb):
    cake = hb.load_dataset("cake")
    _figure, _axes = hb.plot.data(
        cake,
        x="temp",
        y="angle",
        group="recipe",
        labels={"temp": "temperature (°F)", "angle": "breaking angle (degrees)"},
    )
    _figure
    return (cake,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Fitting

    ```r
    fit <- lmer(angle ~ recipe * temp + (1 | recipe:replicate), cake); summary(fit)
    ```

    The formula is the same, and so is the model: with $j$ the batch,

    $$\text{angle}_{ij} = x_{ij}'\beta + b_j + \epsilon_{ij}, \qquad b_j \sim N(0, \tau^2), \quad
    \epsilon_{ij} \sim N(0, \sigma^2)$$

    which **assumes** batches and residuals to be normal and independent. `temp` is the temperature
    as a number; `temperature`, an ordered factor, would get polynomial contrasts as in R. With
    `ddf="satterthwaite"` the summary is the one of lmerTest.
    """)
    return


@app.cell
def _(cake, hb):
    fit = hb.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", cake)
    print(fit.summary(ddf="satterthwaite"))
    return (fit,)


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Reading

    | lme4, lmerTest, broom.mixed | here |
    |:--|:--|
    | `lmer(f, d, REML = FALSE)` | `hb.lmer(f, d, reml=False)` |
    | `fixef(fit)`, `vcov(fit)`, `sigma(fit)` | `fit.fixef()`, `fit.vcov()`, `fit.sigma` |
    | `ranef(fit, condVar = TRUE)` | `fit.ranef()`, `fit.ranef_sd()`, `fit.ranef_cov()` |
    | `coef(fit)` | `fit.coef()` |
    | `as.data.frame(VarCorr(fit))` | `fit.varcorr().to_frame()` |
    | `logLik`, `AIC`, `BIC`, `ngrps`, `getME(fit, "theta")` | `fit.loglik`, `fit.aic`, `fit.bic`, `fit.n_groups`, `fit.theta` |
    | `isSingular(fit)` and warnings | `fit.is_singular`, `fit.findings` |
    | `fitted(fit)`, `residuals(fit)` | `fit.fitted()`, `fit.residuals()` |
    | `update`, `refit`, `simulate` | `fit.update(". ~ . - x")`, `fit.refit(y)`, `fit.simulate(10)` |
    | `tidy(fit)`, `glance(fit)`, `augment(fit)` | `fit.tidy()`, `fit.glance()`, `fit.augment()` |
    | `plot(fit)`, `qqnorm(resid(fit))` | `hb.plot.residuals(fit)`, `hb.plot.qq(fit)` |
    | `lattice::dotplot(ranef(fit))` | `hb.plot.caterpillar(fit)` |
    | `DHARMa::simulateResiduals(fit)` | `hb.check(fit)` |
    | `influence.ME::influence(fit)` | `hb.influence(fit)` |

    Rows of `VarCorr`, in lme4's order and with its names:
    """)  # noqa: E501
    return


@app.cell
def _(fit):
    print(fit.varcorr().to_frame())
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Testing

    | lme4, lmerTest, pbkrtest, RLRsim | here |
    |:--|:--|
    | `anova(small, large)` | `hb.anova(small, large)` |
    | `anova(fit, type = 3)` of lmerTest | `hb.anova(fit, type=3)` |
    | `anova(fit, ddf = "Kenward-Roger")` | `hb.anova(fit, ddf="kenward-roger")` |
    | `KRmodcomp(large, small)` | `fit.contrast(L, joint=True, ddf="kenward-roger")` |
    | `PBmodcomp(large, small, nsim = 1000)` | `hb.pb_test(small, large, nsim=1000)` |
    | `drop1(fit)`, `ranova(fit)` | `hb.drop1(fit)`, `hb.ranova(fit)` |
    | `exactRLRT(fit)` | `hb.exact_rlrt(fit)` |

    ```r
    anova(fit, ddf = "Kenward-Roger"); PBmodcomp(fit, update(fit, . ~ . - recipe:temp))
    ```
    """)
    return


@app.cell
def _(fit, hb):
    f_table = hb.anova(fit, ddf="kenward-roger")
    additive = fit.update(". ~ . - recipe:temp")
    interaction = hb.pb_test(additive, fit, nsim=500, random_seed=1)
    print(f_table, "", interaction, sep="\n")
    return additive, f_table, interaction


@app.cell(hide_code=True)
def _(f_table, interaction, mo):
    _f = f_table.to_frame()["p_value"]
    mo.md(f"""
    The bootstrap (p = {interaction.p_value:.2f}) and Kenward and Roger's F test
    (p = {_f["recipe:temp"]:.2f}) agree: there is no sign that temperature acts differently on
    the recipes.

    ## Intervals, means and contrasts

    | lme4, emmeans, performance, merTools | here |
    |:--|:--|
    | `confint(fit, method = "profile", oldNames = FALSE)` | `hb.confint(fit, method="profile")` |
    | `confint(fit, method = "boot", nsim = 500)` | `hb.confint(fit, method="bootstrap")` |
    | `bootMer(fit, f, nsim)` | `hb.bootstrap(fit, f, nsim)` |
    | `emmeans(fit, pairwise ~ f)` | `hb.emmeans(fit, "f", contrasts="pairwise")` |
    | `r2_nakagawa(fit)`, `icc(fit)` | `hb.r2(fit)`, `hb.icc(fit)` |
    | `predict(fit, nd, re.form = NA)` | `fit.predict(nd, groups="none")` |
    | `predict(fit, nd, allow.new.levels = TRUE)` | `fit.predict(nd, new_levels="population")` |
    | `predictInterval(fit, nd)` | `fit.predict(nd, interval="prediction")` |

    ```r
    confint(additive, method = "profile", oldNames = FALSE)
    emmeans(additive, pairwise ~ recipe)
    ```
    """)
    return


@app.cell
def _(additive, hb):
    print(hb.confint(additive, method="profile").round(3))
    hb.emmeans(additive, "recipe", contrasts="pairwise")
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## The posterior of the same formula

    | rstanarm, brms | here |
    |:--|:--|
    | `stan_lmer(f, d)`, `brm(f, d)` | `hb.Model(f, d).sample()`, or `fit.model.sample()` |
    | `prior_summary(fit)` | `model.priors` |
    | `prior = normal(0, 10)` | `hb.Model(f, d, priors={"temp": hb.Normal(0, 10)})` |
    | `posterior_predict(fit)` | `post.simulate(10)`, or `post.predict(nd, interval="prediction")` |
    | `loo(a)`, `loo_compare(a, b)` | `hb.loo(a)`, `hb.compare(a, b)` |
    | `bridgesampling::bayes_factor(a, b)` | `hb.bayes_factor(a, b)` |
    | `hypothesis(fit, "temp > 0")` | `post.hypothesis("temp > 0")` |
    | `stancode(fit)` | `model.to_pymc()`, a PyMC model to read and extend |

    ```r
    stan_lmer(angle ~ recipe + temp + (1 | recipe:replicate), cake)
    ```
    """)
    return


@app.cell
def _(additive, hb):
    post = additive.model.sample(random_seed=6)
    print(hb.compare(additive, post))
    return (post,)


@app.cell(hide_code=True)
def _(additive, mo, post):
    _draws = f"{post.n_draws:,}"
    mo.md(f"""
    These {_draws} draws took {post.draws.seconds:.2f} seconds. Fixed and random effects were
    integrated out on the algebra that REML uses; nothing was compiled. The slope of temperature is
    {additive.fixef()["temp"]:.3f} degrees per °F by REML and {post.fixef()["temp"]:.3f} on average
    over the posterior.

    ## Choices and counts

    | lme4, emmeans, DHARMa | here |
    |:--|:--|
    | `glmer(f, d, binomial)`, `glmer(f, d, poisson)` | `hb.glmer(f, d)`, `hb.glmer(f, d, "poisson")` |
    | `cbind(s, n - s) ~ x`, `weights = n` | the same |
    | `glmer(..., nAGQ = 9)` | `hb.glmer(..., n_quadrature=9)`, also for several columns and factors |
    | `glmer.nb(f, d)` | `hb.glmer(f, d, "negativebinomial")` |
    | `emmeans(fit, pairwise ~ f, type = "response")` | `hb.emmeans(fit, "f", contrasts="pairwise", type="response", kind="odds_ratio")` |
    | `summary(emmeans(fit, ~ f), type = "response", bias.adjust = TRUE, sigma = s)` | `hb.emmeans(fit, "f", type="response", bias_adjust=True)` |
    | `predict(fit, nd, type = "response")` | `fit.predict(nd, type="response")` |
    | `simulateResiduals(fit)`, `testDispersion(fit)` | `hb.check(fit)` |

    Contagious disease of cattle (`cbpp`, of lme4): of the animals of a herd, how many fell ill in
    each of four periods?

    ```r
    glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
    ```
    """)  # noqa: E501
    return


@app.cell
def _(hb):
    cbpp = hb.load_dataset("cbpp")
    disease = hb.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp)
    print(disease.summary())
    return (disease,)


@app.cell
def _(disease, hb):
    print(hb.emmeans(disease, "period", contrasts="pairwise", type="response", kind="odds_ratio"))
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    glmer maximises an approximation of the likelihood, Laplace's. How far is it from the likelihood
    itself? Each fit tells, when asked, in standard errors of each estimate:
    """)
    return


@app.cell
def _(disease):
    print(disease.laplace_error)
    return


@app.cell
def _(disease, hb):
    disease_post = disease.model.sample(random_seed=6)
    print(hb.compare(disease, disease_post))
    return (disease_post,)


@app.cell(hide_code=True)
def _(disease_post, mo):
    mo.md(f"""
    The draws came in {disease_post.draws.seconds:.1f} seconds without a compiler. With 15 herds the
    posterior of their standard deviation is skewed, and lies above the estimate, its mode.

    ## What differs on purpose

    - `(f || g)` of a factor gives each of its columns its own independent standard deviation.
    - New levels in `predict` are an error until you say what they mean, with `new_levels=`.
    - A singular fit is a finding in words, not an alarm; no call asks you to look at a gradient.
    - Contrasts are given by name, `contrasts={{"recipe": "sum"}}`, treatment unless you say so, and
      polynomial for ordered factors.
    - Subsetting is the data frame's work: `cake[cake.temp > 180]` in place of `subset =`.
    """)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## What this cannot tell

    That is, what there is in R and not here:

    - **Residual variances that differ by group, or residuals that depend on those before**
      (`weights = varIdent`, `correlation = corAR1` of nlme; glmmTMB).
    - **Known covariances between levels**, as of pedigrees or phylogenies (pedigreemm, brms).
    - **Nonlinear models** (`nlmer`, `nlme`) and smooth terms (`gamm4`).
    - **Several responses at once** (brms).

    And what no table of names tells: whether the model is one you would choose today.
    """)
    return


if __name__ == "__main__":
    app.run()
