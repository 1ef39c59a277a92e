"""One progress bar for everything that takes long: count, rate and time left."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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


@contextmanager
def working(what: str, *, usually_seconds: float, show: bool = True) -> Iterator[None]:
    """A moving sign of life around something that cannot tell how far it is.

    Args:
        usually_seconds: what it takes most of the time; the bar ends there.
    """
    done = threading.Event()
    with progress_bar(what, unit="s", total=round(usually_seconds), show=show) as bar:

        def move() -> None:
            while not done.wait(1.0):
                bar.total = max(bar.total, bar.n + 1)
                bar.update()

        mover = threading.Thread(target=move, name="zerodce-working", daemon=True)
        mover.start()
        try:
            yield
        finally:
            done.set()
            mover.join()
