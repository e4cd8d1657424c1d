"""Slower with every night? A lecture on mixed models, slide by slide, by REML and as a posterior.

Read it with ``marimo edit tutorials/01_the_lecture.py``, or run it as any Python script.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Slower with every night?")


@app.cell(hide_code=True)
def _(hb, mo, sleep):
    _about = hb.list_datasets().loc["sleepstudy"]
    mo.md(f"""
    # Slower with every night?

    **How do reaction times change with each night of short sleep, and do people differ in how
    much?**

    The data are `sleepstudy` ({_about["citation"]}): "{_about["description"]}". That is
    {len(sleep)} reaction times in ms, {sleep["Days"].nunique()} days of each of
    {sleep["Subject"].nunique()} people. We follow a lecture slide by slide (Matteo Lisi,
    Multilevel (mixed-effects) modelling in R, 21 May 2019), both ways: by restricted maximum
    likelihood (REML), as the lecture does, and as a posterior.
    """)
    return


@app.cell
def _():
    import warnings

    import marimo as mo
    import numpy as np
    import pandas as pd
    from scipy.special import ndtr, ndtri

    import hierbayes as hb

    return hb, mo, ndtr, ndtri, np, pd, warnings


@app.cell
def _(hb):
    sleep = hb.load_dataset("sleepstudy")
    LABELS = {"Days": "Days of sleep deprivation", "Reaction": "Reaction time (ms)"}
    sleep.head()
    return LABELS, sleep


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Look first

    One panel a person: the days, the least-squares line of these points alone, and its 95 %
    confidence band.
    """)
    return


@app.cell
def _(LABELS, hb, sleep):
    _figure, _axes = hb.plot.data(sleep, x="Days", y="Reaction", group="Subject", labels=LABELS)
    _figure
    return


@app.cell
def _(hb, pd, sleep):
    by_subject = sleep.groupby("Subject", observed=True)
    own = pd.DataFrame({s: hb.lmer("Reaction ~ Days", rows).fixef() for s, rows in by_subject}).T
    return (own,)


@app.cell(hide_code=True)
def _(mo, own):
    _slope = own["Days"]
    mo.md(f"""
    {(_slope > 0).sum()} of the {len(_slope)} lines go up, but not alike: from {_slope.min():.1f} ms
    a day (subject {_slope.idxmin()}) to {_slope.max():.1f} ms a day (subject {_slope.idxmax()}).
    They start at different heights, too.

    ## An ordinary linear model

    $$y_i = \\beta_0 + \\beta_1 x_i + \\epsilon_i, \\qquad \\epsilon_i \\sim N(0, \\sigma^2)$$

    It **assumes** one line for everybody and errors that are independent of each other. The picture
    contradicts both: a person who is above the common line on one day is above it on the next.
    """)
    return


@app.cell
def _(hb, sleep):
    linear = hb.lmer("Reaction ~ Days", sleep)
    print(linear.summary())
    return (linear,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## A line for each person, around a common one

    Person $j$ is a draw from a population of people, each with an intercept and a slope:

    $$y_{ij} = (\beta_0 + b_{j0}) + (\beta_1 + b_{j1})\, x_{ij} + \epsilon_{ij}, \qquad
    \begin{pmatrix} b_{j0} \\ b_{j1} \end{pmatrix} \sim N(0, \Omega), \qquad
    \epsilon_{ij} \sim N(0, \sigma^2)$$

    It **assumes**

    - that each person's reaction time changes along a straight line;
    - that people's intercepts and slopes are normally distributed, possibly correlated;
    - that around their own line the days of a person are independent and scatter alike.

    In a formula, what stands left of the bar varies between the levels of what stands right of it;
    the intercept is understood.
    """)
    return


@app.cell
def _(hb, sleep):
    m1 = hb.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    print(m1.summary())
    return (m1,)


@app.cell(hide_code=True)
def _(linear, m1, mo):
    _beta, _se = m1.fixef(), dict(zip(m1.coef_names, m1.std_errors, strict=True))
    _se_linear = dict(zip(linear.coef_names, linear.std_errors, strict=True))
    mo.md(f"""
    **The first answer**: {_beta["Days"]:.1f} ms slower a day, on average, from
    {_beta["(Intercept)"]:.0f} ms on day 0. The ordinary model has the same line, as everybody has
    the same days, and gives its slope too small a standard error: {_se_linear["Days"]:.2f} instead
    of {_se["Days"]:.2f} ms a day. It takes {m1.nobs} days for {m1.nobs} people; what is known about
    the average person's slope depends on how many people there are. The residual standard
    deviation of {linear.sigma:.0f} ms falls to {m1.sigma:.0f} ms once people have their own lines.

    There are t values but no p values: it is not clear in general what degrees of freedom they
    should have. Tests follow below.

    ## How much people differ
    """)
    return


@app.cell
def _(m1):
    m1.varcorr()
    return


@app.cell(hide_code=True)
def _(m1, mo, ndtr, ndtri):
    _term = m1.varcorr().terms[0]
    _mean, _sd = m1.fixef()["Days"], _term.sd[1]
    _half = ndtri(0.975) * _sd
    mo.md(f"""
    **The second answer**: slopes have a standard deviation of {_sd:.1f} ms a day between people,
    around their mean of {_mean:.1f}. If they are normal, 95 % of people have a slope between
    {_mean - _half:.1f} and {_mean + _half:.1f} ms a day, and {100 * ndtr(-_mean / _sd):.0f} % do
    not slow down at all. These are the estimates taken as they are, without their own uncertainty.

    ## Each person

    The conditional modes $b_j$ say how far a person is from the average line.
    """)
    return


@app.cell
def _(m1):
    m1.ranef()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    With the fixed effects added they are each person's coefficients. Here are these slopes beside
    those of the lines in the picture, which use a person's own points only.
    """)
    return


