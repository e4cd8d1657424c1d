"""Random models and what is asked of them: a result, one of our errors, or something that fell out.

Seed s always gives the same frame, formula, options and calls, so that what fell out of a long
search is looked at by its number::

    python -m tests.robustness.random_models 0 500            # seeds 0 to 499
    python -m tests.robustness.random_models 137 138 -v       # one of them, with its traceback
    python -m tests.robustness.random_models 0 500 --glmer    # generalised models instead

A call must give a value of its declared type or raise one of our errors, issue no warnings but
ours, and end within SECONDS of a processor's time. The process must stay below GIGABYTES.
"""

import argparse
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import numpy as np

import hierbayes as hb
from tests.robustness.calls import LIKELIHOOD, POSTERIOR, SHARED, Asked, model_options
from tests.robustness.formulas import random_formula
from tests.robustness.frames import as_kind, random_frame
from tests.robustness.generalised import NODES, random_response

SECONDS = 20.0  # twice what the slowest takes, as busy cores count more time for the same work
GIGABYTES = 2.0
CALLS = 10  # asked of each fit
SAMPLED = 0.3  # share of the models that are sampled as well
PACKAGE = str(Path(hb.__file__).parent)


class TooSlowError(BaseException):
    """The call took longer than allowed; no ``except Exception`` of ours catches it."""


@dataclass
class Outcome:
    """What the calls of some models came to.

    Attributes
    ----------
    counts : calls by how they ended: "result", or the class of our error
    fallen : (exception, place) to the calls that ended so, as text
    """

    counts: Counter = field(default_factory=Counter)
    fallen: dict = field(default_factory=lambda: defaultdict(list))


def ask(seed, outcome, *, verbose=False):
    """Fit (and sometimes sample) the model of a seed, and make its calls."""
    rng = np.random.default_rng(seed)
    frame, names = random_frame(rng)
    formula = random_formula(rng, names)
    data, options = model_options(rng, frame, names)
    kind = f"{type(data).__name__} {frame.shape}"
    where = f"seed {seed}: {formula!r}, {sorted(options)}, {kind}"
    method = str(rng.choice(["reml", "ml"]))

    def run(name, call, expected):
        return guarded(f"{where}, {name}", call, expected, outcome, verbose=verbose)

    model = run("Model", lambda: hb.Model(formula, data, **options), hb.Model)
    if model is None:
        return
    fit = run("fit", lambda: model.fit(method), hb.LikelihoodFit)
    if fit is not None:
        ask_fit(rng, Asked(fit=fit, frame=frame, names=names, rng=rng), SHARED | LIKELIHOOD, run)
    if rng.random() < SAMPLED:
        settings = {"draws": 50, "chains": 2, "sampler": "collapsed", "random_seed": seed}
        post = run("sample", lambda: model.sample(**settings), hb.PosteriorFit)
        if post is not None:
            asked = Asked(fit=post, frame=frame, names=names, rng=rng)
            ask_fit(rng, asked, SHARED | POSTERIOR, run)


def ask_generalised(seed, outcome, *, verbose=False):
    """Fit the generalised model of a seed, and make its calls."""
    rng = np.random.default_rng([seed, 1])
    frame, names = random_frame(rng)
    formula = random_formula(rng, names)
    family, link, frame, options = random_response(rng, frame, names)
    n_quadrature = NODES[int(rng.integers(len(NODES)))]
    if rng.random() < 0.2:
        options["offset"] = names["z"]
    where = f"glmer seed {seed}: {formula!r}, {family} {link} {n_quadrature}, {frame.shape}"

    def run(name, call, expected):
        return guarded(f"{where}, {name}", call, expected, outcome, verbose=verbose)

    settings = {"family": family, "link": link, "n_quadrature": n_quadrature} | options
    data = as_kind(rng, frame)
    fit = run("fit", lambda: hb.glmer(formula, data, **settings), hb.LikelihoodFit)
    if fit is not None:
        asked = Asked(fit=fit, frame=frame, names=names, rng=rng)
        ask_fit(rng, asked, SHARED | LIKELIHOOD, run)


def ask_fit(rng, asked, calls, run):
    """Make a few of the calls, drawn without replacement."""
    for name in rng.permutation(list(calls))[:CALLS]:
        call, expected = calls[name]
        run(name, lambda call=call: call(asked), expected)


def guarded(where, call, expected, outcome, *, verbose=False):
    """Make a call under the rules; None where it gave no result of its type."""
    start = time.process_time()
    try:
        with warnings.catch_warnings(), time_limit():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", hb.HierBayesWarning)
            value = call()
    except hb.HierBayesError as error:
        sound = str(error).strip() and "\x1b" not in str(error)
        outcome.counts[type(error).__name__] += 1
        if not sound:
            outcome.fallen["an error without a sentence", place_of(error)].append(where)
        return None
    except (Exception, TooSlowError) as error:
        if verbose:
            traceback.print_exc()
        kind = f"{type(error).__name__}: {str(error)[:70]}"
        if isinstance(error, TooSlowError):
            kind = f"more than {SECONDS:.0f} s"
        outcome.counts["fell out"] += 1
        outcome.fallen[kind, place_of(error)].append(where)
        return None
    finally:
        _close_figures()
    if time.process_time() - start > SECONDS:
        outcome.fallen[f"more than {SECONDS:.0f} s", "in one call of compiled code"].append(where)
    if not isinstance(value, expected):
        outcome.counts["fell out"] += 1
        outcome.fallen[f"a {type(value).__name__}", "returned"].append(where)
        return None
    outcome.counts["result"] += 1
    return value


@contextmanager
def time_limit():
    """Raise TooSlowError in the main thread when the time is over."""

    def stop(*_):
        raise TooSlowError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def place_of(error):
    """The innermost line of the package that the error passed through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(PACKAGE)]
    if not ours:
        return "outside of the package"
    return f"{ours[-1].filename[len(PACKAGE) + 1 :]}:{ours[-1].lineno} {ours[-1].name}"


def peak_gigabytes():
    """The most memory this process has held."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / 1e6 if sys.platform != "darwin" else kilobytes / 1e9


def report(outcome, *, examples=3):
    """What fell out, most frequent first, and how the calls ended."""
    lines = []
    for (kind, place), calls in sorted(outcome.fallen.items(), key=lambda item: -len(item[1])):
        lines.append(f"{len(calls):5d}  {kind}\n       at {place}")
        lines += [f"         {call}" for call in calls[:examples]]
    counts = ", ".join(f"{name} {count}" for name, count in outcome.counts.most_common())
    total = sum(outcome.counts.values())
    return "\n".join([*lines, f"{total} calls: {counts}; {peak_gigabytes():.2f} GB at most"])


def _close_figures():
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=int)
    parser.add_argument("stop", type=int)
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--glmer", action="store_true")
    given = parser.parse_args()
    matplotlib.use("Agg")
    outcome = Outcome()
    for seed in range(given.first, given.stop):
        one = ask_generalised if given.glmer else ask
        one(seed, outcome, verbose=given.verbose)
        if (seed + 1) % 100 == 0:
            print(f"# up to seed {seed}: {outcome.counts['fell out']} fell out", flush=True)
    print(report(outcome))
    sys.exit(bool(outcome.fallen) or peak_gigabytes() > GIGABYTES)


if __name__ == "__main__":
    main()
