"""Reanalysing a published mixed model, and one of which only estimates and errors were published.

Read it with ``marimo edit tutorials/04_reanalysing_a_published_model.py``, or run it as any Python
script.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Reanalysing a published model")


@app.cell(hide_code=True)
def _(children, hb, mo):
    _about = hb.list_datasets().loc["Orthodont"]
    mo.md(f"""
    # Reanalysing a published model

    **Do boys' faces grow faster than girls', and how much of the answer is in the data?**

    {_about["description"]} (`Orthodont`, {_about["citation"]}): {len(children)} measurements in mm.
    It has been analysed in many textbooks, as a mixed model with a line over age for each sex. We
    do that again, ask what a sceptic and an optimist should make of it, and then do the same for a
    study whose raw data nobody has.
    """)
    return


@app.cell
def _():
    import tempfile
    import warnings
    from pathlib import Path

    import marimo as mo

    import hierbayes as hb

    return Path, hb, mo, tempfile, warnings


@app.cell
def _(hb):
    children = hb.load_dataset("Orthodont")
    children = children.assign(years=children["age"] - 8, boy=(children["Sex"] == "Male") * 1)
    _figure, _axes = hb.plot.data(
        children,
        x="age",
        y="distance",
        group="Sex",
        labels={"age": "age (years)", "distance": "distance (mm)"},
    )
    _figure
    return (children,)


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## The published analysis

    `years` counts from age 8, and `boy` is 1 for boys: `years:boy` is how much faster boys grow,
    in mm a year. The model **assumes** that children differ in their level only, and grow alike but
    for sex.
    """)
    return


@app.cell
def _(children, hb):
    formula = "distance ~ years * boy + (1 | Subject)"
    published = hb.lmer(formula, children)
    print(published.summary(ddf="satterthwaite"))
    return formula, published


@app.cell(hide_code=True)
def _(hb, mo, published):
    _row = published.tidy("fixed").set_index("term").loc["years:boy"]
    _left_out = hb.influence(published)["years:boy"]
    mo.md(f"""
    Boys grow {_row["estimate"]:.2f} mm a year faster (95 % confidence interval
    {_row["conf_low"]:.2f} to {_row["conf_high"]:.2f}, p = {_row["p_value"]:.3f} with
    {_row["df"]:.0f} degrees of freedom). It does not hang on one child: without one of them, each
    in turn, it is between {_left_out.min():.2f} and {_left_out.max():.2f}.

    ## What a sceptic makes of it

    A confidence interval does not say how probable a faster growth is. That needs a prior. Suppose
    an effect of a quarter of a millimetre a year had been expected. The sceptic thinks of no
    difference and gives one that large 5 %; the optimist expects it, and gives the opposite sign
    5 %; the neutral prior is wide.
    """)
    return


@app.cell
def _(children, formula, hb):
    reanalysis = hb.reanalyse(formula, children, expected=0.25, threshold=0.1, random_seed=4)
    print(reanalysis)
    return (reanalysis,)


@app.cell(hide_code=True)
def _(mo, reanalysis):
    _table = reanalysis.table
    _sceptic, _optimist = _table.loc["sceptical"], _table.loc["optimistic"]
    mo.md(f"""
    The sceptic ends at {_sceptic["median"]:.2f} mm a year and believes in faster growth with
    probability {_sceptic["prob_positive"]:.2f}, the optimist at {_optimist["median"]:.2f} and
    {_optimist["prob_positive"]:.3f}. Both believe in a difference; they still disagree about its
    size. Bayes factors depend on priors even more: the neutral one is
    {_table.loc["neutral", "bayes_factor"]:.2f}, no support for a difference, because
    {_table.loc["neutral", "prior"]} holds differences of several mm a year for likely, and these
    data speak against those.

    `reanalysis.report("page.html")` writes all of it on one page to hand on, with the picture and
    the code; `.md` and `.tex` give twins for a paper. This is its first table in Markdown:
    """)
    return