@app.cell
def _(m1, own, pd):
    slopes = pd.DataFrame({"own line": own["Days"], "model": m1.coef()["Subject"]["Days"]})
    slopes.round(1).T
    return (slopes,)


@app.cell(hide_code=True)
def _(mo, slopes):
    _sd, _far = slopes.std(), slopes["own line"].idxmin()
    mo.md(f"""
    The model's slopes lie closer together (standard deviation {_sd["model"]:.1f} instead of
    {_sd["own line"]:.1f} ms a day): each is a compromise between the person's own line and the
    average one, **shrunk** towards it because part of the differences between lines of so few
    points is noise. Subject {_far} moves from {slopes.loc[_far, "own line"]:.1f} to
    {slopes.loc[_far, "model"]:.1f} ms a day. In each panel stand the standard errors of the
    person's own intercept and slope.
    """)
    return


@app.cell
def _(LABELS, hb, m1):
    _figure, _axes = hb.plot.shrinkage_lines(m1, standard_errors=True, labels=LABELS)
    _figure
    return


@app.cell(hide_code=True)
def _(hb, m1, mo):
    _table = hb.shrinkage(m1)
    _kept = _table.groupby("term")["reliability"].first()
    mo.md(f"""
    The same in the plane of intercept and slope: hollow points are own lines, full ones the
    model's, the cross is the average line, and the ellipses hold 50, 80 and 95 % of the people.
    Of the variance between people, ten days reveal {100 * _kept["Days"]:.0f} % for slopes and
    {100 * _kept["(Intercept)"]:.0f} % for intercepts.
    """)
    return


