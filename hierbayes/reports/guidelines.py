"""Guidelines for reports of Bayesian analyses: their items, and what of a report holds each.

An item is a line: what it is about | what it asks for | names of the entries that answer it; a line
without bars begins a step, an indented one goes on. Items are told in words of this library.

Sources: BARG, Kruschke (2021), Nat. Hum. Behav. 5:1282; WAMBS, Depaoli & van de Schoot (2017),
Psychol. Methods 22:240; JARS-Bayes, the table on Bayesian techniques of the American Psychological
Association's standards, Appelbaum et al. (2018), Am. Psychol. 73:3.
"""

from collections.abc import Mapping

from hierbayes.arrays import record
from hierbayes.options import Guideline


@record(kw_only=False)
class Item:
    """One item of a guideline.

    Attributes
    ----------
    step : the part of the guideline it belongs to
    name : what it is about
    asks : what it asks for
    entries : names of the entries of a report that answer it
    """

    step: str
    name: str
    asks: str
    entries: tuple[str, ...]


@record(kw_only=False)
class Checklist:
    """A guideline: its full name, its source and its items."""

    title: str
    source: str
    items: tuple[Item, ...]


BARG = """
Preamble
Why Bayesian | What a Bayesian analysis gives these readers. | why_bayesian
Goals | What the analysis is to find out. | goals
1 Model
Variables | What is predicted, and from what. | variables meaning
Likelihood and parameters | How data come about, the parameters, the hierarchy, what is of
  interest. | hierarchy parameters interest
Priors | Every prior, and why it is this one. | priors prior_reasons
Formal specification | Likelihood and priors as mathematics or code. | formal
Prior predictive check | Whether data drawn from the priors look as prior knowledge says. |
  prior_check
2 Computation
Software | Programs and packages with their versions. | software
Convergence | That the chains agree, for every parameter. | convergence
Resolution | Effective sample sizes of every parameter and of what is derived. | convergence
  posterior
Other than MCMC | What is approximate where draws do not come from Markov chains. | approximation
3 Posterior
Posterior predictive check | Whether the model makes data such as these. | posterior_check
Summary | Centre and interval of every parameter. | posterior
Bayes factors and model probabilities | Evidence for models, and from which prior probability on
  it decides. | bayes_factors
4 Decisions
Why decide | Why a decision is needed at all. | decision
Loss function | What each wrong decision costs. | loss
Region of practical equivalence | Its limits, and why these. | rope decision
Decisions by model probability | The probability that decides, and the prior ones that reach it. |
  decision bayes_factors
Estimates beside decisions | Sizes, not verdicts alone. | posterior
5 Sensitivity
Broad priors | What other broad priors would have said. | sensitivity prior_width
Informed priors | What less or otherwise informed priors would have said. | prior_width
  sensitivity prior_reasons
Default priors | What other scales of the defaults would say. | sensitivity prior_width
Bayes factors and model probabilities | How they move with the priors. | factor_sensitivity
Decisions | Whether other priors would decide otherwise. | decision_sensitivity
6 Reproducibility
Software and installation | What to install. | software
Script and data | Both, where readers can get them. | code data access
Readable script | Code that a person can follow. | code
Auxiliary files | Everything else that the script reads. | data access
Runs as posted | A script that makes these numbers as it stands. | code data
Random numbers | The seed that makes the same draws. | seed
Draws of long runs | Draws themselves where they take long. | seed access
"""
WAMBS = """
Before estimating
1 Priors understood | Where each prior comes from, its shape and its parameters, and what it
  implies. | priors prior_reasons prior_check
Before interpreting
2 Convergence | Whether the chains show it. | convergence
3 Twice as many draws | Whether the answer stays with twice the draws. | doubling
4 Enough draws for the histogram | Whether the shape of every posterior is smooth and precise. |
  densities posterior
5 Autocorrelation | How much the draws of a chain hang together. | autocorrelation
6 Posterior makes sense | Whether values, spread and shape of the posterior can be true. |
  posterior posterior_check sense
Influence of the priors
7 Priors of variances | Whether other priors of sds and correlations change the answer. |
  variance_sensitivity
8 Against priors that say nothing | How far the priors pull from the answer without them. |
  without_priors
9 Sensitivity | Whether the answer stays as priors change. | sensitivity prior_width
After interpreting
10 Bayesian words | Probabilities of parameters given data, intervals called credible. | wording
  posterior
"""
JARS = """
Model
Systematic and random part | Both in full, and why these forms and distributions. | variables
  hierarchy formal model_reasons
Distributions
Priors | Of every parameter; of informed ones the reasons. | priors prior_reasons
Sensitivity to informed priors | What other priors say. | prior_width sensitivity
Posteriors | Of every parameter of interest, with intervals. | posterior
Joint distribution | Of parameters that are strongly correlated in the posterior. | joint
Predictive distributions | Of what can be observed. | prior_check posterior_check
Likelihood
Likelihood | As a formula where priors are informed. | formal
Plots
Prior, likelihood and posterior | In one picture where priors are informed. | densities
  without_priors
Decisions
Utilities or costs | What they are, and where they come from. | decision loss
Sensitivity of decisions | Whether other priors or costs decide otherwise. | decision_sensitivity
  loss
Special cases
Multilevel models | The levels, what varies between them, and how they are pulled together. |
  hierarchy levels
Meta-analyses | The studies' own estimates beside the pooled ones. | levels
Computation
Draws | Program, chains, warm-up, draws and thinning. | software approximation seed
Convergence | How it was checked, and what was found. | convergence
Fit of the model
Checks | How the fit was checked, and what was found. | posterior_check
Comparing models
Bayes factors | The models compared, the factors, what they are taken to mean. | bayes_factors
  decision
Their sensitivity | How they move with the priors. | factor_sensitivity
Averaging over models | Which models, how they were chosen, and what was averaged. | averaging
"""


def _items(text: str) -> tuple[Item, ...]:
    found, step = [], ""
    for line in text.strip().replace("\n  ", " ").splitlines():
        name, *rest = line.split(" | ")
        if rest:
            found.append(Item(step, name, rest[0], tuple(rest[1].split())))
        else:
            step = name
    return tuple(found)


GUIDELINES: Mapping[Guideline, Checklist] = {
    "BARG": Checklist(
        "Bayesian Analysis Reporting Guidelines",
        "Kruschke (2021), Nature Human Behaviour 5:1282",
        _items(BARG),
    ),
    "WAMBS": Checklist(
        "When to Worry and how to Avoid the Misuse of Bayesian Statistics",
        "Depaoli & van de Schoot (2017), Psychological Methods 22:240",
        _items(WAMBS),
    ),
    "JARS-Bayes": Checklist(
        "Journal Article Reporting Standards for Bayesian analyses",
        "Appelbaum et al. (2018), American Psychologist 73:3",
        _items(JARS),
    ),
}
