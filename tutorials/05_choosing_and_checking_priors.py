"""Does the prior decide? Choosing priors, looking at what they say, and seeing how much they count.

Read it with ``marimo edit tutorials/05_choosing_and_checking_priors.py``, or run it as any Python
script.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Choosing and checking priors")


@app.cell(hide_code=True)
def _(hb, mo, sleep):
    _about = hb.list_datasets().loc["sleepstudy"]
    mo.md(f"""
    # Choosing and checking priors

    **What do I believe before the data, and does it decide what I believe after them?**

    {_about["description"]} (`sleepstudy`, {_about["citation"]}): {len(sleep)} reaction times in ms
    of {sleep["Subject"].nunique()} drivers. First we look at what priors say about such data, then
    at how much they count: with all drivers, and with five of them.
    """)
    return


@app.cell
def _():
    import arviz as az
    import marimo as mo
    import numpy as np
    import pandas as pd

    import hierbayes as hb

    return az, hb, mo, np, pd


@app.cell
def _(hb):
    sleep = hb.load_dataset("sleepstudy")
    formula = "Reaction ~ Days + (Days | Subject)"
    default = hb.Model(formula, sleep)
    print(default.priors)
    return default, formula, sleep


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Look at what a prior says

    These are the priors a model has unless you say otherwise. They are wide on purpose: scaled so
    that data of this size and spread decide. But nobody can judge a standard deviation of slopes
    in a table. Data one can judge, so we draw some from the priors, six drivers of one data set:
    """)
    return


@app.cell
def _(default, hb, sleep):
    def from_prior(model, seed):
        draws = model.prior_predictive(400, random_seed=seed)
        return draws["prior_predictive"]["Reaction"].to_numpy()[0]

    default_data = from_prior(default, 5)
    _six = sleep.assign(Reaction=default_data[0])[:60]
    _six = _six.assign(Subject=_six["Subject"].astype(str))
    _figure, _axes = hb.plot.data(_six, x="Days", y="Reaction", group="Subject")
    _figure
    return default_data, from_prior


@app.cell(hide_code=True)
def _(default_data, mo, np, sleep):
    _below, _above = (default_data < 0).mean(), (default_data > 1000).mean()
    _low, _high = np.quantile(default_data, [0.05, 0.95])
    mo.md(f"""
    No driver is like that. {100 * _below:.0f} % of the reaction times drawn are negative,
    {100 * _above:.0f} % take more than a second, and 90 % lie between {_low:.0f} and
    {_high:.0f} ms; those observed lie between {sleep["Reaction"].min():.0f} and
    {sleep["Reaction"].max():.0f}.

    ## Say what you know

    What is known before: rested people react in about 300 ms; a short night costs something,
    between nothing and 30 ms, say; people differ by tens of ms and not by hundreds. In priors, by
    the names of the table above:
    """)
    return


@app.cell
def _(formula, from_prior, hb, sleep):
    informed_priors = {
        "(Intercept)": hb.Normal(300, 50),
        "Days": hb.Normal(10, 10),
        "sd((Intercept)|Subject)": hb.HalfNormal(40),
        "sd(Days|Subject)": hb.HalfNormal(10),
        "sigma": hb.HalfNormal(40),
    }
    informed = hb.Model(formula, sleep, priors=informed_priors)
    informed_data = from_prior(informed, 5)
    _six = sleep.assign(Reaction=informed_data[0])[:60]
    _six = _six.assign(Subject=_six["Subject"].astype(str))
    _figure, _axes = hb.plot.data(_six, x="Days", y="Reaction", group="Subject")
    _figure
    return informed, informed_data, informed_priors


@app.cell(hide_code=True)
def _(informed_data, mo):
    mo.md(f"""
    These could be people; {100 * (informed_data < 0).mean():.1f} % of the reaction times are
    negative. The intercept's prior is about day 4 or 5, the mean of the predictor, where one knows
    most.

    ## Does it matter?

    The posterior is proportional to prior times likelihood,

    $$p(\\theta \\mid y) \\propto p(\\theta)\\, p(y \\mid \\theta),$$

    so where the likelihood is narrow, the prior hardly counts. It **assumes** that the model is
    right, of course. Prior (dotted) and posterior (grey) of the average slope and of the standard
    deviation of slopes, with the wide priors and all drivers:
    """)
    return