@app.cell
def _(hb, m1):
    _figure, _axes = hb.plot.shrinkage_plane(m1)
    _figure
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## The other way: a posterior

    The same model with priors, wide ones unless you give your own, says how probable each value
    is, after the data. Beside it REML, and maximum likelihood (ML):
    """)
    return


@app.cell
def _(hb, m1):
    posterior = m1.model.sample(random_seed=1)
    m1_ml = m1.model.fit("ml")
    three = hb.compare(m1_ml, m1, posterior)
    print(three)
    return posterior, three


@app.cell(hide_code=True)
def _(m1, mo, posterior, three):
    _rows = three.to_frame()
    _slope, _sd = _rows.loc["Days"], _rows.loc["sd(Days|Subject)"]
    mo.md(f"""
    The average slope is {_slope["reml_estimate"]:.1f} ms a day by REML and
    {_slope["posterior_mean"]:.1f} on average over the posterior, which took
    {posterior.draws.seconds:.2f} seconds. The standard deviation of slopes is
    {_sd["ml_estimate"]:.1f} by ML, {_sd["reml_estimate"]:.1f} by REML and has the posterior median
    {_sd["posterior_median"]:.1f}. Why ML's is the smallest: it measures spread around a mean that
    was fitted to the same {m1.n_groups["Subject"]} people, as if that mean were known. REML makes
    up for it, as $n - 1$ does for $n$ in a sample variance. We check that on data simulated from
    known variances, with few people:
    """)
    return


@app.cell
def _(hb, np, pd, warnings):
    few = 6  # people
    _sd, _sigma = 37.0, 31.0  # of intercepts between people, and of the days of a person, in ms
    _rng = np.random.default_rng(6)
    _person, _days = np.repeat(np.arange(few), 10), np.tile(np.arange(10), few)

    def _drawn():
        lines = 251.4 + 10.5 * _days + _rng.normal(0, _sd, few)[_person]
        reaction = lines + _rng.normal(0, _sigma, _days.size)
        return pd.DataFrame({"Reaction": reaction, "Days": _days, "Subject": _person})

    _formula = "Reaction ~ Days + (1 | Subject)"
    _model = hb.Model(_formula, _drawn())
    _fits = {"ML": _model.fit("ml"), "REML": _model.fit("reml")}
    _rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.BoundaryWarning)  # a variance may come out as zero
        for _number in range(1000):
            _data = _drawn()
            for _method, _fit in _fits.items():
                _variances = _fit.refit(_data["Reaction"]).varcorr().to_frame()["vcov"]
                _rows.append([_method, *_variances])
            if _number < 40:
                _post = hb.Model(_formula, _data).sample(random_seed=_number)
                _draws = _post.idata["posterior"]
                _medians = [float((_draws[name] ** 2).median()) for name in ("sd_Subject", "sigma")]
                _rows.append(["posterior median", *_medians])
    _found = pd.DataFrame(_rows, columns=["method", "between people", "residual"])
    bias = _found.groupby("method", sort=False).mean()
    bias.loc["true"] = _sd**2, _sigma**2
    print(bias.round(0))
    return bias, few


@app.cell(hide_code=True)
def _(bias, few, mo):
    _ratio = bias["between people"] / bias.loc["true", "between people"]
    mo.md(f"""
    Of the variance between {few} people ML finds {100 * _ratio["ML"]:.0f} % on
    average and REML {100 * _ratio["REML"]:.0f} %. The posterior's median,
    {100 * _ratio["posterior median"]:.0f} %, is no such estimator: with so few people its wide
    prior counts.

    ## Tests: likelihood ratios

    If a model is another one with something left out, twice the difference of their maximised
    log-likelihoods is approximately $\\chi^2$, with as many degrees of freedom as parameters were
    left out. `anova` fits again by ML, since REML criteria of models with different fixed effects
    do not compare. Does the average person change at all?
    """)
    return


@app.cell
def _(hb, m1):
    no_trend = m1.update(". ~ . - Days")
    trend_test = hb.anova(no_trend, m1, names=("no trend", "m.1"))
    trend_test
    return (trend_test,)


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    Do slopes differ (m.0 against m.2), and do they go together with intercepts (m.2 against m.1)?
    The last is the lecture's question: are people who are fast at the start less affected?
    """)
    return


@app.cell
def _(hb, m1, sleep):
    m0 = hb.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    m2 = hb.lmer("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", sleep)
    omega_test = hb.anova(m0, m2, m1, names=("m.0", "m.2", "m.1"))
    omega_test
    return m2, omega_test


@app.cell(hide_code=True)
def _(mo, omega_test, trend_test):
    _trend, _omega = trend_test.to_frame(), omega_test.to_frame()
    mo.md(f"""
    - The average slope is not zero: $\\chi^2$ = {_trend.loc["m.1", "chisq"]:.1f}, p =
      {_trend.loc["m.1", "p_value"]:.1g}.
    - Slopes differ: $\\chi^2$ = {_omega.loc["m.2", "chisq"]:.1f}, p =
      {_omega.loc["m.2", "p_value"]:.1g}. A variance cannot be negative, so without differences it
      would be estimated as exactly zero about half of the time; the p value should be halved.
    - No sign of a correlation: $\\chi^2$ = {_omega.loc["m.1", "chisq"]:.3f}, p =
      {_omega.loc["m.1", "p_value"]:.2f}. That is not a sign of no correlation, as we see next.

    ## The golden standard: a bootstrap

    Simulate data from the smaller model, fit both models to them, and see how large the statistic
    gets when there is no correlation. That needs neither $\\chi^2$ nor degrees of freedom.
    """)
    return


