"""From yes and no to thresholds: psychometric functions of twelve observers.

Read it with ``marimo edit tutorials/07_from_yes_and_no_to_thresholds.py``, or run it as any Python
script.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="From yes and no to thresholds")


@app.cell(hide_code=True)
def _(hb, mo, touch):
    _about = hb.list_datasets().loc["touch_speed"]
    mo.md(f"""
    # From yes and no to thresholds

    **How fast must a surface move to feel as fast as another, and how small a difference can be
    felt?**

    We need an example: {_about["description"].lower()} (`touch_speed`; {_about["citation"]}; the
    responses are simulated). {touch["subject"].nunique()} observers feel two surfaces move, and say
    whether the second was faster than the first, which always moves at the same speed. In half of
    the blocks a vibration masks the motion.
    """)
    return


@app.cell
def _():
    import marimo as mo

    import hierbayes as hb

    touch = hb.load_dataset("touch_speed")
    _figure, _axes = hb.plot.data(
        touch.assign(share=touch["faster"] / touch["trials"]),
        x="speed",
        y="share",
        group="subject",
        labels={"speed": "speed (cm/s)", "share": "share of faster"},
    )
    _figure
    return hb, mo, touch


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## The model

    The share of "faster" rises with speed from one end to the other; straight lines, as in the
    picture, run beyond both. With $x$ the speed, $j$ the
    observer and $\lambda$ the share of trials in which a key is pressed by mistake,

    $$P(\text{faster}) = \lambda + (1 - 2\lambda)\,\Phi(\eta), \qquad
    \eta = \beta_0 + b_{0j} + (\beta_1 + b_{1j})\,x, \qquad b_j \sim N(0, \Sigma)$$

    with other $\beta$ under vibration. It **assumes** that lines on the scale of $\eta$ differ
    between observers as draws from a normal distribution, that lapses are as likely at both ends,
    and that trials are independent.
    """)
    return


@app.cell
def _(hb, touch):
    formula = "cbind(faster, trials - faster) ~ speed * vibration + (speed | subject)"
    model = hb.psychometric(formula, touch, stimulus="speed", guess="lapse", lapse="estimate")
    fit = model.fit()
    print(fit.summary())
    return fit, formula, model


@app.cell
def _(fit, hb):
    _figure, _axes = hb.plot.psychometric(fit)
    _figure
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Thresholds

    The **point of subjective equality** (PSE) is where both answers are equally likely, the **just
    noticeable difference** (JND) half the way from a quarter to three quarters. Both are ratios of
    coefficients, so their intervals come by the delta method, by Fieller's theorem, a profile of
    the likelihood, or the bootstrap.
    """)
    return


@app.cell
def _(fit):
    print(fit.pse(groups="none", method="fieller"), fit.jnd(groups="none"), sep="\n\n")
    return


@app.cell
def _(fit):
    difference = fit.jnd(groups="none", differences=True)
    print(fit.pse(groups="none", differences=True), difference, sep="\n\n")
    return (difference,)


@app.cell(hide_code=True)
def _(difference, mo):
    _row = difference.iloc[0]
    mo.md(f"""
    Under vibration the just noticeable difference is {_row["estimate"]:.1f} cm/s larger
    ({_row["lower"]:.1f} to {_row["upper"]:.1f}).

    ## What a lapse does

    A function that must reach 0 and 1 takes a wrong key far from the threshold for a lack of
    sensitivity. Without lapses in the model:
    """)
    return


@app.cell
def _(fit, formula, hb, touch):
    import textwrap
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.DesignWarning)
        careless = hb.psychometric(formula, touch, stimulus="speed", guess=0.0).fit()
    for _finding in careless.findings:
        print(textwrap.fill(str(_finding), 80), end="\n\n")
    print(careless.jnd(groups="none"))
    jnds = [f.jnd(groups="none").loc[0, "estimate"] for f in (careless, fit)]
    return (jnds,)


@app.cell(hide_code=True)
def _(fit, jnds, mo):
    mo.md(f"""
    The just noticeable difference without vibration is {jnds[0]:.2f} then, and {jnds[1]:.2f} with
    {100 * fit.dispersion["lapse"]:.1f} % of lapses. Does the curve with lapses fit? Its deviance
    beside that of responses that it would give itself:
    """)
    return


@app.cell
def _(fit):
    print(fit.goodness_of_fit(nsim=100, random_seed=7))
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## The posterior

    The same model, with priors, and the same questions: a threshold is read off every draw.
    """)
    return


@app.cell
def _(model):
    post = model.sample(random_seed=7)
    print(post.pse(groups="none"), post.jnd(groups="none"), sep="\n\n")
    return (post,)


@app.cell
def _(fit, hb, post):
    print(hb.compare(fit, post))
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    Fixed effects agree; the standard deviations between observers are larger in the posterior, as
    few observers leave them uncertain and the posterior averages over that.
    """)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## What this cannot tell

    The observers here lapse at rates of their own, and the model gives them one. A share of wrong
    keys that depends on the time of day, a criterion that drifts over a session, or trials that
    hang together would all look like a shallower curve. And a threshold of the typical observer is
    not the mean of the observers' thresholds: a ratio of means is not a mean of ratios.
    """)
    return


if __name__ == "__main__":
    app.run()
