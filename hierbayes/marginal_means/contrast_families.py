"""Families of contrasts between k means, by the names that R's emmeans gives them.

pairwise, revpairwise : all differences
trt.vs.ctrl, trt.vs.ctrl1, trt.vs.ctrl2 ..., trt.vs.ctrlk, dunnett : each mean minus that of the
    control: the first, the one of that number, the last; or of ``ref``, or the mean of several
consec : each mean minus the one before
mean_chg : the mean of the means after a place minus that of those before
eff, del.eff : each mean minus the mean of all, or minus the mean of the others
poly : orthogonal polynomials in the place of a mean, as whole numbers
identity : the means themselves

Source: Lenth (2016), J. Stat. Softw. 69(1); names and signs are those of emmeans 1.8.
"""

import re
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.errors import OptionError
from hierbayes.options import Adjust
from hierbayes.wording import did_you_mean, shown

DEGREES = ("linear", "quadratic", "cubic", "quartic", "degree 5", "degree 6")
NAMES = (
    "pairwise", "revpairwise", "trt.vs.ctrl", "trt.vs.ctrlk", "dunnett", "consec", "mean_chg",
    "eff", "del.eff", "poly", "identity",
)  # fmt: skip
ALIASES = {"tukey": "pairwise", "dunnett": "trtvsctrl", "trtvsctrl1": "trtvsctrl"}
# A polynomial's weights are multiplied until they are this near to whole numbers, as in emmeans.
NOT_WHOLE = 0.05
SMALL_WEIGHT = 0.01


@record
class Contrasts:
    """A family of contrasts between the means of one group.

    Attributes
    ----------
    names : of the contrasts
    weights : array, shape (c, k), one weight a mean
    adjust : how the family is adjusted unless something else is asked for
    all_pairs : whether these are all pairwise differences
    """

    names: tuple[str, ...]
    weights: FloatArray
    adjust: Adjust = "none"
    all_pairs: bool = False


def is_family(name: str) -> bool:
    """Whether a text is the name of a family."""
    return _plain(name) in MAKERS or _control(name) is not None


def known_family(name: str) -> str:
    """Return the name of a family as it is written in columns.

    Raises
    ------
    OptionError
    """
    if is_family(name):
        return name
    raise OptionError(
        f"contrasts={shown(name)} is no family of contrasts{did_you_mean(name, NAMES)}"
    )


def family(
    name: str, labels: Sequence[str], *, ref: Sequence[int] | None, reverse: bool, sign: str
) -> Contrasts:
    """Return a family of contrasts.

    Parameters
    ----------
    name : see above; dots and underscores do not matter
    labels : text of each mean
    ref : places of the controls; None for the family's own
    reverse : whether differences are taken the other way round
    sign : between the two sides of a difference

    Raises
    ------
    OptionError
        If there is no such family, or ``ref`` or ``reverse`` mean nothing in it.
    """
    plain = _plain(known_family(name))
    control = _control(name)
    if control is not None:
        if control >= len(labels):
            raise OptionError(
                f"contrasts={shown(name)}: there is no mean number {control + 1}; there are "
                f"{len(labels)}."
            )
        ref = [control] if ref is None else ref
        plain = "trtvsctrl"
    elif ref is not None and plain not in ("trtvsctrl", "trtvsctrlk"):
        raise OptionError(f"ref= is for contrasts='trt.vs.ctrl'; {shown(name)} has no control.")
    if reverse and plain not in REVERSIBLE:
        raise OptionError(f"reverse=True means nothing for contrasts={shown(name)}.")
    labels = [f"({label})" if f" {sign} " in label else label for label in labels]
    return MAKERS[plain](_Means(labels=labels, ref=ref, reverse=reverse, sign=sign))


@record
class _Means:
    labels: Sequence[str]
    ref: Sequence[int] | None
    reverse: bool
    sign: str

    @property
    def count(self) -> int:
        return len(self.labels)

    def difference(self, first: str, second: str) -> str:
        return f"{first} {self.sign} {second}"


def _plain(name: str) -> str:
    plain = re.sub(r"[._ ]", "", name.casefold())
    return ALIASES.get(plain, plain)


def _control(name: str) -> int | None:
    """Place of the control in "trt.vs.ctrl2"."""
    found = re.fullmatch(r"trtvsctrl([1-9]\d*)", re.sub(r"[._ ]", "", name.casefold()))
    return int(found[1]) - 1 if found else None


def _pairwise(means: _Means) -> Contrasts:
    return all_pairs(means.labels, sign=means.sign, reverse=means.reverse)


def _revpairwise(means: _Means) -> Contrasts:
    return all_pairs(means.labels, sign=means.sign, reverse=not means.reverse)


