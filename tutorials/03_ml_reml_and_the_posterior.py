"""Three answers to one question: why maximum likelihood, REML and the posterior differ.

Read it with ``marimo edit tutorials/03_ml_reml_and_the_posterior.py``, or run it as any Python
script.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="ML, REML and the posterior")


@app.cell(hide_code=True)
def _(dyestuff, hb, mo):
    _about = hb.list_datasets().loc["Dyestuff"]
    mo.md(f"""
    # ML, REML and the posterior: why do they differ?

    **How much do batches of a chemical differ, and why do three methods give three answers?**

    {_about["description"]} (`Dyestuff`, {_about["citation"]}): {len(dyestuff)} yields. With so
    few batches the three methods disagree enough to see why.
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
    dyestuff = hb.load_dataset("Dyestuff")
    model = hb.Model("Yield ~ 1 + (1 | Batch)", dyestuff)
    reml, ml = model.fit("reml"), model.fit("ml")
    print(reml.summary())
    return dyestuff, ml, model, reml


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Look first: two likelihoods

    How likely are the data, for each pair of a standard deviation between batches and a residual
    one? On the left the likelihood that ML maximises, on the right the one of REML; the darker the
    more likely.
    """)
    return


@app.cell
def _(hb, reml):
    _figure, _axes = hb.plot.likelihood_surface(hb.likelihood_surface(reml))
    _figure
    return


@app.cell(hide_code=True)
def _(ml, mo, reml):
    _ml, _reml = (float(fit.varcorr().terms[0].sd[0]) for fit in (ml, reml))
    mo.md(f"""
    The tops differ: {_ml:.1f} grams by ML, {_reml:.1f} by REML. Both hills are long and skewed:
    much larger values are nearly as likely, and a top says little about a hill like that.

    ## What is maximised

    The model **assumes** batches and residuals to be normal and independent: $y \\sim N(X\\beta,
    V)$, with the standard deviations in $V$.

    $$\\begin{{aligned}}
    \\text{{ML: }} & \\max_{{\\beta,\\,V}} p(y \\mid \\beta, V) \\\\
    \\text{{REML: }} & \\max_V \\int p(y \\mid \\beta, V)\\, d\\beta \\\\
    \\text{{posterior: }} & p(V \\mid y) \\propto p(V) \\int p(y \\mid \\beta, V)\\,
    p(\\beta)\\, d\\beta
    \\end{{aligned}}$$

    **ML** takes the mean where it fits best, as if it were known; around a mean fitted to the same
    {reml.n_groups["Batch"]} batches they seem to scatter less. **REML** averages over the mean.
    The **posterior** averages over the mean, too, times a prior, and it does not take a top at all:
    it is the whole hill.
    """)
    return


@app.cell
def _(hb, ml, model, reml):
    posterior = model.sample(random_seed=3)
    three = hb.compare(ml, reml, posterior)
    three
    return posterior, three


@app.cell(hide_code=True)
def _(mo, posterior, three):
    _row = three.to_frame().loc["sd((Intercept)|Batch)"]
    _above = float((posterior.draws.sd["Batch"] > _row["reml_estimate"]).mean())
    mo.md(f"""
    The last table has the reason for each difference. The posterior of the standard deviation
    between batches has its mode at {_row["posterior_mode"]:.0f}, near REML's
    {_row["reml_estimate"]:.0f}; its median is {_row["posterior_median"]:.0f} and its mean
    {_row["posterior_mean"]:.0f}, because it is skewed: {100 * _above:.0f} % of it lies above
    REML's estimate. Neither is wrong. One is the most likely value, the other says how far away
    the others may be: from {_row["posterior_low"]:.0f} to {_row["posterior_high"]:.0f}.
    """)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Which is right? Simulate and see

    Take the REML estimates as the truth, draw data sets of the same size from it, and estimate
    the variance between batches again, where we now know what should come out.
    """)
    return


