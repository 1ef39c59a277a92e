"""Frame rate and latency over the last moments."""

from __future__ import annotations

from collections import deque

# Long enough for a steady figure, short enough to follow a camera that changes its rate.
WINDOW_SECONDS = 2.0


class RateMeter:
    """Frames a second over the last ``WINDOW_SECONDS``. One thread ticks, any may read."""

    def __init__(self) -> None:
        self._ticks: deque[float] = deque()

    def tick(self, seconds: float) -> None:
        """Count a frame that came at that time of a monotonic clock."""
        self._ticks.append(seconds)
        while seconds - self._ticks[0] > WINDOW_SECONDS:
            self._ticks.popleft()

    def rate(self, seconds: float) -> float:
        """Frames a second; 0 before there were two, or when none came for ``WINDOW_SECONDS``."""
        ticks = list(self._ticks)
        if len(ticks) < 2 or seconds - ticks[-1] > WINDOW_SECONDS or ticks[-1] <= ticks[0]:
            return 0.0
        return (len(ticks) - 1) / (ticks[-1] - ticks[0])


class LatencyMeter:
    """Median of the last ``size`` latencies."""

    def __init__(self, size: int = 60) -> None:
        self._latencies: deque[float] = deque(maxlen=size)

    def add(self, seconds: float) -> None:
        """Count the latency of a frame."""
        self._latencies.append(seconds)

    def median_ms(self) -> float:
        """Median in milliseconds; 0 if there is none."""
        if not self._latencies:
            return 0.0
        return 1000 * sorted(self._latencies)[len(self._latencies) // 2]
