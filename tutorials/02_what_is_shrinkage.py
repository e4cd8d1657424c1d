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
def _(mo):
    mo.md("""
    ## Five advantages, tried

    The lecture says that multilevel models give better estimates of groups with few rows, need no
    averaging beforehand, take the standard error of every group into account, estimate variation
    for its own sake, and predict better. To see each with numbers, the drivers lose days, three to
    ten are left of each, and on these days responses are simulated from known lines.
    """)
    return


@app.cell
def _(drivers, np, sleep):
    _rng = np.random.default_rng(2019)
    _n_kept = _rng.permutation(np.tile([3, 4, 5, 6, 8, 10], 3))
    _days = _rng.permuted(np.tile(np.arange(10), (18, 1)), axis=1)
    is_kept = (_days < _n_kept[:, None]).ravel()
    rows = sleep[is_kept]
    truth = drivers.fixef()
    (_term,) = drivers.varcorr().terms
    _root = np.linalg.cholesky(_term.corr * np.outer(_term.sd, _term.sd))

    def simulated():
        """Draw lines of 18 drivers, and responses on all days."""
        lines = truth.to_numpy() + _rng.standard_normal((18, 2)) @ _root.T
        on_rows = lines[sleep["Subject"].cat.codes]
        noise = drivers.sigma * _rng.standard_normal(len(sleep))
        return lines, on_rows[:, 0] + on_rows[:, 1] * sleep["Days"] + noise

    rows.groupby("Subject", observed=True).size().value_counts().sort_index()
    return is_kept, rows, simulated, truth


@app.cell
def _(hb, is_kept, np, pd, rows, simulated, sleep, truth, warnings):
    def line_of(days, y):
        return np.polyfit(days, y, 1)[::-1]

    def one_data_set(seed):
        lines, y = simulated()
        shown = rows.assign(Reaction=y[is_kept])
        model = hb.Model("Reaction ~ Days + (Days | Subject)", shown)
        fits = {
            "REML": model.fit(),
            "posterior": model.sample(sampler="collapsed", random_seed=seed),
        }
        by_driver = shown.groupby("Subject", observed=True)
        own = np.array([line_of(d["Days"], d["Reaction"]) for _, d in by_driver])
        found = {
            "no pooling": own,
            "complete pooling": line_of(shown["Days"], shown["Reaction"])[None],
            **{name: fit.coef()["Subject"].to_numpy() for name, fit in fits.items()},
        }
        basis = np.column_stack([np.ones(10), np.arange(10)])
        errors = {k: np.sqrt((((v - lines) @ basis.T) ** 2).mean(axis=1)) for k, v in found.items()}
        averages = hb.lmer(
            "Reaction ~ Days",
            sleep.assign(Reaction=y).groupby("Days", as_index=False)["Reaction"].mean(),
        )
        limits = {
            name: fit.tidy("fixed").set_index("term").loc["Days", ["conf_low", "conf_high"]]
            for name, fit in {"averages of each day": averages, **fits}.items()
        }
        holds = {name: low <= truth["Days"] <= high for name, (low, high) in limits.items()}
        sds = {name: fit.varcorr().terms[0].sd[1] for name, fit in fits.items()}
        return errors, holds, {"own lines": own[:, 1].std(ddof=1), **sds}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)  # small data sets now and then
        _found = [one_data_set(seed) for seed in range(20)]
    _n_days = rows.groupby("Subject", observed=True).size().to_numpy()
    line_errors = pd.DataFrame(
        {
            name: pd.Series(np.mean([e[name] for e, _, _ in _found], axis=0))
            .groupby(_n_days)
            .mean()
            for name in ("no pooling", "complete pooling", "REML", "posterior")
        }
    ).rename_axis("days of a driver")
    coverage = pd.DataFrame([h for _, h, _ in _found]).mean()
    spread = pd.DataFrame([s for _, _, s in _found]).median()
    line_errors.round(1)
    return coverage, line_errors, spread


@app.cell
def _(line_errors):
    _axes = line_errors.plot(
        style=["^:", "v--", "o-", "D-."], ylabel="error of a driver's line (ms)"
    )
    _axes.set_ylim(bottom=0)
    _axes.figure
    return


@app.cell
def _(hb, is_kept, np, pd, rows, sleep):
    _hidden = sleep[~is_kept]
    _model = hb.Model("Reaction ~ Days + (Days | Subject)", rows)
    left_out = pd.Series(
        {
            name: np.sqrt(np.mean((fit.predict(_hidden) - _hidden["Reaction"]) ** 2))
            for name, fit in {
                "no pooling": hb.lmer("Reaction ~ 0 + Subject + Subject:Days", rows),
                "complete pooling": hb.lmer("Reaction ~ Days", rows),
                "REML": _model.fit(),
                "posterior": _model.sample(random_seed=1),
            }.items()
        }
    )
    left_out.round(1)
    return (left_out,)


@app.cell(hide_code=True)
def _(coverage, drivers, left_out, line_errors, mo, spread):
    _few = line_errors.index[0]
    mo.md(f"""
    - **Few rows.** From {_few} days a line of one's own is off by
      {line_errors.loc[_few, "no pooling"]:.0f} ms, the one line for all by
      {line_errors.loc[_few, "complete pooling"]:.0f}, REML's by
      {line_errors.loc[_few, "REML"]:.0f} and the posterior's by
      {line_errors.loc[_few, "posterior"]:.0f}.
    - **No averaging beforehand.** Of 95 % intervals of a line through the averages of each day
      {coverage["averages of each day"]:.0%} hold the true slope, though they were given all ten
      days; of REML's {coverage["REML"]:.0%} and of the posterior's {coverage["posterior"]:.0%} on
      the days that are left. Averages have forgotten that drivers differ.
    - **Every driver's own standard error counts**, in that interval and in the estimate: three
      days say less about a slope than ten, and weigh less.
    - **Variation is an estimate.** The sd of the drivers' own slopes has their errors in it,
      {spread["own lines"]:.1f} where the truth is {drivers.varcorr().terms[0].sd[1]:.1f}; REML
      finds {spread["REML"]:.1f}, the posterior {spread["posterior"]:.1f}.
    - **Prediction**, here of the days of sleepstudy that were taken away: own lines miss by
      {left_out["no pooling"]:.0f} ms, one line by {left_out["complete pooling"]:.0f}, REML by
      {left_out["REML"]:.0f} and the posterior by {left_out["posterior"]:.0f}.
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