@app.cell
def _(hb, ml, np, pd, posterior, reml, warnings):
    def between(fit):
        return float(fit.varcorr().terms[0].sd[0] ** 2)

    true_variance = between(reml)
    simulated = reml.simulate(600, random_seed=36)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.BoundaryWarning)  # a variance of 0 is a result, too
        found = {
            fit.method.upper(): [between(fit.refit(simulated[name])) for name in simulated]
            for fit in (ml, reml)
        }
    _again = [posterior.refit(simulated[name], random_seed=5) for name in simulated.columns[:60]]
    between_draws = [post.draws.sd["Batch"].ravel() ** 2 for post in _again]
    found["posterior median"] = [np.median(draws) for draws in between_draws]
    estimates = {name: np.array(values) / true_variance for name, values in found.items()}
    bias = pd.DataFrame(
        {
            "mean / true": {name: x.mean() for name, x in estimates.items()},
            "error of that": {name: x.std(ddof=1) / x.size**0.5 for name, x in estimates.items()},
            "share at zero": {name: (x < 1e-6).mean() for name, x in estimates.items()},
            "data sets": {name: x.size for name, x in estimates.items()},
        }
    )
    bias.round(2)
    return between_draws, bias, true_variance


@app.cell(hide_code=True)
def _(between_draws, bias, mo, np, reml, true_variance):
    _limits = np.quantile(between_draws, [0.025, 0.975], axis=1)
    _held = int(((_limits[0] < true_variance) & (true_variance < _limits[1])).sum())
    _mean, _zero = bias["mean / true"], bias["share at zero"]
    mo.md(f"""
    - **ML** finds {100 * _mean["ML"]:.0f} % of the variance between batches on average: it is
      biased downwards, the more so the fewer the batches ({reml.n_groups["Batch"]} here).
    - **REML** finds {100 * _mean["REML"]:.0f} %. That is what it is for. Still,
      {100 * _zero["REML"]:.0f} % of its estimates are exactly zero (ML: {100 * _zero["ML"]:.0f} %),
      although the truth is not.
    - **The posterior's** median is {100 * _mean["posterior median"]:.0f} % on average and never
      zero. It isn't meant to be unbiased: its prior lets large values in, and few batches do not
      keep them out. What it promises is its intervals: those of 95 % held the true value
      in {_held} of {len(between_draws)} data sets.

    ## On the boundary

    What happens where the estimate is zero? `Dyestuff2` is a data set made to show that.
    """)
    return


@app.cell
def _(hb, warnings):
    model2 = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.BoundaryWarning)
        reml2 = model2.fit("reml")
    posterior2 = model2.sample(random_seed=4)
    _figure, _axes = hb.plot.boundary(hb.profile(reml2), posterior2)
    _figure
    return posterior2, reml2


@app.cell
def _(hb, posterior2, reml2):
    two = hb.compare(reml2, posterior2)
    two
    return (two,)


@app.cell(hide_code=True)
def _(mo, two):
    _frame = two.to_frame()
    _sd, _mean = _frame.loc["sd((Intercept)|Batch)"], _frame.loc["(Intercept)"]
    mo.md(f"""
    The likelihood is highest at zero, so zero is the estimate, by ML as by REML. It is not evidence
    that batches are alike: the likelihood falls slowly. The posterior leaves everything up to about
    {_sd["posterior_high"]:.1f} open, and passes this on: its interval for the mean yield
    is {_mean["posterior_width_ratio"]:.2f} times as wide as REML's, which goes on as if there were
    no batches.
    """)
    return


@app.cell(hide_code=True)
def _(mo, reml):
    mo.md(f"""
    ## What this cannot tell

    - **Which number to report.** It depends on what for: an unbiased variance, the most probable
      value, or a range. Say which one it is.
    - **Whether the prior is right.** {reml.n_groups["Batch"]} batches say little against it; with
      another one the upper limit would move. The tutorial on priors shows how to see that.
    - **What happens with more groups.** The differences shrink as groups are added; with a hundred
      batches nobody would have written this.
    - **Whether batches are normal.** All three assume it, and {reml.n_groups["Batch"]} batches
      cannot contradict.
    """)
    return


if __name__ == "__main__":
    app.run()
