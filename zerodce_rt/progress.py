"""One progress bar for everything that takes long: count, rate and time left."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from tqdm import tqdm

from zerodce_rt.streams import Lasting, printable

log = logging.getLogger(__name__)

# Seconds between two updates: a terminal redraws its line, a log file gets a new one each time.
_TERMINAL_INTERVAL, _LOG_INTERVAL = 0.1, 30.0
# What is done sooner shows nothing.
_PATIENCE_SECONDS = 1


def progress_bar(
    what: str,
    *,
    unit: str,
    items: Iterable[Any] | None = None,
    total: int | None = None,
    initial: int = 0,
    show: bool = True,
    keep: bool = False,
    delay_seconds: float = 0.0,
    scale: bool = False,
) -> Any:
    """A ``tqdm`` bar on stderr, around ``items`` if given.

    Args:
        what: shown before the bar.
        unit: of what is counted.
        total: how many there will be; None where it is not known.
        initial: how many are done already.
        show: False shows nothing.
        keep: leave the finished bar on the screen.
        delay_seconds: show nothing before that time.
        scale: count in thousands and millions.
    """
    # tqdm does not survive an error of its stream: it would wait for its own lock for ever.
    stream = Lasting(sys.stderr)
    return tqdm(
        items,
        file=stream,
        desc=printable(what),
        unit=unit,
        total=total,
        initial=initial,
        disable=not show,
        leave=keep,
        delay=delay_seconds,
        unit_scale=scale,
        dynamic_ncols=True,
        mininterval=_TERMINAL_INTERVAL if stream.isatty() else _LOG_INTERVAL,
    )


class Update(Protocol):
    """Shows the frames done and the frames expected, or None; and what is being done."""

    def __call__(self, done: int, expected: int | None, doing: str = "") -> None: ...


@contextmanager
def frame_progress(name: str, *, show: bool = True) -> Iterator[Update]:
    """A bar with frame rate and ETA around the enhancement of a video.

    Where there is no terminal, a line in the log every half a minute says the same.

    Yields:
        A function to call after each frame, with the frames done and the frames expected, or
        None where that is not known.
    """
    if not Lasting(sys.stderr).isatty():
        yield _logged_frames(name) if show else _unseen
        return
    bar: Any = None

    def update(done: int, expected: int | None, doing: str = "") -> None:
        nonlocal bar
        if bar is None:  # not earlier: if there is no first frame, only the error is shown
            bar = progress_bar(name, unit="frame", show=show)
        bar.total = max(expected, done) if expected else None
        if doing:
            bar.set_postfix_str(printable(doing), refresh=False)
        bar.update(done - bar.n)

    try:
        yield update
    finally:
        if bar is not None:
            bar.close()


def _unseen(done: int, expected: int | None, doing: str = "") -> None:
    """Progress that nobody wants to see."""


def _logged_frames(name: str) -> Update:
    begun = said = time.monotonic()

    def update(done: int, expected: int | None, doing: str = "") -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < _LOG_INTERVAL:
            return
        said = now
        rate = done / (now - begun)
        tail = f" ({doing})" if doing else ""
        if not expected:
            log.info("%s: %d frames, %.3g frame/s%s", name, done, rate, tail)
            return
        left = tqdm.format_interval(max(0, expected - done) / rate)
        log.info("%s: %d of %d frames, %.3g frame/s, %s left%s",
                 name, done, expected, rate, left, tail)  # fmt: skip

    return update


@contextmanager
def byte_progress(what: str, total: int, *, show: bool = True) -> Iterator[Callable[[int], None]]:
    """A bar with the rate around the copying of a file; without a terminal, a line now and then.

    What is copied within a second shows nothing.

    Yields:
        A function to call with the bytes that are done.
    """
    in_terminal = Lasting(sys.stderr).isatty()
    bar = progress_bar(
        what, unit="B", total=total, scale=True, show=show and in_terminal,
        delay_seconds=_PATIENCE_SECONDS,
    )  # fmt: skip
    logged = _logged_bytes(what, total)
    with bar:

        def update(done: int) -> None:
            if in_terminal:
                bar.update(done - bar.n)
            elif show:
                logged(done)

        yield update


def _logged_bytes(what: str, total: int) -> Callable[[int], None]:
    begun = said = time.monotonic()
    size = tqdm.format_sizeof

    def update(done: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= _LOG_INTERVAL:
            said = now
            rate = done / (now - begun)
            log.info("%s: %sB of %sB, %sB/s", what, size(done), size(total), size(rate))

    return update


@contextmanager
def working(what: str, *, usually_seconds: float, show: bool = True) -> Iterator[None]:
    """Show that something is being done whose progress is not known.

    In a terminal, a bar moves with the time; elsewhere, there is a line in the log. Nothing is
    shown in the first second.

    Args:
        what: is being done.
        usually_seconds: how long it takes most of the time; the length of the bar.
        show: False shows nothing.
    """
    text, done = f"{what} (usually {usually_seconds:.0f} s)", threading.Event()
    with progress_bar(
        text, unit="s", total=round(usually_seconds), show=show and Lasting(sys.stderr).isatty(),
        delay_seconds=_PATIENCE_SECONDS,
    ) as bar:  # fmt: skip
        bar.bar_format = "{desc}: {bar} {elapsed}"

        def live() -> None:
            if bar.disable and show and not done.wait(_PATIENCE_SECONDS):
                log.info("%s ...", text)
            while not done.wait(_PATIENCE_SECONDS):
                bar.total = max(bar.total or 0, bar.n + 1)
                bar.update(_PATIENCE_SECONDS)

        thread = threading.Thread(target=live, name="zerodce-working", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