@app.cell
def _(default, hb):
    posterior = default.sample(random_seed=1)
    parameters = ["Days", "sd(Days|Subject)"]
    _figure, _axes = hb.plot.prior_posterior(posterior, parameters, view="prior")
    _figure
    return parameters, posterior


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    Now with the first five drivers only, as a small study would have. Wide priors first, then
    ours:
    """)
    return


@app.cell
def _(formula, hb, informed, informed_priors, np, posterior, sleep):
    five = sleep[sleep["Subject"].isin(["308", "309", "310", "330", "331"])]
    few_default = hb.Model(formula, five).sample(random_seed=1)
    few_informed = hb.Model(formula, five, priors=informed_priors).sample(random_seed=1)
    answers = {
        "18 drivers, wide priors": posterior,
        "18 drivers, ours": informed.sample(random_seed=1),
        "5 drivers, wide priors": few_default,
        "5 drivers, ours": few_informed,
    }
    limits = {
        name: {
            "average slope": np.quantile(post.draws.beta[..., 1], [0.025, 0.5, 0.975]),
            "sd of slopes": np.quantile(post.draws.sd["Subject"][..., 1], [0.025, 0.5, 0.975]),
        }
        for name, post in answers.items()
    }
    return few_default, few_informed, limits


@app.cell
def _(few_default, hb, parameters):
    _figure, _axes = hb.plot.prior_posterior(few_default, parameters)
    _figure
    return


@app.cell
def _(few_informed, hb, parameters):
    _figure, _axes = hb.plot.prior_posterior(few_informed, parameters)
    _figure
    return


@app.cell(hide_code=True)
def _(limits, mo):
    _rows = "\n    ".join(
        f"| {name} | "
        + " | ".join(f"{mid:.1f} ({low:.1f} to {high:.1f})" for low, mid, high in found.values())
        + " |"
        for name, found in limits.items()
    )
    mo.md(f"""
    | median and 95 % interval, ms a day | average slope | sd of slopes |
    |:--|:--|:--|
    {_rows}

    With all drivers both priors give the same answer. With five they do not: five slopes say
    little about how much slopes vary, so the wide prior's far tail stays in the posterior, and
    because of it the average slope is hardly known either. Ours cuts off what nobody would have
    believed, and its interval for the average slope begins at
    {limits["5 drivers, ours"]["average slope"][0]:.1f} instead of
    {limits["5 drivers, wide priors"]["average slope"][0]:.1f} ms a day: that sleep makes slower is
    then partly what we put in.

    ## Measure it

    How would the answer move if the prior counted a little more, or less? *Power scaling* weighs
    the draws anew as if the prior were $p(\\theta)^\\alpha$ with $\\alpha$ near one, without
    sampling again. Above a twentieth it is worth a look.
    """)
    return


@app.cell
def _(az, few_default, few_informed, pd, posterior):
    def counts(post):
        found = az.psense(post.idata, var_names=["beta", "sd_Subject", "sigma"], group="prior")
        return {
            "average slope": float(found["beta"].sel(coef="Days")),
            "sd of slopes": float(found["sd_Subject"].sel(Subject__term="Days")),
            "sigma": float(found["sigma"]),
        }

    sensitivity = pd.DataFrame(
        {
            "18 drivers, wide priors": counts(posterior),
            "5 drivers, wide priors": counts(few_default),
            "5 drivers, ours": counts(few_informed),
        }
    )
    print(sensitivity.T.round(3))
    return (sensitivity,)


@app.cell(hide_code=True)
def _(mo, sensitivity):
    _sd = sensitivity.loc["sd of slopes"]
    mo.md(f"""
    With all drivers nothing moves. With five, the standard deviation of slopes does
    ({_sd["5 drivers, wide priors"]:.2f}), and more so under our narrower prior
    ({_sd["5 drivers, ours"]:.2f}). That is no reason to widen it: it says that the prior does some
    of the work, so it has to be reported and defended. `hb.compare` shows the same in its column
    "pull", and `hb.reanalyse` sets several priors side by side.
    """)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## What this cannot tell

    - **Whether a prior is true.** One can only see what it says about data, and whether somebody
      who knows the field would believe it.
    - **Whether priors were chosen before the data.** Ours were written by somebody who has seen
      them; write yours down first.
    - **Whether the model is right.** Reaction times are never negative and a normal distribution
      allows it; no prior on these parameters changes that.
    - **What to do when the prior counts.** Collect more groups, report several priors, or say that
      the answer rests on what was known before. More days for the same drivers would not help.
    """)
    return


if __name__ == "__main__":
    app.run()
