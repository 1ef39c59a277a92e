"""From the times that a source writes to those of ``time.monotonic``."""

from __future__ import annotations

# A gap in the source's times that is longer sets its clock anew.
GAP_SECONDS = 10.0


class MediaClock:
    """Keeps the steps of a source's times, and moves them all by the same.

    Args:
        late_seconds: what is later than its time by more sets the clock anew.
    """

    def __init__(self, late_seconds: float = GAP_SECONDS) -> None:
        self._late = late_seconds
        self._offset: float | None = None

    def moved(self, media: float, now: float) -> float:
        """The time of what came now.

        Args:
            media: its time by the source, in seconds.
            now: on ``time.monotonic``'s clock.
        """
        if self._offset is None or not -GAP_SECONDS < now - media - self._offset < self._late:
            self._offset = now - media
        return media + self._offset

    def at(self, media: float) -> float | None:
        """The time of something else of the source; None before the first ``moved``."""
        return None if self._offset is None else media + self._offset

    def forget(self) -> None:
        """Begin anew with the next ``moved``."""
        self._offset = None
