"""Who does the work: this process, several on this machine, or those of a cluster.

An executor takes units from a source until it gives None and none is under way, and yields what
became of each. Whoever receives that may add units to the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from zerodce_rt.units import Unit

Source = Callable[[], "Unit | None"]
"""The next unit to begin; None if there is none now."""

Seen = Callable[[Unit, str, int, "int | None"], None]
"""Called with a unit under way, its worker's name, its frames done and its frames expected."""


@dataclass(frozen=True)
class Outcome:
    """What became of a unit.

    Attributes:
        unit: the same object that the source gave.
        frames: of a video.
        error: why it failed, if it did.
    """

    unit: Unit
    frames: int | None = None
    error: Exception | None = None


class Executor(Protocol):
    """Does units; to be closed at the end."""

    def run(self, source: Source, seen: Seen) -> Iterator[Outcome]:
        """Do all units.

        Raises:
            ZeroDCEError: if there is nobody to do them.
        """
        ...

    def close(self) -> None:
        """Stop all workers; what they have not finished is deleted. May be called again."""
        ...
