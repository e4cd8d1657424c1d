"""Why believe an average less when it is of a few? Shrinkage, seen, computed and put to a test.

Read it with ``marimo edit tutorials/02_what_is_shrinkage.py``, or run it as any Python script.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="What is shrinkage?")


@app.cell(hide_code=True)
def _(hb, mo, ratings):
    _means = ratings.groupby("d", observed=True)["y"].agg(["mean", "size"])
    _best, _about = _means["mean"].idxmax(), hb.list_datasets().loc["InstEval"]
    mo.md(f"""
    # What is shrinkage?

    **Who is the best lecturer, if some were rated by {_means["size"].min()} students and others by
    {_means["size"].max()}?**

    The data are {len(ratings):,} ratings, from 1 (poor) to 5 (very good), of {len(_means)}
    lecturers of one department (`InstEval`: {_about["description"]}). The highest average has
    lecturer {_best}: {_means.loc[_best, "mean"]:.2f}, of {_means.loc[_best, "size"]} ratings. Is
    that the best one?
    """)
    return


@app.cell
def _():
    import warnings

    import marimo as mo
    import numpy as np
    import pandas as pd

    import hierbayes as hb

    return hb, mo, np, pd, warnings


@app.cell
def _(hb):
    ratings = hb.load_dataset("InstEval").query("dept == '2'")
    lecturers = hb.lmer("y ~ 1 + (1 | d)", ratings)
    shrunk = hb.shrinkage(lecturers).set_index("level")
    _table = shrunk[["n", "unpenalised", "coefficient", "reliability"]].round(2)
    _table.sort_values("unpenalised").tail(5)
    return lecturers, ratings, shrunk


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Look first

    On the left every lecturer's own average, on the right what a multilevel model makes of it;
    larger points are of more ratings.
    """)
    return


@app.cell
def _(hb, lecturers):
    _figure, _axes = hb.plot.shrinkage_slopegraph(
        lecturers, names=False, labels={"(Intercept)": "rating (1 to 5)"}
    )
    _figure
    return


@app.cell(hide_code=True)
def _(lecturers, mo, shrunk):
    _own, _model = shrunk["unpenalised"].idxmax(), shrunk["coefficient"].idxmax()
    _sd = float(lecturers.varcorr().terms[0].sd[0])
    _row = shrunk.loc[_own]
    mo.md(f"""
    All lines run towards the average lecturer, {lecturers.fixef()["(Intercept)"]:.2f}. Large points
    hardly move; small ones do, and some lines cross: lecturer {_own} goes from
    {_row["unpenalised"]:.2f} to {_row["coefficient"]:.2f} and is overtaken by lecturer {_model},
    whose {shrunk.loc[_model, "n"]} ratings leave less to chance.

    ## The compromise

    The model **assumes** that lecturers' true means are normally distributed, with standard
    deviation $\\tau$, and that ratings scatter alike, with standard deviation $\\sigma$, around
    each. Then the best guess of a lecturer's mean is

    $$\\hat\\mu_j = \\mu + \\lambda_j\\,(\\bar y_j - \\mu), \\qquad
    \\lambda_j = \\frac{{\\tau^2}}{{\\tau^2 + \\sigma^2 / n_j}}$$

    The **reliability** $\\lambda_j$ is the share of what we see between averages of $n_j$ ratings
    that is between lecturers. Here $\\tau$ = {_sd:.2f} and $\\sigma$ = {lecturers.sigma:.2f}, so
    for lecturer {_own} it is
    {_sd**2 / (_sd**2 + lecturers.sigma**2 / _row["n"]):.2f}, and the table above says
    {_row["reliability"]:.2f}. The curve is this formula:
    """)
    return


