"""The page of the shrinkage lab, a marimo app: `hierbayes lab` opens it.

Cells only lay out controls and hand what they say to ``engine.view``; every number comes from
there. A control and what shows it stand in one cell, so that moving it does not draw it anew.
"""

import marimo

app = marimo.App(width="full", app_title="The shrinkage lab")


@app.cell
def _():
    import marimo as mo

    from hierbayes.lab import page

    return mo, page


@app.cell(hide_code=True)
def _(mo, page):
    linked, link_notes = page.linked_state(mo.query_params().to_dict())
    mo.Html(page.HEADER)
    return link_notes, linked


@app.cell(hide_code=True)
def _(linked, mo, page):
    data_choice = mo.ui.dropdown(page.TITLES, value=page.title_of(linked.data), label="Data")
    show_reml = mo.ui.checkbox(value="reml" in linked.show, label="REML")
    show_ml = mo.ui.checkbox(value="ml" in linked.show, label="ML")
    show_posterior = mo.ui.checkbox(value="posterior" in linked.show, label="Posterior")
    locked = mo.ui.checkbox(value=not linked.unlocked, label="use the REML sds")
    guessing = mo.ui.checkbox(value=linked.guessing, label="guess first")
    revealed = mo.ui.checkbox(value=linked.revealed, label="reveal")
    prior = mo.ui.dropdown(
        page.PRIORS, value=page.prior_title(linked.prior), label="Prior of the sds"
    )
    scale = mo.ui.slider(
        steps=page.SCALE_STEPS,
        value=page.nearest(page.SCALE_STEPS, linked.scale),
        label="its scale, times the default",
        show_value=True,
    )
    eta = mo.ui.slider(
        steps=page.ETA_STEPS,
        value=page.nearest(page.ETA_STEPS, linked.eta),
        label="LKJ prior of the correlation: eta",
        show_value=True,
    )
    mo.vstack(
        [
            mo.hstack(
                [data_choice, show_reml, show_ml, show_posterior, locked, guessing, revealed],
                justify="start",
                wrap=True,
            ),
            mo.hstack([prior, scale, eta], justify="start", wrap=True),
        ]
    )
    return (
        data_choice,
        eta,
        guessing,
        locked,
        prior,
        revealed,
        scale,
        show_ml,
        show_posterior,
        show_reml,
    )


@app.cell(hide_code=True)
def _(data_choice, mo, page):
    own_file = mo.ui.file(
        filetypes=[".csv", ".tsv", ".txt"],
        kind="area",
        max_size=page.LARGEST_UPLOAD,
        label=page.UPLOAD_LABEL,
    )
    own_file if data_choice.value == page.OWN else None
    return (own_file,)


@app.cell(hide_code=True)
def _(data_choice, mo, own_file, page):
    own_start, own_problem = page.uploaded(own_file.contents(), own_file.name())
    own_formula = mo.ui.text(value=own_start.formula, label="Formula", full_width=True)
    own_formula if data_choice.value == page.OWN and own_start.content else None
    return own_formula, own_problem, own_start


@app.cell(hide_code=True)
def _(data_choice, linked, mo, page):
    truth = mo.ui.dictionary(
        {
            name: mo.ui.slider(
                start=low,
                stop=high,
                step=step,
                value=page.stepped(getattr(linked.simulation, name), low, high, step),
                label=label,
                show_value=True,
            )
            for name, low, high, step, label in page.TRUTHS
        }
    )
    another = mo.ui.button(
        value=linked.simulation.seed, on_click=lambda seed: seed + 1, label="Another sample"
    )
    (
        mo.hstack([*truth.elements.values(), another], justify="start", wrap=True)
        if data_choice.value == page.SIMULATED
        else None
    )
    return another, truth


@app.cell(hide_code=True)
def _(another, data_choice, linked, mo, own_formula, own_start, page, truth):
    source = page.source(
        data_choice.value, truth.value | {"seed": another.value}, own_start, own_formula.value
    )
    factors = page.factors_of(source)
    factor = mo.ui.dropdown(
        factors or [""],
        value=linked.factor if linked.factor in factors else (factors or [""])[0],
        label="Grouping factor",
    )
    factor if len(factors) > 1 else None
    return factor, source


@app.cell(hide_code=True)
def _(factor, linked, locked, mo, page, source):
    own_sds = mo.ui.dictionary(
        {
            key: mo.ui.slider(steps=steps, value=value, label=label, show_value=True)
            for key, steps, value, label in (
                [] if locked.value else page.sd_sliders(source, factor.value, linked)
            )
        }
    )
    (
        None
        if locked.value
        else mo.hstack(list(own_sds.elements.values()), justify="start", wrap=True)
    )
    return (own_sds,)


@app.cell(hide_code=True)
def _(data_choice, linked, mo, own_start, page):
    stage = mo.ui.anywidget(page.new_stage(linked, data_choice.value, own_start))
    return (stage,)


@app.cell(hide_code=True)
def _(
    eta,
    factor,
    guessing,
    locked,
    own_problem,
    own_sds,
    page,
    prior,
    revealed,
    scale,
    show_ml,
    show_posterior,
    show_reml,
    source,
    stage,
):
    result = page.computed(
        source,
        stage.widget,
        own_problem,
        factor=factor.value,
        show=page.shown(reml=show_reml.value, ml=show_ml.value, posterior=show_posterior.value),
        unlocked=not locked.value,
        sds=own_sds.value,
        prior=prior.value,
        scale=scale.value,
        eta=eta.value,
        guessing=guessing.value,
        revealed=revealed.value,
    )
    return (result,)


@app.cell(hide_code=True)
def _(link_notes, mo, page, result):
    mo.Html(page.messages(result, link_notes))
    return


@app.cell(hide_code=True)
def _(stage):
    stage
    return


@app.cell(hide_code=True)
def _(mo, page, result):
    mo.Html(page.tables(result))
    return


@app.cell(hide_code=True)
def _(mo, page, result):
    scores = page.scores(result)
    mo.Html(scores) if scores else None
    return


@app.cell(hide_code=True)
def _(mo, page, result):
    script = page.script_of(result)
    mo.accordion(
        {
            "The numbers behind the pictures": mo.Html(page.all_levels(result)),
            "The code that reproduces this": mo.vstack(
                [
                    mo.Html(page.code_block(script)),
                    mo.hstack(
                        [
                            mo.download(
                                script.encode(), filename="shrinkage.py", label="Save the code"
                            ),
                            mo.download(
                                lambda: page.csv_of(result),
                                filename="shrinkage.csv",
                                label="Save the numbers (CSV)",
                            ),
                        ],
                        justify="start",
                    ),
                ]
            ),
        }
    )
    return


if __name__ == "__main__":
    app.run()
