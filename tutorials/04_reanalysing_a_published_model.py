"""Reanalysing a published experiment in full, and a study of which only estimates were published.

Read it with ``marimo edit tutorials/04_reanalysing_a_published_model.py``, or run it as any Python
script.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Reanalysing a published model")


@app.cell(hide_code=True)
def _(hb, mo, oats):
    _about = hb.list_datasets().loc["Oats"]
    mo.md(f"""
    # Reanalysing a published model

    **Does more nitrogen pay to the end, or does the yield level off?**

    {_about["description"]} (`Oats`, {_about["citation"]}): {len(oats)} plots. Blocks of land are
    split into plots of three varieties, and these into four strips with more and more nitrogen. We
    start from what is printed of it, repeat it, ask a question it leaves open, report the answer by
    a guideline, and then do the same for a study whose raw data nobody has.
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
    oats = hb.load_dataset("Oats")
    oats = oats.assign(step=oats["nitro"] / 0.2 - 1.5)
    _figure, _axes = hb.plot.data(
        oats,
        x="nitro",
        y="yield",
        group="Variety",
        labels={"nitro": "nitrogen (hundredweight an acre)", "yield": "yield (quarter pounds)"},
    )
    _figure
    return (oats,)


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## What is printed

    This is what lme4 prints of a line over nitrogen. The model **assumes** that varieties, blocks
    and plots differ in their level, and that nitrogen does the same for all of them, in equal
    steps.
    """)
    return


@app.cell
def _(hb):
    published = hb.read_summary("""
    Linear mixed model fit by REML ['lmerMod']
    Formula: yield ~ nitro + Variety + (1 | Block/Variety)
       Data: Oats

    REML criterion at convergence: 578.9

    Random effects:
     Groups        Name        Variance Std.Dev.
     Variety:Block (Intercept) 108.9    10.44
     Block         (Intercept) 214.5    14.65
     Residual                  165.6    12.87
    Number of obs: 72, groups:  Variety:Block, 18; Block, 6

    Fixed effects:
                      Estimate Std. Error t value
    (Intercept)         82.400      8.059  10.225
    nitro               73.667      6.781  10.863
    VarietyMarvellous    5.292      7.079   0.748
    VarietyVictory      -6.875      7.079  -0.971

    Correlation of Fixed Effects:
                (Intr) nitro  VrtyMr
    nitro       -0.252
    VartyMrvlls -0.439  0.000
    VarityVctry -0.439  0.000  0.500
    """)
    print(published)
    return (published,)


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    The last lines say what print alone leaves open. Here the rows are there, so the first thing is
    whether they give what was printed:
    """)
    return


@app.cell
def _(hb, oats, published):
    beside = published.beside(hb.lmer(published.formula_text, oats))
    beside
    return (beside,)


@app.cell(hide_code=True)
def _(beside, mo):
    mo.md(f"""
    {beside["same"].sum()} of {len(beside)} numbers round to the printed ones.

    ## The question

    A line has no room for a yield that levels off. Count nitrogen in steps of one strip, from the
    middle, and let the line bend:

    $$\\text{{yield}} = \\ldots + \\beta_1\\,\\text{{step}} + \\beta_2\\,\\text{{step}}^2$$

    Each step then brings $2\\beta_2$ more than the one before, or less where it is negative.
    """)
    return


@app.cell
def _(hb, oats):
    formula = "yield ~ step + I(step^2) + Variety + (1 | Block/Variety)"
    bent = hb.lmer(formula, oats)
    print(bent.summary(ddf="satterthwaite"))
    return bent, formula


@app.cell(hide_code=True)
def _(bent, mo):
    _row = bent.tidy("fixed").set_index("term").loc["I(step^2)"]
    mo.md(f"""
    The bend is {_row["estimate"]:.2f} (95 % confidence interval {_row["conf_low"]:.2f} to
    {_row["conf_high"]:.2f}, p = {_row["p_value"]:.3f} with {_row["df"]:.0f} degrees of freedom).
    By the usual bar that is "not significant", which answers no question a farmer has.

    ## What a sceptic makes of it

    A confidence interval does not say how probable it is that yields level off. That needs a prior.
    Suppose a bend of two had been expected. The sceptic thinks of none and gives one that large
    5 %; the optimist expects it, and gives the opposite sign 5 %; the neutral prior is wide. A bend
    of less than one, up or down, would not matter to anybody.
    """)
    return


@app.cell
def _(formula, hb, oats):
    reanalysis = hb.reanalyse(
        formula,
        oats,
        term="I(step^2)",
        expected=-2,
        threshold=1,
        guideline="BARG",
        random_seed=4,
    )
    print(reanalysis)
    return (reanalysis,)


@app.cell
def _(hb, reanalysis):
    sensitivity = hb.sensitivity(
        reanalysis.fits["neutral"], "I(step^2)", widths=[1, 2, 5, 20], random_seed=1
    )
    sensitivity
    return (sensitivity,)


@app.cell(hide_code=True)
def _(mo, reanalysis, sensitivity):
    _table = reanalysis.table
    _sceptic, _optimist = _table.loc["sceptical"], _table.loc["optimistic"]
    mo.md(f"""
    The sceptic believes with probability {1 - _sceptic["prob_positive"]:.2f} that the yield levels
    off, the optimist with {1 - _optimist["prob_positive"]:.2f}; that it does so by enough to
    matter, with {_sceptic["prob_beyond"]:.2f} and {_optimist["prob_beyond"]:.2f}. Bayes factors
    depend on priors even more: the neutral one is {_table.loc["neutral", "bayes_factor"]:.2f},
    no support for a bend, because {_table.loc["neutral", "prior"]} holds bends of fifty for
    likely, and these data speak against those.

    {sensitivity.reverse.sentence}

    ## A report that a reviewer can check

    By a guideline (here BARG) the report begins with a checklist: each item, who fills it, and
    where it stands. Numbers have their Monte-Carlo errors, and what only the author can say is a
    slot. `statements` fills some of them; this is how the checklist begins:
    """)
    return


@app.cell
def _(Path, reanalysis, tempfile):
    with tempfile.TemporaryDirectory() as _folder:
        _page = reanalysis.report(
            Path(_folder) / "oats.md",
            statements={
                "goals": "Does the yield of oats level off with nitrogen, and by how much?",
                "decision": "Nothing is decided: the probabilities are reported.",
            },
            rope={"I(step^2)": (-1, 1)},
        )
        _lines = _page.read_text(encoding="utf-8").splitlines()
    _checklist = [line for line in _lines if line.startswith("|") and "](#" in line]
    print("\n".join(_checklist[:12]))
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    `reanalysis.report("oats.html")` is the page with its pictures, and
    `hb.archive(reanalysis, "oats.zip")` puts the page, the data, the draws and a script into one
    file; the script makes the numbers again and compares them.
    """)
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
def _(coaching_reanalysis, mo, schools):
    _sceptic = coaching_reanalysis.table.loc["sceptical"]
    mo.md(f"""
    ## What this cannot tell

    - **Where the best amount of nitrogen lies.** Four amounts show a bend at the most; beyond the
      last one the curve is a guess. Nor did anybody price the nitrogen.
    - **Whether varieties bend differently.** The model says that they don't; with
      `step * Variety` they could.
    - **Other fields and years.** These were six blocks of one field, in one summer.
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