@app.cell
def _(hb, lecturers):
    _figure, _axes = hb.plot.shrinkage_reliability(lecturers, labels={"n": "ratings of a lecturer"})
    _figure
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## No pooling, complete pooling, and all between

    Nobody told the model $\tau$; it estimated it. With $\tau$ = 0 all lecturers would be alike,
    with an infinite $\tau$ each would keep their own average. Here is the way from one to the
    other. REML takes the estimates at the dashed line; a posterior averages over all values of
    $\tau$, as often as the grey density says.
    """)
    return


@app.cell
def _(hb, lecturers):
    lecturers_posterior = lecturers.model.sample(random_seed=2)
    _figure, _axes = hb.plot.tau_path(lecturers, posterior=lecturers_posterior)
    _figure
    return (lecturers_posterior,)


@app.cell(hide_code=True)
def _(lecturers, lecturers_posterior, mo):
    _far = (lecturers_posterior.coef()["d"] - lecturers.coef()["d"]).abs().max().item()
    mo.md(f"""
    With {lecturers.n_groups["d"]} lecturers $\\tau$ is known well, and it hardly matters which of
    the two one takes: posterior means and conditional modes differ by {_far:.3f} at most.

    ## Shrinkage of lines

    Where levels have a slope, too, both are shrunk together. These are the
    {"`sleepstudy`"} drivers: reaction times over days of short sleep. Three of them, with no
    pooling (their own line), complete pooling (one line for all) and partial pooling:
    """)
    return


@app.cell
def _(hb):
    sleep = hb.load_dataset("sleepstudy")
    drivers = hb.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    _figure, _axes = hb.plot.shrinkage_lines(drivers, levels=["335", "330", "308"])
    _figure
    return drivers, sleep


@app.cell
def _(drivers, hb):
    _figure, _axes = hb.plot.shrinkage_plane(drivers)
    _figure
    return


@app.cell(hide_code=True)
def _(drivers, hb, mo, np):
    _table = hb.shrinkage(drivers)
    _matrix = _table.matrices["Subject"][0]
    _rows = _table[_table["level"] == "335"]
    _moved = _matrix @ (_rows["unpenalised"] - _rows["population"]).to_numpy()
    _agree = np.allclose(_moved, _rows["effect"])
    mo.md(f"""
    Hollow points are the drivers' own lines, full ones the model's; the cross is the average line.
    The arrows do not all point at the cross. A line has two numbers, and what its days say about
    one depends on the other: $b_j = S_j\\,(\\hat\\beta_j - \\beta)$ with a matrix

    $$S_j = \\Omega\\,(\\Omega + V_j)^{{-1}}$$

    instead of $\\lambda_j$, where $V_j$ is the sampling covariance of the driver's own line. For
    driver {_rows["level"].iloc[0]} this product and the model's conditional mode
    {"agree" if _agree else "differ"}: the slope goes from
    {_rows["unpenalised"].iloc[1]:.1f} to {_rows["coefficient"].iloc[1]:.1f} ms a day.

    ## Is it any good?

    Shrunken estimates are biased: extreme drivers come out as less extreme than they are. They
    should still be closer on average. We hide six of ten days of everyone, chosen at random, and
    predict them from the four that are left.
    """)
    return


@app.cell
def _(hb, np, pd, sleep, warnings):
    def hidden_days(rng):
        kept = rng.permuted(np.tile(np.arange(10), (18, 1)), axis=1).ravel() < 4
        shown, hidden = sleep[kept], sleep[~kept]
        ways = {
            "complete pooling": "Reaction ~ Days",
            "no pooling": "Reaction ~ 0 + Subject + Subject:Days",
            "partial pooling": "Reaction ~ Days + (Days | Subject)",
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", hb.BoundaryWarning)  # four days a driver are few
            errors = {
                name: hb.lmer(formula, shown).predict(hidden) - hidden["Reaction"]
                for name, formula in ways.items()
            }
        return {name: np.sqrt(np.mean(error**2)) for name, error in errors.items()}

    _rng = np.random.default_rng(18)
    test = pd.DataFrame([hidden_days(_rng) for _ in range(40)])
    test.agg(["mean", "min", "max"]).round(1)
    return (test,)


@app.cell(hide_code=True)
def _(drivers, mo, test):
    _mean, _best = test.mean(), test.idxmin(axis=1).value_counts()
    mo.md(f"""
    The typical error (root mean square, ms) is {_mean["no pooling"]:.0f} with drivers' own lines,
    {_mean["complete pooling"]:.0f} with one line for all, and {_mean["partial pooling"]:.0f} with
    the model's, which is best in {_best.get("partial pooling", 0)} of {len(test)} choices of days.
    No estimate gets below the residual standard deviation, {drivers.sigma:.0f} ms.
    """)
    return


@app.cell(hide_code=True)
def _(lecturers, mo, shrunk):
    _sd = shrunk["coefficient_sd"]
    mo.md(f"""
    ## What this cannot tell

    - **Who the best lecturer is.** The shrunken means have standard deviations of {_sd.min():.2f}
      to {_sd.max():.2f} themselves; the order at the top is far from certain.
    - **Why ratings differ.** Students chose their lecturers, and strict students may share some.
    - **Whether a lecturer is an exception.** Shrinkage treats everybody as a draw from one normal
      population. Somebody from another one is pulled towards the wrong mean.
    - **What is fair to one person.** Shrinkage is better on average over
      {lecturers.n_groups["d"]} lecturers, not for each: an excellent newcomer is underrated until
      there are more ratings.
    - **Anything about a lecturer nobody rated**, except that they are one of this population.
    """)
    return


if __name__ == "__main__":
    app.run()
