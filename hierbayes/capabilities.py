"""What can't be done with which kind of fit, and the sentence that says so.

One table, ``LIMITS``: a feature, the kinds of fit it is missing from or limited in, and the
sentence of the error. Every ``NotSupportedError`` is made here from its row, so the table, which
``docs/supported.md`` shows, is complete.
"""

from string import Formatter
from typing import Literal

from hierbayes.arrays import record
from hierbayes.errors import NotSupportedError, RowsNotKeptError
from hierbayes.wording import listed

Kind = Literal[
    "REML", "ML", "glmer", "posterior (collapsed)", "posterior (NUTS)", "other families", "any"
]
LIKELIHOOD: tuple[Kind, ...] = ("REML", "ML")
GAUSSIAN_POSTERIOR: tuple[Kind, ...] = ("posterior (collapsed)", "posterior (NUTS)")
POSTERIOR: tuple[Kind, ...] = (*GAUSSIAN_POSTERIOR, "other families")
EVERY: tuple[Kind, ...] = ("any",)

ROWS = "rows-of-stream"  # has an error of its own

INTRODUCTION = """\
# What is not supported

Each row is a feature, the kinds of fit that don't have it or have it within limits, and what the
error says, with what it names in italics. REML and ML are fits of Gaussian models with the identity
link, "glmer" fits of all others; "other families" are posteriors of these; "any" is any fit, or the
model before one. Requests that are mistaken rather than missing, such as a wrong argument, have
errors of their own.

This page is made from `hierbayes/capabilities.py` by `make docs-tables`.

| Feature | Kinds of fit | The error says |
|---|---|---|
"""


@record
class Limit:
    """A feature that some kinds of fit don't have.

    Attributes
    ----------
    key : what the place that raises calls it
    feature : in words
    kinds : the kinds of fit concerned
    sentence : of the error; named fields in braces are its facts
    """

    key: str
    feature: str
    kinds: tuple[Kind, ...]
    sentence: str

    @property
    def facts(self) -> frozenset[str]:
        """Names of the fields of the sentence."""
        return frozenset(name for _, name, _, _ in Formatter().parse(self.sentence) if name)


def not_supported(key: str, **facts: object) -> NotSupportedError:
    """Return the error of a row of the table, its sentence filled with the facts.

    Raises
    ------
    AssertionError
        If the table has no such row, or the facts are not those of its sentence.
    """
    if key not in LIMITS:
        raise AssertionError(f"LIMITS has no row {key!r}.")
    limit = LIMITS[key]
    missing, unknown = sorted(limit.facts - set(facts)), sorted(set(facts) - limit.facts)
    if missing or unknown:
        raise AssertionError(f"{key!r}: facts missing {missing}, facts unknown {unknown}.")
    sentence = limit.sentence.format(**facts)
    return RowsNotKeptError(sentence) if key == ROWS else NotSupportedError(sentence)


def markdown() -> str:
    """Return the table as a page of Markdown."""
    rows = (
        (limit.feature, listed(limit.kinds), _with_names(limit.sentence))
        for limit in LIMITS.values()
    )
    return INTRODUCTION + "".join(
        f"| {' | '.join(cell.replace('|', r'\|') for cell in row)} |\n" for row in rows
    )


def _with_names(sentence: str) -> str:
    """Write a sentence with the names of its facts in italics, in quotes where it shows them so."""
    written = ""
    for text, name, _, conversion in Formatter().parse(sentence):
        quote = "'" if conversion == "r" else ""
        written += text + (f"{quote}*{name.replace('_', ' ')}*{quote}" if name else "")
    return written


