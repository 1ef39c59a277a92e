"""A mean over the recent past of a video, which forgets what is older.

Each target holds until the next one. Of this staircase, a time constant ``tau`` weights what was
held a time ``age`` ago with ``exp(-age / tau)``, as exponential smoothing does, but only up to
``LENGTH * tau``: a run that begins early enough before some frame gives it the same bits as one
from the start of the video. Targets come at times of the video's own grid, and what is computed
depends on their times and on nothing that is carried from frame to frame.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.curve.maps import CurveMaps

LENGTH = 4
"""Of the window, in time constants. To what is older, exponential smoothing gives 1.8 %."""

END = math.exp(-LENGTH)
"""Weight at the far end of the window, relative to that of the present."""

FEWEST, MOST = 8, 64
"""Grid cells in a window; in each, at most one target comes."""

MOST_VALUES = 2**24
"""Values in all targets of a window (64 MB as float32), unless they are more than ``FEWEST``: maps
of the frame's size are large."""

AT_ONCE = 2**14
"""Values that are averaged while they stay in the cache."""

TOLERANCE = 5e-4
"""Seconds; frame times are often rounded to milliseconds."""


def cells_in_window(values: int) -> int:
    """Grid cells in a window over maps with so many values.

    >>> cells_in_window(5 * 9 * 16), cells_in_window(3 * 1080 * 1920)
    (64, 8)
    """
    return min(max(MOST_VALUES // values, FEWEST), MOST)


def grid_seconds(estimate_seconds: float, smoothing_seconds: float, values: int) -> float:
    """Width of the grid's cells: as asked for, but no more than fit into a window.

    Args:
        values: of the maps.

    Returns:
        0 if every frame is to be estimated.
    """
    return max(estimate_seconds, LENGTH * smoothing_seconds / cells_in_window(values))


def enters_cell(before: float, seconds: float, cell: float) -> bool:
    """Whether a frame is the first in its cell of the time grid.

    Args:
        before: time of the frame before, in seconds.
        cell: width of the cells; 0 if each frame has its own.

    >>> [n for n in range(1, 10) if enters_cell((n - 1) / 30, n / 30, 0.1)]
    [3, 6, 9]
    """
    return cell == 0 or (seconds + TOLERANCE) // cell != (before + TOLERANCE) // cell


class Window:
    """The targets of one scene that still count, oldest first."""

    def __init__(self) -> None:
        self._targets: list[CurveMaps] = []
        self._since: list[float] = []

    @property
    def values(self) -> int:
        """Of each target; 1 if there is none."""
        return self._targets[-1].values.size if self._targets else 1

    def begin(self, target: CurveMaps) -> None:
        """Forget all targets; this one counts as held for ever."""
        self._targets, self._since = [target], [-math.inf]

    def add(self, target: CurveMaps, since: float) -> None:
        """Take the next target.

        Args:
            since: from when on it is held, in seconds: the time of the frame before its own, so
                that it counts at its own frame already.
        """
        self._targets.append(target)
        self._since.append(since)

    def mean(self, seconds: float, smoothing_seconds: float) -> CurveMaps:
        """What has been held, weighted by age; drops what has left the window.

        Args:
            seconds: the present, not before any earlier one.
            smoothing_seconds: the time constant; 0 gives the newest target.
        """
        while len(self._since) > 1 and seconds - self._since[1] >= LENGTH * smoothing_seconds:
            del self._targets[0], self._since[0]
        newest = self._targets[-1]
        if len(self._targets) == 1:
            return newest
        ages = [(seconds - since) / smoothing_seconds for since in self._since[1:]]
        # The oldest is taken to hold as far as the window reaches.
        starts = [END, *(math.exp(-min(age, LENGTH)) for age in ages)]
        weights = (np.diff(starts) / (1 - END)).astype(np.float32)
        mean = _mean([target.values.reshape(-1) for target in self._targets], weights)
        return replace(newest, values=mean.reshape(newest.values.shape))


def _mean(targets: list[NDArray[np.float32]], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weighted mean of flat targets; the last has the weight that the others leave."""
    *others, newest = targets
    total = np.empty_like(newest)
    for start in range(0, newest.size, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        sums = newest[part].copy()
        for target, weight in zip(others, weights, strict=True):
            # As differences: equal targets give what each of them is, to the last bit.
            sums += weight * (target[part] - newest[part])
        total[part] = sums
    return total
