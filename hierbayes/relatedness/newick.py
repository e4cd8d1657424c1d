"""Covariances of the tips of a tree under Brownian motion: the length of the path they share.

Along each branch a trait moves by an independent step with the branch's length as variance, so a
node is its parent plus a step. The text is Newick's: ``((human:6,chimp:6):2,gorilla:8);`` with
names plain or in quotes, branch lengths after colons, comments in brackets.

Source: Felsenstein (1985), American Naturalist 125:1; Felsenstein's description of the Newick
format (1986).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from hierbayes.calls import checked_call
from hierbayes.errors import DataError, OptionError
from hierbayes.relatedness.relationship import Relationship
from hierbayes.wording import SHOWN_ROWS, counted, listed, shown

TOKEN = re.compile(
    r"\s+|\[[^\]]*\]|(?P<mark>[(),:;])|'(?P<quoted>(?:[^']|'')*)'|(?P<plain>[^\s()\[\],:;']+)"
)
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
EVEN = 1e-6  # part of the height by which tips of one age may differ: lengths are written rounded
ROOT = -1
AROUND = 12  # letters shown on either side of a mistake


@dataclass
class _Node:
    """A node while the text is read; ``length`` is that of the branch above it."""

    parent: int
    at: int
    name: str = ""
    length: float | None = None
    is_tip: bool = True


@checked_call("hb.phylogeny")
def phylogeny(newick: str, *, scaled: bool = False) -> Relationship:
    """Relationship between the tips of a phylogenetic tree, for ``hb.Model(..., cov=)``.

    Parameters
    ----------
    newick : the tree as Newick text, with a length for every branch
    scaled : whether to divide by the height of the tree, so that variances are 1; for trees whose
        tips all have the same age

    Returns
    -------
    Relationship
        covariances between tips are lengths of the path from the root that they share, in the
        units of the branches (R's ``ape::vcv``)

    Raises
    ------
    DataError
        If the text is no tree, a branch has no length or a negative one, tips share a name, or
        ``scaled`` is asked of tips of different age; the message gives the place.
    OptionError
        If ``newick`` is no text.

    Notes
    -----
    Source: Felsenstein (1985), American Naturalist 125:1.

    Examples
    --------
    >>> import hierbayes as hb
    >>> apes = hb.phylogeny("((human:6,chimp:6):2,gorilla:8);")
    >>> apes.to_frame()
             human  chimp  gorilla
    human      8.0    2.0      0.0
    chimp      2.0    8.0      0.0
    gorilla    0.0    0.0      8.0
    """
    if not isinstance(newick, str):
        raise OptionError(
            f"newick={shown(newick)} must be the text of a tree, such as "
            '"((human:6,chimp:6):2,gorilla:8);".'
        )
    nodes = _branches(newick, _nodes(newick))
    parent = np.array([node.parent for node in nodes], dtype=np.intp)
    lengths = np.array([node.length for node in nodes], dtype=float)
    tips = np.array([i for i, node in enumerate(nodes) if node.is_tip], dtype=np.intp)
    labels = [nodes[i].name for i in tips]
    repeated = [name for name in dict.fromkeys(labels) if labels.count(name) > 1]
    if repeated:
        raise DataError(
            f"The tree has {counted(len(repeated), 'name')} more than once: "
            f"{listed([repr(name) for name in repeated[:SHOWN_ROWS]])}."
        )
    child = np.flatnonzero(parent >= 0)
    ones = np.ones(child.size)
    shape = (len(nodes), len(nodes))
    found = Relationship(
        labels=tuple(labels),
        parents=sp.csc_array(sp.coo_array((ones, (child, parent[child])), shape=shape)),
        own_variances=lengths,
        places=tips,
        kind="tree",
    )
    return _scaled(found) if scaled else found


def _nodes(text: str) -> list[_Node]:
    """Read the nodes of a tree, the root first, parents before their children."""
    nodes = [_Node(parent=ROOT, at=0)]
    here = 0  # the node the next name or length belongs to
    depth, is_done, awaits = 0, False, "subtree"
    for word, mark, at in _words(text):
        if is_done:
            raise _mistake(text, at, "nothing may follow the semicolon that ends the tree")
        if mark == "(" and awaits == "subtree":
            nodes[here].is_tip = False
            nodes.append(_Node(parent=here, at=at))
            here, depth = len(nodes) - 1, depth + 1
        elif mark == ":" and awaits != "length":
            awaits = "length"
        elif mark in {",", ")"} and depth and awaits != "length":
            parent = nodes[here].parent
            _check_tip(text, nodes[here], at)
            if mark == ",":
                nodes.append(_Node(parent=parent, at=at))
                here, awaits = len(nodes) - 1, "subtree"
            else:
                here, depth, awaits = parent, depth - 1, "name"
        elif mark == ";" and not depth and awaits != "length":
            is_done = True
        elif not mark and awaits == "length":
            if not NUMBER.fullmatch(word):
                raise _mistake(text, at, f"the length {word!r} of a branch is no number")
            nodes[here].length, awaits = float(word), "end"
        elif not mark and awaits in {"subtree", "name"}:
            nodes[here].name, awaits = word, "end"
        else:
            what = f"{word or mark!r} can't stand there"
            if mark == ";" and depth:
                what = f"the tree has {counted(depth, 'bracket')} left open"
            raise _mistake(text, at, what)
    if not is_done:
        raise _mistake(text, len(text), "the tree has no semicolon at the end")
    return nodes


def _words(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield each name or number with "" and each mark with no name, with its place."""
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise _mistake(text, at, f"{text[at]!r} can't stand there")
        if found["mark"]:
            yield "", found["mark"], at
        elif found["quoted"] is not None:
            yield found["quoted"].replace("''", "'"), "", at
        elif found["plain"]:
            yield found["plain"], "", at
        at = found.end()


def _check_tip(text: str, node: _Node, at: int) -> None:
    if node.is_tip and not node.name:
        raise _mistake(text, at, "a tip has no name")


def _branches(text: str, nodes: list[_Node]) -> list[_Node]:
    """Return the nodes below the root, each with its branch; a branch above the root is shared."""
    if nodes[0].is_tip:
        raise DataError("The tree has a single tip; a tree needs brackets, such as (a:1,b:1);")
    below = [replace(node, parent=node.parent - 1) for node in nodes[1:]]
    for node in below:
        who = f"the branch of {node.name!r}" if node.name else "the branch of an inner node"
        if node.length is None:
            raise _mistake(text, node.at, f"{who} has no length; every branch needs one, as in a:1")
        if node.length < 0:
            raise _mistake(text, node.at, f"{who} has the negative length {node.length:g}")
    return below


def _scaled(found: Relationship) -> Relationship:
    """Divide by the height of the tree."""
    heights = found.diagonal()
    low, high = heights.argmin(), heights.argmax()
    if heights[high] - heights[low] > EVEN * heights[high]:
        raise DataError(
            f"scaled=True needs tips of one age, and {found.labels[low]!r} is "
            f"{heights[low]:g} from the root, {found.labels[high]!r} {heights[high]:g}."
        )
    return replace(found, own_variances=found.own_variances / heights.mean())


def _mistake(text: str, at: int, what: str) -> DataError:
    before = text[max(at - AROUND, 0) : at]
    after = text[at : at + AROUND]
    return DataError(f"The tree can't be read at character {at}, ...{before} | {after}...: {what}.")
