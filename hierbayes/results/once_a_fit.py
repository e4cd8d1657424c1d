"""What is worked out from a fit once, and kept beside it for as long as the fit is there.

A fit is frozen and hashed by identity, so what follows from it can't go stale.
"""

from collections.abc import Callable
from functools import wraps
from weakref import WeakKeyDictionary


def once_a_fit[Fit, Found](make: Callable[[Fit], Found]) -> Callable[[Fit], Found]:
    """Return the function with its answers kept, one a fit.

    What it gives must not hold the fit itself, which would then never be let go.
    """
    kept: WeakKeyDictionary[Fit, Found] = WeakKeyDictionary()

    @wraps(make)
    def found(fit: Fit) -> Found:
        if fit not in kept:
            kept[fit] = make(fit)
        return kept[fit]

    return found
