"""All work in this process, one unit after another."""

from __future__ import annotations

from collections.abc import Iterator

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.executors import Outcome, Seen, Source
from zerodce_rt.units import Unit


class Here:
    """Is an ``Executor``.

    Args:
        enhancer: does the work.
    """

    def __init__(self, enhancer: Enhancer) -> None:
        self._enhancer = enhancer

    def run(self, source: Source, seen: Seen) -> Iterator[Outcome]:
        while (unit := source()) is not None:
            yield self._done(unit, seen)

    def _done(self, unit: Unit, seen: Seen) -> Outcome:
        def progress(frames: int, expected: int | None) -> None:
            seen(unit, "", frames, expected)

        try:
            return Outcome(unit, unit.run(self._enhancer, progress))
        except Exception as error:  # whatever is wrong with one, the others are done
            return Outcome(unit, error=error)

    def close(self) -> None:
        pass
