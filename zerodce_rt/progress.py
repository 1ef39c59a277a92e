"""One progress bar for everything that takes long: count, rate and time left."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

# Seconds between two updates: a terminal redraws its line, a log file would get a new one.
_TERMINAL_INTERVAL, _LOG_INTERVAL = 0.1, 30.0


def progress_bar(
    what: str,
    *,
    unit: str,
    items: Iterable[Any] | None = None,
    total: int | None = None,
    initial: int = 0,
    show: bool = True,
    keep: bool = False,
) -> Any:
    """A ``tqdm`` bar on stderr, around ``items`` if given.

    Args:
        keep: leave the finished bar on the screen.
    """
    return tqdm(
        items,
        desc=what,
        unit=unit,
        total=total,
        initial=initial,
        disable=not show,
        leave=keep,
        dynamic_ncols=True,
        mininterval=_TERMINAL_INTERVAL if sys.stderr.isatty() else _LOG_INTERVAL,
    )
