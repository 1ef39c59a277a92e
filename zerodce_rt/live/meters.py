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


class OutputMeter:
    """Frame rate of an output, and how long an image takes from its ``write`` until it is out.

    One thread counts, any may read.

    Attributes:
        count: of the images so far.
        status: why none come out just now; None while they do.

    Args:
        name: of the output, for people.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.status: str | None = None
        self._rate, self._delay = RateMeter(), LatencyMeter()

    def sent(self, now: float, put: float) -> None:
        """Count an image that is out now, and was put there at another time of the same clock."""
        self.count += 1
        self._rate.tick(now)
        self._delay.add(now - put)

    def text(self, now: float, before_ms: float) -> str:
        """Figures for people.

        Args:
            before_ms: how long an image takes from its capture to ``write``.
        """
        if self.status is not None:
            return f"{self.name} · {self.status}"
        delay = before_ms + self._delay.median_ms()
        return f"{self.name} · {self._rate.rate(now):.1f} fps · {delay:.0f} ms"