@app.cell
def _(hb, m1, m2):
    bootstrapped = hb.pb_test(m2, m1, nsim=500, random_seed=1)
    bootstrapped
    return (bootstrapped,)


@app.cell
def _(hb, posterior, sleep):
    _smaller = hb.Model("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", sleep)
    factor = hb.bayes_factor(posterior, _smaller.sample(random_seed=1), names=("m.1", "m.2"))
    print(factor)
    return (factor,)


@app.cell(hide_code=True)
def _(bootstrapped, factor, mo, omega_test):
    _p = omega_test.to_frame().loc["m.1", "p_value"]
    mo.md(f"""
    The bootstrapped p is {bootstrapped.p_value:.2f}, that of $\\chi^2$ was {_p:.2f}. The
    posterior's answer is a Bayes factor: the data are {factor.bf:.2f} times as probable with a
    correlation as without one. All say that these data do not ask for it.

    ## How sure? Four kinds of intervals
    """)
    return


@app.cell
def _(hb, m1, posterior):
    kinds = {
        "Wald": hb.confint(m1),
        "profile": hb.confint(m1, method="profile"),
        "bootstrap": hb.confint(m1, method="bootstrap", nsim=500, random_seed=1),
        "posterior": hb.confint(posterior),
    }
    _figure, _axes = hb.plot.intervals(kinds)
    _figure
    return (kinds,)


@app.cell(hide_code=True)
def _(kinds, mo):
    _text = {
        kind: f"{table.loc['sd_Days|Subject', 'lower']:.1f} to "
        f"{table.loc['sd_Days|Subject', 'upper']:.1f}"
        for kind, table in kinds.items()
    }
    mo.md(f"""
    Of the average line all agree. For the standard deviation of slopes a Wald interval does not
    exist; the bootstrap, as on the lecture's slide, has {_text["bootstrap"]} ms a day, the profile
    likelihood {_text["profile"]}, and 95 % of the posterior lie in {_text["posterior"]}. The last
    two reach further up, as the likelihood of a standard deviation is skewed; the bootstrap draws
    from one estimate and so inherits its bias.

    ## Are the residuals well behaved?

    First against days, moved sideways a little: the cloud should be level and equally wide. Then
    against normal quantiles: the points should follow the dashed line.
    """)
    return


@app.cell
def _(LABELS, hb, m1):
    _figure, _axes = hb.plot.residuals(m1, "Days", labels={"Days": LABELS["Days"]})
    _figure
    return


@app.cell
def _(hb, m1):
    _figure, _axes = hb.plot.qq(m1)
    _figure
    return


@app.cell(hide_code=True)
def _(m1, mo, ndtr):
    _scaled = (m1.residuals() / m1.sigma).abs()
    _rows = m1.augment()["Subject"][_scaled > 3].astype(str).unique()
    mo.md(f"""
    The cloud is level, but the tails are heavier than normal: {(_scaled > 3).sum()} residuals lie
    more than 3 standard deviations out, the farthest {_scaled.max():.1f}, where
    {2 * ndtr(-3.0) * m1.nobs:.1f} of {m1.nobs} would be expected. They are of subjects
    {", ".join(_rows)}. A few days like these raise the residual standard deviation and weigh
    heavily in these persons' own lines.
    """)
    return


@app.cell(hide_code=True)
def _(hb, kinds, m1, mo, sleep):
    _days = hb.describe_dataset("sleepstudy").loc["Days", "unit"]
    _low, _high = kinds["bootstrap"].loc["cor_Days.(Intercept)|Subject", ["lower", "upper"]]
    mo.md(f"""
    ## What this cannot tell

    - **Whether it is the sleep.** Everybody had the same nights in the same order, and there is no
      one here who slept. Practice, boredom or the calendar would look the same.
    - **What the first nights do.** `Days` is described as "{_days}", yet the line takes every day
      for the same step.
    - **What comes after day {sleep["Days"].max():.0f}**, or with another dose of sleep: the line is
      straight because we drew it so.
    - **Whether fast people suffer less.** {m1.n_groups["Subject"]} people leave a correlation
      anywhere from {_low:.1f} to {_high:.1f} open.
    - **Who the people are.** The population is the one these drivers are a random sample of, if
      they are one.
    - **Days within a person.** That a bad day is not followed by another was assumed, not tested;
      so was the same scatter for everyone.
    """)
    return


if __name__ == "__main__":
    app.run()
