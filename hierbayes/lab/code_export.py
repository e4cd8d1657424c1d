"""The script that reproduces what the lab shows, for the reader's own editor."""

from hierbayes.arrays import FloatArray
from hierbayes.lab.chosen import chosen_roots
from hierbayes.lab.engine import CHAINS, CHOSEN, DRAWS, SEED, View, priors_of
from hierbayes.lab.presets import (
    LAST_X,
    POPULATION,
    PRESETS,
    SIMULATED,
    Simulation,
    group_sizes,
)
from hierbayes.naming.addresses import fixed_partners
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
        return _simulation(state.simulation)
    return (
        f"import pandas as pd\n\ndata = pd.read_csv({view.case.title!r}, sep=None, engine='python')"
    )


def _simulation(truth: Simulation) -> str:
    """Return the lines that draw what ``presets.simulated`` draws."""
    intercept, slope = POPULATION
    cor = truth.cor
    return f"""\
import numpy as np
import pandas as pd

# y = {intercept:g} + {slope:g} x + b1 + b2 x + e
z = np.random.default_rng(({truth.seed}, 0)).standard_normal((200, 2))
b1 = {truth.sd_intercept!r} * z[:, 0]
b2 = {truth.sd_slope!r} * ({cor!r} * z[:, 0] + np.sqrt(1 - {cor!r}**2) * z[:, 1])
parts = []
for j, n in enumerate({group_sizes(truth)}):
    e = {truth.sigma!r} * np.random.default_rng(({truth.seed}, 1, j)).standard_normal(100)[:n]
    x = np.linspace(0, {LAST_X:g}, n) if n > 1 else np.zeros(1)
    y = ({intercept!r} + b1[j]) + ({slope!r} + b2[j]) * x + e
    parts.append(pd.DataFrame({{"y": y.round(2), "x": x.round(3), "group": f"g{{j + 1:02d}}"}}))
data = pd.concat(parts, ignore_index=True)"""


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
        lines.append(_chosen(view))
    return "\n".join(lines)


def _chosen(view: View) -> str:
    """Return the mixed-model equations at the chosen sds, in the columns that REML fitted."""
    reml, sigma = view.reml, view.estimates[CHOSEN].fit.sigma
    roots = chosen_roots(reml, view.state, view.position)
    kept = reml.kept.tolist()
    given = [
        f"    ({_rounded(root @ root.T)}, {list(fixed_partners(reml.design, kept, factor))}),"
        for factor, root in enumerate(roots)
    ]
    design = reml.design
    scale = "" if design.known_sd is None else " * design.known_sd"
    offset = "" if design.offset is None else " - design.offset"
    return "\n".join(
        [
            "",
            "# Fixed effects and conditional modes at sds that were chosen, not estimated;",
            "# design is from the inside of this version of the library.",
            "import numpy as np",
            "import pandas as pd",
            "",
            "design = reml.design",
            f"X, y = design.X[:, {kept}], design.y{offset}",
            "given = [  # Var(b) of each factor, and the columns of X its own vary (-1: none)",
            *given,
            "]",
            f"sigma = {sigma!r}",
            f"V = np.diag((sigma * np.ones(y.size){scale}) ** 2)",
            "for factor, (covariance, _) in zip(design.factors, given):",
            "    same = factor.codes[:, None] == factor.codes",
            "    V += same * (factor.z @ np.array(covariance) @ factor.z.T)",
            "beta = np.linalg.solve(X.T @ np.linalg.solve(V, X), X.T @ np.linalg.solve(V, y))",
            "weighed = np.linalg.solve(V, y - X @ beta)",
            "chosen = {}",
            "for factor, (covariance, columns) in zip(design.factors, given):",
            "    sums = np.zeros((len(factor.levels), len(columns)))",
            "    np.add.at(sums, factor.codes, factor.z * weighed[:, None])",
            "    values = np.append(beta, 0.0)[columns] + sums @ np.array(covariance)",
            "    chosen[factor.name] = pd.DataFrame(",
            "        values, index=factor.levels, columns=factor.columns",
            "    )",
        ]
    )


def _rounded(covariance: FloatArray) -> list[list[float]]:
    """Return the numbers of a matrix without the digits that are rounding."""
    return [[float(f"{value:.14g}") for value in row] for row in covariance.tolist()]


def _shown(view: View) -> str:
    names = [name for name in view.estimates if name != CHOSEN]
    if "reml" not in names:
        names = ["reml", *names]
    lines = [f"\nprint(hb.compare({', '.join(names)}))" if len(names) > 1 else "\nprint(reml)"]
    picture = "shrinkage_plane" if len(view.terms) > 1 else "shrinkage_slopegraph"
    group = f", group={view.factor!r}" if view.position else ""
    if CHOSEN not in view.estimates:
        lines.append(f"print(hb.shrinkage({view.first}))")
        lines.append(f"hb.plot.{picture}({view.first}{group})")
        return "\n".join(lines)
    table = f"chosen[{view.factor!r}]"
    points = f"*{table}.to_numpy().T" if len(view.terms) > 1 else f"np.ones(len({table})), {table}"
    lines.append("print(chosen)")
    lines.append(f"figure, ax = hb.plot.{picture}(reml{group})")
    lines.append(f'ax.plot({points}, "x", color="black", label="chosen")')
    return "\n".join(lines)