_ROWS = (
    Limit(
        key="rows-of-stream",
        feature=(
            "What needs rows of a model of a stream: residuals, fitted values of rows, pictures "
            "and checks of them, refits, influence, bootstrap, leave-one-out"
        ),
        kinds=EVERY,
        sentence=(
            "{asked} needs {what}, and a model of a stream keeps no rows: it was made from sums "
            "over them. Ask it of rows in memory: fit a part of the data as a data frame, or all "
            "of them with stream=False."
        ),
    ),
    Limit(
        key="effects-of-stream",
        feature="Averages over the rows of a stream, `hb.predictions`, `hb.comparisons`, "
        "`hb.slopes`",
        kinds=EVERY,
        sentence=(
            "This averages over the rows used, and a model of a stream keeps no rows: it was made "
            "from sums over them. Take over='balanced' or over='mean', which need none, or give "
            "rows of your own by over=frame."
        ),
    ),
    Limit(
        key="stream-transform",
        feature="Transforms that need all values at once, in streams: poly, quantile knots, ave",
        kinds=EVERY,
        sentence=(
            "{call} needs all values at once, and a stream has them one part at a time. Make the "
            "column in the data, or say what it would learn: knots= and Boundary.knots= of "
            "splines, raw = TRUE of poly()."
        ),
    ),
    Limit(
        key="stream-other-columns",
        feature="Models with columns that a stream was not summed for",
        kinds=EVERY,
        sentence=(
            "The sums over this stream say nothing of {columns}: its rows are gone. Make a model "
            "of that formula from the stream."
        ),
    ),
    Limit(
        key="stream-remainder",
        feature="Streams whose levels leave next to nothing of the response",
        kinds=EVERY,
        sentence=(
            "Fixed effects and the effects of {groups} leave next to nothing of the response, "
            "whose digits are lost in sums over a stream. Give a data frame, or stream=False to "
            "read all rows into memory."
        ),
    ),
    Limit(
        key="stream-undetermined",
        feature="Streams whose sums leave open whether the data determine all variances",
        kinds=EVERY,
        sentence=(
            "Sums over this stream leave it open whether the data determine every variance; only "
            "rows can tell. Give a data frame, stream=False to read all rows into memory, or a "
            "formula with fewer terms."
        ),
    ),
    Limit(
        key="too-many-cells",
        feature="Streams of other families with very many distinct rows",
        kinds=("glmer", "other families"),
        sentence=(
            "{rows} rows have {found} distinct combinations of the columns used, too many to "
            "stand for them; most values: {widest}. Round numeric columns in the data or cut them "
            "into intervals there, leave one out, or fit a sample of the rows."
        ),
    ),
    Limit(
        key="archive-given-response",
        feature="Archives of fits whose response or rows were replaced, `hb.archive(fit.refit(y))`",
        kinds=EVERY,
        sentence=(
            "The response or the rows were replaced after the model was made, so no script makes "
            "this result again from its data; archive a model of data that hold what it uses."
        ),
    ),
    Limit(
        key="archive-own-family",
        feature="Archives of models of a family of your own",
        kinds=("other families",),
        sentence=(
            "family={family!r} is your own, and its functions can't be written into the script of "
            "an archive; save the fit and keep your code beside it."
        ),
    ),
    Limit(
        key="contrast-count",
        feature="A part of a factor's contrasts, `C(how.many = )`",
        kinds=EVERY,
        sentence="C(how.many = ) is not available; all contrasts are used.",
    ),
    Limit(
        key="category-predictors",
        feature="Families with a linear predictor for each category",
        kinds=("other families",),
        sentence=(
            "family={family!r} needs one linear predictor a category; this version has one in "
            "all. Ordered categories: family='cumulative'."
        ),
    ),
    Limit(
        key="weights-of-family",
        feature="Weights of a response that has no residual sd",
        kinds=("other families",),
        sentence=(
            "weights with family={family!r}: weights are precisions of {families} responses, or "
            "numbers of trials of binomial proportions."
        ),
    ),
    Limit(
        key="cov-families",
        feature="Known covariances between levels, `cov=`, in models of other families and links",
        kinds=("glmer", "other families"),
        sentence="cov= with family={family!r}: known covariances between levels are for a Gaussian "
        "response with the identity link in this version.",
    ),
    Limit(
        key="cov-new-level",
        feature="Draws of levels that a known covariance between levels has no row for",
        kinds=(*LIKELIHOOD, *GAUSSIAN_POSTERIOR),
        sentence="A new level of {factor} can't be drawn: how it is related to the others is not "
        'in cov. Give cov a row for it when the model is made, or say new_levels="population" or '
        '"missing".',
    ),
    Limit(
        key="cov",
        feature="What rests on levels being independent, in models with `cov=`",
        kinds=(*LIKELIHOOD, *GAUSSIAN_POSTERIOR),
        sentence="{what} takes levels to be independent, and those of {factors} have a known "
        "covariance (cov=).",
    ),
    Limit(
        key="stream-cov",
        feature="Known covariances between levels, `cov=`, of streams",
        kinds=EVERY,
        sentence="cov= with data that are streamed is not available in this version; read the rows "
        "into a data frame.",
    ),
    Limit(
        key="cov-large",
        feature="Known covariances between very many levels, `cov=`",
        kinds=(*LIKELIHOOD, *GAUSSIAN_POSTERIOR),
        sentence="This model has {effects} random effects, some of them related, and the matrix "
        "between them is dense: up to {most} fit in memory. Leave out levels that neither have "
        "rows nor link others that have.",
    ),
    Limit(
        key="parameter-formulas",
        feature="Formulas of further parameters, `sigma= alpha= kappa= psi= zi= ...`, where rows "
        "are taken to share them",
        kinds=EVERY,
        sentence="{what} does not know a formula of {parameters} in this version.",
    ),
    Limit(
        key="residual-structure",
        feature="What takes residuals to be independent and of one sd, in models with `residual=` "
        "or fitted with `sigma=`",
        kinds=EVERY,
        sentence="{what} does not know correlated residuals, or residual sds by a formula, in this "
        "version.",
    ),
    Limit(
        key="fitted-sds",
        feature="What takes residual sds for known functions of the data, where `fitted` stands in "
        "the formula of sigma",
        kinds=EVERY,
        sentence="{what} does not know residual sds that follow from fitted values in this "
        "version.",
    ),
    Limit(
        key="residual-of-family",
        feature="Correlated residuals, `residual=`, of other families and links",
        kinds=("glmer", "other families"),
        sentence="residual= with family={family!r}, link={link!r}: correlated residuals are of a "
        "Gaussian response with the identity link.",
    ),
    Limit(
        key="residual-size",
        feature="Correlated residuals of very long series where every pair of rows counts",
        kinds=EVERY,
        sentence="residual={term!r} has {pairs} pairs of rows of a series, too many to stand in "
        "memory. Group by something finer, or write ar1 or car1, which need neighbours only.",
    ),
    Limit(
        key="residual-remainder",
        feature="Correlated or unequal residuals where levels leave next to nothing of the "
        "response",
        kinds=LIKELIHOOD,
        sentence="Fixed and random effects leave next to nothing of the response, whose digits are "
        "lost in sums over rows with correlated or unequal residuals. Use fewer random effects.",
    ),
    Limit(
        key="residual-undetermined",
        feature="Correlated or unequal residuals beside variances that the data do not determine",
        kinds=LIKELIHOOD,
        sentence="The data do not determine every variance of the random effects, and beside "
        "correlated or unequal residuals that is not told apart in this version. Use fewer random "
        "effects.",
    ),
    Limit(
        key="likelihood-formulas",
        feature="REML and maximum likelihood of models with formulas of further parameters, "
        "`sigma= alpha= ...`",
        kinds=("REML", "ML", "glmer"),
        sentence="Model.fit does not know a formula of {parameters} in this version; "
        "Model.sample() gives the posterior of this model.",
    ),
    Limit(
        key="formula-rows",
        feature="Expected responses that rest on a further parameter with a formula, in rows of a "
        "reference grid, of marginal effects or of a fold",
        kinds=("other families",),
        sentence="The responses of these rows rest on the formula of {parameters}, which is not "
        "laid over them in this version. predict() and simulate() take new rows; "
        "type='link' is about the linear predictor.",
    ),
    Limit(
        key="stream-formulas",
        feature="Formulas of further parameters and correlated residuals, `sigma= residual=`, of "
        "streams",
        kinds=EVERY,
        sentence="{name}= with data that are streamed is not available in this version; read the "
        "rows into a data frame.",
    ),
    Limit(
        key="known-sd-of-family",
        feature="Known residual sds of a response that has none",
        kinds=("other families",),
        sentence="known_sd with family={family!r}: only {families} responses have a residual sd.",
    ),
    Limit(
        key="likelihood-of-family",
        feature="Maximum likelihood of families without a smooth density",
        kinds=("glmer",),
        sentence=(
            "family={family!r} has no maximum-likelihood fit in this version: that needs a log "
            "density with derivatives everywhere. Model(...).sample() gives the posterior."
        ),
    ),
    Limit(
        key="quadrature-of-columns",
        feature="Quadrature of more than three columns of random effects, `n_quadrature`",
        kinds=("glmer",),
        sentence=(
            "n_quadrature={n} takes up to {most} columns of the factor with the most levels; "
            "{factor} has {columns}. Use n_quadrature=1, the Laplace approximation."
        ),
    ),
    Limit(
        key="quadrature-nodes",
        feature="Quadrature at very many nodes and rows, `n_quadrature`",
        kinds=("glmer",),
        sentence=(
            "n_quadrature={n} evaluates {rows} rows at {nodes} nodes each, which does not fit in "
            "memory. Use fewer nodes, or n_quadrature=1, the Laplace approximation."
        ),
    ),
    Limit(
        key="quadrature-size",
        feature="Quadrature of very many effects of several grouping factors, `n_quadrature`",
        kinds=("glmer",),
        sentence=(
            "n_quadrature={n} integrates the {J} levels of {factor} at every node, and {coarse} "
            "effects of the other factors by a dense matrix beside them, which is too large. Use "
            "fewer nodes, or n_quadrature=1, the Laplace approximation."
        ),
    ),
    Limit(
        key="laplace-error-draws",
        feature="The error of Laplace where draws do not find the exact likelihood, "
        "`fit.laplace_error`",
        kinds=("glmer",),
        sentence=(
            "laplace_error draws the effects of {factors}, and a few draws have nearly all the "
            "weight here, so the exact likelihood is not known well enough. model.sample() does "
            "not rest on the approximation."
        ),
    ),
    Limit(
        key="reml-of-family",
        feature="REML of other families and links, `Model.fit`",
        kinds=("glmer",),
        sentence=(
            "method='reml' with family={family!r}, link={link!r}: REML is for Gaussian models with "
            "the identity link. method='ml' is maximum likelihood."
        ),
    ),
    Limit(
        key="ddf-of-family",
        feature="Degrees of freedom of other families",
        kinds=("glmer",),
        sentence=(
            "ddf={ddf!r} is for Gaussian models; tests with family={family!r}, link={link!r} are z "
            "tests. Write ddf='normal'."
        ),
    ),
    Limit(
        key="prediction-interval-of-categories",
        feature="Intervals of new responses that are categories",
        kinds=("glmer",),
        sentence=(
            "interval='prediction' with family={family!r}: a new response is one category; "
            "type='probability' says how probable each is."
        ),
    ),
    Limit(
        key="interval-of-several-factors",
        feature="Confidence intervals at the levels of several large grouping factors, `predict`",
        kinds=("glmer",),
        sentence=(
            "interval='confidence' at levels of several grouping factors: this model has {effects} "
            "random effects, more than the {most} it is computed for. groups='none' (the typical "
            "group) has it, and model.sample() all."
        ),
    ),
    Limit(
        key="interval-of-expectation",
        feature="Intervals of the expected response of families whose mean is not mu",
        kinds=("glmer",),
        sentence=(
            "interval='confidence' with family={family!r}, whose expected response depends on "
            "more than eta: only type='link' has it."
        ),
    ),
    Limit(
        key="interval-of-estimated-rates",
        feature="Intervals of the expected response of psychometric functions with estimated rates",
        kinds=("glmer",),
        sentence=(
            "interval='confidence' with {rates} estimated: the expected response rests on more "
            "than eta. type='link' has an interval of eta, hb.plot.psychometric(fit) a band that "
            "counts all, and model.sample() intervals of everything."
        ),
    ),
    Limit(
        key="residual-kind-of-family",
        feature="Residuals that need a formula the family has not, `residuals(kind=)`",
        kinds=("glmer", "other families"),
        sentence=(
            "residuals(kind={kind!r}): family={family!r} has no formula for the variance or "
            "deviance they are made of. kind='response' is observed minus expected."
        ),
    ),
    Limit(
        key="bootstrap-kind-of-family",
        feature="Bootstraps of other families that are not parametric, `bootstrap(kind=)`",
        kinds=("glmer",),
        sentence=(
            "kind={kind!r} with family={family!r}: modes and residuals of other families have no "
            "spread to be rescaled to, and cases are not drawn. kind='parametric' draws from the "
            "model."
        ),
    ),
    Limit(
        key="bca-of-statistic",
        feature="BCa intervals of a statistic of one's own, for other families",
        kinds=("glmer",),
        sentence=(
            "interval='bca' of a statistic of your own needs the fits without one level each, "
            "which are made of parameters only. Take interval='percentile' or 'basic'."
        ),
    ),
    Limit(
        key="exact-test-of-family",
        feature="Exact tests of other families, `exact_rlrt`, `exact_lrt`",
        kinds=("glmer",),
        sentence=(
            "family={family!r}, link={link!r}: the exact test is of a Gaussian model. "
            "hb.anova(small, large) is the likelihood-ratio test."
        ),
    ),
    Limit(
        key="lapse-of-subjects",
        feature="A lapse rate for each observer, `hb.psychometric(lapse='subject')`",
        kinds=("glmer", "other families"),
        sentence=(
            "lapse='subject', a rate for each observer, needs a second linear predictor, which "
            "models do not have in this version. lapse='estimate' is one rate that all share; the "
            "rates of single observers come from fits of their rows alone."
        ),
    ),
    Limit(
        key="thresholds-of-several-factors",
        feature="Thresholds of the levels of several grouping factors, `pse`, `jnd`, `threshold`",
        kinds=("glmer", "other families"),
        sentence=(
            "groups='all' with {factors} grouping factors: the thresholds of levels are those of "
            "one grouping factor. groups='none' gives the population's."
        ),
    ),
    Limit(
        key="profile-of-levels",
        feature="Profile limits of the thresholds of levels, `pse(method='profile')`",
        kinds=("glmer",),
        sentence=(
            "method='profile' with groups='all': a profile holds a parameter, and the thresholds "
            "of levels are none. groups='none' gives the population's; 'delta', 'fieller' and "
            "'bootstrap' have limits of levels."
        ),
    ),
    Limit(
        key="profile-of-whole-curve",
        feature="Profile limits of the whole curve where rates are estimated",
        kinds=("glmer",),
        sentence=(
            "method='profile' of the whole curve with {rates} estimated: the profile holds "
            "quantities of the core function, of='core'. 'delta', 'fieller' and 'bootstrap' have "
            "limits of the whole curve."
        ),
    ),
    Limit(
        key="limits-of-differences",
        feature="Fieller and profile limits of differences of thresholds",
        kinds=("glmer",),
        sentence=(
            "method={method!r} with differences=True: a difference of ratios has limits by "
            "'delta' or 'bootstrap'."
        ),
    ),
    Limit(
        key="kenward-roger-of-effects",
        feature="Kenward and Roger's method for effects of the observed groups",
        kinds=("REML",),
        sentence=(
            "ddf='kenward-roger' is about fixed effects; these results have random effects of the "
            "observed groups in them. Use ddf='satterthwaite', or another target."
        ),
    ),
    Limit(
        key="bootstrap-of-observed-groups",
        feature="Bootstraps of predictions for the observed groups",
        kinds=("REML", "ML", "glmer"),
        sentence=(
            "method='bootstrap' with target='observed groups': every replicate has groups of its "
            "own. method='delta' has intervals for these, 'bootstrap' for a typical group and new "
            "groups."
        ),
    ),
    Limit(
        key="new-responses-of-fixed-groups",
        feature="Intervals of new responses of new groups of a factor that is a predictor, too",
        kinds=EVERY,
        sentence=(
            "interval='prediction' with target='new groups': {factor} is a predictor of the fixed "
            "part, too, so a row of it is no new group."
        ),
    ),
    Limit(
        key="draws-of-delta-method",
        feature="Draws of predictions, comparisons and slopes by the delta method",
        kinds=("REML", "ML", "glmer"),
        sentence=(
            "draws() is for posteriors, and for fits with method='bootstrap', whose replicates it "
            "returns; the delta method has none."
        ),
    ),
    Limit(
        key="effect-rows",
        feature="Predictions, comparisons and slopes over very many rows",
        kinds=EVERY,
        sentence=(
            "This asks for predictions of {rows:,} rows, which do not fit in memory. Give fewer "
            "values by at=, or rows of your own by over=."
        ),
    ),
    Limit(
        key="effect-draws",
        feature="Draws of very many predictions, comparisons and slopes",
        kinds=POSTERIOR,
        sentence=(
            "This asks for {draws:,} draws of {results:,} averages, which do not fit in memory. "
            "Average over more rows by by=, or give fewer rows by over=."
        ),
    ),
    Limit(
        key="collapsed-of-family",
        feature=(
            "The collapsed sampler of other families and links with many levels of crossed "
            "factors, bounded coefficients, or a density that is not smooth"
        ),
        kinds=("other families",),
        sentence=(
            'sampler="collapsed" integrates the random effects out of a Gaussian response with '
            "the identity link, and out of other responses with a smooth density, unbounded "
            "coefficients and at most {most} effects of factors that are neither the finest nor "
            "nest it; this model has family={family!r}, link={link!r} and {effects} such effects. "
            'Use sampler="nuts" (or "auto").'
        ),
    ),
    Limit(
        key="marginal-of-family",
        feature="`parameterization='marginal'` of other families and links",
        kinds=("other families",),
        sentence=(
            "parameterization='marginal' with family={family!r}: random effects can be "
            "integrated out for a Gaussian response with the identity link only. Use "
            "'noncentered'."
        ),
    ),
    Limit(
        key="marginal-with-addition",
        feature="`parameterization='marginal'` with `add=`",
        kinds=("posterior (NUTS)",),
        sentence=(
            "parameterization='marginal' can't add= to the linear predictor: its likelihood is "
            "that of the formula, with the random effects integrated out. Use 'noncentered'."
        ),
    ),
    Limit(
        key="marginal-far-levels",
        feature="`parameterization='marginal'` with levels far apart",
        kinds=("posterior (NUTS)",),
        sentence=(
            "parameterization='marginal': levels differ so much more than the rows in them "
            "that sums of squares of the response lose what is left. Take 'centered'."
        ),
    ),
    Limit(
        key="marginal-size",
        feature="`parameterization='marginal'` with large crossed factors",
        kinds=("posterior (NUTS)",),
        sentence=(
            "parameterization='marginal': the crossed grouping factors but the largest have "
            "{others} random effects, the largest {of_largest}; up to {most_others} (and "
            "{most_products:.0e} products of both) are integrated out with dense algebra. Use "
            "'noncentered'; Model.sample() has no such limit."
        ),
    ),
    Limit(
        key="bambi-correlations",
        feature="Correlated random effects in `to_bambi`",
        kinds=("posterior (NUTS)", "other families"),
        sentence=(
            "{term}: bambi has no correlated random effects ({columns} of {factor}); it would "
            "fit independent ones. Write || for those, or use to_pymc(), which has the "
            "correlations."
        ),
    ),
    Limit(
        key="bambi-known-sd",
        feature="Known residual sds in `to_bambi`",
        kinds=("posterior (NUTS)",),
        sentence="known_sd: bambi has no known residual sds. Use to_pymc().",
    ),
    Limit(
        key="bambi-link",
        feature="Links in `to_bambi` that bambi does not have",
        kinds=("other families",),
        sentence=(
            "link={link!r}: bambi does not have it for family={family!r}. Use to_pymc(), which "
            "has our own density."
        ),
    ),
    Limit(
        key="bambi-own-family",
        feature="Families of one's own in `to_bambi`",
        kinds=("other families",),
        sentence=(
            "family={family!r}: bambi has only the families it is built with. Use to_pymc(), which "
            "has the family's log density."
        ),
    ),
    Limit(
        key="bambi-weights",
        feature="Precision weights in `to_bambi`",
        kinds=("posterior (NUTS)",),
        sentence=(
            "weights: bambi's weighted() raises each row's likelihood to a power, which is not "
            "a precision weight. Use to_pymc()."
        ),
    ),
    Limit(
        key="table-picture",
        feature="`.plot()` of results that have no picture of their own",
        kinds=EVERY,
        sentence="This result has no picture of its own; {pictures}.",
    ),
    Limit(
        key="draws-from-flat-priors",
        feature="Draws from flat priors",
        kinds=POSTERIOR,
        sentence=(
            "Nothing can be drawn from flat priors; give every parameter a proper one, for "
            'example priors={{"b": hb.Normal(0, 10)}}.'
        ),
    ),
    Limit(
        key="responses-of-family",
        feature="Expected responses of families of one's own that have no formula for them",
        kinds=("glmer", "other families"),
        sentence=(
            "family={family!r} has no formula for its expected response (expectation=None). "
            "type='link' predicts the linear predictor, simulate() draws responses."
        ),
    ),
    Limit(
        key="point-hypothesis",
        feature="The posterior probability of a single value, `hypothesis`",
        kinds=POSTERIOR,
        sentence=(
            "A single value of a parameter has posterior probability 0; compare with '<' or "
            "'>', or give a range, for example {example}. Evidence for a value of exactly 0 is "
            "the Bayes factor of the models without and with the term: hb.bayes_factor(a, b)."
        ),
    ),
    Limit(
        key="size-of-draws",
        feature="Numbers for every draw and row beyond a gigabyte",
        kinds=POSTERIOR,
        sentence=(
            "{numbers} for {draws} draws and {rows} rows would take {gigabytes:.1f} GB; sample "
            "fewer draws, or fit a part of the rows."
        ),
    ),
    Limit(
        key="responses-undetermined",
        feature="Responses drawn from a fit that the data do not determine",
        kinds=LIKELIHOOD,
        sentence="Responses can't be drawn from this fit. {note}",
    ),
    Limit(
        key="prediction-without-known-sd",
        feature="Prediction intervals of new rows whose known residual sds are not given",
        kinds=EVERY,
        sentence=(
            "interval='prediction' for new rows: known_sd has no values for them. Give it as a "
            "column of the data and of the new data; interval='confidence' needs none."
        ),
    ),
    Limit(
        key="reference-grid-size",
        feature="Marginal means over a very large reference grid",
        kinds=EVERY,
        sentence=(
            "The reference grid has {rows} rows ({sizes}). Fix some predictors by at=, for "
            "example at={{'x': 0}}."
        ),
    ),
    Limit(
        key="shrinkage-of-what",
        feature="Shrinkage of something that is no fit",
        kinds=EVERY,
        sentence=(
            "{function} takes a fit or a posterior, not {given}; for example "
            "{function}(hb.lmer(formula, data))."
        ),
    ),
    Limit(
        key="shrinkage-without-effects",
        feature="Shrinkage without random effects",
        kinds=EVERY,
        sentence=(
            "The model has no random effects, so nothing is shrunk. Add a term such as (1 | g)."
        ),
    ),
    Limit(
        key="shrinkage-of-family",
        feature="Shrinkage paths, lines and reliability curves of posteriors of other families",
        kinds=("other families",),
        sentence=(
            "{function} of a posterior needs a Gaussian response with the identity link, and this "
            "one has family={family!r}, link={link!r}. A fit by Model.fit() has it."
        ),
    ),
    Limit(
        key="shrinkage-of-density",
        feature="Shrinkage tables of families without a smooth density",
        kinds=("other families",),
        sentence=(
            "{function} with family={family!r}: what the rows of a level say by themselves needs a "
            "log density with derivatives everywhere. ranef() and coef() have what the draws say."
        ),
    ),
    Limit(
        key="shrinkage-of-expectation",
        feature="Shrinkage on the scale of the response of families whose mean is not mu",
        kinds=("glmer",),
        sentence=(
            "type='response' with family={family!r}, whose expected response depends on more than "
            "eta: the table is on the scale of the link."
        ),
    ),
    Limit(
        key="plane-undetermined",
        feature="The plane of two random terms whose covariance the data do not determine",
        kinds=LIKELIHOOD,
        sentence=(
            "The data do not determine the covariance of {first} and {second}, so there is no "
            "plane to draw. hb.plot.shrinkage_slopegraph draws one term."
        ),
    ),
    Limit(
        key="surface-parameters",
        feature="The likelihood surface of fewer than two variance parameters",
        kinds=LIKELIHOOD,
        sentence="A surface needs two variance parameters; this model has only one or none.",
    ),
    Limit(
        key="surface-rounding",
        feature="The likelihood surface beside a tiny residual sd",
        kinds=LIKELIHOOD,
        sentence=(
            "The residual sd, {sigma:.2g}, is so small beside {first} and {second} that the "
            "surface around them is lost in rounding. hb.profile follows each of them alone."
        ),
    ),
    Limit(
        key="kenward-roger-ml",
        feature="Kenward-Roger degrees of freedom of ML fits",
        kinds=("ML",),
        sentence=(
            "ddf='kenward-roger' is defined for REML fits and this fit is by ML. Fit it with "
            "REML, or use ddf='satterthwaite'."
        ),
    ),
    Limit(
        key="kenward-roger-size",
        feature="Kenward-Roger degrees of freedom of large crossed designs",
        kinds=("REML",),
        sentence=(
            "ddf='kenward-roger' needs about {operations:.0e} operations for the crossed "
            "factors of this fit, which takes too long. Use ddf='satterthwaite'."
        ),
    ),
    Limit(
        key="kenward-roger-series",
        feature="Kenward-Roger degrees of freedom beside long series of correlated residuals",
        kinds=("REML",),
        sentence=(
            "ddf='kenward-roger' needs about {operations:.0e} operations for the rows of this fit "
            "that go together, which takes too long. Use ddf='satterthwaite'."
        ),
    ),
    Limit(
        key="kenward-roger-residual",
        feature="Kenward-Roger degrees of freedom where no residual is left",
        kinds=("REML",),
        sentence=(
            "ddf='kenward-roger': the fixed and random effects reproduce the response, so the "
            "residual sd ({sigma:.2g}) is left with {df:.0e} of a degree of freedom and no "
            "variance is known. Leave out random effects."
        ),
    ),
    Limit(
        key="levels-crossed",
        feature="Drawing or leaving out whole levels of crossed factors, in bootstraps",
        kinds=LIKELIHOOD,
        sentence=(
            "{purpose} needs groups of rows that are independent of each other, but {factors} "
            "are crossed, so no level can be drawn or left out on its own. Take a parametric "
            "bootstrap (kind='parametric') with percentile or basic intervals."
        ),
    ),
    Limit(
        key="exact-test-without-effects",
        feature="The exact test without random effects",
        kinds=LIKELIHOOD,
        sentence=(
            "The exact test is for one variance component; this model has no random effects."
        ),
    ),
    Limit(
        key="exact-test-components",
        feature="The exact test of several variance components",
        kinds=LIKELIHOOD,
        sentence=(
            "The exact test is for one variance component; {formula} has {components}. "
            "hb.pb_test compares it with the model without the one in question by parametric "
            "bootstrap."
        ),
    ),
    Limit(
        key="reliability-of-series",
        feature="The reliability of a level of n rows, where residuals are correlated",
        kinds=(*LIKELIHOOD, *GAUSSIAN_POSTERIOR),
        sentence=(
            "What n rows say of a level depends on which rows they are, as residuals are "
            "correlated ({term}): there is no curve over n. hb.shrinkage(fit) has the reliability "
            "of each level with the rows it has."
        ),
    ),
    Limit(
        key="exact-test-residuals",
        feature="The exact test beside correlated or unequal residuals",
        kinds=LIKELIHOOD,
        sentence=(
            "The exact test needs residuals that are independent and of one sd, up to known "
            "weights: of others, whose parameters are estimates, the null distribution is not "
            "known. hb.pb_test compares the model with the one without the term by parametric "
            "bootstrap."
        ),
    ),
    Limit(
        key="exact-test-size",
        feature="The exact test of very many levels",
        kinds=LIKELIHOOD,
        sentence=(
            "The exact test is for one variance component; {factor} has {levels} levels, more "
            "than the {most} it is computed for. With so many the mixture p of hb.ranova is as "
            "good."
        ),
    ),
    Limit(
        key="bayes-factor-nuts",
        feature="Bayes factors of posteriors sampled by NUTS",
        kinds=("posterior (NUTS)", "other families"),
        sentence=(
            "{name} was sampled by {sampler}, which gives no marginal likelihood. "
            'sample(sampler="collapsed") does, for Gaussian models and for most others.'
        ),
    ),
    Limit(
        key="bayes-factor-flat",
        feature="Bayes factors under flat priors",
        kinds=("posterior (collapsed)",),
        sentence=(
            "{name} has flat priors ({parameters}), and with a flat prior there is no marginal "
            "likelihood: the density of the data under it is zero times infinity. Give proper "
            "priors, for example the defaults."
        ),
    ),
    Limit(
        key="jzs-model",
        feature="JZS priors of other models than Gaussian ones with random intercepts",
        kinds=EVERY,
        sentence=(
            "Priors of standardised effects (JZS) are defined for Gaussian models of factors, "
            "numbers and random intercepts; {formula} {reason}. Leave priors= out: Bayes factors "
            "under the model's own priors take any model."
        ),
    ),
    Limit(
        key="sensitivity-width",
        feature="Sensitivity to a prior without a width (Flat, Beta)",
        kinds=POSTERIOR,
        sentence=(
            "The prior of {parameter}, {prior}, has no width that could change. Give a family that "
            "has one, for example prior=hb.Normal(0, 10) or, of an sd, prior=hb.HalfNormal(10)."
        ),
    ),
    Limit(
        key="loo-groups-of-family",
        feature="Leaving out groups with many columns, or with others in them, `loo(by=)`",
        kinds=("other families",),
        sentence=(
            "Leaving out all rows of each {factor} integrates the random effects out, of "
            "family={family!r} by quadrature: for a factor with up to two columns of random "
            "effects and none nested in it, and a smooth density. hb.kfold(fit, by=) refits "
            "without them."
        ),
    ),
    Limit(
        key="loo-blocks-of-family",
        feature="Leaving out blocks that are no levels of a grouping factor, `loo(by=)`",
        kinds=("other families",),
        sentence=(
            "Leaving out all rows of each {by} at once is for Gaussian models, or where they are "
            "levels of a grouping factor, and this model has family={family!r}. hb.kfold(fit, "
            "by=) refits without them."
        ),
    ),
    Limit(
        key="loo-structured-size",
        feature="Leaving out rows or groups beside correlated residuals in large parts",
        kinds=GAUSSIAN_POSTERIOR,
        sentence=(
            "Up to {rows} rows hang together by a series or a level, and leaving out each {name} "
            "inverts the covariance of these for each of {draws} draws, which is too much. Sample "
            "fewer draws."
        ),
    ),
    Limit(
        key="loo-groups-size",
        feature="Leaving out groups of large crossed designs",
        kinds=GAUSSIAN_POSTERIOR,
        sentence=(
            "Leaving out each of {levels} levels of {factor} in turn takes {levels} x {draws} "
            "evaluations of this crossed design, which is too many. Sample fewer draws, or "
            "leave out the levels of a factor with fewer of them."
        ),
    ),
    Limit(
        key="influence-of-posterior",
        feature="Influence of levels on a posterior",
        kinds=POSTERIOR,
        sentence=(
            "influence refits by REML or ML; it got {given}. For a posterior, hb.loo(fit, "
            "by=group) says how well each group is predicted from the others."
        ),
    ),
    Limit(
        key="covariance-structure",
        feature="Parts that do not know the structure of a term's covariance: `to_bambi` none of "
        "`cs ar1 toep`, others none of your own",
        kinds=EVERY,
        sentence=(
            "{what}: not for such a covariance in this version; {term} has the structure "
            "{structure!r}."
        ),
    ),
    Limit(
        key="influence-size",
        feature="Influence of very many levels",
        kinds=LIKELIHOOD,
        sentence=(
            "{factor} has {levels} levels, a refit each; influence does at most {most}. Name a "
            "factor with fewer levels by group=."
        ),
    ),
    Limit(
        key="influence-without-levels",
        feature="Influence of levels where there are none",
        kinds=LIKELIHOOD,
        sentence=(
            "influence leaves out levels; this model has no grouping factor. rows=True looks at "
            "each row."
        ),
    ),
    Limit(
        key="design-study-priors",
        feature="Design studies by posterior with priors of coefficients that are not normal",
        kinds=GAUSSIAN_POSTERIOR,
        sentence=(
            "The posteriors of hb.design_study have normal or flat priors of coefficients, and "
            "this model has others. Give normal ones of the same spread."
        ),
    ),
    Limit(
        key="design-study-residuals",
        feature="Design studies of other sizes than subjects, or by posteriors, beside correlated "
        "or unequal residuals",
        kinds=(*LIKELIHOOD, *GAUSSIAN_POSTERIOR),
        sentence=(
            "Beside correlated or unequal residuals hb.design_study takes subjects= alone, which "
            "counts {unit}, and fits by REML or ML: how more rows of a series would be correlated "
            "is not known."
        ),
    ),
    Limit(
        key="design-study-crossed-residuals",
        feature="Design studies of crossed factors beside correlated or unequal residuals",
        kinds=LIKELIHOOD,
        sentence=(
            "Beside correlated or unequal residuals hb.design_study counts levels whose rows are "
            "independent of all others, and {factors} are crossed. Draw data sets of each design "
            "with fit.simulate(newdata=), fit each, and count; hb.plot.power draws the table."
        ),
    ),
    Limit(
        key="bambi-residuals",
        feature="Correlated residuals in `to_bambi`",
        kinds=("posterior (NUTS)",),
        sentence="residual={term!r}: bambi has no correlated residuals. Use to_pymc().",
    ),
    Limit(
        key="design-study-family",
        feature="Design studies of families other than Gaussian, binomial and Poisson",
        kinds=("other families",),
        sentence=(
            "hb.design_study has no family={family!r}: Gaussian, binomial and Poisson. Draw data "
            "sets of each design with hb.simulate(formula, data, parameters, family=), fit each, "
            "and count; hb.plot.power draws the table."
        ),
    ),
    Limit(
        key="joint-covariance-size",
        feature="Joint covariance of very many effects, `vcov(full=True)`",
        kinds=EVERY,
        sentence=(
            "The joint covariance of {effects} fixed and random effects is a dense matrix; at most "
            "{most} are done. ranef_cov() has the covariance within each level."
        ),
    ),
    Limit(
        key="joint-covariance-undetermined",
        feature="Joint covariance of effects that the data do not determine",
        kinds=LIKELIHOOD,
        sentence="The joint covariance of the effects is not determined. {note}",
    ),
    Limit(
        key="influence-undetermined",
        feature="Influence of rows on a fit that the data do not determine",
        kinds=LIKELIHOOD,
        sentence="The influence of rows can't be told of this fit. {note}",
    ),
    Limit(
        key="influence-of-categories",
        feature="Influence of rows on ordinal fits",
        kinds=("glmer",),
        sentence=(
            "The influence of single rows is not available for family={family!r}; "
            "hb.influence(fit) without rows= leaves out levels."
        ),
    ),
    Limit(
        key="variance-shares-of-family",
        feature="R2 and ICC of families without a variance on the link scale",
        kinds=("other families",),
        sentence=(
            "family={family!r}, link={link!r}: the residual variance on the link scale has no "
            "standard definition here. It is known for {families}."
        ),
    ),
)
LIMITS = {limit.key: limit for limit in _ROWS}
