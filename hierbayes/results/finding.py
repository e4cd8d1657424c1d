"""A finding: a condition of a fit, in words, with the numbers behind it and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition met while building or fitting a model.

    Attributes
    ----------
    code : stable identifier, for example ``"boundary"``
    sentence : what was found, in one sentence
    advice : what it means and what to do about it
    numbers : the figures behind the sentence, by name
    """

    code: str
    sentence: str
    advice: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return sentence and advice."""
        return f"{self.sentence} {self.advice}".strip()