def all_pairs(labels: Sequence[str], *, sign: str, reverse: bool = False) -> Contrasts:
    """Return all differences: of the first minus the others first, or reversed as revpairwise."""
    pairs = list(combinations(range(len(labels)), 2))
    if reverse:
        pairs = [(j, i) for i, j in sorted(pairs, key=lambda pair: (pair[1], pair[0]))]
    weights = np.zeros((len(pairs), len(labels)))
    for row, (i, j) in enumerate(pairs):
        weights[row, i], weights[row, j] = 1.0, -1.0
    names = tuple(f"{labels[i]} {sign} {labels[j]}" for i, j in pairs)
    return Contrasts(names=names, weights=weights, adjust="tukey", all_pairs=True)


def _to_control(means: _Means) -> Contrasts:
    return _against(means, [0] if means.ref is None else means.ref)


def _to_last(means: _Means) -> Contrasts:
    return _against(means, [means.count - 1] if means.ref is None else means.ref)


def _against(means: _Means, ref: Sequence[int]) -> Contrasts:
    others = [i for i in range(means.count) if i not in ref]
    weights = np.zeros((len(others), means.count))
    weights[:, list(ref)] = -1 / len(ref)
    weights[np.arange(len(others)), others] = 1.0
    of_control = [means.labels[i] for i in ref]
    control = of_control[0] if len(ref) == 1 else f"avg({','.join(of_control)})"
    return _differences(means, [(means.labels[i], control) for i in others], weights)


def _consec(means: _Means) -> Contrasts:
    k = means.count
    weights = np.eye(k)[1:] - np.eye(k)[:-1]
    return _differences(means, list(zip(means.labels[1:], means.labels[:-1], strict=True)), weights)


def _differences(means: _Means, pairs: Sequence[tuple[str, str]], weights: FloatArray) -> Contrasts:
    """Name differences by what is taken from what, and turn them round where asked to."""
    return Contrasts(
        names=tuple(means.difference(*(pair[::-1] if means.reverse else pair)) for pair in pairs),
        weights=-weights if means.reverse else weights,
        adjust="mvt",
    )


def _mean_chg(means: _Means) -> Contrasts:
    k = means.count
    weights = np.array([[-1 / i] * i + [1 / (k - i)] * (k - i) for i in range(1, k)])
    return Contrasts(
        names=tuple(f"{a}|{b}" for a, b in zip(means.labels[:-1], means.labels[1:], strict=True)),
        weights=(-weights if means.reverse else weights).reshape(-1, k),
        adjust="mvt",
    )


def _eff(means: _Means) -> Contrasts:
    k = means.count
    return Contrasts(
        names=tuple(f"{label} effect" for label in means.labels),
        weights=np.eye(k) - 1 / k,
        adjust="fdr",
    )


def _del_eff(means: _Means) -> Contrasts:
    found = _eff(means)
    size = np.diag(found.weights)
    if not size.any():
        raise OptionError("contrasts='del.eff' needs two means or more; there is one.")
    return Contrasts(names=found.names, weights=found.weights / size[:, None], adjust="fdr")


def _poly(means: _Means) -> Contrasts:
    k = means.count
    degrees = min(len(DEGREES), k - 1)
    place = np.arange(k) - (k - 1) / 2
    basis, triangle = np.linalg.qr(np.vander(place, degrees + 1, increasing=True))
    columns = (basis * np.sign(np.diag(triangle)))[:, 1:]
    rows = [_whole_numbers(column) for column in columns.T]
    return Contrasts(names=DEGREES[:degrees], weights=np.array(rows).reshape(-1, k))


def _whole_numbers(weights: FloatArray) -> FloatArray:
    """Scale orthogonal weights to whole numbers, as tables of polynomial contrasts have them."""
    found = weights / weights[weights > SMALL_WEIGHT].min()
    off = np.abs(found - np.round(found)).max()
    while off > NOT_WHOLE:
        found = found / off
        off = np.abs(found - np.round(found)).max()
    return np.asarray(np.round(found))


def _identity(means: _Means) -> Contrasts:
    return Contrasts(names=tuple(means.labels), weights=np.eye(means.count))


MAKERS: dict[str, Callable[[_Means], Contrasts]] = {
    "pairwise": _pairwise,
    "revpairwise": _revpairwise,
    "trtvsctrl": _to_control,
    "trtvsctrlk": _to_last,
    "consec": _consec,
    "meanchg": _mean_chg,
    "eff": _eff,
    "deleff": _del_eff,
    "poly": _poly,
    "identity": _identity,
}
REVERSIBLE = ("pairwise", "revpairwise", "trtvsctrl", "trtvsctrlk", "consec", "meanchg")
