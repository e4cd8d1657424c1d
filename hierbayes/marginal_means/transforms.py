"""Expected responses on other scales: their logs, roots and log odds, with derivatives."""

import numpy as np
from scipy.special import logit, ndtri

from hierbayes.errors import OptionError
from hierbayes.options import ContrastKind, GridTransform
from hierbayes.results.marginal_quantities import Carried, DrawQuantities, FitQuantities

NORMAL_HEIGHT = 1 / np.sqrt(2 * np.pi)
TRANSFORMS: dict[GridTransform, Carried] = {
    "log": Carried(np.log, np.reciprocal),
    "log2": Carried(np.log2, lambda x: 1 / (x * np.log(2))),
    "log10": Carried(np.log10, lambda x: 1 / (x * np.log(10))),
    "sqrt": Carried(np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "inverse": Carried(np.reciprocal, lambda x: -1 / x**2),
    "logit": Carried(logit, lambda x: 1 / (x * (1 - x))),
    "probit": Carried(ndtri, lambda x: np.exp(ndtri(x) ** 2 / 2) / NORMAL_HEIGHT),
}


def transformed[Own: (FitQuantities, DrawQuantities)](values: Own, word: GridTransform) -> Own:
    """Return a transform of expected responses.

    Raises
    ------
    OptionError
        Where one has none.
    """
    if word == "response":
        return values
    carried = TRANSFORMS[word]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = values.carried(carried.to, carried.slope)
    numbers = found.draws if isinstance(found, DrawQuantities) else found.values
    given = values.draws if isinstance(values, DrawQuantities) else values.values
    lost = ~np.isfinite(numbers) & ~np.isnan(given)
    if lost.any():
        raise OptionError(
            f"transform={word!r}: a mean is {given[lost].flat[0]:.3g}, which has none. Ask for "
            "'response'."
        )
    return found


def exp_of(word: GridTransform) -> ContrastKind | None:
    """Say what exp of a difference of a transform is."""
    known: dict[GridTransform, ContrastKind] = {"log": "ratio", "logit": "odds_ratio"}
    return known.get(word)


def regrid_words(scale: str, word: GridTransform) -> str:
    """Say where transformed means live."""
    if word == "response":
        return "on the response scale" if scale else ""
    what = "response" if "probability" not in scale else "probability"
    return f"on the scale of the {word} of the {what}"
