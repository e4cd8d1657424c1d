"""How far NUTS is: what the sampler says of its chains, as a progress bar shows it."""

from collections.abc import Callable
from typing import Any

from hierbayes.progress import Progress


class Watch:
    """What the sampler tells about its progress; does nothing by itself."""

    def __init__(self) -> None:
        self.now = Progress(stage="Compiling the model")
        self.callback: Callable[[list[Any]], None] | None = None  # of nutpie, where a bar is shown

    def compiled(self) -> None:
        """Note that compiling is over."""
        self.now = Progress(stage="Sampling by NUTS")

    def look(self, chains: list[Any]) -> None:
        """Take over what nutpie reports about its chains."""
        divergences = sum(chain.divergences for chain in chains)
        self.now = Progress(
            stage=self.now.stage,
            done=sum(chain.finished_draws for chain in chains),
            total=sum(chain.total_draws for chain in chains),
            unit="draws",
            note=f"{divergences} divergences",
        )
