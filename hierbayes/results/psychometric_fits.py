"""Fits of psychometric functions: what other fits answer, and thresholds besides.

    psi(x) = guess + (1 - guess - lapse) F(eta),   eta linear in the stimulus x or in log x

F is the core function, psi the whole curve. Everything is of the population (the typical level,
random effects of zero) and of each level of the grouping factor, for each condition.
"""

from typing import Any

from hierbayes.arrays import record
from hierbayes.calls import checked_methods
from hierbayes.options import CurvePart, ThresholdLevels, ThresholdMethod
from hierbayes.results import verbs
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.goodness_of_fit import GoodnessOfFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.threshold_table import ThresholdTable


@checked_methods("fit")
class Thresholds:
    """What is read off a psychometric function."""

    def _read(self, quantity: str, *given: float, **options: Any) -> ThresholdTable:
        found: ThresholdTable = verbs.ask(self, quantity, *given, **options)
        return found

    def pse(
        self,
        *,
        groups: ThresholdLevels | None = None,
        method: ThresholdMethod | None = None,
        level: float = 0.95,
        of: CurvePart = "core",
        differences: bool = False,
        nsim: int = 400,
        random_seed: Any = None,
    ) -> ThresholdTable:
        """Points of subjective equality: the stimuli where the function is one half.

        Of the core function unless ``of="curve"``: where F is 0.5, which for symmetric cores is
        where eta is zero. Guessing and lapsing do not move it: with guess 0.5 (a choice of two) it
        is where 0.75 - lapse / 2 of the responses are successes. Of the whole curve it is where
        half of the responses are, which moves with both rates and may not exist.

        Parameters
        ----------
        groups : {"all", "none"}
            "all": the population and each level of the only grouping factor; "none": the
            population. "all" where it can be, unless said.
        method : {"delta", "fieller", "profile", "bootstrap", "posterior"}
            How limits are made; of a fit by maximum likelihood "delta", of a posterior its draws,
            unless said. "profile" is of the population. "delta" and "fieller" take covariance
            parameters as known, the bootstrap draws effects and responses anew.
        level : level of the intervals
        of : {"core", "curve"}
        differences : bool
            Of each pair of conditions, within each level, in place of the values themselves.
        nsim : responses of the bootstrap
        random_seed : of the bootstrap

        Returns
        -------
        DataFrame
            ``level`` ("population" or a level of the grouping factor), ``condition`` ("all" where
            there is one), ``estimate`` and ``std_error``, ``lower`` and ``upper`` in units of the
            stimulus, ``method``. Limits are infinite where the slope may be zero. Of a posterior
            the estimate is the median: a ratio need not have a mean; where the slope of some draws
            has another sign it has no sd either.

        Raises
        ------
        OptionError, NotSupportedError
            For probabilities that a curve never has, and methods that a quantity does not have.

        Examples
        --------
        >>> import hierbayes as hb
        >>> model = hb.psychometric("cbind(faster, trials - faster) ~ speed * vibration + "
        ...     "(speed | subject)", hb.load_dataset("touch_speed"), stimulus="speed",
        ...     guess="lapse", lapse="estimate")
        >>> table = model.fit().pse(groups="none")
        >>> table["condition"].tolist()
        ['none', '32 Hz']
        """
        options = {"groups": groups, "method": method, "level": level, "of": of}
        more = {"differences": differences, "nsim": nsim, "random_seed": random_seed}
        return self._read("pse", **options, **more)

    def jnd(
        self,
        *,
        groups: ThresholdLevels | None = None,
        method: ThresholdMethod | None = None,
        level: float = 0.95,
        of: CurvePart = "core",
        differences: bool = False,
        nsim: int = 400,
        random_seed: Any = None,
    ) -> ThresholdTable:
        """Just noticeable differences: half the distance from 0.25 to 0.75 of the function.

        Of the core function unless ``of="curve"``; of a probit 0.6745 over its slope. It is
        positive for falling functions too. Where the formula is linear in log(x), the distance is
        one of logarithms, and its exponential is given: the ratio of stimuli that is just
        noticeable. The other arguments, and what is returned, are those of ``pse``.
        """
        options = {"groups": groups, "method": method, "level": level, "of": of}
        more = {"differences": differences, "nsim": nsim, "random_seed": random_seed}
        return self._read("jnd", **options, **more)

    def threshold(
        self,
        p: float,
        *,
        groups: ThresholdLevels | None = None,
        method: ThresholdMethod | None = None,
        level: float = 0.95,
        of: CurvePart = "curve",
        differences: bool = False,
        nsim: int = 400,
        random_seed: Any = None,
    ) -> ThresholdTable:
        """Stimuli where the function is p: of the whole curve, a share p of successes.

        Of the core function with ``of="core"``, where p is a share of the way from one asymptote
        to the other. The other arguments, and what is returned, are those of ``pse``.

        Parameters
        ----------
        p : a probability
        """
        options = {"groups": groups, "method": method, "level": level, "of": of}
        more = {"differences": differences, "nsim": nsim, "random_seed": random_seed}
        return self._read("threshold", p, **options, **more)

    def width(
        self,
        share: float = 0.9,
        *,
        groups: ThresholdLevels | None = None,
        method: ThresholdMethod | None = None,
        level: float = 0.95,
        of: CurvePart = "core",
        differences: bool = False,
        nsim: int = 400,
        random_seed: Any = None,
    ) -> ThresholdTable:
        """Widths: the distance over the middle share of the function, 0.05 to 0.95 unless said.

        Of the core function unless ``of="curve"``; in log(x) a ratio, as ``jnd``. The other
        arguments, and what is returned, are those of ``pse``.

        Parameters
        ----------
        share : between 0 and 1
        """
        options = {"groups": groups, "method": method, "level": level, "of": of}
        more = {"differences": differences, "nsim": nsim, "random_seed": random_seed}
        return self._read("width", share, **options, **more)

    def slope(
        self,
        *,
        groups: ThresholdLevels | None = None,
        method: ThresholdMethod | None = None,
        level: float = 0.95,
        of: CurvePart = "core",
        differences: bool = False,
        nsim: int = 400,
        random_seed: Any = None,
    ) -> ThresholdTable:
        """Slopes: of the core function on the scale of its link, a unit of x (or of log x).

        Of a probit that is one over the sd of the core function. With ``of="curve"`` the slope of
        the whole curve where the core function is one half, in probability a unit. The other
        arguments, and what is returned, are those of ``pse``.
        """
        options = {"groups": groups, "method": method, "level": level, "of": of}
        more = {"differences": differences, "nsim": nsim, "random_seed": random_seed}
        return self._read("slope", **options, **more)

    def goodness_of_fit(self, nsim: int = 200, *, random_seed: Any = None) -> GoodnessOfFit:
        """Compare deviance and spread of the responses with those of simulated ones.

        Parameters
        ----------
        nsim : simulated responses; of a fit by maximum likelihood each is fitted again
        random_seed : int, Generator or SeedSequence

        Raises
        ------
        OptionError
            If no degree of freedom is left.
        """
        found: GoodnessOfFit = verbs.ask(self, "goodness_of_fit", nsim, random_seed)
        return found


@record(repr=False)
class PsychometricFit(Thresholds, GeneralisedFit):
    """A psychometric function by maximum likelihood: a ``GeneralisedFit`` with thresholds."""


@record(repr=False)
class PsychometricPosterior(Thresholds, PosteriorFit):
    """The posterior of a psychometric function: a ``PosteriorFit`` with thresholds."""