@app.cell
def _(Path, reanalysis, tempfile):
    with tempfile.TemporaryDirectory() as _folder:
        _pages = [reanalysis.report(Path(_folder) / f"growth.{kind}") for kind in ("html", "md")]
        _lines = _pages[1].read_text(encoding="utf-8").splitlines()
    print("\n".join(line for line in _lines[:16] if line.startswith("|")))
    return


@app.cell(hide_code=True)
def _(mo, schools):
    mo.md(f"""
    ## When only estimates and standard errors are published

    {len(schools)} schools coached pupils for a test, and each reported the effect in points with
    its standard error (Rubin, 1981). The raw data are gone, and not needed: a model of the
    estimates whose residual standard deviations are **known** is the same analysis.

    $$\\hat y_j \\sim N(\\theta_j,\\, \\text{{se}}_j^2), \\qquad \\theta_j \\sim
    N(\\mu,\\, \\tau^2)$$

    Does coaching help, and does it help more in some schools than in others?
    """)
    return


@app.cell
def _(hb, warnings):
    schools = hb.load_dataset("eight_schools")
    coaching = hb.Model("effect ~ 1 + (1 | school)", schools, known_sd="se")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.BoundaryWarning)  # the answer is about that
        coaching_reml = coaching.fit("reml")
    coaching_posterior = coaching.sample(random_seed=8)
    _figure, _axes = hb.plot.tau_path(
        coaching_reml,
        posterior=coaching_posterior,
        labels={"(Intercept)": "effect of coaching (points)"},
    )
    _figure
    return coaching_posterior, coaching_reml, schools


@app.cell(hide_code=True)
def _(coaching_posterior, coaching_reml, hb, mo, schools):
    _best = schools.set_index("school")["effect"].idxmax()
    _given = schools.set_index("school").loc[_best]
    _mean = coaching_posterior.coef()["school"].loc[_best, "(Intercept)"]
    _reml = coaching_reml.coef()["school"].loc[_best, "(Intercept)"]
    _limits = hb.confint(coaching_posterior).loc["sd_(Intercept)|school"]
    mo.md(f"""
    REML estimates that schools do not differ ($\\tau$ = {coaching_reml.theta[0]:.0f}, the dashed
    line) and gives school {_best} the common effect, {_reml:.1f} points; taken alone it reported
    {_given["effect"]:.0f}, with a standard error of {_given["se"]:.0f}. The posterior averages
    over what $\\tau$ may be, {_limits["lower"]:.1f} to {_limits["upper"]:.1f}, and gives
    {_mean:.1f}. Saying that the schools are all alike would be a strong claim from
    {len(schools)} noisy numbers.
    """)
    return


@app.cell
def _(hb, schools, warnings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.BoundaryWarning)  # as above
        coaching_reanalysis = hb.reanalyse(
            "effect ~ 1 + (1 | school)",
            schools,
            known_sd="se",
            expected=15,
            threshold=5,
            random_seed=9,
        )
    coaching_reanalysis
    return (coaching_reanalysis,)


@app.cell(hide_code=True)
def _(children, coaching_reanalysis, mo, published, schools):
    _sceptic = coaching_reanalysis.table.loc["sceptical"]
    _sd = published.residuals().groupby(children["Sex"], observed=True).std()
    mo.md(f"""
    ## What this cannot tell

    - **Why boys grow faster**, or whether children of today do: these were some children, measured
      once every two years.
    - **Whether growth differs between children.** The published model says that it does not; with
      `(years | Subject)` it could. The residuals of boys have a standard deviation of
      {_sd["Male"]:.1f} mm and those of girls of {_sd["Female"]:.1f}, which no model here allows
      for.
    - **Which prior is yours.** A reanalysis shows what each prior leads to. It does not choose one,
      and one chosen after seeing the data is not a prior.
    - **Whether coaching is worth it.** Even the sceptic believes with probability
      {_sceptic["prob_positive"]:.2f} that it helps; by how many points it must, is no question
      for statistics.
    - **What was never published.** The {len(schools)} studies are taken as they are: with known
      standard errors, and none left in a drawer.
    """)
    return


if __name__ == "__main__":
    app.run()
