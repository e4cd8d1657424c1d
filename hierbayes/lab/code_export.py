"""The script that reproduces what the lab shows, for the reader's own editor."""

from dataclasses import fields

from hierbayes.lab.chosen import chosen_sds
from hierbayes.lab.engine import CHAINS, CHOSEN, DRAWS, SEED, View, priors_of
from hierbayes.lab.presets import PRESETS, SIMULATED, Simulation
from hierbayes.priors.distributions import Prior
from hierbayes.priors.lkj import LKJ


def script(view: View) -> str:
    """Return a Python script with the same data, models, priors and numbers."""
    parts = [_data(view), _edits(view), _model(view), _fits(view), _shown(view)]
    return "\n".join(["import hierbayes as hb", *[part for part in parts if part]]) + "\n"


def _data(view: View) -> str:
    state = view.state
    if state.data in PRESETS:
        return PRESETS[state.data].code
    if state.data == SIMULATED:
        default = Simulation()
        given = ", ".join(
            f"{part.name}={getattr(state.simulation, part.name)!r}"
            for part in fields(Simulation)
            if getattr(state.simulation, part.name) != getattr(default, part.name)
        )
        return (
            "from hierbayes.lab.presets import Simulation, simulated\n\n"
            f"data = simulated(Simulation({given}))"
        )
    return (
        f"import pandas as pd\n\ndata = pd.read_csv({view.case.title!r}, sep=None, engine='python')"
    )


def _edits(view: View) -> str:
    moved = [(row, y) for row, y in view.state.edits if y is not None]
    deleted = [row for row, y in view.state.edits if y is None]
    lines = []
    if moved and view.case.response is not None:
        response = view.case.response
        lines.append(f"data[{response!r}] = data[{response!r}].astype(float)")
        lines += [f"data.loc[{row}, {response!r}] = {y!r}" for row, y in moved]
    if deleted:
        lines.append(f"data = data.drop(index={deleted!r}).reset_index(drop=True)")
    return "\n".join(lines)


def _model(view: View) -> str:
    case, state = view.case, view.state
    known = f", known_sd={case.known_sd!r}" if case.known_sd else ""
    lines = [f"\nmodel = hb.Model({case.model.formula_text!r}, data{known})"]
    priors = priors_of(case.model, state.prior, scale=state.scale, eta=state.eta)
    if "posterior" in view.estimates and priors:
        given = ", ".join(f"{name!r}: {_prior(prior)}" for name, prior in priors.items())
        lines.append(f"priors = {{{given}}}")
        lines.append(
            f"bayesian = hb.Model({case.model.formula_text!r}, data{known}, priors=priors)"
        )
    elif "posterior" in view.estimates:
        lines.append("bayesian = model")
    return "\n".join(lines)


def _prior(prior: Prior | LKJ) -> str:
    if isinstance(prior, LKJ):
        return f"hb.LKJ({prior.eta!r})"
    given = ", ".join(repr(value) for value in prior.parameters().values())
    return f"hb.{type(prior).__name__}({given})"


def _fits(view: View) -> str:
    lines = ['reml = model.fit("reml")']
    if "ml" in view.estimates:
        lines.append('ml = model.fit("ml")')
    if "posterior" in view.estimates:
        options = f"{DRAWS}, {CHAINS}, sampler='collapsed', random_seed={SEED}"
        lines.append(f"posterior = bayesian.sample({options})")
    if CHOSEN in view.estimates:
        sds, cor = chosen_sds(view.reml, view.state, view.position)
        sigma = view.estimates[CHOSEN].fit.sigma
        lines.append(
            "# conditional modes at sds that were chosen, not estimated:\n"
            f"# sds {[round(sd, 6) for sd in sds]}, correlation {cor:.6g}, "
            f"residual sd {sigma:.6g}\n"
            "from hierbayes.lab.chosen import chosen_fit\n"
            "from hierbayes.lab.state import LabState\n\n"
            f"chosen = chosen_fit(reml, LabState(sds={sds!r}, cor={cor!r}, sigma={sigma!r}), "
            f"{view.position})"
        )
    return "\n".join(lines)


def _shown(view: View) -> str:
    names = [name for name in view.estimates if name != CHOSEN]
    if "reml" not in names:
        names = ["reml", *names]
    lines = [f"\nprint(hb.compare({', '.join(names)}))" if len(names) > 1 else "\nprint(reml)"]
    first = CHOSEN if CHOSEN in view.estimates else view.first
    lines.append(f"print(hb.shrinkage({first}))")
    picture = "shrinkage_plane" if len(view.terms) > 1 else "shrinkage_slopegraph"
    group = f", group={view.factor!r}" if view.position else ""
    lines.append(f"hb.plot.{picture}({first}{group})")
    return "\n".join(lines)
