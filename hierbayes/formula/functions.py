"""The closed list of functions a formula may call, and what each accepts.

Knows names and counts only; what a function computes is in ``design``.
"""

from typing import NamedTuple


class Signature(NamedTuple):
    """At most ``positional`` arguments without a name, and the ``options`` given by name.

    ``columns`` is how many of the positional arguments may be expressions of columns; the
    others are literals, like the options.
    """

    positional: int
    options: tuple[str, ...] = ()
    columns: int = 1


MAX_COLUMNS = 50  # in one call
NEAR = 0.6  # of the letters in common: "lag" is near to log (0.67), "rank" not to tan (0.57)
_ONE = Signature(1)
_MANY = Signature(MAX_COLUMNS, columns=MAX_COLUMNS)

FUNCTIONS: dict[str, Signature] = {
    "I": _ONE,
    "log": Signature(2, ("base",)),
    "log2": _ONE,
    "log10": _ONE,
    "log1p": _ONE,
    "exp": _ONE,
    "expm1": _ONE,
    "sqrt": _ONE,
    "abs": _ONE,
    "sin": _ONE,
    "cos": _ONE,
    "tan": _ONE,
    "pmax": _MANY,
    "pmin": _MANY,
    "ave": _MANY,
    "scale": Signature(3, ("center", "scale")),
    "center": _ONE,
    "poly": Signature(MAX_COLUMNS, ("degree", "raw", "simple"), columns=MAX_COLUMNS),
    "cut": Signature(7, ("breaks", "labels", "include.lowest", "right", "dig.lab",
                         "ordered_result")),
    "bs": Signature(6, ("df", "knots", "degree", "intercept", "Boundary.knots")),
    "ns": Signature(5, ("df", "knots", "intercept", "Boundary.knots")),
    "cr": Signature(3, ("df", "knots", "lower_bound", "upper_bound", "constraints",
                        "extrapolation")),
    "factor": Signature(5, ("levels", "labels", "exclude", "ordered")),
    "C": Signature(3, ("contr", "how.many", "base")),
    "offset": _ONE,
    "cbind": _MANY,
}  # fmt: skip

# The names of arguments by their place, where more than the first may go without a name.
POSITIONS: dict[str, tuple[str, ...]] = {
    "log": ("x", "base"),
    "scale": ("x", "center", "scale"),
    "center": ("x",),
    "poly": ("x", "degree"),
    "bs": ("x", "df", "knots", "degree", "intercept", "Boundary.knots"),
    "ns": ("x", "df", "knots", "intercept", "Boundary.knots"),
    "cr": ("x", "df", "knots"),
    "factor": ("x", "levels", "labels", "exclude", "ordered"),
    "C": ("x", "contr", "how.many", "base"),
    "cut": ("x", "breaks", "labels", "include.lowest", "right", "dig.lab", "ordered_result"),
}

# Makes a vector of literals; stands only among the arguments of the functions above.
VECTOR = "c"

# Ways to write a bar without a covariance of its own, and the bar each is.
BARS: dict[str, str] = {"us": "|", "diag": "||"}

# Covariances with a pattern (gaussian/patterned.py): the word of a formula and its option hom (one
# sd for all columns), None where it has its default.
PATTERNS: dict[str, tuple[str, bool | None]] = {
    "homdiag": ("diag", True),
    "cs": ("cs", None), "homcs": ("cs", True),
    "ar1": ("ar1", None), "hetar1": ("ar1", False),
    "toep": ("toep", None), "homtoep": ("toep", True),
}  # fmt: skip
PATTERN_WORDS = tuple(dict.fromkeys(word for word, _ in PATTERNS.values()))
HOMOGENEOUS = frozenset(("ar1",))  # by default
HOM = "hom"

# Covariances of random effects that other packages have, and what they are called.
STRUCTURES: dict[str, str] = {
    "car1": "autoregressive", "ou": "Ornstein-Uhlenbeck", "mat": "Matern",
    "gau": "Gaussian spatial", "rr": "reduced-rank", "propto": "known", "equalto": "known",
}  # fmt: skip


