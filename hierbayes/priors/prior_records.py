"""The user's priors as plain records for a saved file, and back."""

from collections.abc import Mapping
from typing import Any

from hierbayes.priors import distributions
from hierbayes.priors.distributions import Prior
from hierbayes.priors.lkj import LKJ


def prior_records(user: Mapping[str, Prior | LKJ] | str | None) -> Any:
    """Return ``priors=`` in terms of JSON: name -> [distribution, parameters]."""
    if user is None or isinstance(user, str):
        return user
    return {name: [type(prior).__name__, prior.parameters()] for name, prior in user.items()}


def read_prior_records(stored: Any) -> Mapping[str, Prior | LKJ] | str | None:
    """Return the priors that ``prior_records`` wrote.

    Raises
    ------
    ValueError, TypeError, AttributeError
        If the records are not ours.
    """
    if stored is None or isinstance(stored, str):
        return stored
    return {name: _prior(kind, parameters) for name, (kind, parameters) in stored.items()}


def _prior(kind: str, parameters: dict[str, float]) -> Prior | LKJ:
    found = LKJ if kind == "LKJ" else getattr(distributions, kind)
    if not (isinstance(found, type) and issubclass(found, Prior | LKJ)):
        raise ValueError(f"{kind} is not a prior")
    return found(**parameters)