def pattern_named(word: str, hom: bool | None) -> str:
    """Return the structure of ``word(x | g, hom = )``; empty where it is a plain ``||``."""
    if hom is None:
        hom = word in HOMOGENEOUS
    if word == "diag":
        return "homdiag" if hom else ""
    default = word in HOMOGENEOUS
    return word if hom == default else f"{'hom' if hom else 'het'}{word}"


def pattern_call(structure: str, bar: str) -> str:
    """Write a bar, without parentheses, with the structure of its covariance."""
    word, hom = PATTERNS[structure]
    option = "" if hom is None else f", {HOM} = {'TRUE' if hom else 'FALSE'}"
    return f"{word}({bar}{option})"


# What people coming from R or from Python's formula packages write, and what to write here.
ELSEWHERE: dict[str, str] = {
    "interaction": "Write a:b for the combinations of two factors.",
    "as.factor": "Write factor(...) instead.",
    "ordered": "Write factor(..., ordered = TRUE) instead.",
    "as.numeric": "Convert the column in the data first.",
    "relevel": "Set the order of the levels in the data: the first one is the baseline.",
    "Treatment": "Choose contrasts by the argument contrasts={\"factor\": \"treatment\"}.",
    "Sum": "Choose contrasts by the argument contrasts={\"factor\": \"sum\"}.",
    "Helmert": "Choose contrasts by the argument contrasts={\"factor\": \"helmert\"}.",
    "Poly": "Choose contrasts by the argument contrasts={\"factor\": \"poly\"}.",
    "Q": "Write a name with special characters in back-ticks, as in `my name`.",
    "s": "Smooth terms aren't available; ns(x, df = 4) gives a natural spline.",
    "te": "Smooth terms aren't available; ns(x, df = 4) gives a natural spline.",
    "standardize": "Write scale(...) instead.",
    "bf": "Write the formula alone, without bf().",
    "brmsformula": "Write the formula alone, without brmsformula().",
    "gr": "Write the grouping factor alone, as in (1 | g).",
    "mm": "Multiple membership isn't available; each row has one level of a factor.",
    "mo": "Monotonic effects aren't available; factor(x) has a coefficient for each level.",
    "ar": "Autocorrelated residuals aren't available in this version.",
    "cs": "Write cr(..., df = 4) for a cubic regression spline.",
    "mean": "Write ave(x, g) for the means of groups, or center(x) for x minus its mean.",
    "contr.treatment": "Write C(f, contr.treatment, base = 2).",
    "contr.sum": "Write C(f, contr.sum).",
    "contr.helmert": "Write C(f, contr.helmert).",
    "contr.poly": "Write C(f, contr.poly).",
    "quantile": "Give the numbers, as in cut(x, c(0, 2, 5)).",
    "ifelse": "Use a comparison, as in I(x > 3), or make the column in the data first.",
    "p": "Write cbind(k, n - k) ~ ... for k successes in n trials.",
    "prop": "Write cbind(k, n - k) ~ ... for k successes in n trials.",
    "proportion": "Write cbind(k, n - k) ~ ... for k successes in n trials.",
    "trials": "Write cbind(successes, failures) ~ ... for binomial counts.",
    "weights": "Give weights through the argument weights=.",
}  # fmt: skip


def advice_for(name: str) -> str:
    """Say what to write instead of a function that isn't on the list."""
    import difflib  # only needed once something is wrong

    last = name.rsplit(".", 1)[-1]
    known = ", ".join(FUNCTIONS)
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    by_case = {function.lower(): function for function in FUNCTIONS}
    if len(last) == 1:
        by_case = {}  # one letter is near to everything
    near = difflib.get_close_matches(last.lower(), by_case, n=1, cutoff=NEAR)
    guess = f"Did you mean '{by_case[near[0]]}'? " if near else ""
    return f"{guess}The functions are {known}; make any other column in the data first."
